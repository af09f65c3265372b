/**
 * The lag from what a sensor senses to the prediction on the page.
 *
 * A piece is what the sensor tells at a time, some milliseconds of sound or one picture's changes. Its lag
 * goes from its begin, on the sensor's clock, until the first prediction that knows all of it is drawn.
 * The sensor's clock is set by the piece that came soonest after its end, of the last few seconds: what
 * device and browser need before that is in none of the lags.
 */

/** Pieces by which the sensor's clock is set: about four seconds of sound. */
const CLOCK_PIECES = 256;

/** Lags that percentiles are made of. */
const LAGS = 1000;

/** Pieces that wait for a prediction; older ones are forgotten. */
const WAITING = 1000;

export class LagMeter {
  /** @type {number[]} */
  lagsMs = [];
  /** @type {number[]} when the sensor's time 0 was, by each of the last pieces */
  #origins = [];
  /** @type {{endUs: number, beginUs: number}[]} */
  #waiting = [];
  #endUs = 0;

  /**
   * A piece came.
   * @param {number} endUs How far the sensor had sensed.
   * @param {number} atMs When it said so.
   * @param {boolean} isSent Whether the network is to know of it.
   */
  sensed(endUs, atMs, isSent) {
    this.#origins.push(atMs - endUs / 1000);
    if (this.#origins.length > CLOCK_PIECES) this.#origins.shift();
    if (isSent) this.#waiting.push({ beginUs: this.#endUs, endUs });
    if (this.#waiting.length > WAITING) this.#waiting.shift();
    this.#endUs = endUs;
  }

  /**
   * A prediction is drawn.
   * @param {number} tUs The sensor's time up to which it knows everything.
   * @param {number} atMs
   */
  drawn(tUs, atMs) {
    const originMs = Math.min(...this.#origins);
    while (this.#waiting.length && this.#waiting[0].endUs <= tUs) {
      const piece = /** @type {{beginUs: number}} */ (this.#waiting.shift());
      this.lagsMs.push(atMs - (originMs + piece.beginUs / 1000));
      if (this.lagsMs.length > LAGS) this.lagsMs.shift();
    }
  }

  /** Forgets what no prediction will know any more. */
  drop() {
    this.#waiting = [];
  }

  /**
   * The lag that a share of the pieces does not exceed; undefined while there is none.
   * @param {number} share
   */
  percentile(share) {
    const sorted = this.lagsMs.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }
}
