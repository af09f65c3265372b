/** The microphone, heard through the cochlea. */

import { SAMPLE_RATE } from "../cochlea_design.js";

/**
 * @typedef {object} Heard
 * @property {number[]} timesUs From the microphone's start, never falling.
 * @property {number[]} channels
 * @property {number} nowUs How far it has heard.
 * @property {number} loudest Largest sample of the piece, 0 to 1.
 */

/** Why there is no sound, in words. */
export class NoMicrophone extends Error {}

/** @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "The browser was not allowed to use the microphone. Allow it beside the address, then start again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "Another program holds the microphone.",
  NotSupportedError: "This browser can't give sound at 16 kHz; one built on Chromium can.",
};

/**
 * Starts to hear.
 * @param {(heard: Heard) => void} onHeard
 * @returns {Promise<{close: () => void}>}
 * @throws {NoMicrophone}
 */
export async function openMicrophone(onHeard) {
  if (!navigator.mediaDevices) {
    throw new NoMicrophone("Browsers give the microphone to https pages and to this machine's own only.");
  }
  // the cochlea has a gain of its own, and learns from what the room really sounds like
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  /** @type {MediaStream | undefined} */
  let stream;
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
  const close = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    if (context.state !== "closed") void context.close();
  };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
    await context.audioWorklet.addModule(new URL("./hearing_worklet.js", import.meta.url));
    const hearing = new AudioWorkletNode(context, "hearing", { numberOfOutputs: 0 });
    hearing.port.onmessage = ({ data }) => onHeard(data);
    context.createMediaStreamSource(stream).connect(hearing);
    await context.resume();
    return { close };
  } catch (cause) {
    close();
    const { name, message } = /** @type {Error} */ (cause);
    throw new NoMicrophone(REASONS[name] ?? message, { cause });
  }
}
