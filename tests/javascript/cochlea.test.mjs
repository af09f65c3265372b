/** The cochlea's own promises; that it equals the Python one is tested in tests/clients. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cochlea } from "../../clients/web/cochlea.js";

test("it hears 16,000 samples a second and no others", () => {
  assert.throws(() => new Cochlea({}, 48_000), /48000 Hz, the cochlea expects 16000 Hz/);
});

test("a parameter that is none, or out of range, is refused with what was expected", () => {
  assert.throws(() => new Cochlea({ channels: 1 }), /channels is 1, expected 2 to 65536/);
  assert.throws(() => new Cochlea({ channels: 2.5 }), /channels is 2.5, expected an integer/);
  assert.throws(() => new Cochlea({ drive: NaN }), /drive is NaN, expected 0.01 to 1000/);
  assert.throws(() => new Cochlea(/** @type {any} */ ({ volume: 1 })), /volume came/);
  assert.throws(() => new Cochlea({ lowestHz: 7000 }), /expected less than highestHz \(7000\)/);
});

test("what is not finite is refused as a whole, and nothing of it was heard", () => {
  const loud = Float64Array.from({ length: 800 }, (_, n) => Math.sin(n / 3));
  const [one, other] = [new Cochlea({ channels: 24 }), new Cochlea({ channels: 24 })];

  assert.throws(() => one.process([...loud, NaN]), /sample 800 is NaN/);

  assert.deepEqual(one.process(loud), other.process(loud));
});

test("silence gives no events", () => {
  assert.deepEqual(new Cochlea().process(new Float32Array(16_000)), { timesUs: [], channels: [] });
});
