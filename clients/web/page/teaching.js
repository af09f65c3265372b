/** Teaching: a sensor, a session that it streams to, what the network says and a person answers. */

import { SessionClient } from "../index.js";
import { ChangePicture } from "./change_picture.js";
import { LagMeter } from "./lag_meter.js";
import { Lesson } from "./lesson.js";
import { percent } from "./numbers.js";
import { NoSensor } from "./sensor_refusal.js";
import { SENSORS, openSensor, sensorField } from "./sensors.js";
import { explained } from "./server.js";
import { sessionProblem, waiting } from "./session_problems.js";
import { TeachPanel, byId } from "./teach_panel.js";

/** How long a server that is gone or full is tried: what is recorded meanwhile is not given up lightly. */
const PATIENCE = { giveUpAfterMs: 600_000 };

export class Teaching {
  #server;
  #onStart;
  #isKnown;
  /** @type {SessionClient | undefined} */
  #client;
  /** @type {AbortController | undefined} */
  #opening;
  /** @type {{close: () => void} | undefined} */
  #sensor;
  /** @type {Lesson | undefined} */
  #lesson;
  #lag = new LagMeter();
  #picture = new ChangePicture(byId("camera-picture"));
  #panel;
  /** @type {string[]} */
  #classes = [];
  /** @type {Set<number | undefined>} messages that the server refused */
  #refused = new Set();
  #session = "";
  #isAttached = false;
  #endedMs = 0;

  /**
   * @param {import("./server.js").Server} server
   * @param {(session: string) => void} onStart Hears which session it is.
   * @param {(session: string) => boolean} isKnown Whether the server has a session of that name.
   */
  constructor(server, onStart, isKnown) {
    this.#server = server;
    this.#onStart = onStart;
    this.#isKnown = isKnown;
    const trying = (/** @type {(...given: any[]) => Promise<unknown>} */ act) => (/** @type {any[]} */ ...given) =>
      void this.#try(() => act.apply(this, given));
    this.#panel = new TeachPanel({
      start: () => void this.#start(),
      stop: () => void this.#stop(),
      begin: trying(this.#begin),
      end: trying(this.#end),
      label: trying(this.#label),
      add: trying(this.#add),
      undo: trying(this.#undo),
      switch: trying(this.#switch),
      download: trying(this.#download),
    });
  }

  /** Lists the models that one can begin with; called once the server answers. */
  async offerModels() {
    // a server that is gone by then is met by the monitor, and asked again once it is back
    const { models } = await this.#server.get("/v1/models").catch(() => ({ models: [] }));
    this.#panel.offerModels(models);
  }

  async #start() {
    const { kind, width, camera } = this.#panel.asked;
    const sensor = sensorField(kind, width);
    this.#opening = new AbortController();
    const { signal } = this.#opening;
    this.#panel.turn("opening");
    this.#panel.say(`Waiting for the ${SENSORS[kind].device} …`);
    try {
      const request = await this.#request(sensor);
      // another sensor, another clock
      this.#lag = new LagMeter();
      const opened = await openSensor(request.sensor, camera, (sensed) => this.#sense(sensed), this.#picture);
      signal.addEventListener("abort", opened.close);
      if (signal.aborted) opened.close();
      signal.throwIfAborted();
      this.#sensor = opened;
      await this.#connect(request, signal);
    } catch (error) {
      // whoever stopped it has been told
      if (!signal.aborted) this.#lose(error instanceof NoSensor ? error.message : sessionProblem(error));
    }
  }

  /**
   * What a session is opened by; one that is there as it was opened first.
   * @param {Record<string, any>} sensor
   * @returns {Promise<any>}
   */
  async #request(sensor) {
    const { session, model, classes } = this.#panel.asked;
    const { tickUs, everyTicks } = SENSORS[sensor.kind];
    const report = { everyTicks };
    if (!this.#isKnown(session)) {
      const network = { hidden: [128, 128], classes };
      return { session, sensor, report, ...(model ? { model } : { network, tickUs }) };
    }
    const known = await this.#server.get(`/v1/sessions/${encodeURIComponent(session)}`);
    const { sensor: first, tick_us: firstTickUs, network, model: firstModel } = known.configuration;
    if (first.kind !== sensor.kind) {
      throw new NoSensor(`Session ${session} senses by ${SENSORS[first.kind]?.device ?? first.kind}; choose another name.`);
    }
    const origin = firstModel ? { model: firstModel } : { network };
    return { session, sensor: first, report, tickUs: firstTickUs, ...origin };
  }

  /** @param {any} request @param {AbortSignal} signal */
  async #connect(request, signal) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const client = await SessionClient.connect(`${scheme}://${location.host}/v1/stream`, request, {
      token: this.#server.token,
      patience: PATIENCE,
      signal,
      // one that was stopped while its server was gone has nothing to say any more
      onState: (state, why) => signal.aborted || this.#state(state, why),
    });
    this.#session = request.session;
    this.#client = client;
    this.#lesson = new Lesson(client, this.#server, request.session, Date.now());
    this.#panel.remember(request.session);
    this.#classes = client.opened?.classes ?? [];
    this.#refused.clear();
    this.#panel.offer(this.#classes);
    this.#panel.turn("on");
    this.#panel.say(`Hold the button, or the space bar, and ${SENSORS[request.sensor.kind].act}.`);
    this.#onStart(request.session);
    void this.#readPredictions(client);
    void this.#readLessons(client);
    void this.#readRefusals(client);
    client.ended.catch((error) => signal.aborted || this.#lose(sessionProblem(error)));
  }

  async #stop() {
    await this.#try(() => this.#end());
    const client = this.#client;
    this.#opening?.abort();
    this.#lose(client ? "Stopped. The session stays on the server; the same name goes on with it." : "Stopped.", false);
    // without a connection there is nobody to say goodbye to, and a later session would be disturbed
    if (this.#isAttached) await client?.close();
    else client?.detach();
  }

  /** @param {string} reason @param {boolean} isBad */
  #lose(reason, isBad = true) {
    this.#sensor?.close();
    this.#sensor = this.#client = this.#lesson = undefined;
    this.#panel.turn("off");
    this.#panel.say(reason, isBad);
  }

  /** @param {import("./lesson.js").Sensed} sensed */
  #sense(sensed) {
    this.#panel.showLevel(sensed.level);
    this.#lag.sensed(sensed.nowUs, sensed.atMs, this.#lesson?.isRecording ?? false);
    void this.#try(async () => this.#lesson?.sense(sensed));
  }

  async #begin() {
    if (!this.#lesson || this.#lesson.isRecording) return;
    byId("teach-record").classList.add("recording");
    byId("teach-guess").textContent = "…";
    this.#panel.offerLabels(false);
    this.#lag.drop();
    await this.#lesson.begin();
  }

  async #end() {
    if (!this.#lesson?.isRecording) return;
    byId("teach-record").classList.remove("recording");
    this.#endedMs = performance.now();
    await this.#lesson.end();
  }

  /** @param {string} name */
  async #label(name) {
    this.#panel.offerLabels(false);
    await this.#lesson?.label(name);
    this.#panel.offerUndo(true);
  }

  /** @param {string[]} names */
  async #add(names) {
    const client = this.#client;
    if (!client || !this.#lesson || !names.length) return;
    const sequence = await this.#lesson.addClasses(names);
    await client.applied(sequence);
    // a refusal comes before the acknowledgement
    if (this.#refused.has(sequence)) return;
    this.#classes = [...this.#classes, ...names];
    this.#panel.offer(this.#classes);
    this.#panel.offerLabels(this.#lesson.unlabelled !== undefined);
    this.#panel.offerUndo(false);
    this.#panel.say(`It knows ${names.join(", ")} too, once you have taught it.`);
  }

  async #undo() {
    await this.#lesson?.undo();
    this.#panel.offerUndo(this.#lesson?.canUndo ?? false);
    this.#panel.say("The last lesson is undone.");
  }

  async #switch() {
    const learns = byId("teach-learn").checked;
    await this.#client?.learning({ mode: learns ? "delayed" : "off" });
    this.#panel.say(learns ? "It learns from your labels." : "It is frozen.");
  }

  async #download() {
    const blob = await this.#server.bytes(`/v1/sessions/${encodeURIComponent(this.#session)}/weights`);
    const href = URL.createObjectURL(blob);
    Object.assign(document.createElement("a"), { href, download: `${this.#session}.safetensors` }).click();
    URL.revokeObjectURL(href);
  }

  /** @param {SessionClient} client */
  async #readPredictions(client) {
    for await (const { segment, final, label, confidence, tUs } of ended(client.predictions)) {
      if (!this.#lesson?.isOwn(segment)) continue;
      byId("teach-guess").textContent = `${label} · ${percent(confidence)}`;
      requestAnimationFrame(() => this.#drawn(tUs, final));
      if (!final) continue;
      this.#panel.offerLabels(true);
      const lagMs = Math.round(performance.now() - this.#endedMs);
      this.#panel.say(`It answered ${lagMs} ms after the end. What was it?`);
    }
  }

  /**
   * A prediction is on the screen.
   * @param {number} tUs
   * @param {boolean} isFinal
   */
  #drawn(tUs, isFinal) {
    if (this.#lesson) this.#lag.drawn(this.#lesson.ownTime(tUs), Date.now());
    if (isFinal) this.#panel.showLag(this.#lag.percentile(0.5), this.#lag.percentile(0.95));
  }

  /** @param {SessionClient} client */
  async #readLessons(client) {
    for await (const { segment, target, correct } of ended(client.learned)) {
      if (!this.#lesson?.isOwn(segment)) continue;
      const name = this.#classes[target] ?? target;
      this.#panel.say(`Learnt: ${name}. It had been ${correct ? "right" : "wrong"}.`);
    }
  }

  /** @param {SessionClient} client */
  async #readRefusals(client) {
    for await (const { message, sequence } of ended(client.errors)) {
      this.#refused.add(sequence);
      this.#panel.say(`The server says: ${message}`, true);
    }
  }

  /**
   * @param {string} state
   * @param {{reason?: string, retryInMs: number} | undefined} why It waits.
   */
  #state(state, why) {
    if (state === "waiting" && why) this.#panel.say(waiting(why, this.#client !== undefined), true);
    this.#isAttached = state === "attached";
    if (this.#isAttached && this.#client) this.#panel.say("Connected again.");
  }

  /** @param {() => Promise<unknown>} act */
  async #try(act) {
    try {
      await act();
    } catch (error) {
      this.#panel.say(explained(error), true);
    }
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
