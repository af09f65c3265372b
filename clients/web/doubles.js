/**
 * Results that came before. After a resumption the server tells the last finals and lessons again, and
 * after a crash it makes them again, refusals too; each is told at most once in an epoch.
 */

/** Lessons and refusals remembered; the server repeats 64, and after a crash what was not durable. */
const REMEMBERED = 65_536;

export class Doubles {
  /** @type {number | undefined} */
  #epoch;
  #segment = -1;
  #tick = -1;
  #isFinal = false;
  /** @type {Set<string>} in the order of arrival */
  #told = new Set();

  /**
   * Forgets everything if this is another incarnation of the session.
   * @param {number} epoch
   */
  begin(epoch) {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    [this.#segment, this.#tick, this.#isFinal] = [-1, -1, false];
    this.#told.clear();
  }

  /**
   * Whether a prediction is new. Segments rise, and ticks within them, so the last one decides.
   * @param {import("./wire.js").PredictionMessage} prediction
   */
  isNewPrediction({ segment, tick, final }) {
    const isAfter =
      segment > this.#segment ||
      (segment === this.#segment && !this.#isFinal && (final || tick > this.#tick));
    if (isAfter) [this.#segment, this.#tick, this.#isFinal] = [segment, tick, final];
    return isAfter;
  }

  /**
   * Whether a lesson is new. Labels come late and in any order, so each is remembered.
   * @param {import("./wire.js").LearnedMessage} learned
   */
  isNewLesson({ segment, fromUs, toUs }) {
    return this.#isNew(segment === undefined ? `${fromUs} to ${toUs}` : `segment ${segment}`);
  }

  /**
   * Whether a refusal is new; one without a number is about no message, and always is.
   * @param {import("./wire.js").ErrorMessage} refusal
   */
  isNewRefusal({ sequence, code }) {
    return sequence === undefined || this.#isNew(`${code} of ${sequence}`);
  }

  /** @param {string} key */
  #isNew(key) {
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    for (const oldest of this.#told) {
      if (this.#told.size <= REMEMBERED) break;
      this.#told.delete(oldest);
    }
    return true;
  }
}
