/** Takes the frames of docs/figures/page.gif: a voice is taught, live. `node tests/page/film.mjs FOLDER` */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { launch, openPage } from "./browser.mjs";
import { missing, writeWord } from "./recordings.mjs";
import { scratch, serve } from "./server.mjs";
import { voice, wav } from "./sounds.mjs";
import { guess, record, sensing } from "./teaching.mjs";

const FRAME_MS = 250;

const frames = process.argv[2];
await mkdir(frames, { recursive: true });
const folder = await scratch();
const sound = join(folder.path, "sound.wav");
if (missing) await writeFile(sound, wav(voice()));
else await writeWord(sound, "jackson", 7, 5);
const browser = await launch(sensing("audio", sound));
const server = await serve(join(folder.path, "data"));
const { page } = await openPage(browser, server.url, { viewport: { width: 1000, height: 1340 } });
await page.getByText("Connected to").waitFor();
await page.getByRole("button", { name: "Start the microphone" }).click();
await page.getByText("Hold the button").waitFor();
await page.locator("#teach-status").click();

let isFilming = true;
const filming = (async () => {
  for (let n = 0; isFilming; n += 1) {
    const shot = page.screenshot({ path: join(frames, `${String(n).padStart(3, "0")}.png`) });
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
await browser.close();
await server.stop();
await folder.remove();
