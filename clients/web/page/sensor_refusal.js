/** Why there is no microphone or camera, in words. */

export class NoSensor extends Error {}

/** Whether the browser gives sensors to this page at all. @param {string} device */
export function checkAllowed(device) {
  if (navigator.mediaDevices) return;
  throw new NoSensor(`Browsers give the ${device} to https pages and to this machine's own only.`);
}

/**
 * @param {unknown} cause
 * @param {string} device What it is called in a sentence.
 * @returns {NoSensor}
 */
export function refusal(cause, device) {
  const { name, message } = /** @type {Error} */ (cause);
  /** @type {Record<string, string>} */
  const reasons = {
    NotAllowedError: `The browser was not allowed to use the ${device}. Allow it beside the address, then start again.`,
    NotFoundError: `No ${device} was found.`,
    NotReadableError: `Another program holds the ${device}.`,
    NotSupportedError: "This browser can't give sound at 16 kHz; one built on Chromium can.",
  };
  return new NoSensor(reasons[name] ?? message, { cause });
}
