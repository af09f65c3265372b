/** What the page's pictures are drawn anew from: bounded in ticks and in spikes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { RecentGlimpses } from "../../clients/web/page/recent_glimpses.js";

/** @param {number} from @param {number} nTicks @param {number} nInputs @param {number} nHidden */
const glimpse = (from, nTicks, nInputs = 0, nHidden = 0) => ({
  from_tick: from,
  n_ticks: nTicks,
  ticks: Array(nInputs).fill(0),
  channels: Array(nInputs).fill(0),
  neurons: [Array(nHidden).fill(0), []],
  probabilities: [0.5, 0.5],
});

/** @param {RecentGlimpses} recent */
const kept = (recent) => [...recent].map((seen) => seen.from_tick);

test("the last 4096 ticks are kept, in their order", () => {
  const recent = new RecentGlimpses();
  for (let n = 0; n < 6; n += 1) recent.add(glimpse(n * 1000, 1000));

  assert.deepEqual(kept(recent), [2000, 3000, 4000, 5000]);
  assert.equal(recent.nTicks, 4000);
});

test("no more than 200,000 spikes are kept, of inputs and neurons together", () => {
  const recent = new RecentGlimpses();
  for (let n = 0; n < 4; n += 1) recent.add(glimpse(n, 1, 40_000, 20_000));
  assert.deepEqual(kept(recent), [1, 2, 3]);

  recent.add(glimpse(4, 1, 200_001));
  assert.deepEqual(kept(recent), []);
  assert.equal(recent.nTicks, 0);
});

test("nothing is left of a session that is shown no more", () => {
  const recent = new RecentGlimpses();
  recent.add(glimpse(0, 4000, 150_000));
  recent.clear();
  recent.add(glimpse(1, 4000, 150_000));

  assert.deepEqual(kept(recent), [1]);
});
