/**
 * A picture that moves to the left as ticks pass: what is new is drawn at its right edge.
 *
 * Nothing but pixels is remembered, so its cost does not depend on how much it shows.
 */

/** Ticks that a CSS pixel is wide: two seconds at 4 ms are 250 pixels. */
const TICKS_PER_PIXEL = 2;

/** The colour of a variable of the style sheet. @param {string} name */
export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

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

  /** Forgets all that it shows. */
  clear() {
    fit(this.#canvas);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * Lets ticks pass.
   * @param {number} nTicks
   * @param {boolean} isBegin Whether a segment begins with them: a line shows where.
   */
  pass(nTicks, isBegin) {
    fit(this.#canvas);
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
    if (isBegin) this.mark(nTicks - 1, 0, 1, colour("line"));
  }

  /**
   * Draws a mark.
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
    const wide = Math.max(devicePixelRatio, this.#column(last) - this.#column(last - nTicks));
    const high = Math.max(devicePixelRatio, (to - from) * height);
    this.#context.globalAlpha = alpha;
    this.#context.fillStyle = fill;
    this.#context.fillRect(right - wide, from * height, wide, high);
    this.#context.globalAlpha = 1;
  }

  /** @param {number} tick */
  #column(tick) {
    return Math.floor((tick * devicePixelRatio) / TICKS_PER_PIXEL);
  }
}
