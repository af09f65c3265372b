/**
 * What the artificial cochlea is made of: its parameters, and the tables computed from them.
 *
 * The same model and the same numbers as `clients/cochlea_design.py`, whose docstring has the
 * equations; docs/cochlea.md explains them. Every table entry is rounded to float32, so another last
 * digit of cos or exp does not change a single spike.
 */

export const SAMPLE_RATE = 16_000;
/** Samples a neuron step: half a millisecond, the resolution of event times. */
export const STEP_SAMPLES = 8;
export const STEP_US = (STEP_SAMPLES * 1_000_000) / SAMPLE_RATE;

const GOLDEN_RATIO = 0.6180339887498949;

/** Parameters of the model, as `CochleaSpec` in Python documents them. */
export const DEFAULTS = {
  channels: 700,
  lowestHz: 60,
  highestHz: 7000,
  bandwidthErb: 0.8,
  preEmphasis: 0.9,
  gainAttackMs: 4,
  gainReleaseMs: 1000,
  levelFloor: 0.003,
  smoothingMs: 1,
  inhibition: 0.7,
  inhibitionErb: 5,
  adaptation: 0.7,
  adaptationMs: 60,
  drive: 18,
  membraneMs: 4,
  refractoryMs: 1,
  thresholdSpread: 0.5,
};

/** @type {Record<keyof typeof DEFAULTS, [number, number]>} */
const RANGES = {
  channels: [2, 65_536],
  lowestHz: [20, 7600],
  highestHz: [20, 7600],
  bandwidthErb: [0.2, 4],
  preEmphasis: [0, 1],
  gainAttackMs: [0.5, 100],
  gainReleaseMs: [50, 60_000],
  levelFloor: [1e-6, 1],
  smoothingMs: [0.5, 20],
  inhibition: [0, 1],
  inhibitionErb: [0, 40],
  adaptation: [0, 1],
  adaptationMs: [5, 2000],
  drive: [0.01, 1000],
  membraneMs: [0.5, 100],
  refractoryMs: [0, 100],
  thresholdSpread: [0, 1.9],
};

/**
 * @typedef {typeof DEFAULTS} CochleaSpec
 * @typedef {object} CochleaTables Arrays are `[channels]`; rates are the share of the remaining
 *   difference that a low-pass covers in one sample (`attackRate`) or one neuron step (the others).
 * @property {Float64Array} centerHz
 * @property {Float64Array} a1
 * @property {Float64Array} a2
 * @property {Float64Array} filterGain
 * @property {Float64Array} threshold
 * @property {number} preEmphasis
 * @property {number} attackRate
 * @property {number} releaseFactor
 * @property {number} levelFloor
 * @property {number} smoothingRate
 * @property {number} inhibition
 * @property {number} inhibitionReach
 * @property {number} adaptation
 * @property {number} adaptationRate
 * @property {number} drive
 * @property {number} membraneRate
 * @property {number} refractorySteps
 */

/** ERB-rate of a frequency in Hz. @param {number} hz */
const erbRate = (hz) => 21.4 * Math.log10(1 + 0.00437 * hz);

/** Equivalent rectangular bandwidth at a frequency, both in Hz. @param {number} hz */
const erbWidthHz = (hz) => 24.7 * (1 + 0.00437 * hz);

/**
 * A spec with its defaults.
 * @param {Partial<CochleaSpec>} given
 * @returns {CochleaSpec}
 * @throws {RangeError} A value lies outside its range; the message gives both.
 */
export function cochleaSpec(given = {}) {
  const spec = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(spec)) {
    const [low, high] = RANGES[/** @type {keyof CochleaSpec} */ (name)] ?? [];
    if (low === undefined) throw new RangeError(`${name} came, expected one of ${Object.keys(RANGES)}`);
    if (!(value >= low && value <= high)) throw new RangeError(`${name} is ${value}, expected ${low} to ${high}`);
  }
  if (!Number.isInteger(spec.channels)) throw new RangeError(`channels is ${spec.channels}, expected an integer`);
  if (spec.lowestHz >= spec.highestHz) {
    throw new RangeError(`lowestHz is ${spec.lowestHz}, expected less than highestHz (${spec.highestHz})`);
  }
  return spec;
}

/**
 * Computes the tables of a spec.
 * @param {CochleaSpec} spec
 * @returns {CochleaTables}
 */
export function design(spec) {
  const [top, bottom] = [erbRate(spec.highestHz), erbRate(spec.lowestHz)];
  const spacing = (top - bottom) / (spec.channels - 1);
  const numbers = Array.from({ length: spec.channels }, (_, c) => c);
  const centers = numbers.map((c) => (10 ** ((top - c * spacing) / 21.4) - 1) / 0.00437);
  const resonators = centers.map((hz) => resonator(hz, spec.bandwidthErb));
  const phases = numbers.map((c) => (GOLDEN_RATIO * c) % 1);
  const sampleMs = 1000 / SAMPLE_RATE;
  const stepMs = STEP_US / 1000;
  const covered = (/** @type {number} */ passedMs, /** @type {number} */ constantMs) =>
    Math.fround(-Math.expm1(-passedMs / constantMs));
  return {
    centerHz: rounded(centers),
    a1: rounded(resonators.map(({ a1 }) => a1)),
    a2: rounded(resonators.map(({ a2 }) => a2)),
    filterGain: rounded(resonators.map(({ gain }) => gain)),
    threshold: rounded(phases.map((phase) => 1 + spec.thresholdSpread * (phase - 0.5))),
    preEmphasis: Math.fround(spec.preEmphasis),
    attackRate: covered(sampleMs, spec.gainAttackMs),
    releaseFactor: Math.fround(Math.exp(-sampleMs / spec.gainReleaseMs)),
    levelFloor: Math.fround(spec.levelFloor),
    smoothingRate: covered(stepMs, spec.smoothingMs),
    inhibition: Math.fround(spec.inhibition),
    inhibitionReach: roundHalfEven(spec.inhibitionErb / spacing),
    adaptation: Math.fround(spec.adaptation),
    adaptationRate: covered(stepMs, spec.adaptationMs),
    drive: Math.fround(spec.drive),
    membraneRate: covered(stepMs, spec.membraneMs),
    refractorySteps: roundHalfEven(spec.refractoryMs / stepMs),
  };
}

/**
 * Coefficients of one resonator; its gain at the centre frequency is 1.
 * @param {number} hz
 * @param {number} bandwidthErb
 */
function resonator(hz, bandwidthErb) {
  const angle = (2 * Math.PI * hz) / SAMPLE_RATE;
  const radius = Math.exp((-2 * Math.PI * bandwidthErb * erbWidthHz(hz)) / SAMPLE_RATE);
  const [a1, a2] = [-2 * radius * Math.cos(angle), radius * radius];
  // |1 + a1 z^-1 + a2 z^-2| / |1 - z^-2| at z = exp(i angle)
  const pole = Math.hypot(
    1 + a1 * Math.cos(angle) + a2 * Math.cos(2 * angle),
    a1 * Math.sin(angle) + a2 * Math.sin(2 * angle),
  );
  const zero = Math.hypot(1 - Math.cos(2 * angle), Math.sin(2 * angle));
  return { a1, a2, gain: pole / zero };
}

/** @param {number[]} values */
const rounded = (values) => Float64Array.from(values, Math.fround);

/** As Python rounds. @param {number} value */
function roundHalfEven(value) {
  const nearest = Math.round(value);
  return Math.abs(value % 1) === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}
