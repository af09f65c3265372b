/** A session that a person teaches: what is recorded, what it was, and back again. */

/** What was heard just before recording began belongs to it: people press late. */
const BEFORE_US = 150_000;

/** Lessons that can be undone; the server keeps a snapshot for each. */
const UNDOS = 5;

/**
 * @typedef {import("./microphone.js").Heard} Heard
 * @typedef {object} Pupil What is needed of a session's client.
 * @property {(segment: number, tUs: number) => Promise<number>} beginSegment
 * @property {(segment: number, tUs: number) => Promise<number>} endSegment
 * @property {(timesUs: number[], channels: number[]) => Promise<number>} events
 * @property {(segment: number, target: string) => Promise<number>} label
 */

export class Lesson {
  /** @type {number | undefined} the segment that may be labelled */
  unlabelled;
  #pupil;
  #server;
  #path;
  #originUs;
  #nowUs;
  /** @type {number | undefined} */
  #open;
  #last;
  /** @type {Heard[]} */
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
    this.#last = wallMs;
  }

  get isRecording() {
    return this.#open !== undefined;
  }

  get canUndo() {
    return this.#snapshots.length > 0;
  }

  /**
   * Takes in what was heard; it is sent while something is recorded.
   * @param {Heard} heard
   */
  async hear(heard) {
    this.#nowUs = this.#originUs + heard.nowUs;
    if (this.isRecording) {
      await this.#send(heard);
      return;
    }
    this.#before.push(heard);
    while (this.#before[0].nowUs < heard.nowUs - BEFORE_US) this.#before.shift();
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

  /** Takes back the last lesson, and what it changed in the network. */
  async undo() {
    const snapshot = this.#snapshots.pop();
    if (snapshot !== undefined) await this.#server.post(`${this.#path}/rollback`, { snapshot });
  }

  /** @param {Heard} heard */
  #send({ timesUs, channels }) {
    return this.#pupil.events(timesUs.map((timeUs) => this.#originUs + timeUs), channels);
  }
}
