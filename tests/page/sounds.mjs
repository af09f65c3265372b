/** Sounds for a browser that takes a file for its microphone: 16-bit mono wav at 48 kHz. */

export const RATE = 48_000;

/** Harmonics whose formants move, for two seconds: like a voice, and like no word. */
export function voice() {
  return Float32Array.from({ length: 2 * RATE }, (_, n) => {
    const seconds = n / RATE;
    const formant = 500 + 400 * Math.sin(2 * Math.PI * 2 * seconds);
    let sum = 0;
    for (let hz = 120; hz < 5000; hz += 120) {
      sum += Math.sin(2 * Math.PI * hz * seconds) / (1 + ((hz - formant) / 120) ** 2);
    }
    return 0.12 * sum;
  });
}

/** @param {ArrayLike<number>} sound From -1 to 1; what is beyond is cut. */
export function wav(sound) {
  const samples = Int16Array.from(sound, (value) => 32_767 * Math.max(-1, Math.min(1, value)));
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(2 * RATE, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

/**
 * A recording as the browser decodes it, mono at 48 kHz, at nine tenths of full scale.
 * @param {import("playwright-core").Page} page
 * @param {Buffer} file In a format that the browser knows.
 * @returns {Promise<number[]>}
 */
export const decoded = (page, file) =>
  page.evaluate(
    async ([text, rate]) => {
      const bytes = Uint8Array.from(atob(String(text)), (letter) => letter.charCodeAt(0));
      const sound = await new OfflineAudioContext(1, 1, Number(rate)).decodeAudioData(bytes.buffer);
      const samples = Array.from(sound.getChannelData(0));
      const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-6);
      return samples.map((each) => (0.9 * each) / loudest);
    },
    [file.toString("base64"), RATE],
  );
