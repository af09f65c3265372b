/** The camera, seen as an event camera would: its pictures become changes, and go no further. */

import { ChangeEvents } from "../change_events.js";
import { checkAllowed, refusal } from "./sensor_refusal.js";

/** Share of all pixels that speak in one picture at a full level. */
const FULL = 0.5;

/**
 * Starts to see.
 * @param {import("../change_events.js").ChangeSpec} spec
 * @param {(sensed: import("./lesson.js").Sensed) => void} onSensed
 * @param {(addresses: number[]) => void} onPicture Hears each picture's events, for showing them.
 * @returns {Promise<{close: () => void}>}
 * @throws {import("./sensor_refusal.js").NoSensor}
 */
export async function openCamera(spec, onSensed, onPicture) {
  checkAllowed("camera");
  const { width, height } = spec;
  const changes = new ChangeEvents(spec);
  const small = Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d", { willReadFrequently: true }));
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  /** @type {MediaStream | undefined} */
  let stream;
  const close = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  /** @type {number | undefined} */
  let beganMs;
  let lastUs = -1;

  /** @param {number} nowMs @param {VideoFrameCallbackMetadata} told */
  const see = (nowMs, { captureTime = nowMs }) => {
    beganMs ??= captureTime;
    const nowUs = Math.round((captureTime - beganMs) * 1000);
    // a picture that is shown twice is no news
    if (nowUs > lastUs) {
      lastUs = nowUs;
      context.drawImage(video, 0, 0, width, height);
      const events = changes.process(lumaOf(context.getImageData(0, 0, width, height).data), nowUs);
      const level = Math.min(1, events.addresses.length / (FULL * width * height));
      onSensed({ ...events, nowUs, level, atMs: Math.round(performance.timeOrigin + captureTime) });
      onPicture(events.addresses);
    }
    if (video.srcObject) video.requestVideoFrameCallback(see);
  };

  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 60 } },
    });
    video.srcObject = stream;
    video.requestVideoFrameCallback(see);
    await video.play();
    return { close };
  } catch (cause) {
    close();
    throw refusal(cause, "camera");
  }
}

/** The brightness of each pixel, 0 to 255. @param {Uint8ClampedArray} rgba */
function lumaOf(rgba) {
  const luma = new Float64Array(rgba.length / 4);
  for (let i = 0; i < luma.length; i += 1) {
    luma[i] = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
  }
  return luma;
}
