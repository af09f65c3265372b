/** The camera and gestures in a real browser, which sees a film that the test makes as its camera. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { inspect, nPainted, openPage } from "./browser.mjs";
import { serve } from "./server.mjs";
import { browserThatSenses, guess, record, start } from "./teaching.mjs";

const [WIDTH, HEIGHT, FRAMES] = [160, 120, 30];

/** @type {Awaited<ReturnType<typeof browserThatSenses>>} */ let seeing;

/** A film of a second, again and again: a bright ball goes round before grey, with a dark one opposite. */
function film() {
  const parts = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F30:1 Ip A1:1 C420jpeg\n`)];
  for (let n = 0; n < FRAMES; n += 1) {
    const frame = Buffer.alloc((WIDTH * HEIGHT * 3) / 2, 128);
    const angle = (2 * Math.PI * n) / FRAMES;
    for (const [side, luma] of [[1, 230], [-1, 30]]) {
      const [atX, atY] = [80 + side * 40 * Math.cos(angle), 60 + side * 35 * Math.sin(angle)];
      for (let y = 0; y < HEIGHT; y += 1) {
        for (let x = 0; x < WIDTH; x += 1) {
          if (Math.hypot(x - atX, y - atY) < 16) frame[y * WIDTH + x] = luma;
        }
      }
    }
    parts.push(Buffer.from("FRAME\n"), frame);
  }
  return Buffer.concat(parts);
}

before(async () => {
  seeing = await browserThatSenses("video", (path) => writeFile(path, film()));
});

after(() => seeing?.close());

/** Pixels of the picture that are nearer to a colour of the style than to the other. */
const nMarks = (/** @type {import("playwright-core").Page} */ page) =>
  page.locator("#camera-picture").evaluate((/** @type {HTMLCanvasElement} */ canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const marks = { blue: 0, orange: 0 };
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 2] > data[i] + 60) marks.blue += 1;
      if (data[i] > data[i + 2] + 60) marks.orange += 1;
    }
    return marks;
  });

test("a gesture is seen as changes, taught, and known again", async () => {
  const server = await serve(seeing.data("camera"));
  const { page, context, complaints } = await openPage(seeing.browser, server.url);

  await start(page, "camera");
  await record(page, 600);
  const marks = await nMarks(page);
  assert.ok(marks.blue > 20 && marks.orange > 20, `brighter and darker are drawn: ${JSON.stringify(marks)}`);
  await page.getByRole("heading", { name: "my-gestures" }).waitFor();
  assert.ok((await nPainted(page, "#input")) > 200, "what the camera saw is drawn");
  const before = await guess(page);
  const [word, key] = before.name === "left" ? ["right", "2"] : ["left", "1"];

  for (let lesson = 0; lesson < 8; lesson += 1) {
    await page.keyboard.press(key);
    await page.getByText(`Learnt: ${word}.`).waitFor();
    await record(page, 600);
  }

  assert.equal((await guess(page)).name, word);
  await inspect(page, "camera");
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("a session of another sensor is said in words", async () => {
  const server = await serve(seeing.data("other"));
  const { page, context } = await openPage(seeing.browser, server.url);
  await start(page, "camera");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("radio", { name: /my-gestures/ }).waitFor();

  await page.getByLabel("microphone", { exact: true }).check();
  await page.getByLabel("Session", { exact: true }).fill("my-gestures");
  await page.getByRole("button", { name: "Start the microphone" }).click();

  await page.getByText("Session my-gestures senses by camera; choose another name.").waitFor();
  await context.close();
  await server.stop();
});
