/** Numbers as the page shows them; the same in every locale, so that columns stay in line. */

/** A whole number with thin spaces between thousands. @param {number} value */
export const count = (value) =>
  Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** @param {number} share */
export const percent = (share) => `${(100 * share).toFixed(share === 1 ? 0 : 1)} %`;

/** A time in seconds or milliseconds, three digits at most. @param {number} us */
export function duration(us) {
  if (us < 1e6) return `${Math.round(us / 1000)} ms`;
  return us < 1e8 ? `${(us / 1e6).toFixed(1)} s` : `${count(us / 1e6)} s`;
}
