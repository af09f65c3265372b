/** What goes on inside a session: input and hidden rasters and class probabilities, tick by tick. */

import { Strip, colour } from "./strip.js";

/**
 * @typedef {{from_tick: number, n_ticks: number, ticks: number[], channels: number[],
 *   neurons: number[][], probabilities: number[]}} Glimpse
 * @typedef {{network: {inputs: number, hidden: number[], classes: string[]} | null,
 *   glimpses: Glimpse[], forgotten: number}} Look
 */

/** @param {string} id */
const canvas = (id) => /** @type {HTMLCanvasElement} */ (document.getElementById(id));

export class ActivityView {
  #input = new Strip(canvas("input"));
  #hidden = new Strip(canvas("hidden"));
  #probabilities = new Strip(canvas("probabilities"));
  #names = /** @type {HTMLElement} */ (document.getElementById("class-names"));
  #shown = "";
  #missed = 0;

  /** Shows nothing, as of a session that was just chosen. */
  clear() {
    for (const strip of [this.#input, this.#hidden, this.#probabilities]) strip.clear();
    this.#missed = 0;
    this.#shown = "";
    this.#names.replaceChildren();
    for (const part of ["input", "hidden", "probabilities"]) caption(part, "");
  }

  /** @param {Look} look */
  show({ network, glimpses, forgotten }) {
    if (!network) return;
    this.#missed += forgotten;
    this.#label(network);
    const spike = colour("spike");
    const layers = [colour("layer0"), colour("layer1")];
    const heat = colour("heat");
    for (const seen of glimpses) {
      const isBegin = seen.from_tick === 0;
      for (const strip of [this.#input, this.#hidden, this.#probabilities]) {
        strip.pass(seen.n_ticks, isBegin);
      }
      seen.channels.forEach((channel, i) => {
        const ago = seen.n_ticks - 1 - seen.ticks[i];
        this.#input.mark(ago, channel / network.inputs, (channel + 1) / network.inputs, spike);
      });
      this.#drawHidden(seen, network.hidden, layers);
      const n = seen.probabilities.length;
      seen.probabilities.forEach((share, i) => {
        this.#probabilities.mark(0, i / n, (i + 1) / n, heat, seen.n_ticks, share);
      });
    }
  }

  /**
   * @param {Glimpse} seen
   * @param {number[]} sizes
   * @param {string[]} colours
   */
  #drawHidden(seen, sizes, colours) {
    const all = sizes.reduce((sum, size) => sum + size, 0);
    let before = 0;
    seen.neurons.forEach((neurons, layer) => {
      for (const neuron of neurons) {
        const at = before + neuron;
        this.#hidden.mark(0, at / all, (at + 1) / all, colours[layer % 2], seen.n_ticks);
      }
      before += sizes[layer];
    });
  }

  /** @param {{inputs: number, hidden: number[], classes: string[]}} network */
  #label({ inputs, hidden, classes }) {
    const missed = this.#missed ? `, ${this.#missed} pieces missed: this page is too slow` : "";
    caption("input", `${inputs} channels, the first at the top${missed}`);
    caption("hidden", `${hidden.join(" and ")} neurons, one tick of each piece that arrived`);
    caption("probabilities", "the stronger the colour, the likelier");
    const wanted = JSON.stringify(classes);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    // more names than lines of text would lie over each other
    const shown = classes.length <= 12 ? classes : [];
    this.#names.replaceChildren(
      ...shown.map((name) => Object.assign(document.createElement("li"), { textContent: name })),
    );
  }
}

/**
 * @param {string} part
 * @param {string} text
 */
function caption(part, text) {
  const place = /** @type {HTMLElement} */ (document.querySelector(`[data-caption=${part}]`));
  if (place.textContent !== text) place.textContent = text;
}
