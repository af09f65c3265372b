/** How far the server is: what it has applied, what is durable, and who waits for that. */

/**
 * @typedef {"applied" | "durable"} Stage
 */

export class Progress {
  applied = 0;
  durable = 0;
  creditTicks = 0;
  /** @type {Set<{stage: Stage, sequence: number, resolve: () => void,
   *   reject: (error: Error) => void}>} */
  #waiting = new Set();
  /** @type {Error | undefined} */
  #failure;

  /**
   * Takes over what an acknowledgement tells. After a crash `applied` may fall; what was reached once
   * will be reached again by resending.
   * @param {{applied: number, durable: number, creditTicks: number}} ack
   */
  acknowledge({ applied, durable, creditTicks }) {
    Object.assign(this, { applied, durable, creditTicks });
    for (const waiter of this.#waiting) {
      if (this[waiter.stage] < waiter.sequence) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  /**
   * Resolves once a message is applied, or durable.
   * @param {Stage} stage
   * @param {number} sequence
   * @returns {Promise<void>}
   */
  reach(stage, sequence) {
    if (this[stage] >= sequence) return Promise.resolve();
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.add({ stage, sequence, resolve, reject });
    });
  }

  /** @param {Error} failure */
  fail(failure) {
    this.#failure = failure;
    for (const { reject } of this.#waiting) reject(failure);
    this.#waiting.clear();
  }
}
