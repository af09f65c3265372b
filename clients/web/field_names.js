/**
 * Field names: camelCase in JavaScript, words_with_underscores on the wire.
 *
 * The two are one-to-one for every name of the protocol, so that new fields need no table here.
 */

/** @param {string} name */
const toWire = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @param {string} name */
const fromWire = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/**
 * @param {unknown} value
 * @param {(name: string) => string} rename
 * @returns {any}
 */
function renamed(value, rename) {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (value === null || typeof value !== "object") return value;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(fields.map(([name, item]) => [rename(name), renamed(item, rename)]));
}

/**
 * A message with the wire's field names, at every depth; fields that are undefined are left out.
 * @param {object} message
 */
export const toWireNames = (message) => renamed(message, toWire);

/**
 * A message with JavaScript's field names, at every depth.
 * @param {object} message
 */
export const fromWireNames = (message) => renamed(message, fromWire);
