/** A real Chromium with a page of the server, and a witness of everything it complains about. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

const CANDIDATES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const WAIT_MS = 120_000;

/** @param {string[]} args Further flags. */
export async function launch(args = []) {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  if (!executablePath) {
    throw new Error("no Chromium: `apt-get install chromium`, or name one in the variable CHROMIUM");
  }
  const { chromium } = await import("playwright-core");
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", ...args],
  });
}

/**
 * Opens a page and notes its console errors, failed requests and uncaught errors.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {object} [options] Of the context: size, theme, permissions.
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  // longer than a busy machine may take; who waits in vain fails all the same
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  const note = (/** @type {string} */ text) => {
    complaints.push(text);
    // told at once: a test that waits in vain for what failed would not say why
    console.error("the page complains:", text);
  };
  page.on("console", (message) => {
    // of what a test reads off a canvas; the page reads none that it shows
    if (message.text().startsWith("Canvas2D: Multiple readback")) return;
    if (message.type() === "error" || message.type() === "warning") note(message.text());
  });
  page.on("pageerror", (error) => note(error.stack ?? String(error)));
  await page.goto(url);
  return { context, page, complaints };
}

/**
 * How many pixels of a canvas are not empty.
 * @param {import("playwright-core").Page} page
 * @param {string} selector
 */
export const nPainted = (page, selector) =>
  page.locator(selector).evaluate((/** @type {HTMLCanvasElement} */ canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, i) => i % 4 === 3 && value > 0).length;
  });

/**
 * How many pixels of a canvas are full of a colour of the style sheet, and how many of any.
 * @param {import("playwright-core").Page} page
 * @param {string} selector
 * @param {string} name
 */
export const nFull = (page, selector, name) =>
  page.locator(selector).evaluate((/** @type {HTMLCanvasElement} */ canvas, variable) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    const wanted = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const full = { ofIt: 0, ofAny: 0 };
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 255) continue;
      full.ofAny += 1;
      if (wanted.every((value, part) => data[i + part] === value)) full.ofIt += 1;
    }
    return full;
  }, `--${name}`);

/**
 * What axe-core finds wrong with a page as it stands: contrast, labels, roles.
 * @param {import("playwright-core").Page} page
 */
export async function axeViolations(page) {
  const { default: axe } = await import("axe-core");
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`);
}

/** Whether pictures are taken, for which tests show a little more. */
export const isPictured = process.env.PICTURES !== undefined;

/**
 * Looks at a page in both themes, as wide as a desktop and as a phone: nothing sticks out, and axe-core finds
 * nothing. Takes a picture of each, where the variable PICTURES names a folder for them.
 * @param {import("playwright-core").Page} page
 * @param {string} name
 */
export async function inspect(page, name) {
  for (const [device, width] of /** @type {const} */ ([["desktop", 1280], ["phone", 390]])) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
      assert.deepEqual(await axeViolations(page), [], `${device} ${colorScheme}`);
      if (!isPictured) continue;
      const path = `${process.env.PICTURES}/${name}_${device}_${colorScheme}.png`;
      await page.screenshot({ path, fullPage: true });
    }
  }
}
