/** A person who teaches, and the browser before them. */

import { join } from "node:path";

import { launch } from "./browser.mjs";
import { scratch } from "./server.mjs";

/** The flags by which a browser senses a file. @param {"audio" | "video"} kind @param {string} path */
const sensing = (kind, path) => [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-${kind}-capture=${path}`,
];

/**
 * A browser that senses a file, and a folder for the data of its servers.
 * @param {"audio" | "video"} kind
 * @param {(path: string) => Promise<unknown>} write Makes the file.
 */
export async function browserThatSenses(kind, write) {
  const folder = await scratch();
  const path = join(folder.path, kind === "audio" ? "sound.wav" : "film.y4m");
  await write(path);
  const browser = await launch(sensing(kind, path));
  return {
    browser,
    data: (/** @type {string} */ name) => join(folder.path, name),
    async close() {
      await browser.close();
      await folder.remove();
    },
  };
}

/**
 * Starts to sense; the space bar records from then on.
 * @param {import("playwright-core").Page} page
 * @param {"microphone" | "camera"} [device]
 */
export async function start(page, device = "microphone") {
  await page.getByText("Connected to").waitFor();
  if (device === "camera") await page.getByLabel("camera, as an event camera").check();
  await page.getByRole("button", { name: `Start the ${device}` }).click();
  await page.getByText("Hold the button").waitFor();
}

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
