/**
 * The artificial cochlea: sound in, spike events on many channels out, block by block.
 *
 * The same model as `clients/cochlea.py`, whose docstring has the equations that are named here, with
 * the same arithmetic in the same order: the same sound gives the same spikes, bit for bit, however it
 * is cut into blocks.
 */

import { SAMPLE_RATE, STEP_SAMPLES, STEP_US, cochleaSpec, design } from "./cochlea_design.js";

const TINY = 1e-30;

export class Cochlea {
  spec;
  tables;
  #state;
  /** Samples of a step that is not complete. */
  #pending = new Float64Array(STEP_SAMPLES);
  #nPending = 0;
  #nSteps = 0;
  #differences = new Float64Array(STEP_SAMPLES);
  #rectified;
  #compressed;
  #sumBelow;

  /**
   * The stream starts in silence.
   * @param {Partial<import("./cochlea_design.js").CochleaSpec>} [spec]
   * @param {number} [sampleRate] The model works on 16,000 Hz only.
   * @throws {RangeError} Another sample rate, or a value outside its range.
   */
  constructor(spec = {}, sampleRate = SAMPLE_RATE) {
    if (sampleRate !== SAMPLE_RATE) {
      throw new RangeError(`sample rate is ${sampleRate} Hz, the cochlea expects ${SAMPLE_RATE} Hz`);
    }
    this.spec = cochleaSpec(spec);
    this.tables = design(this.spec);
    const zeros = () => new Float64Array(this.spec.channels);
    this.#state = {
      x1: 0, p1: 0, p2: 0, loudness: 0, level: this.tables.levelFloor,
      // of each channel the last two outputs, side by side
      first: new Float64Array(2 * this.spec.channels),
      second: new Float64Array(2 * this.spec.channels),
      hairCell: zeros(), recent: zeros(), membrane: zeros(),
      rest: new Int32Array(this.spec.channels),
    };
    this.#rectified = zeros();
    this.#compressed = zeros();
    this.#sumBelow = new Float64Array(this.spec.channels + 1);
  }

  /**
   * Hears the next samples of the stream.
   * @param {ArrayLike<number>} samples Full scale is -1 to 1; any number of them.
   * @returns {{timesUs: number[], channels: number[]}} Times from the start of the stream, never
   *   falling, and channels, rising among events of one time. A spike is timed at the end of its step.
   * @throws {RangeError} A sample is not finite; nothing was heard then.
   */
  process(samples) {
    for (let i = 0; i < samples.length; i += 1) {
      if (!Number.isFinite(samples[i])) throw new RangeError(`sample ${i} is ${samples[i]}, expected a number`);
    }
    /** @type {number[]} */
    const timesUs = [];
    /** @type {number[]} */
    const channels = [];
    for (let i = 0; i < samples.length; i += 1) {
      this.#pending[this.#nPending] = samples[i];
      this.#nPending += 1;
      if (this.#nPending < STEP_SAMPLES) continue;
      this.#nPending = 0;
      this.#nSteps += 1;
      this.#hear();
      this.#fire(this.#nSteps * STEP_US, timesUs, channels);
    }
    return { timesUs, channels };
  }

  /** Equations (4) and (5): each channel's mean rectified output of one step. */
  #hear() {
    this.#normalise();
    const { a1, a2, filterGain } = this.tables;
    const { first, second } = this.#state;
    const [differences, rectified] = [this.#differences, this.#rectified];
    const n = rectified.length;
    // one channel after the other: what it remembers stays in registers for the step
    for (let c = 0; c < n; c += 1) {
      const [a, b, gain] = [a1[c], a2[c], filterGain[c]];
      let y1 = first[2 * c];
      let y2 = first[2 * c + 1];
      let s1 = second[2 * c];
      let s2 = second[2 * c + 1];
      let total = 0;
      for (let k = 0; k < STEP_SAMPLES; k += 1) {
        const y = gain * differences[k] - a * y1 - b * y2;
        const s = gain * (y - y2) - a * s1 - b * s2;
        y2 = y1;
        y1 = y;
        s2 = s1;
        s1 = s;
        total += s > 0 ? s : 0;
      }
      first[2 * c] = awake(y1);
      first[2 * c + 1] = awake(y2);
      second[2 * c] = awake(s1);
      second[2 * c + 1] = awake(s2);
      rectified[c] = total / STEP_SAMPLES;
    }
  }

  /** Equations (1) to (3): what every filter of the step is driven by. */
  #normalise() {
    const { preEmphasis, attackRate, releaseFactor, levelFloor } = this.tables;
    let { x1, p1, p2, loudness, level } = this.#state;
    for (let k = 0; k < STEP_SAMPLES; k += 1) {
      const sample = this.#pending[k];
      const emphasised = sample - preEmphasis * x1;
      x1 = sample;
      loudness += attackRate * (Math.abs(emphasised) - loudness);
      level = Math.max(releaseFactor * level, loudness, levelFloor);
      const p = emphasised / level;
      this.#differences[k] = p - p2;
      p2 = p1;
      p1 = p;
    }
    Object.assign(this.#state, { x1, p1, p2, level, loudness: awake(loudness) });
  }

  /**
   * Equations (6) to (11): each neuron's membrane, and the spikes of one step.
   * @param {number} timeUs
   * @param {number[]} timesUs Is added to.
   * @param {number[]} channels Is added to.
   */
  #fire(timeUs, timesUs, channels) {
    const { tables } = this;
    const { inhibitionReach: reach, inhibition, adaptation, adaptationRate, drive, membraneRate } = tables;
    const { hairCell, recent, membrane, rest } = this.#state;
    const [rectified, compressed, sumBelow] = [this.#rectified, this.#compressed, this.#sumBelow];
    const n = rectified.length;
    for (let c = 0; c < n; c += 1) {
      hairCell[c] += tables.smoothingRate * (rectified[c] + TINY - hairCell[c]);
      compressed[c] = Math.sqrt(hairCell[c]);
      sumBelow[c + 1] = sumBelow[c] + compressed[c];
    }
    for (let c = 0; c < n; c += 1) {
      const low = Math.max(0, c - reach);
      const high = Math.min(n, c + reach + 1);
      const near = (sumBelow[high] - sumBelow[low]) / (high - low);
      const contrast = Math.max(0, compressed[c] - inhibition * near);
      const fresh = drive * Math.max(0, contrast - adaptation * recent[c]);
      recent[c] += adaptationRate * (contrast - recent[c]);
      if (rest[c] > 0) rest[c] -= 1;
      else membrane[c] += membraneRate * (fresh - membrane[c]);
      if (membrane[c] >= tables.threshold[c]) {
        membrane[c] = 0;
        rest[c] = tables.refractorySteps;
        timesUs.push(timeUs);
        channels.push(c);
      }
    }
  }
}

/** Zero for what is tiny: denormal numbers are slow. @param {number} value */
const awake = (value) => (value < TINY && value > -TINY ? 0 : value);
