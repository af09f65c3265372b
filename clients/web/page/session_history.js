/** What the page remembers of one session: enough for rates and curves, bounded. */

/** Points of a curve; at one a second half an hour. */
const POINTS = 1800;

/** Time over which ticks a second are counted. */
const RATE_MS = 5000;

/**
 * @typedef {{timeMs: number, ticks: number}} TickCount
 * @typedef {{labelled: number, accuracy: number}} AccuracyPoint
 */

export class SessionHistory {
  /** @type {AccuracyPoint[]} one for each change, rising in `labelled` */
  accuracies = [];
  /** @type {TickCount[]} */
  #counts = [];

  /**
   * Notes what the monitor told.
   * @param {number} timeMs When the server said it.
   * @param {{ticks: number, segments_labelled?: number, prequential_accuracy?: number | null}} line
   */
  note(timeMs, line) {
    const last = this.#counts.at(-1);
    // fewer ticks than before: deleted and opened anew
    if (last && line.ticks < last.ticks) [this.#counts, this.accuracies] = [[], []];
    this.#counts.push({ timeMs, ticks: line.ticks });
    while (this.#counts.length > 2 && this.#counts[1].timeMs <= timeMs - RATE_MS) this.#counts.shift();
    const { segments_labelled: labelled, prequential_accuracy: accuracy } = line;
    if (labelled === undefined || accuracy === undefined || accuracy === null) return;
    if (this.accuracies.at(-1)?.labelled === labelled) return;
    this.accuracies.push({ labelled, accuracy });
    if (this.accuracies.length > POINTS) this.accuracies.shift();
  }

  /** Ticks a second over the last few seconds; undefined until two counts are known. */
  get ticksPerS() {
    const [first, last] = [this.#counts[0], this.#counts.at(-1)];
    if (!last || last.timeMs <= first.timeMs) return undefined;
    return ((last.ticks - first.ticks) * 1000) / (last.timeMs - first.timeMs);
  }
}
