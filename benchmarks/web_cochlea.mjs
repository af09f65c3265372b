/**
 * Speed and latency of the cochlea in JavaScript, on one core.
 *
 *     node benchmarks/web_cochlea.mjs
 *
 * Speed is sound heard per second of processor time, in blocks of 128 samples as a browser's AudioWorklet
 * gives them: median and range of several runs over ten seconds of a voice-like sound. Latency is in sensor time,
 * from the first sample of a tone after silence to the first spike of the channel tuned to it.
 */

import { Cochlea } from "../clients/web/cochlea.js";
import { SAMPLE_RATE } from "../clients/web/cochlea_design.js";

const SECONDS = 10;
const BLOCK = 128;
const RUNS = 7;
const BANDS_HZ = [60, 150, 300, 600, 1200, 2400, 4800, 7000];

/** Harmonics of a pitch that moves, with two formants, and pauses. */
function voice() {
  let phase = 0;
  return Float32Array.from({ length: SECONDS * SAMPLE_RATE }, (_, n) => {
    const seconds = n / SAMPLE_RATE;
    phase += (2 * Math.PI * (120 + 20 * Math.sin(3 * seconds))) / SAMPLE_RATE;
    if (seconds % 0.8 > 0.6) return 0;
    let sample = 0;
    for (let k = 1; k < 30; k += 1) {
      const hz = 120 * k;
      const weight = [600, 1800].reduce((sum, f) => sum + 1 / (1 + ((hz - f) / 100) ** 2), 0);
      sample += weight * Math.sin(k * phase);
    }
    return 0.05 * sample;
  });
}

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const sound = voice();
const speeds = [];
let nEvents = 0;
for (let run = 0; run < RUNS; run += 1) {
  const cochlea = new Cochlea();
  nEvents = 0;
  const begin = process.cpuUsage();
  for (let at = 0; at < sound.length; at += BLOCK) {
    nEvents += cochlea.process(sound.subarray(at, at + BLOCK)).channels.length;
  }
  const { user, system } = process.cpuUsage(begin);
  speeds.push((SECONDS * 1e6) / (user + system));
}
const [low, high] = [Math.min(...speeds), Math.max(...speeds)].map((speed) => speed.toFixed(1));
console.log(`700 channels, ${Math.round(nEvents / SECONDS)} events a second`);
console.log(`${median(speeds).toFixed(1)} times real time (${low} to ${high} in ${RUNS} runs)`);

const { centerHz } = new Cochlea().tables;
const latencies = [];
for (let c = 0; c < centerHz.length; c += 10) {
  const tone = Float64Array.from({ length: 1600 }, (_, n) => 0.1 * Math.sin((2 * Math.PI * centerHz[c] * n) / SAMPLE_RATE));
  const { timesUs, channels } = new Cochlea().process(tone);
  latencies.push({ hz: centerHz[c], ms: timesUs[channels.indexOf(c)] / 1000 });
}
for (let band = 1; band < BANDS_HZ.length; band += 1) {
  const inside = latencies.filter(({ hz }) => hz >= BANDS_HZ[band - 1] && hz <= BANDS_HZ[band]);
  const times = inside.map(({ ms }) => ms);
  console.log(`${BANDS_HZ[band - 1]} to ${BANDS_HZ[band]} Hz: first spike after ${median(times)} ms (largest ${Math.max(...times)})`);
}
