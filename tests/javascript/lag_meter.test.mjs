/** Lags from sensing to drawing, with clocks in the test's hand. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LagMeter } from "../../clients/web/page/lag_meter.js";

test("a lag goes from a piece's begin to the first prediction that knows all of it", () => {
  const meter = new LagMeter();
  // pieces of 16 ms; the sensor's time 0 is 5000 ms
  meter.sensed(16_000, 5016, true);
  meter.sensed(32_000, 5032, true);

  // knows the first piece, and a part of the second
  meter.drawn(20_000, 5040);
  assert.deepEqual(meter.lagsMs, [40]);

  meter.drawn(40_000, 5060);
  // the second one began at 5016
  assert.deepEqual(meter.lagsMs, [40, 44]);
});

test("the sensor's clock is that of the piece that came soonest", () => {
  const meter = new LagMeter();
  meter.sensed(16_000, 5016, false);
  // told 30 ms late, by a busy browser: it was sensed no later for that
  meter.sensed(32_000, 5062, true);

  meter.drawn(32_000, 5070);

  assert.deepEqual(meter.lagsMs, [54]);
});

test("what is not sent, or will not be known, has no lag", () => {
  const meter = new LagMeter();
  meter.sensed(16_000, 16, false);
  meter.sensed(32_000, 32, true);
  meter.drop();

  meter.drawn(64_000, 100);

  assert.deepEqual(meter.lagsMs, []);
  assert.equal(meter.percentile(0.95), undefined);
});

test("percentiles are by rank", () => {
  const meter = new LagMeter();
  for (let n = 1; n <= 100; n += 1) {
    meter.sensed(n * 1000, n, true);
    // lags of 1 to 100 ms: drawn that long after its begin
    meter.drawn(n * 1000, n - 1 + n);
  }

  assert.equal(meter.percentile(0.5), 50);
  assert.equal(meter.percentile(0.95), 95);
});
