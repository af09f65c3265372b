/** Streams of the server that are read again and again, whatever happens to it meanwhile. */

import { Problem } from "./server.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/** @param {number} ms @param {AbortSignal} signal */
const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
    if (signal.aborted) wake();
    else signal.addEventListener("abort", wake, { once: true });
  });

/**
 * Reads a stream until it is told to stop; begins again, ever less often, while that fails.
 * @param {import("./server.js").Server} server
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(event: import("./event_stream.js").ServerEvent) => void} onEvent
 * @param {(problem: Problem) => void | Promise<void>} onProblem Is awaited before the next attempt.
 * @param {number} [firstWaitMs] Before the second attempt; it doubles while nothing comes.
 */
export async function keepWatching(server, path, signal, onEvent, onProblem, firstWaitMs = FIRST_WAIT_MS) {
  let waitMs = firstWaitMs;
  while (!signal.aborted) {
    try {
      for await (const event of server.events(path, signal)) {
        if (signal.aborted) return;
        onEvent(event);
        waitMs = firstWaitMs;
      }
      if (signal.aborted) return;
      await onProblem(new Problem(503, "draining", "the stream ended"));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      await onProblem(error);
    }
    await pause(waitMs, signal);
    waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
  }
}
