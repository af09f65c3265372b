/** What a session is opened with, and how its client behaves where the protocol leaves it free. */

/**
 * @typedef {object} OpenRequest The fields of `open` in the protocol, in camelCase.
 * @property {string} [session] Absent: the server chooses a name.
 * @property {string} [model]
 * @property {object} [network]
 * @property {number} [tickUs]
 * @property {import("./event_frames.js").Sensor} [sensor]
 * @property {{by: string, gapUs?: number, lengthUs?: number}} [segmentation]
 * @property {boolean} [carryState]
 * @property {number} [lateUs]
 * @property {object} [learning]
 * @property {{everyTicks?: number, probabilities?: boolean}} [report]
 * @property {number} [seed]
 * @property {number} [epoch]
 *
 * @typedef {object} ClientOptions
 * @property {string} [token] The bearer token.
 * @property {import("./resumption.js").Patience} [patience] When to give up, how long to wait.
 * @property {number} [bufferBytes] What is kept until durable; calls wait beyond it. 64 MiB.
 * @property {AbortSignal} [signal] Ends the wait for the session: `connect` rejects with its reason.
 * @property {import("./link.js").LinkOwner["onState"]} [onState] Hears how the link is, and while it waits
 *   to connect again also why and for how long.
 * @property {any} [WebSocket] Constructor, `globalThis.WebSocket` by default.
 * @property {import("./link.js").Clock} [clock]
 * @property {() => number} [random]
 */

/** @type {import("./link.js").Clock} */
const WALL_CLOCK = {
  now: () => performance.now(),
  after: (ms, act) => setTimeout(act, ms),
  cancel: (timer) => clearTimeout(timer),
};

/**
 * The options with their defaults.
 * @param {ClientOptions} options
 */
export function filledIn(options) {
  const filled = {
    WebSocket: globalThis.WebSocket,
    clock: WALL_CLOCK,
    random: Math.random,
    patience: {},
    onState: () => {},
    ...options,
  };
  if (filled.WebSocket === undefined) {
    throw new TypeError("no WebSocket here: Node 20 needs --experimental-websocket");
  }
  return filled;
}
