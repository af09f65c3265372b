/** A server of its own for a browser test, in a folder that goes away with it. */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Makes a folder that `remove` takes away again. */
export async function scratch() {
  const path = await mkdtemp(join(tmpdir(), "tclif-page-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** The command of the project's environment. @param {string} name */
export const command = (name) => join(ROOT, ".venv", "bin", name);

/**
 * Starts a server and waits until it listens; the first start compiles its kernel.
 * @param {string} data Its data folder.
 * @param {Record<string, string>} [settings] Further variables.
 */
export async function serve(data, settings = {}) {
  const env = { ...process.env, TCLIF_LISTENER__PORT: "0", ...settings };
  const child = spawn(command("tclif-serve"), ["--data", data], { env, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  /** @type {string[]} */
  const said = [];
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      said.push(line);
      const [, found] = /listening on (http:\S+)/.exec(line) ?? [];
      if (found) resolve(found);
    });
    void ended.then(() => reject(new Error(`the server ended:\n${said.join("\n")}`)));
  });
  // a test that fails before it stops its server ends all the same
  child.unref();
  /** @type {import("node:net").Socket} */ (child.stderr).unref();
  process.once("exit", () => child.kill("SIGKILL"));
  return {
    url,
    port: new URL(url).port,
    async stop(signal = /** @type {NodeJS.Signals} */ ("SIGTERM")) {
      child.ref();
      child.kill(signal);
      await ended;
    },
  };
}
