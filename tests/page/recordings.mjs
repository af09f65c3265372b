/** Spoken digits of people, for a browser that takes a file for its microphone. */

import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";

import { launch } from "./browser.mjs";
import { RATE, decoded, voice, wav } from "./sounds.mjs";

const FOLDER = new URL("../../../shared/data/fsdd/", import.meta.url);

/** Why a test of real voices can't run here, or false. */
export const missing = existsSync(FOLDER) ? false : "no recordings in ../shared/data/fsdd";

/**
 * Writes takes of a spoken digit, half a second of silence after each, as 48 kHz mono wav.
 * @param {string} path
 * @param {string} speaker
 * @param {number} digit
 * @param {number} nTakes
 */
export async function writeWord(path, speaker, digit, nTakes) {
  const browser = await launch();
  const page = await browser.newPage();
  const sound = [];
  for (let take = 0; take < nTakes; take += 1) {
    const file = new URL(`${speaker}/${digit}_${String(take).padStart(2, "0")}.flac`, FOLDER);
    sound.push(...(await decoded(page, await readFile(file))), ...new Float32Array(RATE / 2));
  }
  await browser.close();
  await writeFile(path, wav(sound));
}

/**
 * Writes a few takes of a word, or a synthetic voice where there are no recordings.
 * @param {string} path
 * @returns {Promise<string>} What it is.
 */
export async function writeSpeech(path) {
  if (missing) {
    await writeFile(path, wav(voice()));
    return "a synthetic voice";
  }
  await writeWord(path, "jackson", 7, 5);
  return "fsdd jackson 7, five takes";
}
