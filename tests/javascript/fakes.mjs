/** A WebSocket and a clock that tests hold in their hands. */

import { decodeEvents } from "../../clients/web/wire.js";

/** Time that moves only when told to; timers fire in order of their time. */
export class FakeClock {
  #nowMs = 0;
  #timers = new Map();
  #lastTimer = 0;

  now() {
    return this.#nowMs;
  }

  after(ms, act) {
    this.#lastTimer += 1;
    this.#timers.set(this.#lastTimer, { at: this.#nowMs + ms, act });
    return this.#lastTimer;
  }

  cancel(timer) {
    this.#timers.delete(timer);
  }

  /** When the next timer fires, from now. */
  get nextMs() {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at)) - this.#nowMs;
  }

  advance(ms) {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      due.sort(([, a], [, b]) => a.at - b.at);
      const [timer, { at, act }] = due[0];
      this.#nowMs = at;
      this.#timers.delete(timer);
      act();
    }
    this.#nowMs = end;
  }
}

/** One end of a connection; the test plays the server's end. */
export class FakeSocket {
  protocol = "";
  sent = [];
  closedWith = undefined;

  constructor(url, subprotocols) {
    this.url = url;
    this.subprotocols = subprotocols;
  }

  send(data) {
    this.sent.push(data);
  }

  close(code) {
    this.closedWith = code ?? 1005;
  }

  // the server's end

  accept(protocol = "tclif.v1") {
    this.protocol = protocol;
    this.onopen({});
  }

  deliver(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  drop(code = 1006) {
    this.onclose({ code });
  }

  /** What was sent, read: JSON texts as objects, frames as objects with a `baseUs`. */
  get messages() {
    return this.sent.map((data) => (typeof data === "string" ? JSON.parse(data) : decodeEvents(data)));
  }

  get sequences() {
    return this.messages.map(({ sequence }) => sequence).filter((sequence) => sequence !== undefined);
  }
}

/** Makes the sockets of a test and keeps them: `sockets.at(-1)` is the current one. */
export function fakeSockets() {
  const sockets = [];
  class RememberedSocket extends FakeSocket {
    constructor(url, subprotocols) {
      super(url, subprotocols);
      sockets.push(this);
    }
  }
  return { sockets, WebSocket: RememberedSocket };
}

/** The server's `opened`, with what a test cares about. */
export const opened = (fields = {}) => ({
  type: "opened",
  session: "kitchen",
  resumed: false,
  epoch: 77,
  next_sequence: 1,
  credit_ticks: 100,
  classes: ["no", "yes"],
  tick_us: 4000,
  seed: 5,
  kernel: "cpu",
  limits: { max_message_bytes: 1024 },
  server: "1",
  ...fields,
});

export const ack = (applied, durable = 0) => ({ type: "ack", applied, durable, credit_ticks: 100 });
