/**
 * A link to one session that outlives its connections.
 *
 * It connects, opens, sends what the buffer keeps from `nextSequence` on, and passes on what is new. When
 * a connection ends it comes back, unless the close code says that this is of no use. Nobody who uses
 * the link notices, except through `onState`.
 */

import { Doubles } from "./doubles.js";
import { SessionEnded, UnusableServer } from "./errors.js";
import { SUBPROTOCOL, decodeMessage, encodeMessage, subprotocols } from "./wire.js";

/** The code that browsers give to a connection that ended without a close frame. */
const ABNORMAL = 1006;
const ORDERLY = 1000;

/** Acknowledgements come once a second at least, so a link silent for this long is dead. */
const SILENCE_MS = 15_000;

/**
 * @typedef {import("./wire.js").ServerMessage} ServerMessage
 * @typedef {import("./wire.js").OpenedMessage} OpenedMessage
 * @typedef {import("./wire.js").GoodbyeMessage} GoodbyeMessage
 * @typedef {{now: () => number, after: (ms: number, act: () => void) => any,
 *   cancel: (timer: any) => void}} Clock
 * @typedef {"connecting" | "attached" | "waiting" | "ended"} LinkState
 * @typedef {object} LinkOwner
 * @property {(message: ServerMessage) => void} onMessage Each message once, `opened` included.
 * @property {(state: LinkState, why?: {closeCode: number, reason?: string, retryInMs: number}) => void}
 *   onState
 * @property {(failure: Error | undefined, goodbye?: GoodbyeMessage) => void} onEnd Called once; without
 *   a failure if we asked for the end.
 */

export class Link {
  #url;
  #token;
  #request;
  #buffer;
  #resumption;
  #clock;
  #WebSocket;
  #owner;
  #doubles = new Doubles();
  /** @type {any} */
  #socket;
  /** @type {any} the silence watch, or the wait before the next attempt */
  #timer;
  /** @type {OpenedMessage | undefined} of any connection */
  #opened;
  #isAttached = false;
  #isClosing = false;
  #hasEnded = false;
  /** the highest message that was ever applied */
  #furthest = 0;
  /** @type {GoodbyeMessage | undefined} of this connection */
  #goodbye;
  /** @type {import("./wire.js").ErrorMessage | undefined} the fatal error of this connection */
  #refusal;

  /**
   * @param {{url: string, token?: string, request: Record<string, any>}} address Where, as whom, and the
   *   `open` message.
   * @param {import("./send_buffer.js").SendBuffer} buffer
   * @param {import("./resumption.js").Resumption} resumption
   * @param {{clock: Clock, WebSocket: any}} surroundings
   * @param {LinkOwner} owner
   */
  constructor({ url, token, request }, buffer, resumption, { clock, WebSocket }, owner) {
    this.#url = url;
    this.#token = token;
    this.#request = request;
    this.#buffer = buffer;
    this.#resumption = resumption;
    this.#clock = clock;
    this.#WebSocket = WebSocket;
    this.#owner = owner;
  }

  /** Connects; every later connection is made by the link itself. */
  connect() {
    this.#goodbye = undefined;
    this.#refusal = undefined;
    this.#owner.onState("connecting");
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, subprotocols(this.#token));
    } catch (cause) {
      this.#end(new TypeError(`${this.#url} is no address of a WebSocket`, { cause }));
      return;
    }
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const ifCurrent = (/** @type {(event: any) => void} */ act) => (/** @type {any} */ event) => {
      if (this.#socket === socket) act(event);
    };
    socket.onopen = ifCurrent(() => this.#introduce());
    socket.onmessage = ifCurrent((event) => this.#receive(event.data));
    socket.onclose = ifCurrent((event) => this.#lose(event.code));
    // a close event follows, and says more
    socket.onerror = () => {};
    this.#watchSilence();
  }

  /**
   * Sends a message that has its number already and is kept in the buffer; later, if there is no
   * connection now.
   * @param {import("./send_buffer.js").Entry} entry
   */
  send(entry) {
    if (this.#isAttached) this.#socket.send(entry.payload);
  }

  /** Asks for the orderly end, and again after each resumption until it comes. */
  close() {
    this.#isClosing = true;
    if (this.#isAttached) this.#sendClose();
  }

  /** Leaves: the connection ends, the session stays and can be resumed. */
  detach() {
    this.#end(undefined);
  }

  /** @param {Error} failure */
  fail(failure) {
    this.#end(failure);
  }

  #introduce() {
    if (this.#socket.protocol !== SUBPROTOCOL) {
      const chosen = JSON.stringify(this.#socket.protocol);
      this.#end(new UnusableServer(`the server chose subprotocol ${chosen}, not ${SUBPROTOCOL}`));
      return;
    }
    this.#socket.send(encodeMessage(this.#openRequest()));
  }

  #openRequest() {
    if (this.#opened === undefined) return this.#request;
    const { session, epoch } = this.#opened;
    return { ...this.#request, session, epoch };
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#watchSilence();
    try {
      const message = decodeMessage(data);
      if (message !== undefined) this.#take(message);
    } catch (failure) {
      this.#end(/** @type {Error} */ (failure));
    }
  }

  /** @param {ServerMessage} message */
  #take(message) {
    switch (message.type) {
      case "opened":
        this.#attach(message);
        return;
      case "ack":
        this.#judgeProgress(message.applied);
        break;
      case "prediction":
        if (!this.#doubles.isNewPrediction(message)) return;
        break;
      case "learned":
        if (!this.#doubles.isNewLesson(message)) return;
        break;
      case "error":
        if (message.fatal) this.#refusal = message;
        else if (!this.#doubles.isNewRefusal(message)) return;
        break;
      case "goodbye":
        this.#goodbye = message;
        break;
    }
    this.#owner.onMessage(message);
  }

  /** @param {OpenedMessage} opened */
  #attach(opened) {
    if (this.#opened === undefined) this.#buffer.begin(opened.nextSequence);
    else if (opened.epoch !== this.#opened.epoch) throw new UnusableServer("the epoch changed");
    const resent = this.#buffer.from(opened.nextSequence);
    this.#opened = opened;
    this.#doubles.begin(opened.epoch);
    this.#isAttached = true;
    for (const entry of resent) this.#socket.send(entry.payload);
    if (this.#isClosing) this.#sendClose();
    this.#owner.onMessage(opened);
    this.#owner.onState("attached");
  }

  /** @param {number} applied */
  #judgeProgress(applied) {
    // to be attached alone is no progress: what is sent next may be what breaks the session each time
    const hasNothingToDo = applied === this.#buffer.nextSequence - 1;
    if (applied > this.#furthest || hasNothingToDo) this.#resumption.progressed();
    this.#furthest = Math.max(this.#furthest, applied);
  }

  #sendClose() {
    // without a number of its own it follows everything sent before, and can be said again
    this.#socket.send(encodeMessage({ type: "close" }));
  }

  #watchSilence() {
    this.#clock.cancel(this.#timer);
    this.#timer = this.#clock.after(SILENCE_MS, () => {
      const silent = this.#socket;
      this.#lose(ABNORMAL);
      silent.close();
    });
  }

  /** @param {number} closeCode */
  #lose(closeCode) {
    this.#clock.cancel(this.#timer);
    this.#socket = undefined;
    this.#isAttached = false;
    const goodbye = this.#goodbye;
    if (this.#isClosing && goodbye?.reason === "closed") {
      this.#end(undefined, goodbye);
      return;
    }
    let delayMs;
    try {
      const closure = { closeCode, goodbye, refusal: this.#refusal };
      delayMs = this.#resumption.delayAfter(closure, this.#clock.now());
    } catch (failure) {
      this.#end(/** @type {Error} */ (failure));
      return;
    }
    const reason = goodbye?.reason ?? this.#refusal?.code;
    this.#owner.onState("waiting", { closeCode, reason, retryInMs: delayMs });
    this.#timer = this.#clock.after(delayMs, () => this.connect());
  }

  /**
   * @param {Error | undefined} failure
   * @param {GoodbyeMessage} [goodbye]
   */
  #end(failure, goodbye) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#clock.cancel(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isAttached = false;
    socket?.close(ORDERLY);
    this.#buffer.fail(failure ?? new SessionEnded(goodbye?.reason ?? "detached by this client"));
    this.#owner.onState("ended");
    this.#owner.onEnd(failure, goodbye);
  }
}
