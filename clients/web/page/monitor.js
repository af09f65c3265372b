/** The monitor: which sessions there are, and how the chosen one does. */

import { drawAccuracy } from "./accuracy_plot.js";
import { ActivityView } from "./activity_view.js";
import { explained } from "./server.js";
import { SessionHistory } from "./session_history.js";
import { showFigures } from "./session_figures.js";
import { SessionList } from "./session_list.js";
import { onTheme } from "./theme.js";
import { keepWatching } from "./watching.js";

/** How often the stored sessions are listed, and the chosen session's page is read. */
const LIST_EVERY_MS = 5000;
const REPORT_EVERY_MS = 2000;

/** How often the inside of the chosen session is looked at: what waits longer is forgotten when it is much. */
const WATCH_EVERY_MS = 50;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Monitor {
  #server;
  #onProblem;
  #onWell;
  #list = new SessionList(byId("session-list"), (session) => this.#choose(session));
  #activity = new ActivityView();
  /** @type {Map<string, SessionHistory>} */
  #histories = new Map();
  /** @type {Map<string, any>} what the monitor told last */
  #living = new Map();
  /** @type {Map<string, any>} lines of the list's pages, those that are parked too */
  #stored = new Map();
  #pages = 1;
  #isLost = false;
  /** @type {any} */
  #report;
  /** @type {AbortController | undefined} */
  #watch;
  #chance = /** @type {number | undefined} */ (undefined);

  /**
   * @param {import("./server.js").Server} server
   * @param {(problem: import("./server.js").Problem) => void | Promise<void>} onProblem
   * @param {() => void} onWell Hears that the server answers.
   */
  constructor(server, onProblem, onWell) {
    this.#server = server;
    this.#onProblem = onProblem;
    this.#onWell = onWell;
    byId("more-sessions").addEventListener("click", () => {
      this.#pages += 1;
      void this.#readList();
    });
    setInterval(() => void this.#readList(), LIST_EVERY_MS);
    setInterval(() => void this.#readReport(), REPORT_EVERY_MS);
    new ResizeObserver(() => this.#redraw()).observe(byId("accuracy"));
    onTheme(() => this.#redraw());
    this.#redraw();
    showFigures(undefined, undefined, undefined);
    void keepWatching(
      server,
      "/v1/monitor",
      new AbortController().signal,
      ({ event, data }) => event === "sessions" && this.#take(data),
      onProblem,
    );
  }

  /** @param {string} session */
  choose(session) {
    this.#list.choose(session);
  }

  /** Whether the server has such a session. @param {string} session */
  has(session) {
    return this.#living.has(session) || this.#stored.has(session);
  }

  /** The server is gone: what it said last is no longer so. */
  lose() {
    this.#isLost = true;
    this.#showList();
    this.#redraw();
  }

  /** @param {{time_ms: number, sessions: any[]}} told */
  #take({ time_ms: timeMs, sessions }) {
    const isFirst = this.#living.size === 0 && this.#stored.size === 0;
    this.#isLost = false;
    this.#onWell();
    this.#living = new Map(sessions.map((line) => [line.session, line]));
    for (const line of sessions) {
      const history = this.#histories.get(line.session) ?? new SessionHistory();
      this.#histories.set(line.session, history);
      history.note(timeMs, line);
    }
    for (const name of this.#histories.keys()) {
      if (!this.#living.has(name)) this.#histories.delete(name);
    }
    if (isFirst) void this.#readList();
    this.#showList();
    this.#redraw();
  }

  async #readList() {
    if (document.hidden) return;
    const stored = new Map();
    let after = /** @type {string | null} */ ("");
    try {
      for (let page = 0; page < this.#pages && after !== null; page += 1) {
        const { sessions, next } = await this.#server.get(
          `/v1/sessions?after=${encodeURIComponent(after)}`,
        );
        for (const line of sessions) stored.set(line.session, line);
        after = next;
      }
    } catch {
      // the monitor's stream meets the same problem, and says so
      return;
    }
    this.#stored = stored;
    byId("more-sessions").hidden = after === null;
    this.#showList();
  }

  #showList() {
    const lines = new Map([...this.#stored, ...this.#living]);
    const names = [...lines.keys()].sort();
    this.#list.show(names.map((name) => lines.get(name)), this.#isLost);
    byId("no-sessions").hidden = names.length > 0;
    if (this.#list.chosen === undefined && this.#living.size) {
      const [busiest] = [...this.#living.values()].sort((a, b) => Number(b.attached) - Number(a.attached));
      this.choose(busiest.session);
    }
  }

  /** @param {string} session */
  #choose(session) {
    this.#watch?.abort();
    const watch = new AbortController();
    this.#watch = watch;
    this.#report = this.#chance = undefined;
    byId("detail-title").textContent = session;
    this.#activity.clear();
    this.#redraw();
    void this.#readReport();
    void keepWatching(
      this.#server,
      `/v1/sessions/${encodeURIComponent(session)}/watch?every_ms=${WATCH_EVERY_MS}`,
      watch.signal,
      ({ event, data }) => {
        if (event !== "look" || watch.signal.aborted) return;
        this.#chance = data.network ? 1 / data.network.classes.length : undefined;
        if (!document.hidden) this.#activity.show(data);
      },
      this.#onProblem,
    );
  }

  async #readReport() {
    const session = this.#list.chosen;
    // a parked session would be brought back into memory by being asked
    if (session === undefined || document.hidden || !this.#living.has(session)) return;
    try {
      const report = await this.#server.get(`/v1/sessions/${encodeURIComponent(session)}`);
      if (session === this.#list.chosen) this.#report = report;
    } catch (error) {
      byId("detail-hint").textContent = explained(error);
    }
  }

  #redraw() {
    const session = this.#list.chosen;
    if (session === undefined) return;
    const line = this.#living.get(session);
    const history = this.#histories.get(session);
    byId("detail-hint").textContent = this.#hint(session, line);
    showFigures(line, this.#report, history?.ticksPerS);
    const canvas = /** @type {HTMLCanvasElement} */ (byId("accuracy"));
    drawAccuracy(canvas, history?.accuracies ?? [], this.#chance);
  }

  /**
   * @param {string} session
   * @param {any} line
   */
  #hint(session, line) {
    if (this.#isLost) return "The server does not answer; this is how it was.";
    if (line?.failed) return "Its network is quarantined: its weights were no longer finite.";
    if (line) return line.attached ? "A client streams to it." : "No client is connected; it waits.";
    if (this.#stored.has(session)) return "Stored, not in memory; it shows itself once a client resumes it.";
    return "It is no longer on the server.";
  }
}
