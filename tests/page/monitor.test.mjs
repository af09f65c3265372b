/** The monitor in a real browser: sessions appear, pictures move, lost servers and tokens are met. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { axeViolations, inspect, isPictured, launch, nFull, nPainted, openPage } from "./browser.mjs";
import { command, scratch, serve } from "./server.mjs";

/** @type {Awaited<ReturnType<typeof scratch>>} */ let folder;
/** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

before(async () => {
  folder = await scratch();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await folder?.remove();
});

/**
 * Streams labelled words from the page itself, as another tab would, until `globalThis.stop`.
 * @param {import("playwright-core").Page} page
 * @param {string} session
 */
const streamWords = (page, session) =>
  page.evaluate(async (name) => {
    const { SessionClient } = await import("/web/index.js");
    const client = await SessionClient.connect(`ws://${location.host}/v1/stream`, {
      session: name,
      sensor: { kind: "cochlea", channels: 700 },
      network: { hidden: [128, 128], classes: ["no", "yes", "stop", "go"] },
    });
    globalThis.stop = false;
    globalThis.streaming = (async () => {
      for (let [word, now] = [0, 0]; !globalThis.stop; word += 1) {
        await client.beginSegment(word, now);
        for (let block = 0; block < 10; block += 1) {
          const times = Array.from({ length: 400 }, (_, i) => now + block * 40_000 + i * 100);
          // a band of channels that falls within the word, another one for each class
          const middle = 100 + (word % 4) * 150 + block * 10;
          const channels = times.map((_, i) => middle + ((i * 7919) % 97) - 48);
          await client.events(times, channels);
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
        now += 400_000;
        await client.endSegment(word, now);
        await client.label(word, word % 4);
      }
      await client.close();
    })();
  }, session);

/** @param {import("playwright-core").Page} page */
const stopStreaming = (page) =>
  page.evaluate(async () => {
    globalThis.stop = true;
    await globalThis.streaming;
  });

test("a session's input, spikes, answers and accuracy appear while it streams", async () => {
  const server = await serve(join(folder.path, "monitor"));
  const { page, context, complaints } = await openPage(browser, server.url);
  await page.getByText("None yet.").waitFor();

  await streamWords(page, "kitchen");
  await page.getByRole("radio", { name: /kitchen/ }).waitFor();
  await page.locator("[data-figure=labelled]", { hasText: /^\d/ }).waitFor();
  await page.waitForFunction(() => Number(document.querySelector("[data-figure=labelled]")?.textContent) > 8);

  assert.ok((await nPainted(page, "#input")) > 1000, "input spikes are drawn");
  assert.ok((await nPainted(page, "#hidden")) > 100, "hidden spikes are drawn");
  assert.ok((await nPainted(page, "#probabilities")) > 1000, "probabilities are drawn");
  assert.match(await page.locator("[data-figure=accuracy]").innerText(), /^\d+(\.\d)? %$/);
  assert.deepEqual(await page.locator("#class-names li").allInnerTexts(), ["no", "yes", "stop", "go"]);
  assert.match(await page.locator("#layers tbody tr").first().innerText(), /hidden 1\s+\d+\.\d Hz/);

  // a picture is of more than a few words
  await page.waitForFunction((n) => Number(document.querySelector("[data-figure=labelled]")?.textContent) > n, isPictured ? 30 : 8);
  await inspect(page, "page");
  await stopStreaming(page);
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("pictures take the colours of another theme, and another width, from what they showed", async () => {
  const server = await serve(join(folder.path, "theme"));
  const { page, context, complaints } = await openPage(browser, server.url, { colorScheme: "light" });
  await streamWords(page, "hall");
  await page.waitForFunction(() => Number(document.querySelector("[data-figure=labelled]")?.textContent) > 4);
  await stopStreaming(page);
  await page.locator("#session-list .state", { hasText: "detached" }).waitFor();
  const [light, probable] = [await nFull(page, "#input", "spike"), await nPainted(page, "#probabilities")];
  assert.ok(light.ofIt > 1000, "spikes are of the theme's colour");

  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await nFull(page, "#input", "spike");
  assert.deepEqual(dark, light, "each in its place, in the other colour");
  assert.ok((await nFull(page, "#hidden", "layer0")).ofIt > 20, "neurons are of the theme's colours");
  assert.equal(await nPainted(page, "#probabilities"), probable);

  await page.setViewportSize({ width: 1000, height: 900 });
  await page.waitForFunction(() => {
    const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector("#input"));
    return canvas.width === Math.round(canvas.clientWidth * devicePixelRatio);
  });
  assert.ok((await nFull(page, "#input", "spike")).ofIt > 1000, "a narrower picture is no empty one");
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("nothing jumps when a session comes, and the keyboard chooses among them", async () => {
  const server = await serve(join(folder.path, "keyboard"));
  const { page, context, complaints } = await openPage(browser, server.url);
  const top = () => page.locator("#input").boundingBox();
  const before = await top();

  for (const name of ["attic", "cellar"]) {
    await streamWords(page, name);
    await page.getByRole("radio", { name }).waitFor();
    await stopStreaming(page);
  }
  assert.deepEqual(await top(), before);
  await page.getByRole("radio", { name: /attic/ }).focus();
  await page.keyboard.press("ArrowDown");

  await page.getByRole("heading", { name: "cellar" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("a server that goes is told, and so is that it came back", async () => {
  const data = join(folder.path, "gone");
  const first = await serve(data);
  const { page, context } = await openPage(browser, first.url);
  await page.getByText("Connected to").waitFor();

  await first.stop("SIGKILL");
  await page.getByText("The server does not answer.").waitFor();
  const second = await serve(data, { TCLIF_LISTENER__PORT: first.port });
  await page.getByText("Connected to").waitFor();

  await context.close();
  await second.stop();
});

test("a token is asked for once, and kept for the tab", async () => {
  const tokensFile = join(folder.path, "tokens.json");
  const settings = { TCLIF_ACCESS__TOKENS_FILE: tokensFile };
  const env = { ...process.env, ...settings };
  const made = await promisify(execFile)(command("tclif-admin"), ["token", "new", "kitchen"], { env });
  const [token] = /[\w-]{43}/.exec(made.stdout) ?? [];
  const server = await serve(join(folder.path, "tokens"), settings);
  const { page, context } = await openPage(browser, server.url);

  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  assert.deepEqual(await axeViolations(page), []);
  await page.getByLabel(/^Token/).fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("The server does not know this token.").waitFor();
  await page.getByLabel(/^Token/).fill(/** @type {string} */ (token));
  await page.keyboard.press("Enter");
  await page.getByText("Connected to").waitFor();
  await page.reload();
  await page.getByText("Connected to").waitFor();

  assert.equal(await dialog.isVisible(), false);
  await context.close();
  await server.stop();
});
