/** The microphone, heard through the cochlea. */

import { SAMPLE_RATE } from "../cochlea_design.js";
import { checkAllowed, refusal } from "./sensor_refusal.js";
import { Problem } from "./server.js";

/**
 * Starts to hear.
 * @param {(sensed: import("./lesson.js").Sensed) => void} onSensed
 * @returns {Promise<{close: () => void}>}
 * @throws {import("./sensor_refusal.js").NoSensor}
 * @throws {Problem} The server did not give the cochlea.
 */
export async function openMicrophone(onSensed) {
  checkAllowed("microphone");
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
    await context.audioWorklet.addModule(new URL("./hearing_worklet.js", import.meta.url)).catch((cause) => {
      throw new Problem(0, "gone", String(cause));
    });
    const hearing = new AudioWorkletNode(context, "hearing", { numberOfOutputs: 0 });
    hearing.port.onmessage = ({ data }) => onSensed(data);
    context.createMediaStreamSource(stream).connect(hearing);
    await context.resume();
    return { close };
  } catch (cause) {
    close();
    throw cause instanceof Problem ? cause : refusal(cause, "microphone");
  }
}
