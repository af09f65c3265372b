/**
 * Server-sent events from a response of `fetch`.
 *
 * `EventSource` can send no Authorization header, so the few lines of the format are read here.
 */

/**
 * @typedef {{event: string, data: any}} ServerEvent
 */

/** Longest event that is read; the server's are far below. */
const LONGEST = 16 << 20;

/**
 * Yields the events of a stream of text in pieces, cut anywhere.
 * @param {AsyncIterable<string>} pieces
 * @returns {AsyncGenerator<ServerEvent>} Their data is parsed as JSON; comments are left out.
 * @throws {RangeError} An event is longer than this page reads.
 */
export async function* serverEvents(pieces) {
  let waiting = "";
  for await (const piece of pieces) {
    waiting += piece.replaceAll("\r", "");
    if (waiting.length > LONGEST) throw new RangeError(`an event of more than ${LONGEST} letters came`);
    let end;
    while ((end = waiting.indexOf("\n\n")) >= 0) {
      const event = parsed(waiting.slice(0, end));
      waiting = waiting.slice(end + 2);
      if (event) yield event;
    }
  }
}

/**
 * @param {string} block
 * @returns {ServerEvent | undefined} Undefined for comments and what holds no data.
 */
function parsed(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]*):? ?(.*)$/.exec(line) ?? [];
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : undefined;
}

/** The server says something each second; one that is silent for so long is gone, whatever its socket says. */
const SILENCE_MS = 5000;

/**
 * Yields the text of a response, piece by piece.
 * @param {ReadableStream<Uint8Array>} body
 * @param {number} [silenceMs] Longest wait for a piece.
 * @returns {AsyncGenerator<string>}
 * @throws {Error} Nothing came for too long.
 */
export async function* textOf(body, silenceMs = SILENCE_MS) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), silenceMs);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * @template Value
 * @param {Promise<Value>} coming
 * @param {number} ms
 * @returns {Promise<Value>}
 */
function soon(coming, ms) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came for ${ms} ms`)), ms);
    coming.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
