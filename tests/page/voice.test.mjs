/** The microphone and teaching in a real browser, which hears a file as its microphone. */

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { axeViolations, launch, nPainted, openPage, picture } from "./browser.mjs";
import { scratch, serve } from "./server.mjs";

const RATE = 48_000;

/** @type {Awaited<ReturnType<typeof scratch>>} */ let folder;
/** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

/** A 16-bit mono wav of harmonics whose formants move, for two seconds; the browser repeats it. */
function voiceWav() {
  const samples = Int16Array.from({ length: 2 * RATE }, (_, n) => {
    const seconds = n / RATE;
    const formant = 500 + 400 * Math.sin(2 * Math.PI * 2 * seconds);
    let sum = 0;
    for (let hz = 120; hz < 5000; hz += 120) {
      sum += Math.sin(2 * Math.PI * hz * seconds) / (1 + ((hz - formant) / 120) ** 2);
    }
    return Math.max(-32_767, Math.min(32_767, 4000 * sum));
  });
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(2 * RATE, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

before(async () => {
  folder = await scratch();
  const wav = join(folder.path, "voice.wav");
  await writeFile(wav, voiceWav());
  browser = await launch([
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${wav}`,
  ]);
});

after(async () => {
  await browser?.close();
  await folder?.remove();
});

/** @param {import("playwright-core").Page} page */
async function record(page) {
  await page.keyboard.down(" ");
  await page.locator("#voice-record.recording").waitFor();
  await page.waitForTimeout(400);
  await page.keyboard.up(" ");
  await page.getByText(/It answered \d+ ms after the end/).waitFor();
}

/** @param {import("playwright-core").Page} page */
const guess = async (page) => {
  const [, name, share] = /(\w+) · ([\d.]+) %/.exec(await page.locator("#voice-guess").innerText()) ?? [];
  return { name, share: Number(share) };
};

test("a voice is heard, taught, and untaught", async () => {
  const server = await serve(join(folder.path, "voice"));
  const { page, context, complaints } = await openPage(browser, server.url);
  await page.getByText("Connected to").waitFor();

  await page.getByRole("button", { name: "Start the microphone" }).click();
  await page.getByText("Hold the button").waitFor();
  await page.locator("#voice-status").click();
  await record(page);
  assert.ok((await nPainted(page, "#input")) > 200, "what the cochlea heard is drawn");
  const before = await guess(page);
  // taught is what a random network does not say by itself
  const word = before.name === "no" ? "yes" : "no";

  for (let lesson = 0; lesson < 6; lesson += 1) {
    await page.keyboard.press(word === "no" ? "2" : "1");
    await page.getByText(`Learnt: ${word}.`).waitFor();
    await record(page);
  }
  const taught = await guess(page);
  assert.equal(taught.name, word);
  for (const [device, width] of /** @type {const} */ ([["desktop", 1280], ["phone", 390]])) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
      assert.deepEqual(await axeViolations(page), [], `${device} ${colorScheme}`);
      await picture(page, `voice_${device}_${colorScheme}`);
    }
  }
  for (let undone = 0; undone < 5; undone += 1) {
    await page.getByRole("button", { name: "Undo the last lesson" }).click();
    await page.getByText("The last lesson is undone.").waitFor();
    // the space bar is the focused button's own
    await page.locator("#voice-status").click();
    await record(page);
  }
  // one of the six lessons is left
  const untaught = await guess(page);
  assert.ok(untaught.name !== word || untaught.share < taught.share, "what was undone is unlearnt");

  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download my network" }).click();
  const download = await coming;
  assert.equal(download.suggestedFilename(), "my-voice.safetensors");
  const file = await readFile(await download.path());
  // safetensors: the length of a JSON header, then the header
  assert.ok("readout.w" in JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())).toString()));
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByText("The session stays on the server").waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("a server that restarts under a recording is told, and goes on learning", async () => {
  const data = join(folder.path, "restarted");
  const first = await serve(data);
  const { page, context } = await openPage(browser, first.url);
  await page.getByRole("button", { name: "Start the microphone" }).click();
  await page.getByText("Hold the button").waitFor();
  await page.locator("#voice-status").click();
  await record(page);

  await first.stop("SIGKILL");
  await page.getByText("The server is gone; what you say is kept.").waitFor();
  const second = await serve(data, { TCLIF_LISTENER__PORT: first.port });
  await page.getByText("Connected again.").waitFor();
  await record(page);

  await context.close();
  await second.stop();
});

test("a microphone that is not allowed is said in words", async () => {
  const server = await serve(join(folder.path, "refused"));
  const { page, context } = await openPage(browser, server.url);
  // as browsers fail where a person says no; Chromium without a window has nobody to ask
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("Permission denied", "NotAllowedError");
    };
  });

  await page.getByRole("button", { name: "Start the microphone" }).click();

  await page.getByText("The browser was not allowed to use the microphone.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Start the microphone" }).isEnabled());
  await context.close();
  await server.stop();
});
