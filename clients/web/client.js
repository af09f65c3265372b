/** One session of the streaming learning service, as a caller sees it. */

import { filledIn } from "./client_options.js";
import { checkEvents, clockFrame, countAddresses, eventFrames } from "./event_frames.js";
import { SessionEnded } from "./errors.js";
import { Inbox } from "./inbox.js";
import { Link } from "./link.js";
import { Resumption } from "./resumption.js";
import { SendBuffer, unnumberedFrame, unnumberedMessage } from "./send_buffer.js";
import { SensorClock } from "./sensor_clock.js";
import { WholeSegments } from "./whole_segment.js";
import { wholeNumber } from "./wire.js";

/** What events frames may be until the server tells its limit. */
const CAUTIOUS_MESSAGE_BYTES = 65_536;

/**
 * @typedef {import("./wire.js").OpenedMessage} OpenedMessage
 * @typedef {import("./wire.js").GoodbyeMessage} GoodbyeMessage
 * @typedef {import("./client_options.js").OpenRequest} OpenRequest
 * @typedef {import("./client_options.js").ClientOptions} ClientOptions
 */

/**
 * A session: say what happens, iterate over what comes back.
 *
 * Every call that sends resolves to its message's sequence number, as soon as there was room for it. Await
 * each: that is how a fast caller is slowed to what the server makes durable. What was accepted is sent
 * again after lost connections, and is learnt from exactly once.
 */
export class SessionClient {
  #inbox = new Inbox();
  #segments = new WholeSegments(this);
  predictions = this.#inbox.predictions;
  learned = this.#inbox.learned;
  /** what the server refused, or dropped, and went on */
  errors = this.#inbox.errors;
  /** @type {OpenedMessage | undefined} of the latest connection */
  opened;
  /** @type {Promise<GoodbyeMessage | undefined>} settles when the session's client has ended */
  ended;

  #buffer;
  #link;
  #request;
  /** @type {any} a SensorClock, once the session is open */
  #clock;
  /** @type {(goodbye: GoodbyeMessage | undefined) => void} */
  #resolveEnded = () => {};
  /** @type {(failure: Error) => void} */
  #rejectEnded = () => {};

  /**
   * Opens a session, or resumes it, and resolves once the server has it.
   * @param {string} url `ws://` or `wss://`, of the stream: `ws://127.0.0.1:8700/v1/stream`.
   * @param {OpenRequest} request
   * @param {ClientOptions} [options]
   * @returns {Promise<SessionClient>}
   */
  static async connect(url, request, options = {}) {
    const client = new SessionClient(url, request, options);
    /** @type {Promise<void>} */
    const attached = new Promise((resolve) => {
      client.#onceOpened = resolve;
    });
    const { signal } = options;
    const leave = () => client.detach();
    signal?.throwIfAborted();
    signal?.addEventListener("abort", leave);
    client.#link.connect();
    await Promise.race([attached, client.ended]).finally(() => signal?.removeEventListener("abort", leave));
    signal?.throwIfAborted();
    return client;
  }

  /** @type {() => void} */
  #onceOpened = () => {};

  /**
   * Use `SessionClient.connect`.
   * @param {string} url
   * @param {OpenRequest} request
   * @param {ClientOptions} options
   */
  constructor(url, request, options) {
    const { token, patience, bufferBytes, onState, random, ...surroundings } = filledIn(options);
    this.#request = request;
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve;
      this.#rejectEnded = reject;
    });
    // whoever does not ask for the end hears of a failure elsewhere
    this.ended.catch(() => {});
    this.#buffer = new SendBuffer({ capacityBytes: bufferBytes }, (entry) => this.#link.send(entry));
    this.#link = new Link(
      { url, token, request: { type: "open", ...request } },
      this.#buffer,
      new Resumption(patience, random),
      surroundings,
      {
        onState,
        onMessage: (message) => this.#take(message),
        onEnd: (failure, goodbye) => this.#end(failure, goodbye),
      },
    );
  }

  /** The latest acknowledgement: `applied`, `durable`, `creditTicks`. */
  get acknowledged() {
    const { applied, durable, creditTicks } = this.#inbox.progress;
    return { applied, durable, creditTicks };
  }

  /** The number that the next message gets. */
  get nextSequence() {
    return this.#buffer.nextSequence;
  }

  /**
   * Sends events. Many of them may take several messages; none send nothing.
   * @param {ArrayLike<number>} timesUs Sensor time of each, in any order.
   * @param {ArrayLike<number>} addresses
   * @returns {Promise<number>} The number of the last message sent so far.
   */
  async events(timesUs, addresses) {
    const maxBytes = this.opened?.limits?.maxMessageBytes ?? CAUTIOUS_MESSAGE_BYTES;
    const nAddresses = countAddresses(this.#request.sensor);
    const frames = eventFrames(timesUs, addresses, maxBytes, this.#clock, nAddresses);
    await Promise.all(this.#sendFrames(frames));
    return this.#buffer.nextSequence - 1;
  }

  /**
   * Moves sensor time: ticks that end by then are computed now.
   * @param {number} tUs
   */
  async advance(tUs) {
    const between = this.#clock.approach(wholeNumber(tUs, "t_us"));
    this.#clock.moveAlone(tUs);
    await Promise.all(this.#sendFrames([...between, tUs].map(clockFrame)));
    return this.#buffer.nextSequence - 1;
  }

  /**
   * @param {number} segment Rising.
   * @param {number} tUs
   */
  beginSegment(segment, tUs) {
    return this.#segment("begin", segment, tUs);
  }

  /**
   * @param {number} segment
   * @param {number} tUs
   */
  endSegment(segment, tUs) {
    return this.#segment("end", segment, tUs);
  }

  /**
   * Sends a whole segment, and resolves to what the network takes it for; one call after the other.
   * Who reads `predictions` hears it too.
   * @param {ArrayLike<number>} timesUs Of each event, from the segment's begin.
   * @param {ArrayLike<number>} addresses
   * @param {number} [durationUs] Length of the segment; by default to the end of its last event.
   * @returns {Promise<import("./wire.js").PredictionMessage>} Its `segment` is what `label` needs.
   * @throws {MessageRefused} The server takes no such segment.
   */
  async predict(timesUs, addresses, durationUs) {
    checkEvents(timesUs, addresses, countAddresses(this.#request.sensor));
    const endUs = Array.prototype.reduce.call(timesUs, (last, us) => Math.max(last, us), 0) + 1;
    return this.#segments.predict(timesUs, addresses, durationUs ?? endUs);
  }

  /**
   * Tells the truth about a segment: one that ended, the current one, or in `ahead` learning the next.
   * @param {number} segment
   * @param {number | string} target The class's index or its name.
   */
  async label(segment, target) {
    return this.#say({ type: "label", segment: wholeNumber(segment, "segment"), target });
  }

  /**
   * Tells the truth about the ticks that begin in `[fromUs, toUs)`.
   * @param {number} fromUs
   * @param {number} toUs
   * @param {number | string} target The class's index or its name.
   */
  async labelInterval(fromUs, toUs, target) {
    const [from, to] = [wholeNumber(fromUs, "from_us"), wholeNumber(toUs, "to_us")];
    return this.#say({ type: "label", fromUs: from, toUs: to, target });
  }

  /**
   * Changes how the session learns from here on.
   * @param {{mode?: "off" | "delayed" | "ahead", rate?: number}} change
   */
  learning(change) {
    return this.#say({ type: "learning", ...change });
  }

  /**
   * Adds classes; what is learnt stays.
   * @param {string[]} names
   */
  addClasses(names) {
    return this.#say({ type: "classes", add: names });
  }

  /** Has the session stored now; resolves once everything sent up to here is durable. */
  async snapshot() {
    const sequence = await this.#say({ type: "snapshot" });
    await this.#inbox.progress.reach("durable", sequence);
    return sequence;
  }

  /**
   * Resolves once a message's effects are done, and all that it caused has been received.
   * @param {number} [sequence] By default the last one sent.
   */
  applied(sequence = this.#buffer.nextSequence - 1) {
    return this.#inbox.progress.reach("applied", sequence);
  }

  /**
   * Resolves once a message can't be lost any more.
   * @param {number} [sequence] By default the last one sent.
   */
  durable(sequence = this.#buffer.nextSequence - 1) {
    return this.#inbox.progress.reach("durable", sequence);
  }

  /**
   * Ends the connection in order, with the session stored; it can be resumed by a later client.
   * @returns {Promise<GoodbyeMessage | undefined>} What the server said last.
   */
  async close() {
    await this.#buffer.admitted();
    this.#link.close();
    return this.ended;
  }

  /** Leaves at once. The session stays; messages that were not applied yet are lost. */
  detach() {
    this.#link.detach();
  }

  /**
   * @param {"begin" | "end"} action
   * @param {number} segment
   * @param {number} tUs
   */
  async #segment(action, segment, tUs) {
    wholeNumber(segment, "segment");
    wholeNumber(tUs, "t_us");
    const between = action === "end" ? this.#clock.end(segment, tUs) : [];
    if (action === "begin") {
      this.#clock.begin(segment, tUs);
      this.#segments.noteBegin(segment);
    }
    const waits = this.#sendFrames(between.map(clockFrame));
    const [sequence] = await Promise.all([
      this.#say({ type: "segment", action, segment, tUs }),
      ...waits,
    ]);
    return sequence;
  }

  /** @param {ArrayBuffer[]} frames */
  #sendFrames(frames) {
    return frames.map((frame) => this.#buffer.add(unnumberedFrame(frame)));
  }

  /** @param {object} message */
  #say(message) {
    return this.#buffer.add(unnumberedMessage(message));
  }

  /** @param {import("./wire.js").ServerMessage} message */
  #take(message) {
    this.#segments.take(message);
    this.#inbox.take(message);
    if (message.type === "ack") this.#buffer.release(message.durable);
    if (message.type !== "opened") return;
    this.opened = message;
    // the clock is that of what was said, so later connections don't change it
    this.#clock ??= new SensorClock(message, this.#request);
    this.#onceOpened();
  }

  /**
   * @param {Error | undefined} failure
   * @param {GoodbyeMessage | undefined} goodbye
   */
  #end(failure, goodbye) {
    this.#inbox.end(failure, new SessionEnded(goodbye?.reason ?? "detached by this client"));
    if (failure) this.#rejectEnded(failure);
    else this.#resolveEnded(goodbye);
  }
}
