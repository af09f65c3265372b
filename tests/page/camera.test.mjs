/** The camera and gestures in a real browser, which sees a film that the test makes as its camera. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { axeViolations, launch, nPainted, openPage, picture } from "./browser.mjs";
import { scratch, serve } from "./server.mjs";
import { guess, record, sensing } from "./teaching.mjs";

const [WIDTH, HEIGHT, FRAMES] = [160, 120, 30];

/** @type {Awaited<ReturnType<typeof scratch>>} */ let folder;
/** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

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
  folder = await scratch();
  const path = join(folder.path, "film.y4m");
  await writeFile(path, film());
  browser = await launch(sensing("video", path));
});

after(async () => {
  await browser?.close();
  await folder?.remove();
});

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
  const server = await serve(join(folder.path, "camera"));
  const { page, context, complaints } = await openPage(browser, server.url);
  await page.getByText("Connected to").waitFor();

  await page.getByLabel("camera, as an event camera").check();
  await page.getByRole("button", { name: "Start the camera" }).click();
  await page.getByText("make a gesture").waitFor();
  await page.locator("#teach-status").click();
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
  for (const [device, width] of /** @type {const} */ ([["desktop", 1280], ["phone", 390]])) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
      assert.deepEqual(await axeViolations(page), [], `${device} ${colorScheme}`);
      await picture(page, `camera_${device}_${colorScheme}`);
    }
  }
  assert.deepEqual(complaints, []);
  await context.close();
  await server.stop();
});

test("a camera that is not allowed, and a session of another sensor, are said in words", async () => {
  const server = await serve(join(folder.path, "refused"));
  const { page, context } = await openPage(browser, server.url);
  await page.getByText("Connected to").waitFor();
  await page.getByLabel("camera, as an event camera").check();
  await page.getByRole("button", { name: "Start the camera" }).click();
  await page.getByText("make a gesture").waitFor();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("radio", { name: /my-gestures/ }).waitFor();

  await page.getByLabel("microphone", { exact: true }).check();
  await page.getByLabel("Session", { exact: true }).fill("my-gestures");
  await page.getByRole("button", { name: "Start the microphone" }).click();
  await page.getByText("Session my-gestures senses by camera; choose another name.").waitFor();

  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("Permission denied", "NotAllowedError");
    };
  });
  await page.getByLabel("camera, as an event camera").check();
  await page.getByRole("button", { name: "Start the camera" }).click();
  await page.getByText("The browser was not allowed to use the camera.").waitFor();
  await context.close();
  await server.stop();
});
