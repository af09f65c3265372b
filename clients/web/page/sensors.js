/** What the page can sense with, and what a session is told of it. */

import { openCamera } from "./camera.js";
import { openMicrophone } from "./microphone.js";

/** Inputs of the network after pooling: 32 x 24 pixels of two polarities, whatever the resolution. */
const POOLED_WIDTH = 32;

/**
 * @typedef {object} SensorKind
 * @property {string} device What it is called in a sentence.
 * @property {string} session The name that a session is offered.
 * @property {string} classes The words that are offered.
 * @property {string} act What a person does while recording.
 * @property {number} inputs Of the network.
 * @property {number} tickUs
 * @property {number} everyTicks Ticks from one prediction to the next: 20 ms.
 */

/** @type {Record<string, SensorKind>} */
export const SENSORS = {
  cochlea: {
    device: "microphone", session: "my-voice", classes: "yes, no, stop", act: "say something",
    inputs: 700, tickUs: 4000, everyTicks: 5,
  },
  dvs: {
    device: "camera", session: "my-gestures", classes: "left, right", act: "make a gesture",
    inputs: 1536, tickUs: 10_000, everyTicks: 2,
  },
};

/**
 * How a session is told of a sensor.
 * @param {string} kind
 * @param {number} width Of the camera's picture, a multiple of 32; its height is three quarters.
 */
export function sensorField(kind, width) {
  if (kind === "cochlea") return { kind, channels: SENSORS.cochlea.inputs };
  return { kind, width, height: (width * 3) / 4, polarities: 2, pool: width / POOLED_WIDTH };
}

/**
 * Starts to sense.
 * @param {Record<string, any>} sensor As a session is told of it.
 * @param {{threshold: number, refractoryUs: number}} settings Of a camera.
 * @param {(sensed: import("./lesson.js").Sensed) => void} onSensed
 * @param {import("./change_picture.js").ChangePicture} picture
 */
export function openSensor(sensor, settings, onSensed, picture) {
  if (sensor.kind === "cochlea") return openMicrophone(onSensed);
  const { width, height } = sensor;
  picture.begin(width, height);
  return openCamera({ width, height, ...settings }, onSensed, (addresses) => picture.show(addresses));
}
