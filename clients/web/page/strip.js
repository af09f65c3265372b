/**
 * A picture that moves to the left as ticks pass: what is new is drawn at its right edge.
 *
 * It remembers nothing but pixels and how many ticks have passed, so its cost does not depend on how much
 * it shows; what is to be drawn anew after `clear` is marked again, by its age.
 */

/** Ticks that a CSS pixel is wide: two seconds at 4 ms are 250 pixels. */
const TICKS_PER_PIXEL = 2;

/**
 * Gives a canvas as many pixels as the screen has for it.
 * @param {HTMLCanvasElement} canvas
 * @returns {boolean} Whether that changed it, and so emptied it.
 */
export function fit(canvas) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map(Math.round);
  if (canvas.width === width && canvas.height === height) return false;
  Object.assign(canvas, { width, height });
  return true;
}

export class Strip {
  #canvas;
  #context;
  /** Ticks that have passed, of which whole pixels are drawn. */
  #ticks = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /** Shows nothing any more, as large as the screen has room. */
  clear() {
    fit(this.#canvas);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * Lets ticks pass.
   * @param {number} nTicks
   */
  pass(nTicks) {
    const { width, height } = this.#canvas;
    const before = this.#column(this.#ticks);
    this.#ticks += nTicks;
    const shift = this.#column(this.#ticks) - before;
    if (shift > 0) {
      this.#context.globalCompositeOperation = "copy";
      this.#context.drawImage(this.#canvas, -shift, 0);
      this.#context.globalCompositeOperation = "source-over";
      this.#context.clearRect(width - shift, 0, shift, height);
    }
  }

  /**
   * Draws a mark; one that is not opaque replaces what was there, as columns that meet may share a pixel.
   * @param {number} ticksAgo Before the last tick that passed.
   * @param {number} from Its upper edge, as a share of the height.
   * @param {number} to Its lower edge.
   * @param {string} fill
   * @param {number} [nTicks] How many ticks wide.
   * @param {number} [alpha]
   */
  mark(ticksAgo, from, to, fill, nTicks = 1, alpha = 1) {
    const { width, height } = this.#canvas;
    const [now, last] = [this.#ticks, this.#ticks - ticksAgo];
    const right = width - this.#column(now) + this.#column(last);
    // whole pixels, or a channel that is thinner than one is a blur over two
    const least = Math.max(1, Math.round(devicePixelRatio));
    const top = Math.round(from * height);
    const wide = Math.max(least, this.#column(last) - this.#column(last - nTicks));
    const high = Math.max(least, Math.round(to * height) - top);
    if (alpha < 1) this.#context.clearRect(right - wide, top, wide, high);
    this.#context.globalAlpha = alpha;
    this.#context.fillStyle = fill;
    this.#context.fillRect(right - wide, top, wide, high);
    this.#context.globalAlpha = 1;
  }

  /** @param {number} tick */
  #column(tick) {
    return Math.floor((tick * devicePixelRatio) / TICKS_PER_PIXEL);
  }
}
