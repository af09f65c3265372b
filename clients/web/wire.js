/**
 * The bytes and texts of wire protocol v1: events frames, JSON messages, subprotocols.
 *
 * Everything is little-endian; times are integer microseconds of sensor time. Times and sequence
 * numbers are below 2^53, which is exactly what a JavaScript number holds.
 */

import { UnusableServer } from "./errors.js";
import { fromWireNames, toWireNames } from "./field_names.js";

/**
 * @typedef {{type: "opened", session: string, resumed: boolean, epoch: number, nextSequence: number,
 *   creditTicks: number, classes: string[], tickUs: number, seed: number, kernel: string,
 *   limits: Record<string, number>, server: string, openSegment?: number,
 *   openSegmentTUs?: number}} OpenedMessage
 * @typedef {{type: "prediction", segment: number, tick: number, tUs: number, index: number,
 *   label: string, confidence: number, probabilities?: number[], final: boolean,
 *   skipped: number}} PredictionMessage
 * @typedef {{type: "learned", segment?: number, fromUs?: number, toUs?: number, target: number,
 *   correct: boolean, loss?: number, prequentialAccuracy?: number,
 *   segmentsLabelled: number}} LearnedMessage
 * @typedef {{type: "ack", applied: number, durable: number, creditTicks: number}} AckMessage
 * @typedef {{type: "error", code: string, message: string, sequence?: number,
 *   fatal: boolean, retryAfterMs?: number}} ErrorMessage
 * @typedef {{type: "goodbye", reason: string, durable: number, retryAfterMs?: number}} GoodbyeMessage
 * @typedef {OpenedMessage | PredictionMessage | LearnedMessage | AckMessage | ErrorMessage |
 *   GoodbyeMessage} ServerMessage
 */

export const SUBPROTOCOL = "tclif.v1";
export const HEADER_BYTES = 24;
export const EVENT_BYTES = 8;
export const LARGEST_OFFSET_US = 2 ** 32 - 1;

const EVENTS_KIND = 1;
const COUNT_AT = 4;
const SEQUENCE_AT = 8;
const BASE_AT = 16;

/** The integers of each server message that we reckon with. */
const INTEGERS = {
  opened: ["epoch", "nextSequence"],
  prediction: ["segment"],
  learned: [],
  ack: ["applied", "durable"],
  error: [],
  goodbye: [],
};

/**
 * Returns a number that the wire can carry whole.
 * @param {unknown} value
 * @param {string} what Its name in the message of the error.
 * @param {number} [above] The first number too large.
 * @returns {number}
 */
export function wholeNumber(value, what, above = 2 ** 53) {
  const number = /** @type {number} */ (value);
  if (!Number.isSafeInteger(number) || number < 0 || number >= above) {
    throw new RangeError(`${what} is ${String(number)}, not an integer from 0 to ${above - 1}`);
  }
  return number;
}

/**
 * The events frame of some events; its sequence number is stamped later.
 *
 * A frame without events moves the clock to `baseUs`; of any other frame the base moves nothing.
 *
 * @param {number} baseUs
 * @param {ArrayLike<number>} offsetsUs Microseconds after the base, each below 2^32.
 * @param {ArrayLike<number>} addresses As many as there are offsets.
 * @returns {ArrayBuffer}
 */
export function encodeEvents(baseUs, offsetsUs, addresses) {
  if (offsetsUs.length !== addresses.length) {
    throw new RangeError(`${offsetsUs.length} times and ${addresses.length} addresses came`);
  }
  const count = offsetsUs.length;
  const frame = new ArrayBuffer(HEADER_BYTES + EVENT_BYTES * count);
  const view = new DataView(frame);
  view.setUint8(0, EVENTS_KIND);
  view.setUint32(COUNT_AT, count, true);
  view.setBigUint64(BASE_AT, BigInt(wholeNumber(baseUs, "base_us")), true);
  for (let i = 0, at = HEADER_BYTES; i < count; i += 1, at += EVENT_BYTES) {
    view.setUint32(at, wholeNumber(offsetsUs[i], `time ${i} less base_us`, 2 ** 32), true);
    view.setUint32(at + 4, wholeNumber(addresses[i], `address ${i}`, 2 ** 32), true);
  }
  return frame;
}

/**
 * Writes the sequence number into an events frame.
 * @param {ArrayBuffer} frame Written in place.
 * @param {number} sequence
 */
export function stampSequence(frame, sequence) {
  const number = BigInt(wholeNumber(sequence, "sequence"));
  new DataView(frame).setBigUint64(SEQUENCE_AT, number, true);
}

/**
 * Reads an events frame, as a server would.
 * @param {ArrayBuffer} frame
 */
export function decodeEvents(frame) {
  const view = new DataView(frame);
  const count = frame.byteLength < HEADER_BYTES ? -1 : view.getUint32(COUNT_AT, true);
  if (frame.byteLength !== HEADER_BYTES + EVENT_BYTES * count) {
    throw new RangeError(`${frame.byteLength} bytes came, which no events frame of ${count} has`);
  }
  if (view.getUint32(0, true) !== EVENTS_KIND) {
    throw new RangeError(`kind and reserved fields are ${view.getUint32(0, true)}, not ${EVENTS_KIND}`);
  }
  const offsetsUs = new Uint32Array(count);
  const addresses = new Uint32Array(count);
  for (let i = 0, at = HEADER_BYTES; i < count; i += 1, at += EVENT_BYTES) {
    offsetsUs[i] = view.getUint32(at, true);
    addresses[i] = view.getUint32(at + 4, true);
  }
  const sequence = wholeNumber(Number(view.getBigUint64(SEQUENCE_AT, true)), "sequence");
  const baseUs = wholeNumber(Number(view.getBigUint64(BASE_AT, true)), "base_us");
  return { sequence, baseUs, offsetsUs, addresses };
}

/**
 * The text of a client message.
 * @param {object} message In JavaScript's field names.
 */
export const encodeMessage = (message) => JSON.stringify(toWireNames(message));

/**
 * Reads a server message.
 * @param {unknown} data What the WebSocket delivered.
 * @returns {ServerMessage | undefined} In JavaScript's field names; undefined if its type is newer
 *   than this client.
 * @throws {UnusableServer} It is not one.
 */
export function decodeMessage(data) {
  if (typeof data !== "string") {
    throw new UnusableServer("a binary message came, the server's messages are JSON texts");
  }
  let message;
  try {
    message = fromWireNames(JSON.parse(data));
  } catch (cause) {
    throw new UnusableServer(`${data.slice(0, 80)} came, which is no JSON`, { cause });
  }
  if (typeof message?.type !== "string") {
    throw new UnusableServer(`${data.slice(0, 80)} came, a message has a type`);
  }
  if (!Object.hasOwn(INTEGERS, message.type)) return undefined;
  for (const field of INTEGERS[/** @type {keyof typeof INTEGERS} */ (message.type)]) {
    // a larger one would have been rounded by JSON.parse: better to stop than to reckon with it
    if (!Number.isSafeInteger(message[field])) {
      throw new UnusableServer(
        `${message.type}.${field} is ${String(message[field])}, not an integer below 2^53`,
      );
    }
  }
  return message;
}

/**
 * The subprotocols to offer. A browser cannot send an Authorization header, hence the second.
 * @param {string} [token]
 * @returns {string[]}
 */
export function subprotocols(token) {
  if (token === undefined) return [SUBPROTOCOL];
  const bytes = new TextEncoder().encode(token);
  const base64 = btoa(String.fromCharCode(...bytes));
  const base64url = base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return [SUBPROTOCOL, `bearer.${base64url}`];
}
