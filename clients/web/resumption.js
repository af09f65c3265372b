/**
 * Whether, and how long after a connection's end, to connect again.
 *
 * Delays double with each attempt that brought no progress, up to a bound, and are drawn at random below
 * that, so that the clients of a server that restarts don't come back in one instant.
 */

import { ConnectionLost, SessionEnded, SessionRefused } from "./errors.js";

/** What trying again with the same messages would not mend. */
const REFUSALS = new Set([1007, 1009, 4400, 4401]);
const DELETED = 4404;
const ORDERLY = 1000;
const QUOTA = 4429;

/** What a server that drains or is overloaded gets where it does not say how long it needs. */
const BUSY = new Set([1012, 1013]);
const BUSY_MS = 1_000;

/**
 * @typedef {{closeCode: number, goodbye?: import("./wire.js").GoodbyeMessage,
 *   refusal?: import("./wire.js").ErrorMessage}} Closure
 * @typedef {{giveUpAfterMs?: number, firstDelayMs?: number, longestDelayMs?: number,
 *   quotaDelayMs?: number}} Patience
 */

export class Resumption {
  #attempts = 0;
  /** @type {number | undefined} when the first attempt since the last progress failed */
  #failingSince;
  #giveUpAfterMs;
  #firstDelayMs;
  #longestDelayMs;
  #quotaDelayMs;
  #random;

  /**
   * @param {Patience} patience How long to go on without progress, and the bounds of the delays.
   * @param {() => number} random Uniform in [0, 1).
   */
  constructor(patience, random) {
    this.#giveUpAfterMs = patience.giveUpAfterMs ?? 60_000;
    this.#firstDelayMs = patience.firstDelayMs ?? 250;
    this.#longestDelayMs = patience.longestDelayMs ?? 30_000;
    this.#quotaDelayMs = patience.quotaDelayMs ?? 5_000;
    this.#random = random;
  }

  /** Notes that the connection is of use; the next failure is a first one again. */
  progressed() {
    this.#attempts = 0;
    this.#failingSince = undefined;
  }

  /**
   * Decides after a connection's end.
   * @param {Closure} closure
   * @param {number} now In milliseconds, from any origin.
   * @returns {number} Milliseconds to wait before connecting again.
   * @throws {SessionRefused | SessionEnded | ConnectionLost} Connecting again is of no use.
   */
  delayAfter({ closeCode, goodbye, refusal }, now) {
    if (REFUSALS.has(closeCode)) throw new SessionRefused(closeCode, refusal);
    if (closeCode === ORDERLY) throw new SessionEnded(goodbye?.reason ?? "closed by the server");
    if (closeCode === DELETED) throw new SessionEnded("deleted");
    this.#failingSince ??= now;
    const failingForMs = now - this.#failingSince;
    if (failingForMs >= this.#giveUpAfterMs) {
      throw new ConnectionLost(closeCode, failingForMs, refusal);
    }
    const firstMs = closeCode === QUOTA ? this.#quotaDelayMs : this.#firstDelayMs;
    const boundMs = Math.min(firstMs * 2 ** this.#attempts, this.#longestDelayMs);
    this.#attempts += 1;
    const toldMs = Math.max(goodbye?.retryAfterMs ?? 0, refusal?.retryAfterMs ?? 0);
    const wishedMs = toldMs || (BUSY.has(closeCode) ? BUSY_MS : 0);
    return wishedMs + this.#random() * boundMs;
  }
}
