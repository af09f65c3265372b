/** The accuracy curve: over labelled segments, from 0 to 1, with the line of chance. */

import { fit } from "./strip.js";
import { colour } from "./theme.js";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{labelled: number, accuracy: number}[]} points Rising in `labelled`.
 * @param {number | undefined} chance What a guess would reach.
 */
export function drawAccuracy(canvas, points, chance) {
  fit(canvas);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = devicePixelRatio;
  const [width, height] = [canvas.width / scale, canvas.height / scale];
  const [left, right, top, bottom] = [36, width - 10, 10, height - 22];
  const [first, last] = [points[0]?.labelled ?? 0, points.at(-1)?.labelled ?? 1];
  const x = (/** @type {number} */ n) => left + ((right - left) * (n - first)) / Math.max(1, last - first);
  const y = (/** @type {number} */ accuracy) => bottom - (bottom - top) * accuracy;

  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.lineWidth = 1;
  context.textBaseline = "middle";
  for (const level of [0, 0.5, 1]) {
    context.strokeStyle = colour("line");
    line(context, [[left, y(level)], [right, y(level)]]);
    context.fillStyle = colour("quiet");
    context.textAlign = "right";
    context.fillText(level.toFixed(1), left - 6, y(level));
  }
  if (chance !== undefined) {
    context.strokeStyle = colour("quiet");
    context.setLineDash([4, 4]);
    line(context, [[left, y(chance)], [right, y(chance)]]);
    context.setLineDash([]);
    // at the end, where curves are above it
    context.textAlign = "right";
    context.fillText("chance", right, y(chance) - 8);
  }
  if (!points.length) return;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText(String(first), left, height - 6);
  context.textAlign = "right";
  context.fillText(`${last} labelled`, right, height - 6);
  context.strokeStyle = colour("spike");
  context.lineWidth = 2;
  line(context, points.map(({ labelled, accuracy }) => [x(labelled), y(accuracy)]));
  const end = points[points.length - 1];
  context.fillStyle = colour("spike");
  context.beginPath();
  context.arc(x(end.labelled), y(end.accuracy), 3.5, 0, 2 * Math.PI);
  context.fill();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number[][]} places
 */
function line(context, places) {
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.stroke();
}
