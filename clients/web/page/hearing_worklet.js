/** The cochlea on the browser's sound thread: blocks of samples in, spike events out. */

import { Cochlea } from "../cochlea.js";

/** Blocks whose events are told together: 16 ms at 16 kHz. */
const BLOCKS = 2;

class Hearing extends AudioWorkletProcessor {
  // the worklet's own global: the context's rate
  #cochlea = new Cochlea({}, sampleRate);
  #nSamples = 0;
  #nBlocks = 0;
  /** @type {number[]} */
  #timesUs = [];
  /** @type {number[]} */
  #channels = [];
  #loudest = 0;

  /** @param {Float32Array[][]} inputs */
  process([[samples]]) {
    // no channel: the microphone is about to begin, or has ended
    if (!samples) return true;
    const { timesUs, channels } = this.#cochlea.process(samples);
    this.#timesUs.push(...timesUs);
    this.#channels.push(...channels);
    this.#nSamples += samples.length;
    for (const sample of samples) this.#loudest = Math.max(this.#loudest, Math.abs(sample));
    this.#nBlocks += 1;
    if (this.#nBlocks === BLOCKS) this.#tell();
    return true;
  }

  #tell() {
    const nowUs = Math.round((this.#nSamples * 1e6) / sampleRate);
    this.port.postMessage({
      timesUs: this.#timesUs,
      addresses: this.#channels,
      nowUs,
      // ears hear ratios; the root leaves room for what is quiet
      level: Math.sqrt(this.#loudest),
      atMs: Date.now(),
    });
    [this.#timesUs, this.#channels, this.#nBlocks, this.#loudest] = [[], [], 0, 0];
  }
}

registerProcessor("hearing", Hearing);
