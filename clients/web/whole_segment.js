/** Whole segments, one after the other: sent in one go, and answered by what the network takes them for. */

import { MessageRefused, UnusableServer } from "./errors.js";

export class WholeSegments {
  #client;
  /** @type {number | undefined} the newest number that was used or may have been */
  #last;
  /** @type {number | undefined} what a call that failed has left open */
  #unfinished;
  /** @type {{segment: number, begin?: number, final?: any, refusal?: any} | undefined} */
  #awaited;

  /** @param {import("./client.js").SessionClient} client */
  constructor(client) {
    this.#client = client;
  }

  /**
   * Notes a number that the caller has chosen.
   * @param {number} segment
   */
  noteBegin(segment) {
    this.#last = segment;
  }

  /**
   * Looks at what the server says.
   * @param {import("./wire.js").ServerMessage} message
   */
  take(message) {
    const awaited = this.#awaited;
    if (awaited === undefined) return;
    if (message.type === "prediction" && message.final && message.segment === awaited.segment) {
      awaited.final = message;
    }
    // an error without a number is no answer to a begin that has none yet
    const isOfBegin = awaited.begin !== undefined && message.sequence === awaited.begin;
    if (message.type === "error" && isOfBegin) awaited.refusal = message;
  }

  /**
   * @param {ArrayLike<number>} timesUs
   * @param {ArrayLike<number>} addresses
   * @param {number} durationUs
   */
  async predict(timesUs, addresses, durationUs) {
    const segment = await this.#next();
    /** @type {{segment: number, begin?: number, final?: any, refusal?: any}} */
    const awaited = { segment };
    this.#awaited = awaited;
    try {
      this.#unfinished = segment;
      awaited.begin = await this.#client.beginSegment(segment, 0);
      await this.#client.events(timesUs, addresses);
      const end = await this.#client.endSegment(segment, durationUs);
      this.#unfinished = undefined;
      await this.#client.applied(end);
    } finally {
      this.#awaited = undefined;
    }
    if (awaited.final !== undefined) return awaited.final;
    if (awaited.refusal !== undefined) throw new MessageRefused(awaited.refusal);
    throw new UnusableServer(`segment ${segment} was neither predicted nor refused`);
  }

  /** A number above all before it; what an earlier client or call has left open ends. */
  async #next() {
    if (this.#unfinished !== undefined) {
      await this.#client.endSegment(this.#unfinished, 0);
      this.#unfinished = undefined;
    }
    if (this.#last !== undefined) return this.#last + 1;
    const { resumed, openSegment, openSegmentTUs } = this.#client.opened;
    if (!resumed) return 0;
    if (openSegment !== undefined) await this.#client.endSegment(openSegment, openSegmentTUs);
    // which numbers an earlier client has used is not told; the time goes on like them
    return Date.now() * 1000;
  }
}
