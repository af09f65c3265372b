import assert from "node:assert/strict";
import { test } from "node:test";

import { countAddresses, eventFrames } from "../../clients/web/event_frames.js";
import { SensorClock } from "../../clients/web/sensor_clock.js";
import { decodeEvents } from "../../clients/web/wire.js";

/** The clock of a stream that is not cut, at a server that takes steps of 10 ms. */
const narrowClock = () =>
  new SensorClock({ tickUs: 1000, limits: { maxAdvanceTicks: 13 } }, { segmentation: { by: "none" } });

/** The clock of a session without an open segment, which stands still. */
const standing = () => new SensorClock({ tickUs: 1000 }, {});

/** The events of each frame as [time, address]. */
const eventsOf = (frames) =>
  frames.map(decodeEvents).map(({ baseUs, offsetsUs, addresses }) =>
    [...offsetsUs].map((offset, i) => [baseUs + offset, addresses[i]]),
  );

test("events that fit one frame keep their order", () => {
  const frames = eventFrames([30, 10, 20], [3, 1, 2], 48, standing());

  assert.deepEqual(eventsOf(frames), [[[30, 3], [10, 1], [20, 2]]]);
});

test("events that need several frames are sorted by time, so that none of them is late", () => {
  // (40 - 24) / 8 = 2 events a frame
  const frames = eventFrames([30, 10, 20], [3, 1, 2], 40, standing());

  assert.deepEqual(eventsOf(frames), [[[10, 1], [20, 2]], [[30, 3]]]);
});

test("events further apart than 32 bits of microseconds go in several frames", () => {
  const frames = eventFrames([5 + 2 ** 32, 5, 4 + 2 ** 32], [0, 1, 2], 1000, standing());

  // 5 and 4 + 2^32 are 2^32 - 1 apart, which just fits
  assert.deepEqual(eventsOf(frames), [[[5, 1], [4 + 2 ** 32, 2]], [[5 + 2 ** 32, 0]]]);
});

test("events far apart in a stream have frames between them that move the clock", () => {
  const frames = eventFrames([28_000, 0, 9000, 11_000], [3, 0, 1, 2], 1000, narrowClock());

  // 10 ms after 0 is too near for 11 ms; from 11 ms it takes one step to come near 28 ms
  assert.deepEqual(eventsOf(frames), [[[0, 0], [9000, 1]], [[11_000, 2]], [], [[28_000, 3]]]);
  assert.equal(decodeEvents(frames[2]).baseUs, 21_000);
});

test("no events are no frame, since an empty one would move the clock", () => {
  assert.deepEqual(eventFrames([], [], 1000, standing()), []);
});

test("an address outside the sensor is refused before it is sent", () => {
  assert.throws(() => eventFrames([1, 2], [0, 700], 1000, standing(), 700), {
    name: "RangeError",
    message: "address 1 is 700, not an integer from 0 to 699",
  });
});

test("a sensor's addresses are counted as the wire knows them, before pooling", () => {
  assert.equal(countAddresses({ kind: "cochlea", channels: 700 }), 700);
  assert.equal(countAddresses({ kind: "raw", addresses: 20 }), 20);
  assert.equal(countAddresses({ kind: "dvs", width: 4, height: 3, polarities: 2, pool: 2 }), 24);
  assert.equal(countAddresses(undefined), undefined);
});
