/** The controls of teaching: what a person asks for, by pointer or key, and what they are told. */

import { SENSORS } from "./sensors.js";

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** Where the name of the last session of a kind of sensor is kept. @param {string} kind */
const nameKey = (kind) => `tclif.session.${kind}`;

/** What is fixed while a session runs. */
const BEFORE = ["start", "session", "classes", "model", "cochlea", "dvs", "width", "threshold", "refractory"];
const DURING = ["record", "learn", "download", "new", "add"];

/** @param {string} text */
const listed = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

/**
 * @typedef {object} Asked
 * @property {() => void} start
 * @property {() => void} stop
 * @property {() => void} begin
 * @property {() => void} end
 * @property {(name: string) => void} label
 * @property {(names: string[]) => void} add
 * @property {() => void} undo
 * @property {() => void} switch
 * @property {() => void} download
 */

export class TeachPanel {
  #on;
  /** @type {"off" | "opening" | "on"} whether a session runs */
  #state = "off";
  /** @type {any[]} */
  #models = [];

  /** @param {Asked} on What happens when something is asked for. */
  constructor(on) {
    this.#on = on;
    for (const name of /** @type {const} */ (["start", "stop", "undo", "download"])) {
      byId(`teach-${name}`).addEventListener("click", on[name]);
    }
    byId("teach-learn").addEventListener("change", on.switch);
    byId("teach-add").addEventListener("click", () => this.#add());
    byId("teach-new").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && this.#add());
    for (const kind of Object.keys(SENSORS)) byId(`teach-${kind}`).addEventListener("change", () => this.#sense());
    byId("teach-model").addEventListener("change", () => this.#preview());
    byId("teach-classes").addEventListener("input", () => this.#preview());
    byId("teach").addEventListener("click", (/** @type {MouseEvent} */ event) => this.#clicked(event));
    const record = byId("teach-record");
    record.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      record.setPointerCapture(event.pointerId);
      on.begin();
    });
    for (const end of ["pointerup", "pointercancel"]) record.addEventListener(end, on.end);
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keyup", (event) => event.key === " " && on.end());
    addEventListener("blur", on.end);
    this.#sense();
  }

  /** What was filled in. */
  get asked() {
    return {
      kind: this.#kind,
      session: byId("teach-session").value.trim(),
      model: byId("teach-model").value,
      classes: listed(byId("teach-classes").value),
      width: Number(byId("teach-width").value),
      camera: {
        threshold: Number(byId("teach-threshold").value),
        refractoryUs: 1000 * Number(byId("teach-refractory").value),
      },
    };
  }

  /** @param {any[]} models All that the server has. */
  offerModels(models) {
    this.#models = models;
    const fitting = models.filter((model) => model.inputs === SENSORS[this.#kind].inputs);
    const place = byId("teach-model");
    const before = place.value;
    const options = fitting.map(({ name, classes }) => new Option(`${name}: ${classes.length} classes, trained`, name));
    place.replaceChildren(new Option("random weights", ""), ...options);
    if (fitting.some(({ name }) => name === before)) place.value = before;
    if (this.#state === "off") this.#preview();
  }

  /** @param {string} session */
  remember(session) {
    localStorage.setItem(nameKey(this.#kind), session);
  }

  /** A button for each class; the first nine have a key. @param {string[]} classes */
  offer(classes) {
    const buttons = classes.map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.disabled = true;
      button.append(name);
      if (i < 9) {
        button.dataset.key = String(i + 1);
        button.prepend(Object.assign(document.createElement("kbd"), { textContent: i + 1 }), " ");
      }
      button.addEventListener("click", () => {
        this.#on.label(name);
        this.#toRecord();
      });
      return button;
    });
    byId("teach-labels").replaceChildren(...buttons);
  }

  /** @param {boolean} isOpen */
  offerLabels(isOpen) {
    for (const button of byId("teach-labels").children) button.disabled = !isOpen;
  }

  /** @param {boolean} isPossible */
  offerUndo(isPossible) {
    const undo = byId("teach-undo");
    // a button that can't be pressed any more would lose the focus to nothing
    if (!isPossible && document.activeElement === undo) this.#toRecord();
    undo.disabled = !isPossible;
  }

  /** @param {"off" | "opening" | "on"} state Whether a session runs. */
  turn(state) {
    this.#state = state;
    for (const name of DURING) byId(`teach-${name}`).disabled = state !== "on";
    for (const name of BEFORE) byId(`teach-${name}`).disabled = state !== "off";
    byId("teach-stop").disabled = state === "off";
    this.offerUndo(false);
    if (state === "on") {
      this.#toRecord();
      return;
    }
    byId("teach-record").classList.remove("recording");
    this.offerLabels(false);
    if (state === "off") this.#fixWords();
  }

  /** @param {number} level 0 to 1. */
  showLevel(level) {
    byId("teach-level").value = level;
  }

  /**
   * @param {number | undefined} median Milliseconds.
   * @param {number | undefined} high Of a twentieth of all pieces.
   */
  showLag(median, high) {
    if (median === undefined || high === undefined) return;
    byId("teach-lag").textContent = `${Math.round(median)} ms, p95 ${Math.round(high)} ms`;
  }

  /** @param {string} text @param {boolean} [isBad] */
  say(text, isBad = false) {
    byId("teach-status").textContent = text;
    byId("teach-status").classList.toggle("bad", isBad);
  }

  get #kind() {
    return byId("teach-dvs").checked ? "dvs" : "cochlea";
  }

  /** Shows what belongs to the chosen kind of sensor. */
  #sense() {
    const { device, session, classes } = SENSORS[this.#kind];
    const isCamera = this.#kind === "dvs";
    byId("teach-start").textContent = `Start the ${device}`;
    byId("teach-session").value = localStorage.getItem(nameKey(this.#kind)) ?? session;
    byId("teach-classes").value = classes;
    byId("camera-settings").hidden = byId("camera-view").hidden = !isCamera;
    byId("teach-perceives").textContent = isCamera ? "It sees" : "It hears";
    byId("teach-guess").textContent = byId("teach-lag").textContent = "–";
    this.offerModels(this.#models);
  }

  /** The answers that there will be, before anything is started. */
  #preview() {
    this.#fixWords();
    const chosen = this.#models.find(({ name }) => name === byId("teach-model").value);
    this.offer(chosen?.classes ?? listed(byId("teach-classes").value));
  }

  /** A model brings its words. */
  #fixWords() {
    byId("teach-classes").disabled = byId("teach-model").value !== "";
  }

  #toRecord() {
    byId("teach-record").focus({ preventScroll: true });
  }

  /** What was clicked gives the space bar back to the recording. @param {MouseEvent} event */
  #clicked({ target, detail }) {
    const isPressed = /** @type {HTMLElement} */ (target).closest("button, input[type=checkbox]");
    if (this.#state === "on" && detail > 0 && isPressed) this.#toRecord();
  }

  #add() {
    const place = byId("teach-new");
    this.#on.add(listed(place.value));
    place.value = "";
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target instanceof HTMLInputElement && ["text", "number"].includes(target.type);
    if (this.#state !== "on" || isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    // a focused control keeps its space bar; the recording button is meant by it anyway
    const isOther = target.closest("button, input, select, a") && target.id !== "teach-record";
    if (event.key === " " && !isOther) {
      event.preventDefault();
      this.#on.begin();
    }
    const button = /** @type {any} */ (document.querySelector(`[data-key="${CSS.escape(event.key)}"]`));
    if (button) button.click();
  }
}
