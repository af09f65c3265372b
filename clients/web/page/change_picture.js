/** The familiar picture of an event camera: what became brighter in one colour, darker in another. */

import { colour, onTheme } from "./theme.js";

/** What is left of a mark after each further picture. */
const FADE = 0.6;

export class ChangePicture {
  #canvas;
  #context;
  /** @type {Float32Array} 1 where a pixel just became brighter, -1 darker, towards 0 as it fades */
  #marks = new Float32Array(0);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    onTheme(() => this.#paint());
  }

  /** Begins with nothing to see. @param {number} width @param {number} height */
  begin(width, height) {
    Object.assign(this.#canvas, { width, height });
    this.#marks = new Float32Array(width * height);
  }

  /** @param {number[]} addresses Of one picture's events. */
  show(addresses) {
    const [marks, n] = [this.#marks, this.#marks.length];
    for (let i = 0; i < n; i += 1) marks[i] *= FADE;
    for (const address of addresses) marks[address % n] = address < n ? -1 : 1;
    this.#paint();
  }

  #paint() {
    const marks = this.#marks;
    const [ground, on, off] = ["plot", "on", "off"].map((name) => rgb(colour(name)));
    const image = this.#context.createImageData(this.#canvas.width, this.#canvas.height);
    for (let i = 0; i < marks.length; i += 1) {
      const [ink, share] = [marks[i] > 0 ? on : off, Math.abs(marks[i])];
      for (let part = 0; part < 3; part += 1) {
        image.data[4 * i + part] = ground[part] + share * (ink[part] - ground[part]);
      }
      image.data[4 * i + 3] = 255;
    }
    this.#context.putImageData(image, 0, 0);
  }
}

/** @param {string} hex As in `#0072b2`. */
const rgb = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
