/** What the page says where it can't go on: a server without room, one that is gone, a sensor that is refused. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { launch, openPage } from "./browser.mjs";
import { serve } from "./server.mjs";
import { voice, wav } from "./sounds.mjs";
import { browserThatSenses } from "./teaching.mjs";

/** @type {Awaited<ReturnType<typeof browserThatSenses>>} */ let hearing;

before(async () => {
  hearing = await browserThatSenses("audio", (path) => writeFile(path, wav(voice())));
});

after(() => hearing?.close());

/** @param {import("playwright-core").Page} page @param {string} name */
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

test("a server that is full says so, when it is tried again, and can be left", async () => {
  // so little of its time may be taken that no session fits
  const server = await serve(hearing.data("full"), { TCLIF_ADMISSION__NEW_LOAD: "1e-9" });
  const { page, context } = await openPage(hearing.browser, server.url);
  await page.getByText("Connected to").waitFor();

  await press(page, "Start the microphone");

  await page.getByText(/^The server is full: .* Trying again in [5-6] s …$/).waitFor();
  assert.ok(await page.getByRole("button", { name: "Start the microphone" }).isDisabled());
  await press(page, "Stop");
  await page.getByText("Stopped.", { exact: true }).waitFor();
  assert.ok(await page.getByRole("button", { name: "Start the microphone" }).isEnabled());
  await context.close();
  await server.stop();
});

test("who has all the sessions that a server allows is told, and gets in once one is gone", async () => {
  const server = await serve(hearing.data("quota"), { TCLIF_QUOTA__SESSIONS: "1" });
  const { page, context } = await openPage(hearing.browser, server.url);
  await page.getByText("Connected to").waitFor();
  await page.evaluate(async () => {
    const { SessionClient } = await import("/web/index.js");
    const client = await SessionClient.connect(`ws://${location.host}/v1/stream`, {
      session: "first",
      sensor: { kind: "cochlea", channels: 700 },
      network: { hidden: [16], classes: ["no", "yes"] },
    });
    await client.close();
  });

  await press(page, "Start the microphone");
  await page.getByText(/^The server has no more room for you: .* Trying again/).waitFor();
  const headers = { "Content-Type": "application/json" };
  await fetch(new URL("/v1/sessions/first", server.url), { method: "DELETE", headers });

  await page.getByText("Hold the button").waitFor();
  await context.close();
  await server.stop();
});

test("a server that is gone before anything began is told, and reached once it is there", async () => {
  const data = hearing.data("gone");
  const first = await serve(data);
  const { page, context } = await openPage(hearing.browser, first.url);
  await page.getByText("Connected to").waitFor();
  await first.stop("SIGKILL");

  await press(page, "Start the microphone");

  await page.locator("#teach-status", { hasText: "The server does not answer. Is it running?" }).waitFor();
  await page.locator("#status", { hasText: "The server does not answer. Is it running? Trying again …" }).waitFor();
  const second = await serve(data, { TCLIF_LISTENER__PORT: first.port });
  await page.getByText("Connected to").waitFor();
  await press(page, "Start the microphone");
  await page.getByText("Hold the button").waitFor();
  await context.close();
  await second.stop();
});

for (const [why, flags, said] of /** @type {const} */ ([
  ["refused", ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"], "The browser was not allowed to use the"],
  ["missing", ["--use-fake-ui-for-media-stream"], "was found."],
])) {
  test(`a microphone and a camera that are ${why} are said in words`, async (context) => {
    const server = await serve(hearing.data(why));
    const browser = await launch([...flags]);
    context.after(() => browser.close());
    const { page } = await openPage(browser, server.url);
    await page.getByText("Connected to").waitFor();

    for (const [choice, device] of [["microphone", "microphone"], ["camera, as an event camera", "camera"]]) {
      await page.getByLabel(choice, { exact: true }).check();
      await press(page, `Start the ${device}`);
      const text = why === "refused" ? `${said} ${device}. Allow it` : `No ${device} ${said}`;
      await page.getByText(text).waitFor();
      assert.ok(await page.getByRole("button", { name: `Start the ${device}` }).isEnabled());
    }
    await server.stop();
  });
}
