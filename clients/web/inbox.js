/** What came back of a session, sorted for those who wait for it. */

import { MessageStream } from "./message_stream.js";
import { Progress } from "./progress.js";

/** Messages of a kind that wait for their reader. */
const UNREAD = 4096;

/**
 * @typedef {import("./wire.js").PredictionMessage} PredictionMessage
 * @typedef {import("./wire.js").LearnedMessage} LearnedMessage
 * @typedef {import("./wire.js").ErrorMessage} ErrorMessage
 */

export class Inbox {
  /** @type {MessageStream<PredictionMessage>} */
  predictions = new MessageStream(UNREAD, (prediction) => !prediction.final);
  /** @type {MessageStream<LearnedMessage>} */
  learned = new MessageStream(UNREAD);
  /** @type {MessageStream<ErrorMessage>} */
  errors = new MessageStream(UNREAD);
  progress = new Progress();

  /** @param {import("./wire.js").ServerMessage} message */
  take(message) {
    switch (message.type) {
      case "ack":
        this.progress.acknowledge(message);
        break;
      case "prediction":
        this.predictions.push(message);
        break;
      case "learned":
        this.learned.push(message);
        break;
      case "error":
        // a fatal one is told as the failure, if the link does not come back
        if (!message.fatal) this.errors.push(message);
        break;
    }
  }

  /**
   * Nothing comes any more.
   * @param {Error | undefined} failure What readers hear, if it was not asked for.
   * @param {Error} end What those hear who wait for the server to be further.
   */
  end(failure, end) {
    this.progress.fail(failure ?? end);
    for (const stream of [this.predictions, this.learned, this.errors]) stream.end(failure);
  }
}
