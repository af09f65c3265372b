/** What a person does who teaches. */

/** The flags by which a browser senses a file. @param {"audio" | "video"} kind @param {string} path */
export const sensing = (kind, path) => [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-${kind}-capture=${path}`,
];

/**
 * Holds the space bar, and waits for the answer.
 * @param {import("playwright-core").Page} page
 * @param {number} [ms] For how long.
 */
export async function record(page, ms = 400) {
  await page.keyboard.down(" ");
  await page.locator("#teach-record.recording").waitFor();
  await page.waitForTimeout(ms);
  await page.keyboard.up(" ");
  await page.getByText(/It answered \d+ ms after the end/).waitFor();
}

/** What the page says that it was. @param {import("playwright-core").Page} page */
export async function guess(page) {
  const [, name, share] = /(\w+) · ([\d.]+) %/.exec(await page.locator("#teach-guess").innerText()) ?? [];
  return { name, share: Number(share) };
}
