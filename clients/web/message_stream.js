/**
 * Messages for one reader, as an async iterable.
 *
 * Bounded, since a WebSocket can't be told to wait: a reader that falls behind loses the oldest messages
 * that may be lost first (non-final predictions), then the oldest; `dropped` counts them.
 */

/**
 * @template Message
 * @implements {AsyncIterableIterator<Message>}
 */
export class MessageStream {
  /** Messages that were lost because nobody read them in time. */
  dropped = 0;
  /** @type {Message[]} */
  #messages = [];
  /** @type {{resolve: (result: IteratorResult<Message>) => void,
   *   reject: (error: Error) => void}[]} */
  #readers = [];
  #hasEnded = false;
  /** @type {Error | undefined} */
  #failure;
  #capacity;
  #mayBeLost;

  /**
   * @param {number} capacity
   * @param {(message: Message) => boolean} [mayBeLost]
   */
  constructor(capacity, mayBeLost = () => false) {
    this.#capacity = capacity;
    this.#mayBeLost = mayBeLost;
  }

  /** @param {Message} message */
  push(message) {
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve({ value: message, done: false });
      return;
    }
    if (this.#messages.length >= this.#capacity) {
      const losable = this.#messages.findIndex(this.#mayBeLost);
      this.#messages.splice(Math.max(losable, 0), 1);
      this.dropped += 1;
    }
    this.#messages.push(message);
  }

  /**
   * Ends the stream: a reader gets what is left, then the end or the failure.
   * @param {Error} [failure]
   */
  end(failure) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#failure = failure;
    for (const reader of this.#readers.splice(0)) {
      if (failure) reader.reject(failure);
      else reader.resolve({ value: undefined, done: true });
    }
  }

  /** @returns {Promise<IteratorResult<Message>>} */
  next() {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve({ value: message, done: false });
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#hasEnded) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
