/**
 * Sensor time as the server follows it, so that no message makes it compute more ticks than one may.
 *
 * A stream that pauses for long, or a long segment without events, would break that limit with its
 * next message; frames without events in between keep it.
 */

/** Ticks that begin or end within a step without being whole in it, at either side and at the end. */
const PARTIAL_TICKS = 3;

export class SensorClock {
  /** @type {number | undefined} where the server's clock stands; undefined where nothing has begun */
  #horizonUs;
  /** @type {number | undefined} the client's own segment that is open */
  #segment;
  #isCutByClient;
  #stepUs;

  /**
   * @param {import("./wire.js").OpenedMessage} opened
   * @param {{segmentation?: {by: string, lengthUs?: number}, lateUs?: number}} request
   */
  constructor(opened, { segmentation = { by: "client" }, lateUs = 0 }) {
    const { tickUs, openSegment, openSegmentTUs } = opened;
    this.#isCutByClient = segmentation.by === "client";
    // the last tick of a window is shorter if the window is no whole number of them
    const lengthUs = segmentation.lengthUs ?? tickUs;
    const meanTickUs = lengthUs / Math.ceil(lengthUs / tickUs);
    const maxTicks = opened.limits?.maxAdvanceTicks ?? Infinity;
    // what a grace holds back is computed together with a segment's end
    const stepUs = Math.floor((maxTicks - PARTIAL_TICKS) * meanTickUs) - lateUs;
    this.#stepUs = Math.max(stepUs, tickUs);
    this.#segment = openSegment;
    this.#horizonUs = openSegmentTUs;
  }

  /**
   * Notes that a segment of the client begins.
   * @param {number} segment
   * @param {number} tUs
   */
  begin(segment, tUs) {
    // a begin while one is open will be refused
    if (!this.#isCutByClient || this.#segment !== undefined) return;
    this.#segment = segment;
    this.#horizonUs = tUs;
  }

  /**
   * Notes that a segment of the client ends.
   * @param {number} segment
   * @param {number} tUs
   * @returns {number[]} Times to move the clock to before.
   */
  end(segment, tUs) {
    if (segment !== this.#segment) return [];
    const between = this.approach(tUs);
    this.#segment = undefined;
    this.#horizonUs = undefined;
    return between;
  }

  /**
   * The latest time that one message may move the clock to.
   * @param {number} firstUs Of its events: where the server cuts, the first one may begin the stream.
   */
  reachUs(firstUs) {
    if (this.#horizonUs === undefined && this.#isCutByClient) return Infinity;
    return (this.#horizonUs ?? firstUs) + this.#stepUs;
  }

  /**
   * Moves the clock so far that one more message may move it to a time.
   * @param {number} tUs
   * @returns {number[]} Times to move the clock to, by a frame without events each.
   */
  approach(tUs) {
    const between = [];
    while (this.#horizonUs !== undefined && tUs > this.#horizonUs + this.#stepUs) {
      this.#horizonUs += this.#stepUs;
      between.push(this.#horizonUs);
    }
    return between;
  }

  /**
   * Notes where a message with events moves the clock to.
   * @param {number} tUs
   */
  moveByEvents(tUs) {
    if (this.#horizonUs === undefined && this.#isCutByClient) return;
    this.#horizonUs = Math.max(this.#horizonUs ?? 0, tUs);
  }

  /**
   * Notes that a frame without events moves the clock; before anything has begun it does not.
   * @param {number} tUs
   */
  moveAlone(tUs) {
    if (this.#horizonUs !== undefined) this.moveByEvents(tUs);
  }
}
