/** What a person is told whose session has to wait, is refused, or ends. */

import { ConnectionLost, SessionEnded } from "../errors.js";
import { explained } from "./server.js";

const FULL = "The server is full: it serves as many sessions as it can in real time.";
const NO_ROOM = "The server has no more room for you: you have as many sessions as it lets you have, or its memory is full.";

/** Why a session waits, by the server's code or reason. @type {Record<string, string>} */
const WAITS = {
  overloaded: FULL,
  quota: NO_ROOM,
  draining: "The server is being stopped or restarted.",
  idle: "The server let go of a connection that said nothing for long.",
};

/** @type {Record<string, string>} */
const ENDS = {
  taken_over: "Another page or program has taken this session over.",
  deleted: "This session was deleted.",
};

/** @type {Record<string, string>} */
const REFUSALS = {
  config_mismatch: "A session of this name has other classes or another beginning; choose another name.",
  unauthorized: "The server does not know this token.",
  quota: NO_ROOM,
};

/**
 * Why there is no connection now, and when the next one is tried.
 * @param {{reason?: string, retryInMs?: number}} why
 * @param {boolean} isOpen Whether the session was there before.
 */
export function waiting({ reason, retryInMs = 0 }, isOpen) {
  const cause = WAITS[reason ?? ""] ?? (isOpen ? "The server is gone." : "The server does not answer.");
  const kept = isOpen ? " What you record is kept." : "";
  const when = retryInMs < 1500 ? "" : ` in ${Math.round(retryInMs / 1000)} s`;
  return `${cause}${kept} Trying again${when} …`;
}

/** Why a session was not opened, or goes on no longer. @param {any} error */
export function sessionProblem(error) {
  if (error instanceof SessionEnded) return ENDS[error.reason] ?? "The server ended this session's connection.";
  if (error instanceof ConnectionLost) {
    const cause = WAITS[error.code ?? ""] ?? "The server does not answer.";
    return `${cause} It was tried for ${Math.round(error.forMs / 60_000)} min; start again when there is hope.`;
  }
  const known = REFUSALS[error.code];
  return known ? `${known} (${error.message})` : explained(error);
}
