/** From events with absolute times to frames that the server accepts. */

import { EVENT_BYTES, HEADER_BYTES, LARGEST_OFFSET_US, encodeEvents, wholeNumber } from "./wire.js";

/**
 * @typedef {{kind: string, channels?: number, width?: number, height?: number, polarities?: number,
 *   addresses?: number}} Sensor
 */

/**
 * How many addresses a sensor has on the wire; undefined where the request does not tell.
 * @param {Sensor | undefined} sensor
 * @returns {number | undefined}
 */
export function countAddresses(sensor) {
  if (sensor?.kind === "dvs") {
    const { width, height, polarities } = sensor;
    return width && height && polarities ? width * height * polarities : undefined;
  }
  return sensor?.channels ?? sensor?.addresses;
}

/**
 * A frame without events, which moves the clock.
 * @param {number} tUs
 */
export const clockFrame = (tUs) => encodeEvents(tUs, [], []);

/**
 * Refuses events that no frame can hold, before anything is sent.
 * @param {ArrayLike<number>} timesUs
 * @param {ArrayLike<number>} addresses
 * @param {number} [nAddresses] Of the sensor, where known: an address outside is fatal, so it is
 *   refused here.
 */
export function checkEvents(timesUs, addresses, nAddresses = 2 ** 32) {
  if (addresses.length !== timesUs.length) {
    throw new RangeError(`${timesUs.length} times and ${addresses.length} addresses came`);
  }
  for (let i = 0; i < timesUs.length; i += 1) {
    wholeNumber(timesUs[i], `time ${i}`);
    wholeNumber(addresses[i], `address ${i}`, nAddresses);
  }
}

/**
 * Encodes events, in as many frames as the server's limits need, with frames that only move the clock
 * between events far apart.
 *
 * Within a frame the order of events is free. Between frames it is not (a later frame's early events
 * are late), so events that need several frames are sorted by time first.
 *
 * @param {ArrayLike<number>} timesUs Sensor time of each event, below 2^53.
 * @param {ArrayLike<number>} addresses
 * @param {number} maxMessageBytes Largest frame.
 * @param {import("./sensor_clock.js").SensorClock} clock Is moved as the frames will move it.
 * @param {number} [nAddresses] As of `checkEvents`.
 * @returns {ArrayBuffer[]} None for no events: a frame without any would move the clock.
 */
export function eventFrames(timesUs, addresses, maxMessageBytes, clock, nAddresses) {
  checkEvents(timesUs, addresses, nAddresses);
  const count = timesUs.length;
  let [least, greatest, isSorted] = [Infinity, -Infinity, true];
  for (let i = 0; i < count; i += 1) {
    const time = timesUs[i];
    if (time < greatest) isSorted = false;
    least = Math.min(least, time);
    greatest = Math.max(greatest, time);
  }
  const maxEvents = Math.max(1, Math.floor((maxMessageBytes - HEADER_BYTES) / EVENT_BYTES));
  const isNear = greatest - least <= LARGEST_OFFSET_US && greatest <= clock.reachUs(least);
  const isOneFrame = count <= maxEvents && isNear;
  const order = Array.from({ length: count }, (_, i) => i);
  if (!isSorted && !isOneFrame) order.sort((a, b) => timesUs[a] - timesUs[b]);

  const frames = [];
  for (let begin = 0, end; begin < count; begin = end) {
    const baseUs = isOneFrame ? least : timesUs[order[begin]];
    frames.push(...clock.approach(baseUs).map(clockFrame));
    const lastUs = Math.min(baseUs + LARGEST_OFFSET_US, clock.reachUs(baseUs));
    end = begin;
    while (end < count && end - begin < maxEvents && timesUs[order[end]] <= lastUs) end += 1;
    clock.moveByEvents(isOneFrame ? greatest : timesUs[order[end - 1]]);
    const chosen = order.slice(begin, end);
    const offsetsUs = chosen.map((i) => timesUs[i] - baseUs);
    frames.push(encodeEvents(baseUs, offsetsUs, chosen.map((i) => addresses[i])));
  }
  return frames;
}
