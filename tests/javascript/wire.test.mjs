import assert from "node:assert/strict";
import { test } from "node:test";

import { UnusableServer } from "../../clients/web/errors.js";
import * as wire from "../../clients/web/wire.js";

const hex = (buffer) => Buffer.from(buffer).toString("hex");

test("an events frame has the bytes of the protocol's table", () => {
  const frame = wire.encodeEvents(0x0102030405, [7, 0x80000000], [699, 1]);
  wire.stampSequence(frame, 0x0a0b);

  // kind, two reserved fields, count 2; sequence; base; then offset and address of each event
  assert.equal(
    hex(frame),
    "01" + "00" + "0000" + "02000000" + "0b0a000000000000" + "0504030201000000" +
      "07000000" + "bb020000" + "00000080" + "01000000",
  );
});

test("decoding an events frame undoes encoding", () => {
  const frame = wire.encodeEvents(2 ** 53 - 1, [0, 2 ** 32 - 1], [2 ** 32 - 1, 0]);
  wire.stampSequence(frame, 2 ** 53 - 1);

  assert.deepEqual(wire.decodeEvents(frame), {
    sequence: 2 ** 53 - 1,
    baseUs: 2 ** 53 - 1,
    offsetsUs: new Uint32Array([0, 2 ** 32 - 1]),
    addresses: new Uint32Array([2 ** 32 - 1, 0]),
  });
});

test("a frame of a wrong length or kind is refused with what came", () => {
  assert.throws(() => wire.decodeEvents(new ArrayBuffer(23)), /23 bytes came/);
  assert.throws(() => wire.decodeEvents(new ArrayBuffer(32)), /32 bytes came, .* frame of 0/);
  assert.throws(() => wire.decodeEvents(new ArrayBuffer(24)), /are 0, not 1/);
});

test("numbers that the wire can't carry whole are refused with what came", () => {
  for (const bad of [-1, 1.5, NaN, 2 ** 53, "7", undefined, 7n]) {
    assert.throws(() => wire.encodeEvents(bad, [], []), {
      name: "RangeError",
      message: `base_us is ${String(bad)}, not an integer from 0 to 9007199254740991`,
    });
  }
  assert.throws(() => wire.encodeEvents(0, [2 ** 32], [0]), /time 0 less base_us is 4294967296/);
  assert.throws(() => wire.encodeEvents(0, [0], [-1]), /address 0 is -1/);
  assert.throws(() => wire.encodeEvents(0, [0, 1], [0]), /2 times and 1 addresses/);
});

test("names change from camelCase to the wire's at every depth, and back", () => {
  const message = { type: "open", tickUs: 4000, segmentation: { by: "silence", gapUs: 3 }, seed: undefined };

  const text = wire.encodeMessage(message);

  assert.equal(text, '{"type":"open","tick_us":4000,"segmentation":{"by":"silence","gap_us":3}}');
  const back = wire.decodeMessage('{"type":"ack","applied":2,"durable":1,"credit_ticks":9,"new_one":1}');
  assert.deepEqual(back, { type: "ack", applied: 2, durable: 1, creditTicks: 9, newOne: 1 });
});

test("class names and other values are left as they are", () => {
  const opened = wire.decodeMessage('{"type":"opened","epoch":1,"next_sequence":1,"classes":["a_b"]}');

  assert.deepEqual(opened.classes, ["a_b"]);
});

test("a message of a newer type is passed over", () => {
  assert.equal(wire.decodeMessage('{"type":"weather"}'), undefined);
});

test("what is no server message is refused with what came", () => {
  assert.throws(() => wire.decodeMessage(new ArrayBuffer(3)), UnusableServer);
  assert.throws(() => wire.decodeMessage("{nope"), /\{nope came, which is no JSON/);
  assert.throws(() => wire.decodeMessage("[]"), /a message has a type/);
  assert.throws(() => wire.decodeMessage("null"), /a message has a type/);
  assert.throws(() => wire.decodeMessage('{"type":"ack","applied":1.5}'), /ack.applied is 1.5/);
});

test("an integer that JSON.parse would have rounded is refused", () => {
  const text = '{"type":"opened","epoch":9007199254740993,"next_sequence":1}';

  assert.throws(() => wire.decodeMessage(text), /opened.epoch is 9007199254740992/);
});

test("a token travels as a subprotocol in unpadded base64url", () => {
  assert.deepEqual(wire.subprotocols(), ["tclif.v1"]);
  // "ab" is "YWI=" in base64
  assert.deepEqual(wire.subprotocols("ab"), ["tclif.v1", "bearer.YWI"]);
  // U+07FF is df bf in UTF-8, and df bf 3f 3e is "378/Pg==" in base64
  assert.deepEqual(wire.subprotocols("\u07ff?>"), ["tclif.v1", "bearer.378_Pg"]);
});
