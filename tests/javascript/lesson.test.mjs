/** Recording, labelling and undoing, as the server is told of them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Lesson } from "../../clients/web/page/lesson.js";

/** A lesson whose every word is written down; sensor time begins at 1,000,000 us. */
function taught() {
  /** @type {any[]} */
  const said = [];
  const note = (/** @type {string} */ what) => async (/** @type {any[]} */ ...values) => said.push([what, ...values]);
  const pupil = /** @type {any} */ ({});
  for (const call of ["beginSegment", "endSegment", "events", "advance", "label", "addClasses"]) pupil[call] = note(call);
  let snapshots = 0;
  const server = {
    post: async (/** @type {string} */ path, /** @type {any} */ body) => {
      said.push([path.split("/").at(-1), body?.snapshot]);
      snapshots += 1;
      return { snapshot: `snapshot ${snapshots}` };
    },
  };
  return { said, lesson: new Lesson(pupil, server, "my voice", 1000) };
}

/** @param {number} nowUs @param {number[]} timesUs */
const sensed = (nowUs, timesUs = []) => ({ nowUs, timesUs, addresses: timesUs.map(() => 7), level: 0, atMs: 0 });

test("a recording has what was heard up to 150 ms before it, and nothing after it", async () => {
  const { said, lesson } = taught();
  // ends 200 ms, 100 ms and 0 ms before the button is pressed
  for (const nowUs of [100_000, 200_000, 300_000]) await lesson.sense(sensed(nowUs, [nowUs - 500]));

  await lesson.begin();
  await lesson.sense(sensed(400_000, [350_000]));
  await lesson.end();
  await lesson.sense(sensed(500_000, [450_000]));

  assert.deepEqual(said, [
    ["beginSegment", 1001, 1_199_500],
    ["events", [1_199_500], [7]],
    ["events", [1_299_500], [7]],
    ["events", [1_350_000], [7]],
    ["advance", 1_400_000],
    ["endSegment", 1001, 1_400_000],
  ]);
});

test("a recording is labelled once, after the network as it was is kept", async () => {
  const { said, lesson } = taught();
  await lesson.begin();
  await lesson.end();
  said.length = 0;

  await lesson.label("yes");
  await lesson.label("no");

  assert.deepEqual(said, [["snapshot", undefined], ["label", 1001, "yes"]]);
});

test("lessons are undone newest first, five of them", async () => {
  const { said, lesson } = taught();
  for (let n = 0; n < 6; n += 1) {
    await lesson.begin();
    await lesson.end();
    await lesson.label("yes");
  }
  said.length = 0;

  while (lesson.canUndo) await lesson.undo();

  // the snapshot before the first of the six lessons is forgotten
  const undone = [6, 5, 4, 3, 2].map((n) => ["rollback", `snapshot ${n}`]);
  assert.deepEqual(said, undone);
});

test("lessons from before new classes can't be undone", async () => {
  const { said, lesson } = taught();
  await lesson.begin();
  await lesson.end();
  await lesson.label("yes");
  assert.ok(lesson.canUndo);

  await lesson.addClasses(["maybe"]);

  assert.deepEqual(said.at(-1), ["addClasses", ["maybe"]]);
  assert.equal(lesson.canUndo, false);
});

test("time that passes in silence is told while recording", async () => {
  const { said, lesson } = taught();
  await lesson.sense(sensed(100_000));
  await lesson.begin();
  said.length = 0;

  await lesson.sense(sensed(116_000));

  assert.deepEqual(said, [["events", [], []], ["advance", 1_116_000]]);
  assert.equal(lesson.ownTime(1_116_000), 116_000);
});

test("answers to an earlier lesson are not this one's", () => {
  const { lesson } = taught();

  // this lesson's segments begin at 1001
  assert.deepEqual([1000, 1001, undefined].map((segment) => lesson.isOwn(segment)), [false, true, false]);
});
