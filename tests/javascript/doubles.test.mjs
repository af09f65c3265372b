import assert from "node:assert/strict";
import { test } from "node:test";

import { Doubles } from "../../clients/web/doubles.js";

const prediction = (segment, tick, final = false) => ({ segment, tick, final });

test("predictions that came before are doubles, later ones are not", () => {
  const doubles = new Doubles();
  const isNew = (...fields) => doubles.isNewPrediction(prediction(...fields));
  doubles.begin(1);

  assert.deepEqual([isNew(4, 25), isNew(4, 50), isNew(4, 50, true)], [true, true, true]);
  assert.deepEqual([isNew(4, 50, true), isNew(4, 75), isNew(3, 90, true)], [false, false, false]);
  assert.deepEqual([isNew(6, 0), isNew(6, 0), isNew(6, 25)], [true, false, true]);
});

test("a lesson is new once for each segment and interval, in any order", () => {
  const doubles = new Doubles();
  doubles.begin(1);

  assert.ok(doubles.isNewLesson({ segment: 5 }));
  assert.ok(doubles.isNewLesson({ segment: 2 }));
  assert.ok(doubles.isNewLesson({ fromUs: 0, toUs: 10 }));
  assert.ok(doubles.isNewLesson({ fromUs: 10, toUs: 20 }));
  assert.ok(!doubles.isNewLesson({ segment: 5 }));
  assert.ok(!doubles.isNewLesson({ fromUs: 0, toUs: 10 }));
});

test("a refusal is new once for each message and code, and always without a number", () => {
  const doubles = new Doubles();
  doubles.begin(1);

  assert.ok(doubles.isNewRefusal({ sequence: 4, code: "late_events" }));
  assert.ok(doubles.isNewRefusal({ sequence: 4, code: "label_too_late" }));
  assert.ok(doubles.isNewRefusal({ code: "snapshot_failed" }));
  assert.ok(!doubles.isNewRefusal({ sequence: 4, code: "late_events" }));
  assert.ok(doubles.isNewRefusal({ code: "snapshot_failed" }));
});

test("another epoch begins anew, the same one does not", () => {
  const doubles = new Doubles();
  doubles.begin(1);
  doubles.isNewPrediction(prediction(4, 50, true));
  doubles.isNewLesson({ segment: 4 });

  doubles.begin(1);
  assert.ok(!doubles.isNewLesson({ segment: 4 }));
  doubles.begin(2);
  assert.ok(doubles.isNewLesson({ segment: 4 }));
  assert.ok(doubles.isNewPrediction(prediction(4, 50, true)));
});
