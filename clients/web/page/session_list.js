/** The list of sessions: rows stay where and what they are, so that neither focus nor layout jumps. */

import { count, percent } from "./numbers.js";

/** @typedef {{session: string, state: string, ticks: number, failed: boolean,
 *   prequential_accuracy?: number | null, drifting?: boolean}} Line */

export class SessionList {
  /** @type {string | undefined} */
  chosen;
  /** @type {Map<string, HTMLLabelElement>} */
  #rows = new Map();
  #place;
  #onChoose;

  /**
   * @param {HTMLElement} place
   * @param {(session: string) => void} onChoose
   */
  constructor(place, onChoose) {
    this.#place = place;
    this.#onChoose = onChoose;
  }

  /**
   * Shows these sessions, in order of their names.
   * @param {Line[]} lines
   * @param {boolean} isLost Whether they are what a server said that is gone.
   */
  show(lines, isLost) {
    const present = new Set(lines.map(({ session }) => session));
    for (const [name, row] of this.#rows) {
      if (present.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    for (const line of lines) fill(this.#row(line.session), line, isLost);
  }

  /** @param {string} session */
  choose(session) {
    this.chosen = session;
    const row = this.#rows.get(session);
    if (row) /** @type {HTMLInputElement} */ (row.querySelector("input")).checked = true;
    this.#onChoose(session);
  }

  /** @param {string} session */
  #row(session) {
    const known = this.#rows.get(session);
    if (known) return known;
    const row = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "session", value: session });
    input.checked = session === this.chosen;
    input.addEventListener("change", () => this.choose(session));
    row.append(input, ...["name", "state", "line"].map(span));
    const next = [...this.#rows.keys()].filter((name) => name > session).sort()[0];
    this.#place.insertBefore(row, this.#rows.get(next ?? "") ?? null);
    this.#rows.set(session, row);
    return row;
  }
}

/** @param {string} className */
function span(className) {
  const made = document.createElement("span");
  made.className = className;
  return made;
}

/**
 * @param {HTMLLabelElement} row
 * @param {Line} line
 * @param {boolean} isLost
 */
function fill(row, line, isLost) {
  const texts = {
    name: line.session,
    state: isLost ? "unknown" : line.state,
    line: [`${count(line.ticks)} ticks`, accuracyOf(line), line.drifting ? "drifting" : ""]
      .filter(Boolean)
      .join(" · "),
  };
  for (const [part, text] of Object.entries(texts)) {
    const place = /** @type {HTMLElement} */ (row.querySelector(`.${part}`));
    if (place.textContent !== text) place.textContent = text;
  }
  row.querySelector(".state")?.classList.toggle("bad", line.failed);
}

/** @param {Line} line */
function accuracyOf({ prequential_accuracy: accuracy }) {
  return accuracy === undefined || accuracy === null ? "" : `${percent(accuracy)} right`;
}
