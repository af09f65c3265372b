import assert from "node:assert/strict";
import { test } from "node:test";

import { ConnectionLost, SessionEnded, SessionRefused } from "../../clients/web/errors.js";
import { Resumption } from "../../clients/web/resumption.js";

const PATIENCE = { giveUpAfterMs: 10_000, firstDelayMs: 100, longestDelayMs: 1000, quotaDelayMs: 500 };
const resumption = (random = 0.5) => new Resumption(PATIENCE, () => random);
const refusal = { type: "error", code: "bad_address", message: "700 came", fatal: true, sequence: 3 };

for (const closeCode of [1001, 1005, 1006, 1011, 4408, 4500]) {
  test(`a connection that ended with ${closeCode} is resumed after a part of the first delay`, () => {
    assert.equal(resumption().delayAfter({ closeCode }, 0), 50);
  });
}

for (const closeCode of [1012, 1013]) {
  test(`a server that ends connections with ${closeCode} gets a second if it says nothing more`, () => {
    assert.equal(resumption().delayAfter({ closeCode }, 0), 1050);
  });
}

for (const closeCode of [1007, 1009, 4400, 4401]) {
  test(`a connection that ended with ${closeCode} is not resumed, and the server's reason told`, () => {
    assert.throws(() => resumption().delayAfter({ closeCode, refusal }, 0), (error) => {
      assert.ok(error instanceof SessionRefused);
      assert.deepEqual([error.closeCode, error.code, error.sequence], [closeCode, "bad_address", 3]);
      assert.equal(error.message, `the server closed with ${closeCode}, bad_address: 700 came`);
      return true;
    });
  });
}

test("a session taken over or deleted is not resumed", () => {
  const taken = { closeCode: 1000, goodbye: { reason: "taken_over" } };

  assert.throws(() => resumption().delayAfter(taken, 0), (error) => error.reason === "taken_over");
  assert.throws(() => resumption().delayAfter({ closeCode: 4404 }, 0), SessionEnded);
});

test("delays double up to the bound while there is no progress, and begin anew after it", () => {
  const resuming = resumption();
  const delays = () => [1, 2, 3, 4, 5].map(() => resuming.delayAfter({ closeCode: 1006 }, 0));

  assert.deepEqual(delays(), [50, 100, 200, 400, 500]);
  resuming.progressed();
  assert.deepEqual(delays(), [50, 100, 200, 400, 500]);
});

test("a delay is drawn anew each time, from nothing to the bound", () => {
  assert.equal(resumption(0).delayAfter({ closeCode: 1006 }, 0), 0);
  assert.equal(resumption(0.99).delayAfter({ closeCode: 1006 }, 0), 99);
});

test("the server's wish is waited for, and the jitter comes on top", () => {
  const draining = { closeCode: 1012, goodbye: { reason: "draining", retryAfterMs: 3000 } };

  assert.equal(resumption().delayAfter(draining, 0), 3050);
});

test("the wish of a refusal is waited for like that of a goodbye, the longer of both", () => {
  const full = { type: "error", code: "overloaded", message: "full", fatal: true, retryAfterMs: 5000 };
  const goodbye = { reason: "draining", retryAfterMs: 3000 };

  assert.equal(resumption().delayAfter({ closeCode: 1013, refusal: full }, 0), 5050);
  assert.equal(resumption().delayAfter({ closeCode: 1012, goodbye, refusal: full }, 0), 5050);
  assert.equal(resumption().delayAfter({ closeCode: 4429, refusal: full }, 0), 5250);
});

test("a wish for no time at all is none", () => {
  const goodbye = { reason: "draining", retryAfterMs: 0 };

  assert.equal(resumption().delayAfter({ closeCode: 1012, goodbye }, 0), 1050);
});

test("a quota is given more time", () => {
  assert.equal(resumption().delayAfter({ closeCode: 4429 }, 0), 250);
});

test("attempts end when they have failed for the given time, counted from the first failure", () => {
  const resuming = resumption();

  resuming.delayAfter({ closeCode: 1006 }, 50_000);
  resuming.delayAfter({ closeCode: 1006 }, 59_999);
  assert.throws(() => resuming.delayAfter({ closeCode: 1006 }, 60_000), ConnectionLost);
});

test("progress ends the count of the time without it", () => {
  const resuming = resumption();
  resuming.delayAfter({ closeCode: 1006 }, 0);
  resuming.progressed();

  resuming.delayAfter({ closeCode: 1006 }, 10_000);
  resuming.delayAfter({ closeCode: 1006 }, 19_999);
});
