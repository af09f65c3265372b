/** The client and its link against a server that the test plays, with time that it moves. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionClient } from "../../clients/web/index.js";
import { WholeSegments } from "../../clients/web/whole_segment.js";
import { FakeClock, ack, fakeSockets, opened } from "./fakes.mjs";

const URL = "ws://127.0.0.1:8700/v1/stream";
const REQUEST = {
  session: "kitchen",
  tickUs: 4000,
  sensor: { kind: "raw", addresses: 20 },
  learning: { mode: "delayed", rate: 0.01, optimizer: "sgd" },
  seed: 5,
};

/** What was promised is kept by then, as far as no timer and no message is needed. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A client whose session is open, and everything around it. */
async function openClient({ options = {}, told = {}, request = REQUEST } = {}) {
  const { sockets, WebSocket } = fakeSockets();
  const clock = new FakeClock();
  const states = [];
  const surroundings = { WebSocket, clock, random: () => 0.5 };
  const connecting = SessionClient.connect(URL, request, {
    ...surroundings,
    onState: (state, why) => states.push(why ? [state, why.closeCode, why.reason, why.retryInMs] : state),
    ...options,
  });
  const socket = sockets.at(-1);
  socket.accept();
  socket.deliver(opened(told));
  return { client: await connecting, socket, sockets, clock, states };
}

/** Loses the connection and opens the next one. */
function resume({ sockets, clock }, told, closeCode = 1006) {
  sockets.at(-1).drop(closeCode);
  clock.advance(125);
  const socket = sockets.at(-1);
  socket.accept();
  socket.deliver(opened({ resumed: true, ...told }));
  return socket;
}

test("the first message is open, in the wire's names, on the protocol's subprotocol", async () => {
  const { socket } = await openClient({ options: { token: "ab" } });

  assert.equal(socket.url, URL);
  assert.deepEqual(socket.subprotocols, ["tclif.v1", "bearer.YWI"]);
  assert.deepEqual(socket.messages, [
    {
      type: "open",
      session: "kitchen",
      tick_us: 4000,
      sensor: { kind: "raw", addresses: 20 },
      learning: { mode: "delayed", rate: 0.01, optimizer: "sgd" },
      seed: 5,
    },
  ]);
});

test("each call sends its message with the next number", async () => {
  const { client, socket } = await openClient({ told: { next_sequence: 8 } });
  await client.beginSegment(3, 1000);
  await client.events([1500, 1200], [19, 0]);
  await client.advance(2000);
  await client.endSegment(3, 2500);
  await client.label(3, "yes");
  await client.labelInterval(0, 10, 1);
  await client.learning({ rate: 0.5 });
  await client.addClasses(["maybe"]);

  assert.deepEqual(socket.messages.slice(1), [
    { type: "segment", action: "begin", segment: 3, t_us: 1000, sequence: 8 },
    { sequence: 9, baseUs: 1200, offsetsUs: new Uint32Array([300, 0]), addresses: new Uint32Array([19, 0]) },
    { sequence: 10, baseUs: 2000, offsetsUs: new Uint32Array(), addresses: new Uint32Array() },
    { type: "segment", action: "end", segment: 3, t_us: 2500, sequence: 11 },
    { type: "label", segment: 3, target: "yes", sequence: 12 },
    { type: "label", from_us: 0, to_us: 10, target: 1, sequence: 13 },
    { type: "learning", rate: 0.5, sequence: 14 },
    { type: "classes", add: ["maybe"], sequence: 15 },
  ]);
});

test("what a caller passes wrongly is thrown before anything is sent", async () => {
  const { client, socket } = await openClient();

  await assert.rejects(client.events([1], [20]), /address 0 is 20, not an integer from 0 to 19/);
  await assert.rejects(client.events([1, 2], [3]), /2 times and 1 addresses/);
  await assert.rejects(client.advance(-1), /t_us is -1/);
  await assert.rejects(client.beginSegment(0.5, 0), /segment is 0.5/);
  await assert.rejects(client.label("3", 0), /segment is 3, not an integer/);
  assert.equal(socket.sent.length, 1);
});

test("events beyond the server's largest message go in several, all numbered", async () => {
  // (40 - 24) / 8 = 2 events a frame
  const { client, socket } = await openClient({ told: { limits: { max_message_bytes: 40 } } });

  assert.equal(await client.events([1, 2, 3], [0, 0, 0]), 2);
  assert.deepEqual(socket.sequences, [1, 2]);
});

test("a long segment is approached by the clock, in messages that all have numbers", async () => {
  const { client, socket } = await openClient({ told: { limits: { max_advance_ticks: 13 } } });
  await client.beginSegment(0, 0);
  // steps of ten ticks of 4 ms
  assert.equal(await client.advance(50_000), 3);
  assert.equal(await client.endSegment(0, 100_000), 5);

  const said = socket.messages.slice(2).map((message) => message.baseUs ?? message.t_us);
  assert.deepEqual(said, [40_000, 50_000, 90_000, 100_000]);
});

test("predictions, lessons and refusals are iterated over", async () => {
  const { client, socket } = await openClient();
  socket.deliver({ type: "prediction", segment: 0, tick: 25, t_us: 100000, final: true, skipped: 0 });
  socket.deliver({ type: "learned", segment: 0, segments_labelled: 1 });
  socket.deliver({ type: "error", code: "label_duplicate", message: "…", sequence: 4, fatal: false });

  assert.equal((await client.predictions.next()).value.tUs, 100000);
  assert.equal((await client.learned.next()).value.segmentsLabelled, 1);
  assert.equal((await client.errors.next()).value.sequence, 4);
});

test("a lost connection is resumed in the same session and epoch", async () => {
  const stage = await openClient({ told: { session: "named-by-the-server" } });
  const socket = resume(stage, {});

  const [request] = stage.socket.messages;
  assert.deepEqual(socket.messages[0], { ...request, session: "named-by-the-server", epoch: 77 });
  assert.deepEqual(stage.states, [
    "connecting", "attached", ["waiting", 1006, undefined, 125], "connecting", "attached",
  ]);
});

test("messages are sent again from where the server asks, then the new ones", async () => {
  const stage = await openClient();
  for (let segment = 0; segment < 4; segment += 1) await stage.client.label(segment, 0);
  stage.socket.deliver(ack(2, 1));
  stage.socket.drop();
  await stage.client.label(9, 0);
  stage.clock.advance(125);
  const socket = stage.sockets.at(-1);
  socket.accept();
  assert.deepEqual(socket.sequences, []);
  socket.deliver(opened({ resumed: true, next_sequence: 3 }));
  await stage.client.label(10, 0);

  assert.deepEqual(socket.sequences, [3, 4, 5, 6]);
});

test("a server that crashed gets everything that was not durable, applied or not", async () => {
  const stage = await openClient();
  for (let segment = 0; segment < 4; segment += 1) await stage.client.label(segment, 0);
  stage.socket.deliver(ack(4, 1));
  const socket = resume(stage, { next_sequence: 2 });

  assert.deepEqual(socket.sequences, [2, 3, 4]);
});

test("a server that asks for what was durable is of no use", async () => {
  const stage = await openClient();
  await stage.client.label(0, 0);
  stage.socket.deliver(ack(1, 1));
  const socket = resume(stage, { next_sequence: 1 });

  await assert.rejects(stage.client.ended, /expects message 1, this client can send 2 to 2/);
  assert.equal(socket.closedWith, 1000);
});

test("a server that knows messages which we never sent is of no use", async () => {
  const stage = await openClient();
  resume(stage, { next_sequence: 5 });

  await assert.rejects(stage.client.ended, /used by another client/);
});

test("results that come again after a resumption are told once", async () => {
  const stage = await openClient();
  const final = { type: "prediction", segment: 0, tick: 25, final: true };
  const lesson = { type: "learned", segment: 0 };
  stage.socket.deliver(final);
  stage.socket.deliver(lesson);
  const socket = resume(stage, {});
  socket.deliver(final);
  socket.deliver({ ...final, segment: 1 });
  socket.deliver(lesson);
  socket.deliver({ ...lesson, segment: 1 });
  stage.client.detach();

  const segmentsOf = async (stream) => {
    const segments = [];
    for await (const { segment } of stream) segments.push(segment);
    return segments;
  };
  assert.deepEqual(await segmentsOf(stage.client.predictions), [0, 1]);
  assert.deepEqual(await segmentsOf(stage.client.learned), [0, 1]);
});

test("a silent link is given up and resumed, and what the old socket says is not heard", async () => {
  const stage = await openClient();
  stage.clock.advance(14_999);
  stage.socket.deliver(ack(0));
  stage.clock.advance(14_999);
  assert.equal(stage.socket.closedWith, undefined);
  stage.clock.advance(1);
  assert.equal(stage.socket.closedWith, 1005);
  stage.clock.advance(125);
  stage.socket.deliver({ type: "error", code: "bad_message", message: "…", fatal: true });
  stage.socket.drop(4400);

  stage.sockets.at(-1).accept();
  stage.sockets.at(-1).deliver(opened({ resumed: true }));
  assert.equal(stage.states.at(-1), "attached");
});

test("an attempt that gets no answer is given up like a silent link", async () => {
  const { sockets, WebSocket } = fakeSockets();
  const clock = new FakeClock();
  SessionClient.connect(URL, REQUEST, { WebSocket, clock, random: () => 0.5 });
  clock.advance(15_000 + 125);

  assert.equal(sockets.length, 2);
});

test("a fatal error ends everything that waits with the server's words", async () => {
  const { client, socket } = await openClient({ options: { bufferBytes: 1 } });
  await client.label(0, 0);
  const waits = [client.label(1, 0), client.applied(1), client.durable(1), client.predictions.next()];
  socket.deliver({ type: "error", code: "sequence_gap", message: "3 came", sequence: 3, fatal: true });
  socket.drop(4400);

  for (const wait of [...waits, client.ended, client.close(), client.label(2, 0)]) {
    await assert.rejects(wait, { name: "SessionRefused", code: "sequence_gap", closeCode: 4400 });
  }
});

test("a message that breaks the session each time is not sent for ever", async () => {
  const stage = await openClient({ options: { patience: { giveUpAfterMs: 1000 } } });
  await stage.client.label(0, 0);
  const refusal = { type: "error", code: "internal", message: "NaN", fatal: true };
  const refuse = (socket) => {
    socket.deliver(ack(0));
    socket.deliver(refusal);
    socket.drop(4500);
  };
  refuse(stage.socket);
  while (stage.states.at(-1) !== "ended") {
    stage.clock.advance(stage.clock.nextMs);
    stage.sockets.at(-1).accept();
    stage.sockets.at(-1).deliver(opened({ resumed: true }));
    refuse(stage.sockets.at(-1));
  }

  await assert.rejects(stage.client.ended, { name: "ConnectionLost", code: "internal" });
});

test("connections that do their work may be lost for ever", async () => {
  const stage = await openClient({ options: { patience: { giveUpAfterMs: 1000 } } });
  for (let sequence = 1; sequence < 50; sequence += 1) {
    await stage.client.label(sequence, 0);
    const socket = resume(stage, { next_sequence: sequence });
    socket.deliver(ack(sequence));
  }

  assert.equal(stage.states.at(-1), "attached");
});

test("applied and durable resolve when the server says so", async () => {
  const { client, socket } = await openClient();
  await client.label(0, 0);
  const order = [];
  const waits = [
    client.durable().then(() => order.push("durable")),
    client.applied().then(() => order.push("applied")),
  ];
  socket.deliver(ack(1, 0));
  await waits[1];
  socket.deliver(ack(1, 1));
  await Promise.all(waits);

  assert.deepEqual(order, ["applied", "durable"]);
  assert.deepEqual(client.acknowledged, { applied: 1, durable: 1, creditTicks: 100 });
});

test("a snapshot resolves once it holds everything sent before", async () => {
  const { client, socket } = await openClient();
  await client.label(0, 0);
  const stored = client.snapshot();
  await client.applied(0);
  assert.deepEqual(socket.messages.at(-1), { type: "snapshot", sequence: 2 });
  socket.deliver(ack(2, 2));

  assert.equal(await stored, 2);
});

test("close waits for room for what was said before it, and for the goodbye", async () => {
  const { client, socket } = await openClient({ options: { bufferBytes: 1 } });
  await client.label(0, 0);
  const waiting = client.label(1, 0);
  const closing = client.close();
  socket.deliver(ack(1, 1));
  await waiting;
  await Promise.resolve();
  socket.deliver(ack(2, 2));
  assert.deepEqual(socket.messages.at(-1), { type: "close" });
  socket.deliver({ type: "goodbye", reason: "closed", durable: 2, retry_after_ms: 0 });
  socket.drop(1000);

  assert.equal((await closing).durable, 2);
  assert.deepEqual(await client.predictions.next(), { value: undefined, done: true });
  await assert.rejects(client.label(2, 0), /ended: closed/);
});

test("a close whose goodbye was lost is said again", async () => {
  const stage = await openClient();
  const closing = stage.client.close();
  await Promise.resolve();
  await Promise.resolve();
  const socket = resume(stage, {});
  assert.deepEqual(socket.messages.at(-1), { type: "close" });
  socket.deliver({ type: "goodbye", reason: "closed", durable: 0 });
  socket.drop(1000);

  assert.equal((await closing).reason, "closed");
});

test("a client whose session was taken over ends and does not come back", async () => {
  const { client, socket, sockets, states } = await openClient();
  const reading = client.predictions.next();
  socket.deliver({ type: "goodbye", reason: "taken_over", durable: 0 });
  socket.drop(1000);

  await assert.rejects(reading, { name: "SessionEnded", reason: "taken_over" });
  await assert.rejects(client.ended, { name: "SessionEnded", reason: "taken_over" });
  assert.equal(sockets.length, 1);
  assert.equal(states.at(-1), "ended");
});

test("a draining server is come back to after the time it asks for", async () => {
  const { socket, sockets, clock, states } = await openClient();
  socket.deliver({ type: "goodbye", reason: "draining", durable: 0, retry_after_ms: 2000 });
  socket.drop(1012);
  assert.deepEqual(states.at(-1), ["waiting", 1012, "draining", 2125]);
  clock.advance(2124);
  assert.equal(sockets.length, 1);
  clock.advance(1);

  assert.equal(sockets.length, 2);
});

test("a server that is full is come back to after the time that its refusal asks for", async () => {
  const { sockets, WebSocket } = fakeSockets();
  const clock = new FakeClock();
  const surroundings = { WebSocket, clock, random: () => 0.5 };
  const connecting = SessionClient.connect(URL, REQUEST, surroundings);
  sockets[0].accept();
  sockets[0].deliver({
    type: "error",
    code: "overloaded",
    message: "full",
    fatal: true,
    retry_after_ms: 5000,
  });
  sockets[0].drop(1013);
  clock.advance(5124);
  assert.equal(sockets.length, 1);
  clock.advance(1);
  assert.equal(sockets.length, 2);
  sockets[1].accept();
  sockets[1].deliver(opened());

  assert.equal((await connecting).opened.session, "kitchen");
});

test("the wait for a session can be ended, and nothing is tried after that", async () => {
  const { sockets, WebSocket } = fakeSockets();
  const clock = new FakeClock();
  const leaving = new AbortController();
  const { signal } = leaving;
  const connecting = SessionClient.connect(URL, REQUEST, { WebSocket, clock, signal });
  sockets[0].drop(1006);
  leaving.abort();

  await assert.rejects(connecting, { name: "AbortError" });
  clock.advance(60_000);
  assert.equal(sockets.length, 1);
  await assert.rejects(SessionClient.connect(URL, REQUEST, { WebSocket, clock, signal }), { name: "AbortError" });
  assert.equal(sockets.length, 1);
});

test("detaching leaves the session as it is", async () => {
  const { client, socket } = await openClient();
  client.detach();

  assert.equal(socket.closedWith, 1000);
  assert.equal(socket.messages.length, 1);
  assert.equal(await client.ended, undefined);
});

test("a server of another protocol, or none at the address, is told at once", async () => {
  const { sockets, WebSocket } = fakeSockets();
  const connecting = SessionClient.connect(URL, REQUEST, { WebSocket, clock: new FakeClock() });
  sockets[0].accept("");
  await assert.rejects(connecting, /chose subprotocol "", not tclif.v1/);

  class Picky {
    constructor() {
      throw new SyntaxError("bad address");
    }
  }
  const wrong = SessionClient.connect("nowhere", REQUEST, { WebSocket: Picky, clock: new FakeClock() });
  await assert.rejects(wrong, /nowhere is no address of a WebSocket/);
});

test("a server that talks nonsense ends the client, and says what came", async () => {
  const { client, socket } = await openClient();
  socket.onmessage({ data: "<html>" });

  await assert.rejects(client.ended, { name: "UnusableServer", message: /<html> came/ });
});

test("a whole segment resolves to its final prediction", async () => {
  const { client, socket } = await openClient();
  const predicting = client.predict([500, 200], [3, 1]);
  await settled();
  const messages = socket.messages.slice(1);
  const final = { type: "prediction", segment: 0, tick: 0, t_us: 501, label: "yes", final: true };
  socket.deliver({ ...final, final: false, label: "no" });
  socket.deliver(final);
  socket.deliver(ack(3));

  assert.equal((await predicting).label, "yes");
  assert.deepEqual(
    messages.map(({ action, segment, t_us: tUs, baseUs }) => [action, segment, tUs ?? baseUs]),
    [["begin", 0, 0], [undefined, undefined, 200], ["end", 0, 501]],
  );
});

test("a whole segment goes on with numbers, and ends what was left open", async () => {
  const { client, socket } = await openClient({
    told: { resumed: true, open_segment: 4, open_segment_t_us: 70 },
  });
  client.predict([], [], 1000).catch(() => {});
  await settled();
  const [end, begin] = socket.messages.slice(1);

  assert.deepEqual([end.action, end.segment, end.t_us], ["end", 4, 70]);
  assert.equal(begin.action, "begin");
  assert.ok(begin.segment > 4);
  await client.beginSegment(begin.segment + 5, 0);
  client.predict([], [], 1000).catch(() => {});
  await settled();
  assert.equal(socket.messages.at(-1).segment, begin.segment + 6);
});

test("a whole segment that is refused rejects with the reason", async () => {
  const { client, socket } = await openClient();
  const predicting = client.predict([], [], 1000);
  await settled();
  socket.deliver({ type: "error", code: "bad_segment", message: "no", fatal: false, sequence: 1 });
  socket.deliver(ack(2));

  await assert.rejects(predicting, { name: "MessageRefused", code: "bad_segment", sequence: 1 });
});

test("a whole segment with events that no frame can hold is refused before it begins", async () => {
  const { client, socket } = await openClient();

  await assert.rejects(client.predict([5], [-1]), RangeError);
  await assert.rejects(client.predict([5], []), RangeError);
  await assert.rejects(client.predict([-5], [1]), RangeError);
  assert.equal(socket.messages.length, 1);
});

test("what a whole segment that failed has left open ends before the next one", async () => {
  const { client, socket } = await openClient();
  await assert.rejects(client.predict([], [], -1), RangeError);
  client.predict([], [], 1000).catch(() => {});
  await settled();

  assert.deepEqual(
    socket.messages.slice(1).map(({ action, segment, t_us: tUs }) => [action, segment, tUs]),
    [["begin", 0, 0], ["end", 0, 0], ["begin", 1, 0], ["end", 1, 1000]],
  );
});

test("an error without a number is no refusal of a whole segment whose begin has none yet", async () => {
  /** @type {(sequence: number) => void} */
  let number = () => {};
  const segments = new WholeSegments({
    opened: {},
    beginSegment: () => new Promise((resolve) => (number = resolve)),
    events: async () => 1,
    endSegment: async () => 2,
    applied: async () => {},
  });
  const predicting = segments.predict([], [], 1000);
  await settled();
  segments.take({ type: "error", code: "late_events", message: "another's", sequence: undefined });
  number(1);

  await assert.rejects(predicting, { name: "UnusableServer", message: /segment 0 was neither/ });
});
