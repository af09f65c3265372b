/** The colours of the style sheet, which are others once the system's theme is. */

/** The colour of a variable of the style sheet. @param {string} name */
export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Has something done after each change of the theme. @param {() => void} repaint */
export function onTheme(repaint) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}
