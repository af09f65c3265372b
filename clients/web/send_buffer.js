/**
 * Messages on their way: numbered, kept until they are durable, sent again when a link resumes.
 *
 * The buffer is bounded. When it is full, `add` waits for the server to make messages durable; what
 * waits is admitted in order.
 */

import { CallsNotAwaited, UnusableServer } from "./errors.js";
import { encodeMessage, stampSequence } from "./wire.js";

/** What keeping a message costs beside its bytes, roughly. */
const ENTRY_BYTES = 100;

/**
 * @typedef {{bytes: number, number: (sequence: number) => string | ArrayBuffer}} Unnumbered
 *   A message that still lacks its sequence number.
 * @typedef {{sequence: number, payload: string | ArrayBuffer, bytes: number}} Entry
 */

/**
 * @param {object} message
 * @returns {Unnumbered}
 */
export function unnumberedMessage(message) {
  // the caller may change its objects while we wait for room
  const fixed = structuredClone(message);
  const bytes = encodeMessage(fixed).length + ENTRY_BYTES;
  return { bytes, number: (sequence) => encodeMessage({ ...fixed, sequence }) };
}

/**
 * @param {ArrayBuffer} frame
 * @returns {Unnumbered}
 */
export function unnumberedFrame(frame) {
  const number = (/** @type {number} */ sequence) => {
    stampSequence(frame, sequence);
    return frame;
  };
  return { bytes: frame.byteLength + ENTRY_BYTES, number };
}

export class SendBuffer {
  /** @type {Map<number, Entry>} in rising order, without gaps */
  #kept = new Map();
  /** @type {{message: Unnumbered, resolve: (sequence: number) => void,
   *   reject: (error: Error) => void}[]} */
  #waiting = [];
  /** @type {Promise<number>} */
  #lastAdded = Promise.resolve(0);
  /** @type {Error | undefined} */
  #failure;
  #bytes = 0;
  #nextSequence = 1;
  #capacityBytes;
  #maxWaiting;
  #onAdmitted;

  /**
   * @param {{capacityBytes?: number, maxWaiting?: number}} bounds
   * @param {(entry: Entry) => void} onAdmitted Called for each message once it has its number.
   */
  constructor({ capacityBytes = 64 * 2 ** 20, maxWaiting = 1024 }, onAdmitted) {
    this.#capacityBytes = capacityBytes;
    this.#maxWaiting = maxWaiting;
    this.#onAdmitted = onAdmitted;
  }

  /** The number that the next admitted message gets. */
  get nextSequence() {
    return this.#nextSequence;
  }

  /** The oldest number that could still be sent again. */
  get firstKept() {
    return this.#nextSequence - this.#kept.size;
  }

  /** Bytes kept; at most the capacity, or one message that alone is larger. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * Begins to number where the session's earlier client left off.
   * @param {number} sequence
   */
  begin(sequence) {
    this.#nextSequence = sequence;
  }

  /**
   * Numbers and keeps a message, as soon as there is room and all earlier ones had theirs.
   * @param {Unnumbered} message
   * @returns {Promise<number>} Its sequence number.
   */
  add(message) {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#waiting.length >= this.#maxWaiting) {
      const problem = `${this.#waiting.length} messages wait for room; await each call`;
      return Promise.reject(new CallsNotAwaited(problem));
    }
    this.#lastAdded = new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject });
      this.#admit();
    });
    return this.#lastAdded;
  }

  /** Resolves once everything added so far has its number, or has failed. */
  admitted() {
    return this.#lastAdded.then(
      () => {},
      () => {},
    );
  }

  /**
   * Forgets what is durable and admits what waited for the room.
   * @param {number} durable
   */
  release(durable) {
    for (const [sequence, entry] of this.#kept) {
      if (sequence > durable) break;
      this.#kept.delete(sequence);
      this.#bytes -= entry.bytes;
    }
    this.#admit();
  }

  /**
   * The messages that the server asks for after a link resumed.
   * @param {number} nextSequence
   * @returns {Entry[]}
   * @throws {UnusableServer} They are not ours to send: gone already, or never made.
   */
  from(nextSequence) {
    if (nextSequence < this.firstKept || nextSequence > this.#nextSequence) {
      throw new UnusableServer(
        `the server expects message ${nextSequence}, this client can send ` +
          `${this.firstKept} to ${this.#nextSequence}: was the session used by another client?`,
      );
    }
    return [...this.#kept.values()].filter((entry) => entry.sequence >= nextSequence);
  }

  /**
   * Lets everything that waits, or comes later, fail.
   * @param {Error} failure
   */
  fail(failure) {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }

  #admit() {
    while (this.#waiting.length > 0) {
      const { message, resolve } = this.#waiting[0];
      const isRoom = this.#kept.size === 0 || this.#bytes + message.bytes <= this.#capacityBytes;
      if (!isRoom) return;
      this.#waiting.shift();
      const sequence = this.#nextSequence;
      const entry = { sequence, payload: message.number(sequence), bytes: message.bytes };
      this.#nextSequence += 1;
      this.#kept.set(sequence, entry);
      this.#bytes += entry.bytes;
      this.#onAdmitted(entry);
      resolve(sequence);
    }
  }
}
