/** The microphone and teaching in a real browser, which hears a file as its microphone. */

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { inspect, nPainted, openPage } from "./browser.mjs";
import { serve } from "./server.mjs";
import { voice, wav } from "./sounds.mjs";
import { browserThatSenses, guess, record, start } from "./teaching.mjs";

/** @type {Awaited<ReturnType<typeof browserThatSenses>>} */ let hearing;

before(async () => {
  hearing = await browserThatSenses("audio", (path) => writeFile(path, wav(voice())));
});

after(() => hearing?.close());

test("a voice is heard, taught, and untaught", async () => {
  const server = await serve(hearing.data("voice"));
  const { page, context, complaints } = await openPage(hearing.browser, server.url);
  await start(page);
  await record(page);
  assert.ok((await nPainted(page, "#input")) > 200, "what the cochlea heard is drawn");
  const before = await guess(page);
  // taught is what a random network does not say by itself
  const word = before.name === "no" ? "yes" : "no";
  const key = word === "no" ? "2" : "1";

  for (let lesson = 0; lesson < 8; lesson += 1) {
    await page.keyboard.press(key);
    await page.getByText(`Learnt: ${word}.`).waitFor();
    await record(page);
  }
  const taught = await guess(page);
  assert.equal(taught.name, word);
  assert.match(await page.locator("#teach-lag").innerText(), /^\d+ ms, p95 \d+ ms$/);
  await inspect(page, "voice");
  for (let undone = 0; undone < 5; undone += 1) {
    await page.getByRole("button", { name: "Undo the last lesson" }).click();
    await page.getByText("The last lesson is undone.").waitFor();
    // the space bar is for recording again, not for the button that was pressed
    await record(page);
  }
  // three of the eight lessons are left
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
  const data = hearing.data("restarted");
  const first = await serve(data);
  const { page, context } = await openPage(hearing.browser, first.url);
  await start(page);
  await record(page);

  await first.stop("SIGKILL");
  await page.getByText("The server is gone. What you record is kept.").waitFor();
  const second = await serve(data, { TCLIF_LISTENER__PORT: first.port });
  await page.getByText("Connected again.").waitFor();
  await record(page);

  await context.close();
  await second.stop();
});

test("a word is added while a session runs, and can be taught", async () => {
  const server = await serve(hearing.data("grown"));
  const { page, context, complaints } = await openPage(hearing.browser, server.url);
  await start(page);

  await page.getByLabel("One more word").fill("yes");
  await page.keyboard.press("Enter");
  await page.getByText(/The server says: .*yes/).waitFor();
  await page.getByLabel("One more word").fill("maybe");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("It knows maybe too").waitFor();
  await page.locator("#teach-status").click();
  await record(page);
  await page.keyboard.press("4");
  await page.getByText("Learnt: maybe.").waitFor();

  // the same name goes on with it, grown as it is
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByText("The session stays on the server").waitFor();
  await page.getByRole("radio", { name: /my-voice/ }).waitFor();
  await start(page);
  assert.deepEqual(await page.locator("#teach-labels button").allInnerTexts(), ["1 yes", "2 no", "3 stop", "4 maybe"]);
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("a session begins from the model of spoken digits that comes with the server", async () => {
  const server = await serve(hearing.data("model"));
  const { page, context, complaints } = await openPage(hearing.browser, server.url);
  await page.getByText("Connected to").waitFor();

  await page.getByLabel("Begin with").selectOption("digits");
  await start(page);
  await record(page);

  assert.equal((await page.locator("#teach-labels button").allInnerTexts()).at(-1), "nine");
  assert.ok(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"].includes((await guess(page)).name));
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});
