/** What a person is told whose session waits, is refused or ends. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConnectionLost, SessionEnded, SessionRefused } from "../../clients/web/errors.js";
import { sessionProblem, waiting } from "../../clients/web/page/session_problems.js";

/** @param {string} code */
const refusal = (code) => /** @type {any} */ ({ type: "error", code, message: "9 came", fatal: true });

for (const [reason, said] of [
  ["overloaded", "The server is full: it serves as many sessions as it can in real time. Trying again in 5 s …"],
  ["draining", "The server is being stopped or restarted. Trying again in 5 s …"],
  [undefined, "The server does not answer. Trying again in 5 s …"],
]) {
  test(`a session that waits to be opened tells why, and when: ${reason}`, () => {
    assert.equal(waiting({ reason, retryInMs: 5125 }, false), said);
  });
}

test("a session that waits to go on tells that nothing is lost", () => {
  assert.equal(waiting({ retryInMs: 125 }, true), "The server is gone. What you record is kept. Trying again …");
  assert.match(waiting({ reason: "quota", retryInMs: 6000 }, true), /no more room for you.* is kept\. Trying again in 6 s/);
});

test("a session's end is told in words", () => {
  assert.match(sessionProblem(new SessionEnded("taken_over")), /^Another page or program/);
  assert.match(sessionProblem(new SessionEnded("deleted")), /was deleted/);
  assert.match(sessionProblem(new SessionRefused(4400, refusal("config_mismatch"))), /choose another name\. \(.*9 came\)/);
  assert.match(sessionProblem(new SessionRefused(4401, refusal("unauthorized"))), /does not know this token/);
});

test("who gives up tells why and after how long", () => {
  assert.match(sessionProblem(new ConnectionLost(1006, 600_400, undefined)), /^The server does not answer\. .* 10 min/);
  assert.match(sessionProblem(new ConnectionLost(1013, 600_400, refusal("overloaded"))), /^The server is full/);
});
