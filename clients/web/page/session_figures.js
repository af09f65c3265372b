/** A session's numbers: accuracy, pace, what waits, what was dropped, its layers. */

import { count, duration, percent } from "./numbers.js";

/**
 * @typedef {object} Line What the monitor tells of a session.
 * @property {string} session
 * @property {number} backlog_ticks
 * @property {number[]} [firing_rates]
 * @property {number[] | null} [weight_change]
 * @property {number | null} [prequential_accuracy]
 * @property {boolean} [drifting]
 * @property {number} [segments_labelled]
 * @property {boolean} [learning_stopped]
 *
 * @typedef {object} Report The session's page.
 * @property {{tick_us?: number}} configuration
 * @property {{late: number, outside_segments: number, saturated: number}} dropped_events
 * @property {{drops: number}} drift
 */

const UNKNOWN = "–";

/**
 * Fills in what is known.
 * @param {Line | undefined} line Undefined: nothing is.
 * @param {Report | undefined} report
 * @param {number | undefined} ticksPerS
 */
export function showFigures(line, report, ticksPerS) {
  const accuracy = line?.prequential_accuracy ?? undefined;
  const tickUs = report?.configuration.tick_us ?? 4000;
  const dropped = report?.dropped_events;
  /** @type {Record<string, [string, string?]>} */
  const texts = {
    accuracy: [accuracy === undefined ? UNKNOWN : percent(accuracy)],
    labelled: [line?.segments_labelled === undefined ? UNKNOWN : count(line.segments_labelled)],
    ticksPerS: [ticksPerS === undefined ? UNKNOWN : count(ticksPerS)],
    lag: [line && report ? duration(line.backlog_ticks * tickUs) : UNKNOWN],
    dropped: [
      dropped ? count(dropped.late + dropped.saturated) : UNKNOWN,
      dropped && `late ${dropped.late}, saturated ${dropped.saturated}; between segments, by design: ${dropped.outside_segments}`,
    ],
    drift: [drift(line), report && `the accuracy fell ${report.drift.drops} times so far`],
  };
  for (const [name, [text, hint]] of Object.entries(texts)) {
    const place = /** @type {HTMLElement} */ (document.querySelector(`[data-figure=${name}]`));
    if (place.textContent !== text) place.textContent = text;
    place.title = hint ?? "";
  }
  showLayers(line, tickUs);
}

/** @param {Line | undefined} line */
function drift(line) {
  if (line?.learning_stopped) return "stopped";
  if (line?.drifting === undefined) return UNKNOWN;
  return line.drifting ? "accuracy fell" : "none";
}

/**
 * @param {Line | undefined} line
 * @param {number} tickUs
 */
function showLayers(line, tickUs) {
  const rates = line?.firing_rates ?? [];
  const changes = line?.weight_change ?? [];
  const body = /** @type {HTMLElement} */ (document.querySelector("#layers tbody"));
  const rows = [...rates.map((_, i) => `hidden ${i + 1}`), "readout"].map((name, i) => {
    const rate = i < rates.length ? (rates[i] * 1e6) / tickUs : undefined;
    const cells = [
      name,
      rate === undefined ? UNKNOWN : `${rate.toFixed(1)} Hz`,
      changes[i] === undefined ? UNKNOWN : percent(changes[i]),
    ];
    const row = document.createElement("tr");
    row.append(...cells.map((textContent) => Object.assign(document.createElement("td"), { textContent })));
    return row;
  });
  body.replaceChildren(...rows);
}
