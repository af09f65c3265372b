/** Takes the frames of docs/figures/page.gif: a voice is taught, live. `node tests/page/film.mjs FOLDER` */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { openPage } from "./browser.mjs";
import { writeSpeech } from "./recordings.mjs";
import { serve } from "./server.mjs";
import { browserThatSenses, guess, record, start } from "./teaching.mjs";

const FRAME_MS = 250;

const frames = process.argv[2];
await mkdir(frames, { recursive: true });
const hearing = await browserThatSenses("audio", writeSpeech);
const server = await serve(hearing.data("film"));
const { page } = await openPage(hearing.browser, server.url, { viewport: { width: 1000, height: 1195 } });
await start(page);

let isFilming = true;
const filming = (async () => {
  while (isFilming) {
    // named by when it was taken, so that the film runs as fast as what it shows
    const name = String(Math.round(performance.now())).padStart(8, "0");
    const shot = page.screenshot({ path: join(frames, `${name}.png`) });
    await Promise.all([shot, page.waitForTimeout(FRAME_MS)]);
  }
})();
for (let lesson = 0; lesson < 6; lesson += 1) {
  await record(page, 900);
  await page.waitForTimeout(300);
  const { name } = await guess(page);
  // the word that a random network does not say by itself is taught
  await page.keyboard.press(lesson === 0 && name === "no" ? "1" : "2");
  await page.getByText("Learnt: ").waitFor();
}
isFilming = false;
await filming;
await server.stop();
await hearing.close();
