/** What the page's monitor is made of, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { serverEvents, textOf } from "../../clients/web/page/event_stream.js";
import { count, duration, percent } from "../../clients/web/page/numbers.js";
import { Problem, Server, explained } from "../../clients/web/page/server.js";
import { SessionHistory } from "../../clients/web/page/session_history.js";
import { keepWatching } from "../../clients/web/page/watching.js";

/** @param {string[]} pieces */
async function* spoken(pieces) {
  yield* pieces;
}

/** @param {string[]} pieces */
async function heard(pieces) {
  const events = [];
  for await (const event of serverEvents(spoken(pieces))) events.push(event);
  return events;
}

const memory = () => {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
  };
};

test("events are the same however their text is cut", async () => {
  const text = 'event: look\nid: 1\ndata: {"a": 1}\n\n: ping\n\nevent: goodbye\r\ndata: {"reason":\r\ndata: "draining"}\r\n\r\n';

  const whole = await heard([text]);
  const single = await heard([...text]);

  const expected = [
    { event: "look", data: { a: 1 } },
    { event: "goodbye", data: { reason: "draining" } },
  ];
  assert.deepEqual(whole, expected);
  assert.deepEqual(single, expected);
});

test("an event that never ends is refused, not kept", async () => {
  const piece = "x".repeat(1 << 20);

  await assert.rejects(heard(Array(18).fill(piece)), RangeError);
});

test("a stream that falls silent ends, though its socket stays", async () => {
  const body = new ReadableStream({
    start: (stream) => stream.enqueue(new TextEncoder().encode("data: 1\n\n")),
  });
  const said = [];

  const reading = (async () => {
    for await (const piece of textOf(body, 20)) said.push(piece);
  })();

  await assert.rejects(reading, /nothing came for 20 ms/);
  assert.deepEqual(said, ["data: 1\n\n"]);
});

test("ticks a second are those of the last five seconds", () => {
  const history = new SessionHistory();

  assert.equal(history.ticksPerS, undefined);
  // 100 ticks a second at first, then 250
  for (let s = 0; s <= 10; s += 1) history.note(s * 1000, { ticks: 100 * s });
  for (let s = 1; s <= 5; s += 1) history.note(10_000 + s * 1000, { ticks: 1000 + 250 * s });

  assert.equal(history.ticksPerS, 250);
});

test("a curve has one point for each label count, and begins anew with a new session", () => {
  const history = new SessionHistory();
  const line = (/** @type {number} */ ticks, /** @type {number} */ labelled) =>
    ({ ticks, segments_labelled: labelled, prequential_accuracy: labelled / 10 });

  history.note(0, { ticks: 0, segments_labelled: 0, prequential_accuracy: null });
  for (const [s, labelled] of [[1, 1], [2, 1], [3, 2]]) history.note(s * 1000, line(s * 10, labelled));
  assert.deepEqual(history.accuracies.map((point) => point.labelled), [1, 2]);
  history.note(4000, line(5, 1));

  assert.deepEqual(history.accuracies, [{ labelled: 1, accuracy: 0.1 }]);
});

test("requests show the token that was given", async () => {
  /** @type {(string | null)[]} */
  const shown = [];
  const server = new Server(memory(), async (_, options) => {
    shown.push(new Headers(options?.headers).get("Authorization"));
    return new Response("{}");
  });

  await server.get("/v1/sessions");
  server.useToken("secret");
  await server.get("/v1/sessions");

  assert.deepEqual(shown, [null, "Bearer secret"]);
});

test("every refusal is told in words", async () => {
  const refusing = (/** @type {number} */ status) =>
    new Server(memory(), async () => Response.json({ code: "quota", detail: "8 came" }, { status }));
  const silent = new Server(memory(), async () => {
    throw new TypeError("failed to fetch");
  });
  /** @param {Server} server */
  const said = (server) => server.get("/").then(() => "", explained);

  assert.match(await said(silent), /does not answer/);
  assert.match(await said(refusing(401)), /does not know this token/);
  assert.match(await said(refusing(403)), /refuses: 8 came/);
  assert.match(await said(refusing(429)), /no more room .* 8 came/);
  assert.match(await said(refusing(503)), /starting or stopping/);
  assert.match(await said(refusing(409)), /8 came/);
});

test("a stream that fails or ends is read again until it is told to stop", async () => {
  let attempts = 0;
  const stop = new AbortController();
  const server = /** @type {any} */ ({
    async *events() {
      attempts += 1;
      if (attempts === 1) throw new Problem(0, "gone", "no answer");
      yield { event: "look", data: attempts };
    },
  });
  /** @type {any[]} */
  const seen = [];

  await keepWatching(server, "/", stop.signal, ({ data }) => seen.push(data), ({ status }) => {
    seen.push(`problem ${status}`);
    if (attempts === 2) stop.abort();
  }, 0);

  assert.deepEqual(seen, ["problem 0", 2, "problem 503"]);
});

test("numbers read the same everywhere", () => {
  assert.equal(count(1234567), "1\u202f234\u202f567");
  assert.equal(percent(0.9951), "99.5 %");
  assert.equal(percent(1), "100 %");
  assert.deepEqual([4000, 1_500_000, 250_000_000].map(duration), ["4 ms", "1.5 s", "250 s"]);
});
