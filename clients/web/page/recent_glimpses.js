/** What a session's pictures were drawn from, as far back as they reach: to draw them anew. */

/** More ticks than the widest picture shows. */
const TICKS = 4096;

/** Spikes that are kept, however dense: some megabytes, drawn in a fraction of a second. */
const SPIKES = 200_000;

/** @typedef {import("./activity_view.js").Glimpse} Glimpse */

export class RecentGlimpses {
  /** Ticks of all that is kept. */
  nTicks = 0;
  #nSpikes = 0;
  /** @type {Glimpse[]} */
  #kept = [];

  /** Keeps one; the oldest are forgotten beyond the bounds. @param {Glimpse} seen */
  add(seen) {
    this.#kept.push(seen);
    this.#count(seen, 1);
    while (this.nTicks > TICKS || this.#nSpikes > SPIKES) {
      this.#count(/** @type {Glimpse} */ (this.#kept.shift()), -1);
    }
  }

  clear() {
    this.#kept = [];
    this.nTicks = this.#nSpikes = 0;
  }

  /** The oldest first. */
  [Symbol.iterator]() {
    return this.#kept.values();
  }

  /** @param {Glimpse} seen @param {1 | -1} sign */
  #count({ n_ticks: nTicks, channels, neurons }, sign) {
    this.nTicks += sign * nTicks;
    this.#nSpikes += sign * neurons.reduce((sum, { length }) => sum + length, channels.length);
  }
}
