/** The server's HTTP side: requests with the token, and problems in words that a person can use. */

import { serverEvents, textOf } from "./event_stream.js";

const TOKEN_KEY = "tclif.token";

/** What a server answered instead of what it was asked for. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status, 0 if no answer came at all.
   * @param {string} code
   * @param {string} detail
   */
  constructor(status, code, detail) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }
}

/**
 * Says what a failed request means to the person before the page.
 * @param {unknown} error
 */
export function explained(error) {
  if (!(error instanceof Problem)) return `Something went wrong: ${String(error)}`;
  if (error.status === 0) return "The server does not answer. Is it running?";
  if (error.status === 401) return "The server does not know this token.";
  if (error.status === 403) return `The server refuses: ${error.message}`;
  if (error.status === 429) return `The server has no more room for you just now: ${error.message}`;
  if (error.status === 503) return "The server is starting or stopping.";
  return error.message;
}

export class Server {
  #storage;
  #fetch;

  /**
   * @param {Pick<Storage, "getItem" | "setItem">} storage Where the token is kept: the tab's own.
   * @param {typeof fetch} [request]
   */
  constructor(storage, request = (...asked) => fetch(...asked)) {
    this.#storage = storage;
    this.#fetch = request;
  }

  /** The token, if the person gave one. */
  get token() {
    return this.#storage.getItem(TOKEN_KEY) ?? undefined;
  }

  /** @param {string} token */
  useToken(token) {
    this.#storage.setItem(TOKEN_KEY, token);
  }

  /**
   * @param {string} path
   * @returns {Promise<any>} The JSON of the answer.
   */
  async get(path) {
    return (await this.#ask(path)).json();
  }

  /**
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  async post(path, body = {}) {
    const headers = { "Content-Type": "application/json" };
    return (await this.#ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  }

  /** @param {string} path */
  async bytes(path) {
    return (await this.#ask(path)).blob();
  }

  /**
   * Yields the events of a stream until it ends or `signal` aborts it.
   * @param {string} path
   * @param {AbortSignal} signal
   */
  async *events(path, signal) {
    const { body } = await this.#ask(path, { signal });
    try {
      yield* serverEvents(textOf(/** @type {ReadableStream<Uint8Array>} */ (body)));
    } catch (cause) {
      if (signal.aborted) return;
      throw new Problem(0, "gone", String(cause));
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async #ask(path, options = {}) {
    const headers = new Headers(options.headers);
    if (this.token !== undefined) headers.set("Authorization", `Bearer ${this.token}`);
    let answer;
    try {
      answer = await this.#fetch(path, { ...options, headers, cache: "no-store" });
    } catch (cause) {
      throw new Problem(0, "gone", String(cause));
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new Problem(answer.status, said.code ?? "unknown", said.detail ?? answer.statusText);
  }
}
