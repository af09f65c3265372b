/** The JavaScript client, driven by lines of JSON; see driven_client.py. */

import { createInterface } from "node:readline";

import { fromWireNames, toWireNames } from "../../clients/web/field_names.js";
import {
  ConnectionLost,
  SessionClient,
  SessionEnded,
  SessionRefused,
} from "../../clients/web/index.js";

const tell = (name, value) => process.stdout.write(`${JSON.stringify({ [name]: value })}\n`);

/** What a reader of a stream does after all of them have had their turn. */
const afterReaders = () => new Promise((resolve) => setImmediate(resolve));

const CALLS = {
  segment: (client, { action, segment, tUs }) =>
    action === "begin" ? client.beginSegment(segment, tUs) : client.endSegment(segment, tUs),
  events: (client, { timesUs, addresses }) => client.events(timesUs, addresses),
  advance: (client, { tUs }) => client.advance(tUs),
  label: (client, { segment, fromUs, toUs, target }) =>
    segment === undefined ? client.labelInterval(fromUs, toUs, target) : client.label(segment, target),
  learning: (client, { mode, rate }) => client.learning({ mode, rate }),
  classes: (client, { add }) => client.addClasses(add),
  snapshot: (client) => client.snapshot(),
  settle: async (client) => {
    await client.applied();
    await afterReaders();
  },
};

async function listen(stream) {
  try {
    for await (const message of stream) tell("heard", toWireNames(message));
  } catch {
    // how the client ended is told once, at last
  }
}

/** Puts a failure in words that all drivers share. */
function endOf(failure) {
  if (failure instanceof SessionRefused) {
    return { why: "refused", code: failure.code, close_code: failure.closeCode };
  }
  if (failure instanceof SessionEnded) {
    return { why: failure.reason === "taken_over" ? "taken_over" : "lost" };
  }
  if (failure instanceof ConnectionLost) return { why: "unreachable" };
  throw failure;
}

async function converse(lines) {
  const { url, request, token } = fromWireNames(JSON.parse((await lines.next()).value));
  let client;
  const tellOpened = () => tell("opened", toWireNames(client.opened));
  const onState = (state) => {
    // the first time there is no client yet to ask
    if (state === "attached" && client) tellOpened();
  };
  client = await SessionClient.connect(url, request, { token: token ?? undefined, onState });
  tellOpened();
  const listening = [client.predictions, client.learned, client.errors].map(listen);
  for (;;) {
    // nothing but a failure ends the client while we wait
    const { value: line } = await Promise.race([lines.next(), client.ended]);
    const { call, ...fields } = fromWireNames(JSON.parse(line));
    if (call === "close") break;
    await CALLS[call](client, fields);
    tell("done", {});
  }
  await client.close();
  await Promise.all(listening);
}

const input = createInterface({ input: process.stdin });
try {
  await converse(input[Symbol.asyncIterator]());
  tell("ended", { why: "closed" });
} catch (failure) {
  tell("ended", endOf(failure));
}
process.exit();
