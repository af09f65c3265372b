/** A session that a person teaches: what is recorded, what it was, and back again. */

/** What was sensed just before recording began belongs to it: people press late. */
const BEFORE_US = 150_000;

/** Lessons that can be undone; the server keeps a snapshot for each. */
const UNDOS = 5;

/**
 * @typedef {object} Sensed A piece of what a sensor senses.
 * @property {number[]} timesUs From the sensor's start, never falling.
 * @property {number[]} addresses
 * @property {number} nowUs How far it has sensed.
 * @property {number} level How much there was, 0 to 1.
 * @property {number} atMs When it had sensed that far, in milliseconds since 1970.
 *
 * @typedef {object} Pupil What is needed of a session's client.
 * @property {(segment: number, tUs: number) => Promise<number>} beginSegment
 * @property {(segment: number, tUs: number) => Promise<number>} endSegment
 * @property {(timesUs: number[], addresses: number[]) => Promise<number>} events
 * @property {(tUs: number) => Promise<number>} advance
 * @property {(segment: number, target: string) => Promise<number>} label
 * @property {(names: string[]) => Promise<number>} addClasses
 */

export class Lesson {
  /** @type {number | undefined} the segment that may be labelled */
  unlabelled;
  #pupil;
  #server;
  #path;
  #originUs;
  #firstAfter;
  #nowUs;
  /** @type {number | undefined} */
  #open;
  #last;
  /** @type {Sensed[]} */
  #before = [];
  /** @type {string[]} */
  #snapshots = [];

  /**
   * @param {Pupil} pupil
   * @param {Pick<import("./server.js").Server, "post">} server
   * @param {string} session
   * @param {number} wallMs Milliseconds since 1970: segments and sensor time go on rising when the
   *   session is resumed by another page.
   */
  constructor(pupil, server, session, wallMs) {
    this.#pupil = pupil;
    this.#server = server;
    this.#path = `/v1/sessions/${encodeURIComponent(session)}`;
    this.#originUs = wallMs * 1000;
    this.#nowUs = this.#originUs;
    this.#last = this.#firstAfter = wallMs;
  }

  get isRecording() {
    return this.#open !== undefined;
  }

  /**
   * Whether a segment is of this lesson: a server retells the last answers of the one before.
   * @param {number | undefined} segment
   */
  isOwn(segment) {
    return segment !== undefined && segment > this.#firstAfter;
  }

  /** Sensor time, as the session counts it, in the sensor's own. @param {number} tUs */
  ownTime(tUs) {
    return tUs - this.#originUs;
  }

  get canUndo() {
    return this.#snapshots.length > 0;
  }

  /**
   * Takes in what was sensed; it is sent while something is recorded.
   * @param {Sensed} sensed
   */
  async sense(sensed) {
    this.#nowUs = this.#originUs + sensed.nowUs;
    if (this.isRecording) {
      // time passes in silence too, and a prediction is to know of it
      await Promise.all([this.#send(sensed), this.#pupil.advance(this.#nowUs)]);
      return;
    }
    this.#before.push(sensed);
    while (this.#before[0].nowUs < sensed.nowUs - BEFORE_US) this.#before.shift();
  }

  /** Begins to record. */
  async begin() {
    if (this.isRecording) return;
    this.#last += 1;
    this.#open = this.#last;
    this.unlabelled = undefined;
    const before = this.#before.splice(0);
    const firstUs = before[0]?.timesUs[0];
    const fromUs = firstUs === undefined ? this.#nowUs : this.#originUs + firstUs;
    await Promise.all([this.#pupil.beginSegment(this.#open, fromUs), ...before.map((each) => this.#send(each))]);
  }

  /** Ends the recording: the prediction follows, and a label may. */
  async end() {
    if (this.#open === undefined) return;
    const segment = this.#open;
    this.#open = undefined;
    this.unlabelled = segment;
    await this.#pupil.endSegment(segment, this.#nowUs);
  }

  /**
   * Tells what was recorded last; the network as it was before can be had back.
   * @param {string} name
   */
  async label(name) {
    if (this.unlabelled === undefined) return;
    const segment = this.unlabelled;
    this.unlabelled = undefined;
    const { snapshot } = await this.#server.post(`${this.#path}/snapshot`);
    this.#snapshots.push(snapshot);
    if (this.#snapshots.length > UNDOS) this.#snapshots.shift();
    await this.#pupil.label(segment, name);
  }

  /**
   * Adds classes. What was learnt before can't be undone then: its snapshots are of fewer classes.
   * @param {string[]} names
   */
  async addClasses(names) {
    this.#snapshots = [];
    return this.#pupil.addClasses(names);
  }

  /** Takes back the last lesson, and what it changed in the network. */
  async undo() {
    const snapshot = this.#snapshots.pop();
    if (snapshot !== undefined) await this.#server.post(`${this.#path}/rollback`, { snapshot });
  }

  /** @param {Sensed} sensed */
  #send({ timesUs, addresses }) {
    return this.#pupil.events(timesUs.map((timeUs) => this.#originUs + timeUs), addresses);
  }
}
