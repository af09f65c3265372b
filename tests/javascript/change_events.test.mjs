/** Pictures in, change events out, with numbers by hand. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ChangeEvents } from "../../clients/web/change_events.js";

/** The luma whose L = ln(luma + 10) is a given number. @param {number} light */
const luma = (light) => Math.exp(light) - 10;

/** @param {Partial<import("../../clients/web/change_events.js").ChangeSpec>} [spec] */
const onePixel = (spec) => new ChangeEvents({ width: 1, height: 1, threshold: 0.2, refractoryUs: 0, ...spec });

test("the first picture makes no events, and neither does one that is like it", () => {
  const camera = onePixel();

  assert.deepEqual(camera.process([100], 0), { timesUs: [], addresses: [] });
  assert.deepEqual(camera.process([100], 30_000), { timesUs: [], addresses: [] });
});

test("a rise of three thresholds is three events, spread in a straight line over the time between", () => {
  const camera = onePixel();
  camera.process([luma(3)], 1000);

  // L goes from 3.0 to 3.6 in 30,000 us: it passes 3.2, 3.4 and 3.6 after a third, two thirds, all
  const { timesUs, addresses } = camera.process([luma(3.6)], 31_000);

  assert.deepEqual(timesUs, [11_000, 21_000, 31_000]);
  // of one pixel: OFF is address 0, ON is address 1
  assert.deepEqual(addresses, [1, 1, 1]);
});

test("what is left of a change counts for the next picture, either way", () => {
  const camera = onePixel();
  camera.process([luma(3)], 0);

  // 3.0 -> 3.3: one event at 3.2, a half threshold is left
  const up = camera.process([luma(3.3)], 30_000);
  // 3.3 -> 3.1: half a threshold below the reference 3.2, nothing
  const back = camera.process([luma(3.1)], 60_000);
  // 3.1 -> 2.9: passes 3.0 after half of the time
  const down = camera.process([luma(2.9)], 90_000);

  assert.deepEqual(up, { timesUs: [20_000], addresses: [1] });
  assert.deepEqual(back, { timesUs: [], addresses: [] });
  assert.deepEqual(down, { timesUs: [75_000], addresses: [0] });
});

test("a pixel that rests follows the light without a word", () => {
  const camera = onePixel({ refractoryUs: 15_000 });
  camera.process([luma(3)], 0);

  // crossings at 10,000, 20,000 and 30,000: the second one falls into the rest after the first
  const first = camera.process([luma(3.6)], 30_000);
  // the reference is 3.6 all the same: nothing is owed
  const second = camera.process([luma(3.6)], 60_000);

  assert.deepEqual(first.timesUs, [10_000, 30_000]);
  assert.deepEqual(second.timesUs, []);
});

test("addresses are those of the wire: polarity, then row, then column, in order of time", () => {
  const camera = new ChangeEvents({ width: 3, height: 2, threshold: 0.2, refractoryUs: 0 });
  const lights = [3, 3, 3, 3, 3, 3];
  camera.process(lights.map(luma), 0);
  // pixel (x 2, y 1) darkens by one threshold, pixel (x 1, y 0) brightens by two
  lights[5] = 2.8;
  lights[1] = 3.4;

  const { timesUs, addresses } = camera.process(lights.map(luma), 1000);

  assert.deepEqual(timesUs, [500, 1000, 1000]);
  // ON (1 * 2 + 0) * 3 + 1 = 7; OFF (0 * 2 + 1) * 3 + 2 = 5
  assert.deepEqual(addresses, [7, 5, 7]);
});

test("black to white in one picture is sixteen events at a threshold of 0.2", () => {
  const camera = onePixel();
  camera.process([0], 0);

  // ln(265) - ln(10) = 3.277
  assert.equal(camera.process([255], 1000).timesUs.length, 16);
});

test("what makes no sense is refused and not seen", () => {
  assert.throws(() => onePixel({ threshold: 0 }), /threshold is 0, expected 0.02 to 2/);
  assert.throws(() => onePixel({ refractoryUs: -1 }), RangeError);
  assert.throws(() => onePixel({ width: Number.NaN }), RangeError);
  const camera = onePixel();
  camera.process([luma(3)], 1000);

  assert.throws(() => camera.process([1, 2], 2000), /2 pixels came, expected 1 x 1/);
  assert.throws(() => camera.process([luma(3.2)], 1000), /expected one after 1000 us/);

  assert.deepEqual(camera.process([luma(3.2)], 2000).timesUs, [2000]);
});
