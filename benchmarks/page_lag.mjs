/**
 * The lag from sound to prediction on the page, in a real browser: `make bench-page`.
 *
 * A Chromium hears a wav of spoken digits as its microphone, records it in pieces of three seconds, and
 * the page measures each piece of sound as docs/page.md defines it. A server of its own, on this machine.
 */

import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";

import { openPage } from "../tests/page/browser.mjs";
import { writeSpeech } from "../tests/page/recordings.mjs";
import { serve } from "../tests/page/server.mjs";
import { browserThatSenses, record, start } from "../tests/page/teaching.mjs";

const RECORDINGS = 10;
const RESULT = new URL("results/page_lag.json", import.meta.url);

let sound = "";
const hearing = await browserThatSenses("audio", async (path) => {
  sound = await writeSpeech(path);
});
const server = await serve(hearing.data("lag"));
const { page } = await openPage(hearing.browser, server.url);
await start(page);
// the first one warms up what is compiled or loaded at its first use, and counts all the same
for (let n = 0; n < RECORDINGS; n += 1) await record(page, 3000);
const text = await page.locator("#teach-lag").innerText();
const [, p50, p95] = /(\d+) ms, p95 (\d+) ms/.exec(text) ?? [];
const result = {
  command: "make bench-page",
  machine: `${cpus()[0].model}, ${cpus().length} cores`,
  browser: hearing.browser.version(),
  sound,
  recordings: RECORDINGS,
  pieces: "the last 1000 of 16 ms",
  p50_ms: Number(p50),
  p95_ms: Number(p95),
};
await writeFile(RESULT, `${JSON.stringify(result, undefined, 2)}\n`);
console.log(`lag_p50_ms=${p50} lag_p95_ms=${p95}`);
await server.stop();
await hearing.close();
