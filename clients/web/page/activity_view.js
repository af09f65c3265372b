/** What goes on inside a session: input and hidden rasters and class probabilities, tick by tick. */

import { RecentGlimpses } from "./recent_glimpses.js";
import { Strip } from "./strip.js";
import { colour, onTheme } from "./theme.js";

/**
 * @typedef {{from_tick: number, n_ticks: number, ticks: number[], channels: number[],
 *   neurons: number[][], probabilities: number[]}} Glimpse
 * @typedef {{inputs: number, hidden: number[], classes: string[]}} Network
 * @typedef {{network: Network | null, glimpses: Glimpse[], forgotten: number}} Look
 */

/** What each picture is for, while there is none. */
const PURPOSES = {
  input: "what a sensor sends, channel by channel",
  hidden: "which neurons spike",
  probabilities: "what the network believes, class by class",
};

/** @param {string} id */
const canvas = (id) => /** @type {HTMLCanvasElement} */ (document.getElementById(id));

export class ActivityView {
  #input = new Strip(canvas("input"));
  #hidden = new Strip(canvas("hidden"));
  #probabilities = new Strip(canvas("probabilities"));
  #strips = [this.#input, this.#hidden, this.#probabilities];
  #names = /** @type {HTMLElement} */ (document.getElementById("class-names"));
  #recent = new RecentGlimpses();
  /** @type {Network | undefined} */
  #network;
  #shown = "";
  #missed = 0;

  constructor() {
    this.clear();
    onTheme(() => this.#redraw());
    // another size empties a canvas
    const sizes = new ResizeObserver(() => this.#redraw());
    for (const part of Object.keys(PURPOSES)) sizes.observe(canvas(part));
  }

  /** Shows nothing, as of a session that was just chosen. */
  clear() {
    for (const strip of this.#strips) strip.clear();
    this.#recent.clear();
    this.#network = undefined;
    this.#missed = 0;
    this.#shown = "";
    this.#names.replaceChildren();
    for (const [part, purpose] of Object.entries(PURPOSES)) caption(part, purpose);
  }

  /** @param {Look} look */
  show({ network, glimpses, forgotten }) {
    if (!network) return;
    this.#network = network;
    this.#missed += forgotten;
    this.#label(network);
    const inks = this.#inks();
    for (const seen of glimpses) {
      this.#recent.add(seen);
      for (const strip of this.#strips) strip.pass(seen.n_ticks);
      this.#draw(seen, 0, network, inks);
    }
  }

  /** Draws all that is kept in the theme's colours of now. */
  #redraw() {
    for (const strip of this.#strips) strip.clear();
    if (!this.#network) return;
    const inks = this.#inks();
    let age = this.#recent.nTicks;
    for (const seen of this.#recent) {
      age -= seen.n_ticks;
      this.#draw(seen, age, this.#network, inks);
    }
  }

  #inks() {
    const [spike, heat, line, ...layers] = ["spike", "heat", "line", "layer0", "layer1"].map(colour);
    return { spike, heat, line, layers };
  }

  /**
   * @param {Glimpse} seen
   * @param {number} age Ticks since its last one.
   * @param {Network} network
   * @param {{spike: string, heat: string, line: string, layers: string[]}} inks
   */
  #draw(seen, age, network, { spike, heat, line, layers }) {
    const n = seen.probabilities.length;
    seen.probabilities.forEach((share, i) => {
      this.#probabilities.mark(age, i / n, (i + 1) / n, heat, seen.n_ticks, share);
    });
    const first = age + seen.n_ticks - 1;
    if (seen.from_tick === 0) for (const strip of this.#strips) strip.mark(first, 0, 1, line);
    seen.channels.forEach((channel, i) => {
      const [from, to] = [channel / network.inputs, (channel + 1) / network.inputs];
      this.#input.mark(first - seen.ticks[i], from, to, spike);
    });
    this.#drawHidden(seen, age, network.hidden, layers);
  }

  /**
   * @param {Glimpse} seen
   * @param {number} age
   * @param {number[]} sizes
   * @param {string[]} colours
   */
  #drawHidden(seen, age, sizes, colours) {
    const all = sizes.reduce((sum, size) => sum + size, 0);
    let before = 0;
    seen.neurons.forEach((neurons, layer) => {
      for (const neuron of neurons) {
        const at = before + neuron;
        this.#hidden.mark(age, at / all, (at + 1) / all, colours[layer % 2], seen.n_ticks);
      }
      before += sizes[layer];
    });
  }

  /** @param {Network} network */
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
