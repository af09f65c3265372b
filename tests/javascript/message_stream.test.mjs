import assert from "node:assert/strict";
import { test } from "node:test";

import { MessageStream } from "../../clients/web/message_stream.js";

async function collect(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

test("a reader gets what came before and after it began to read", async () => {
  const stream = new MessageStream(8);
  stream.push(1);
  const collected = collect(stream);
  stream.push(2);
  stream.end();

  assert.deepEqual(await collected, [1, 2]);
});

test("a reader gets what is left before it hears of the failure", async () => {
  const stream = new MessageStream(8);
  stream.push(1);
  stream.end(new Error("gone"));

  assert.deepEqual(await stream.next(), { value: 1, done: false });
  await assert.rejects(stream.next(), /gone/);
});

test("a waiting reader hears of the failure", async () => {
  const stream = new MessageStream(8);
  const waiting = stream.next();
  stream.end(new Error("gone"));

  await assert.rejects(waiting, /gone/);
});

test("a full stream loses what may be lost, then the oldest, and counts both", async () => {
  const stream = new MessageStream(3, (message) => !message.final);
  const messages = [{ n: 1, final: true }, { n: 2, final: false }, { n: 3, final: true }];
  for (const message of [...messages, { n: 4, final: true }, { n: 5, final: true }]) {
    stream.push(message);
  }
  stream.end();

  assert.deepEqual((await collect(stream)).map(({ n }) => n), [3, 4, 5]);
  assert.equal(stream.dropped, 2);
});
