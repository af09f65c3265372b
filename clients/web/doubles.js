/**
 * Results that came before. After a resumption the server tells the last finals and lessons again, and
 * after a crash it makes them again, so each is told at most once for a segment of an epoch.
 */

/** Lessons remembered; the server repeats 64, and recomputes no more than we had not yet seen durable. */
const REMEMBERED = 65_536;

export class Doubles {
  /** @type {number | undefined} */
  #epoch;
  #segment = -1;
  #tick = -1;
  #isFinal = false;
  /** @type {Set<string>} in the order of arrival */
  #learned = new Set();

  /**
   * Forgets everything if this is another incarnation of the session.
   * @param {number} epoch
   */
  begin(epoch) {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    [this.#segment, this.#tick, this.#isFinal] = [-1, -1, false];
    this.#learned.clear();
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
    const key = segment === undefined ? `${fromUs}-${toUs}` : `${segment}`;
    if (this.#learned.has(key)) return false;
    this.#learned.add(key);
    if (this.#learned.size > REMEMBERED) {
      for (const oldest of this.#learned) {
        this.#learned.delete(oldest);
        break;
      }
    }
    return true;
  }
}
