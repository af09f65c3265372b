import assert from "node:assert/strict";
import { test } from "node:test";

import { SendBuffer, unnumberedFrame, unnumberedMessage } from "../../clients/web/send_buffer.js";
import { decodeEvents, encodeEvents } from "../../clients/web/wire.js";

const ofBytes = (bytes) => ({ bytes, number: (sequence) => `message ${sequence}` });

function makeBuffer(bounds) {
  const admitted = [];
  const buffer = new SendBuffer(bounds, (entry) => admitted.push(entry.sequence));
  return { buffer, admitted };
}

test("messages are numbered from where the session stands, rising by one", async () => {
  const { buffer, admitted } = makeBuffer({});
  buffer.begin(41);

  assert.deepEqual(await Promise.all([buffer.add(ofBytes(1)), buffer.add(ofBytes(1))]), [41, 42]);
  assert.deepEqual(admitted, [41, 42]);
  assert.equal(buffer.nextSequence, 43);
});

test("a full buffer admits the next message once enough is durable, in order", async () => {
  const { buffer, admitted } = makeBuffer({ capacityBytes: 30 });
  await Promise.all([buffer.add(ofBytes(10)), buffer.add(ofBytes(20))]);

  const third = buffer.add(ofBytes(20));
  const fourth = buffer.add(ofBytes(10));
  assert.deepEqual(admitted, [1, 2]);
  // 20 + 20 is too much still, and the small fourth does not overtake
  buffer.release(1);
  assert.deepEqual(admitted, [1, 2]);
  buffer.release(2);

  assert.deepEqual(admitted, [1, 2, 3, 4]);
  assert.deepEqual([await third, await fourth], [3, 4]);
  assert.equal(buffer.bytes, 30);
});

test("a message larger than the whole buffer goes alone", async () => {
  const { buffer, admitted } = makeBuffer({ capacityBytes: 30 });
  buffer.add(ofBytes(31));
  buffer.add(ofBytes(1));

  assert.deepEqual(admitted, [1]);
  buffer.release(1);
  assert.deepEqual(admitted, [1, 2]);
});

test("what is asked for again comes from the buffer, the rest is another client's", async () => {
  const { buffer } = makeBuffer({});
  for (let i = 0; i < 4; i += 1) buffer.add(ofBytes(1));
  buffer.release(2);

  assert.deepEqual(buffer.from(3).map(({ payload }) => payload), ["message 3", "message 4"]);
  assert.deepEqual(buffer.from(4).map(({ sequence }) => sequence), [4]);
  assert.deepEqual(buffer.from(5), []);
  assert.throws(() => buffer.from(2), /expects message 2, this client can send 3 to 5/);
  assert.throws(() => buffer.from(6), /expects message 6, this client can send 3 to 5/);
});

test("calls that nobody awaits do not fill the memory", async () => {
  const { buffer } = makeBuffer({ capacityBytes: 10, maxWaiting: 1 });
  buffer.add(ofBytes(10));
  buffer.add(ofBytes(10));

  await assert.rejects(buffer.add(ofBytes(10)), /1 messages wait for room; await each call/);
});

test("a failure reaches what waits and what comes later, once what was added is settled", async () => {
  const { buffer } = makeBuffer({ capacityBytes: 10 });
  await buffer.add(ofBytes(10));
  const waiting = buffer.add(ofBytes(10));
  const settled = buffer.admitted();
  buffer.fail(new Error("the end"));

  await assert.rejects(waiting, /the end/);
  await assert.rejects(buffer.add(ofBytes(1)), /the end/);
  await settled;
});

test("a message that waits is not changed by its caller", async () => {
  const { buffer } = makeBuffer({ capacityBytes: 1 });
  const names = ["fish"];
  await buffer.add(ofBytes(1));
  const waiting = buffer.add(unnumberedMessage({ type: "classes", add: names }));
  names.push("fowl");
  buffer.release(1);

  await waiting;
  assert.equal(buffer.from(2)[0].payload, '{"type":"classes","add":["fish"],"sequence":2}');
});

test("a frame gets its number when it is admitted", async () => {
  const { buffer } = makeBuffer({});
  buffer.begin(9);
  await buffer.add(unnumberedFrame(encodeEvents(5, [0], [1])));

  assert.equal(decodeEvents(buffer.from(9)[0].payload).sequence, 9);
});
