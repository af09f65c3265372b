/**
 * An event camera made of an ordinary one: a pixel speaks when its light changes, else it is silent.
 *
 *     L = ln(luma + 10)                                                   (1)
 *     an event each time L has moved by the threshold from the reference  (2)
 *     the reference moves with each event, by the threshold               (3)
 *
 * (1) is how light is felt, with the noise of the dark kept small; (2) and (3) are the pixel of a
 * dynamic vision sensor (Lichtsteiner, Posch and Delbruck 2008). Between two pictures the light is taken
 * to change in a straight line of L, so that events are spread over the time between, not heaped on
 * its end. A pixel that has spoken rests for the refractory time: it follows the light without a word.
 */

/** Added to the luma, 0 to 255, before the logarithm. */
const DARK = 10;

/** A change that misses the threshold by a rounding error reaches it. */
const ROUNDING = 1e-9;

/**
 * @typedef {object} ChangeSpec
 * @property {number} width
 * @property {number} height
 * @property {number} [threshold] Change of the logarithm that makes an event, 0.02 to 2.
 * @property {number} [refractoryUs] Rest of a pixel after an event, 0 to 1,000,000.
 */

export class ChangeEvents {
  #width;
  #height;
  #threshold;
  #refractoryUs;
  /** @type {number | undefined} */
  #timeUs;
  #light;
  #reference;
  #restsUntilUs;

  /**
   * @param {ChangeSpec} spec
   * @throws {RangeError} A value lies outside its range.
   */
  constructor({ width, height, threshold = 0.2, refractoryUs = 5000 }) {
    this.#width = between(width, "width", 1, 8192);
    this.#height = between(height, "height", 1, 8192);
    this.#threshold = between(threshold, "threshold", 0.02, 2);
    this.#refractoryUs = between(refractoryUs, "refractory time in us", 0, 1e6);
    const zeros = () => new Float64Array(width * height);
    [this.#light, this.#reference, this.#restsUntilUs] = [zeros(), zeros(), zeros().fill(-Infinity)];
  }

  /**
   * Sees the next picture; the first one makes no events.
   * @param {ArrayLike<number>} luma Brightness of each pixel, 0 to 255, row by row.
   * @param {number} timeUs Later than that of the picture before.
   * @returns {{timesUs: number[], addresses: number[]}} Times never falling, and addresses
   *   `(polarity * height + y) * width + x`, rising among events of one time; polarity 1 is brighter.
   * @throws {RangeError} Another number of pixels, or a time that does not rise; nothing was seen then.
   */
  process(luma, timeUs) {
    const nPixels = this.#light.length;
    if (luma.length !== nPixels) {
      throw new RangeError(`${luma.length} pixels came, expected ${this.#width} x ${this.#height}`);
    }
    const fromUs = this.#timeUs;
    if (fromUs !== undefined && timeUs <= fromUs) {
      throw new RangeError(`a picture of ${timeUs} us came, expected one after ${fromUs} us`);
    }
    this.#timeUs = timeUs;
    if (fromUs === undefined) {
      for (let i = 0; i < nPixels; i += 1) this.#light[i] = this.#reference[i] = Math.log(luma[i] + DARK);
      return { timesUs: [], addresses: [] };
    }
    /** @type {number[]} time after the last picture and address in one number, to be sorted */
    const keys = [];
    for (let i = 0; i < nPixels; i += 1) this.#see(i, Math.log(luma[i] + DARK), fromUs, timeUs - fromUs, keys);
    const sorted = Float64Array.from(keys).sort();
    const nAddresses = 2 * nPixels;
    return {
      timesUs: Array.from(sorted, (key) => fromUs + Math.floor(key / nAddresses)),
      addresses: Array.from(sorted, (key) => key % nAddresses),
    };
  }

  /**
   * @param {number} i
   * @param {number} light
   * @param {number} fromUs
   * @param {number} durationUs
   * @param {number[]} keys Is added to.
   */
  #see(i, light, fromUs, durationUs, keys) {
    const [before, reference] = [this.#light[i], this.#reference[i]];
    this.#light[i] = light;
    const polarity = light > reference ? 1 : 0;
    const step = polarity ? this.#threshold : -this.#threshold;
    const n = Math.floor((light - reference) / step + ROUNDING);
    const nPixels = this.#light.length;
    for (let k = 1; k <= n; k += 1) {
      const share = Math.min(1, (reference + k * step - before) / (light - before));
      const afterUs = Math.round(share * durationUs);
      if (fromUs + afterUs < this.#restsUntilUs[i]) continue;
      this.#restsUntilUs[i] = fromUs + afterUs + this.#refractoryUs;
      keys.push(afterUs * 2 * nPixels + polarity * nPixels + i);
    }
    this.#reference[i] = reference + n * step;
  }
}

/**
 * @param {number} value
 * @param {string} what
 * @param {number} low
 * @param {number} high
 */
function between(value, what, low, high) {
  if (!(value >= low && value <= high)) throw new RangeError(`${what} is ${value}, expected ${low} to ${high}`);
  return value;
}
