import assert from "node:assert/strict";
import { test } from "node:test";

import { SensorClock } from "../../clients/web/sensor_clock.js";

// 13 ticks a message less 3 that may be partial: steps of 10 ms
const OPENED = { tickUs: 1000, limits: { maxAdvanceTicks: 13 } };

test("an end far from the begin is approached in steps that one message may take", () => {
  const clock = new SensorClock(OPENED, {});
  clock.begin(0, 5000);

  assert.deepEqual(clock.end(0, 35_000), [15_000, 25_000]);
  // nothing is open: what comes now moves nothing
  assert.deepEqual(clock.approach(1_000_000), []);
  assert.equal(clock.reachUs(0), Infinity);
});

test("steps begin where events and clock frames have moved the clock", () => {
  const clock = new SensorClock(OPENED, {});
  clock.begin(0, 0);
  clock.moveByEvents(4000);
  clock.moveAlone(3000);

  assert.equal(clock.reachUs(9), 14_000);
  assert.deepEqual(clock.approach(14_000), []);
  assert.deepEqual(clock.approach(14_001), [14_000]);
});

test("marks that the server will refuse move nothing", () => {
  const clock = new SensorClock(OPENED, {});
  clock.begin(0, 0);
  clock.begin(1, 50_000);

  assert.deepEqual(clock.end(1, 60_000), []);
  assert.deepEqual(clock.end(0, 20_000), [10_000]);
});

test("where the server cuts, the first event begins, and a clock frame before it does not", () => {
  const clock = new SensorClock(OPENED, { segmentation: { by: "none" } });
  clock.moveAlone(90_000);
  assert.equal(clock.reachUs(5000), 15_000);
  clock.moveByEvents(5000);
  clock.begin(0, 90_000);

  assert.deepEqual(clock.approach(26_000), [15_000, 25_000]);
});

test("a segment that an earlier client left open goes on at its begin, or later", () => {
  const clock = new SensorClock({ ...OPENED, openSegment: 4, openSegmentTUs: 7000 }, {});

  assert.deepEqual(clock.end(4, 20_000), [17_000]);
});

test("a grace and windows of broken ticks shorten the steps", () => {
  const graceful = new SensorClock(OPENED, { lateUs: 4000 });
  const segmentation = { by: "window", lengthUs: 1500 };
  const broken = new SensorClock(OPENED, { segmentation });

  graceful.begin(0, 0);
  assert.equal(graceful.reachUs(0), 6000);
  // two ticks a window of 1.5 ms: 10 of them are 7.5 ms
  assert.equal(broken.reachUs(0), 7500);
});
