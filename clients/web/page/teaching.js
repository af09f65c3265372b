/** Teaching by voice: the controls, what the network says, and what a person answers. */

import { SessionClient } from "../index.js";
import { Lesson } from "./lesson.js";
import { NoMicrophone, openMicrophone } from "./microphone.js";
import { percent } from "./numbers.js";
import { explained } from "./server.js";

const CHANNELS = 700;
const NAME_KEY = "tclif.session";

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

export class Teaching {
  #server;
  #onStart;
  /** @type {SessionClient | undefined} */
  #client;
  /** @type {{close: () => void} | undefined} */
  #microphone;
  /** @type {Lesson | undefined} */
  #lesson;
  #session = "";
  #endedMs = 0;

  /**
   * @param {import("./server.js").Server} server
   * @param {(session: string) => void} onStart Hears which session it is.
   */
  constructor(server, onStart) {
    this.#server = server;
    this.#onStart = onStart;
    byId("voice-session").value = localStorage.getItem(NAME_KEY) ?? "my-voice";
    byId("voice-start").addEventListener("click", () => void this.#start());
    byId("voice-stop").addEventListener("click", () => void this.#stop());
    byId("voice-undo").addEventListener("click", () => void this.#try(() => this.#undo()));
    byId("voice-learn").addEventListener("change", () => void this.#try(() => this.#switch()));
    byId("voice-download").addEventListener("click", () => void this.#try(() => this.#download()));
    const record = byId("voice-record");
    record.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      record.setPointerCapture(event.pointerId);
      void this.#try(() => this.#begin());
    });
    for (const end of ["pointerup", "pointercancel"]) record.addEventListener(end, () => void this.#try(() => this.#end()));
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keyup", (event) => event.key === " " && void this.#try(() => this.#end()));
    addEventListener("blur", () => void this.#try(() => this.#end()));
  }

  /** Lists the models that a voice can begin with; called once the server answers. */
  async offerModels() {
    const { models } = await this.#server.get("/v1/models");
    const fitting = models.filter((/** @type {any} */ model) => model.inputs === CHANNELS);
    const options = fitting.map((/** @type {any} */ { name }) => new Option(name, name));
    byId("voice-model").replaceChildren(new Option("random weights", ""), ...options);
  }

  async #start() {
    this.#say("Waiting for the microphone …");
    byId("voice-start").disabled = true;
    try {
      this.#microphone = await openMicrophone((heard) => this.#hear(heard));
      await this.#connect();
    } catch (error) {
      this.#microphone?.close();
      this.#say(error instanceof NoMicrophone ? error.message : sessionProblem(error), true);
      byId("voice-start").disabled = false;
    }
  }

  async #connect() {
    const session = byId("voice-session").value.trim();
    const model = byId("voice-model").value;
    const names = byId("voice-classes").value.split(",").map((/** @type {string} */ name) => name.trim());
    const classes = names.filter(Boolean);
    const network = model ? undefined : { hidden: [128, 128], classes };
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const client = await SessionClient.connect(
      `${scheme}://${location.host}/v1/stream`,
      { session, model: model || undefined, network, sensor: { kind: "cochlea", channels: CHANNELS }, report: { everyTicks: 25 } },
      { token: this.#server.token, onState: (state) => this.#state(state) },
    );
    localStorage.setItem(NAME_KEY, session);
    this.#session = session;
    this.#client = client;
    this.#lesson = new Lesson(client, this.#server, session, Date.now());
    this.#offer(client.opened?.classes ?? classes);
    this.#enable(true);
    this.#say("Hold the button, or the space bar, and say something.");
    this.#onStart(session);
    void this.#readPredictions(client);
    void this.#readLessons(client);
    void this.#readRefusals(client);
    client.ended.then(() => {}, (error) => this.#lose(sessionProblem(error)));
  }

  async #stop() {
    await this.#try(() => this.#end());
    const client = this.#client;
    this.#lose("Stopped. The session stays on the server; the same name goes on with it.", false);
    await client?.close();
  }

  /** @param {string} reason @param {boolean} isBad */
  #lose(reason, isBad = true) {
    this.#microphone?.close();
    this.#microphone = this.#client = this.#lesson = undefined;
    this.#enable(false);
    this.#say(reason, isBad);
  }

  /** @param {import("./microphone.js").Heard} heard */
  #hear(heard) {
    byId("voice-level").value = Math.sqrt(heard.loudest);
    void this.#try(async () => this.#lesson?.hear(heard));
  }

  async #begin() {
    if (!this.#lesson || this.#lesson.isRecording) return;
    byId("voice-record").classList.add("recording");
    byId("voice-guess").textContent = "…";
    this.#offerLabels(false);
    await this.#lesson.begin();
  }

  async #end() {
    if (!this.#lesson?.isRecording) return;
    byId("voice-record").classList.remove("recording");
    this.#endedMs = performance.now();
    await this.#lesson.end();
  }

  /** @param {string} name */
  async #label(name) {
    this.#offerLabels(false);
    await this.#lesson?.label(name);
    byId("voice-undo").disabled = false;
  }

  async #undo() {
    await this.#lesson?.undo();
    byId("voice-undo").disabled = !this.#lesson?.canUndo;
    this.#say("The last lesson is undone.");
  }

  async #switch() {
    const learns = byId("voice-learn").checked;
    await this.#client?.learning({ mode: learns ? "delayed" : "off" });
    this.#say(learns ? "It learns from your labels." : "It is frozen.");
  }

  async #download() {
    const blob = await this.#server.bytes(`/v1/sessions/${encodeURIComponent(this.#session)}/weights`);
    const href = URL.createObjectURL(blob);
    Object.assign(document.createElement("a"), { href, download: `${this.#session}.safetensors` }).click();
    URL.revokeObjectURL(href);
  }

  /** @param {SessionClient} client */
  async #readPredictions(client) {
    for await (const { final, label, confidence } of ended(client.predictions)) {
      byId("voice-guess").textContent = `${label} · ${percent(confidence)}`;
      if (!final) continue;
      this.#offerLabels(true);
      const lagMs = Math.round(performance.now() - this.#endedMs);
      this.#say(`It answered ${lagMs} ms after the end. What was it?`);
    }
  }

  /** @param {SessionClient} client */
  async #readLessons(client) {
    for await (const { target, correct } of ended(client.learned)) {
      const name = client.opened?.classes[target] ?? target;
      this.#say(`Learnt: ${name}. It had been ${correct ? "right" : "wrong"}.`);
    }
  }

  /** @param {SessionClient} client */
  async #readRefusals(client) {
    for await (const { message } of ended(client.errors)) this.#say(`The server says: ${message}`, true);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isTyping = event.target instanceof HTMLInputElement && event.target.type === "text";
    if (!this.#lesson || isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    // a focused control keeps its space bar; the recording button is meant by it anyway
    const isOther = target.closest("button, input, select, a") && target.id !== "voice-record";
    if (event.key === " " && !isOther) {
      event.preventDefault();
      void this.#try(() => this.#begin());
    }
    const button = /** @type {any} */ (document.querySelector(`[data-key="${CSS.escape(event.key)}"]`));
    if (button) button.click();
  }

  /** @param {string[]} classes */
  #offer(classes) {
    const buttons = classes.map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.disabled = true;
      button.textContent = i < 9 ? `${i + 1}  ${name}` : name;
      if (i < 9) button.dataset.key = String(i + 1);
      button.addEventListener("click", () => void this.#try(() => this.#label(name)));
      return button;
    });
    byId("voice-labels").replaceChildren(...buttons);
  }

  /** @param {boolean} isOpen */
  #offerLabels(isOpen) {
    for (const button of byId("voice-labels").children) button.disabled = !isOpen;
  }

  /** @param {boolean} isOn */
  #enable(isOn) {
    for (const id of ["voice-stop", "voice-record", "voice-learn", "voice-download"]) byId(id).disabled = !isOn;
    for (const id of ["voice-start", "voice-session", "voice-classes", "voice-model"]) byId(id).disabled = isOn;
    byId("voice-undo").disabled = true;
    if (!isOn) this.#offerLabels(false);
  }

  /** @param {string} state */
  #state(state) {
    if (state === "waiting") this.#say("The server is gone; what you say is kept. Trying again …", true);
    if (state === "attached" && this.#client) this.#say("Connected again.");
  }

  /** @param {() => Promise<unknown>} act */
  async #try(act) {
    try {
      await act();
    } catch (error) {
      this.#say(explained(error), true);
    }
  }

  /** @param {string} text @param {boolean} [isBad] */
  #say(text, isBad = false) {
    byId("voice-status").textContent = text;
    byId("voice-status").classList.toggle("bad", isBad);
  }
}

/**
 * The messages of a stream; its failure is told where the client ends.
 * @template Message
 * @param {AsyncIterable<Message>} messages
 */
async function* ended(messages) {
  try {
    yield* messages;
  } catch {
    // `client.ended` fails with the same reason
  }
}

/** @param {any} error */
function sessionProblem(error) {
  if (error.code === "config_mismatch") {
    return `A session of this name has other classes or another beginning; choose another name. (${error.message})`;
  }
  if (error.code === "quota") return `The server has no more room for you just now. (${error.message})`;
  return explained(error);
}
