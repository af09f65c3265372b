/**
 * Everything that can go wrong on purpose.
 *
 *     TclifError
 *         UnusableServer    what the server sent is not this protocol, or contradicts what we know
 *         SessionRefused    the server ended the connection for a reason that trying again won't mend
 *         SessionEnded      the session or its connection ended without being asked to by us
 *         ConnectionLost    no connection could be had for as long as we were told to try
 *         MessageRefused    the server refused one message that a call waits for; the session goes on
 *         CallsNotAwaited   more calls wait for room than a caller that awaits them could have made
 *
 * What a caller passes wrongly is a TypeError or RangeError, thrown before anything is sent.
 */

export class TclifError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

export class UnusableServer extends TclifError {}

export class CallsNotAwaited extends TclifError {}

export class MessageRefused extends TclifError {
  /** @param {import("./wire.js").ErrorMessage} refusal */
  constructor(refusal) {
    super(`${refusal.code}: ${refusal.message}`);
    this.code = refusal.code;
    this.sequence = refusal.sequence;
  }
}

export class SessionRefused extends TclifError {
  /**
   * @param {number} closeCode Of the WebSocket.
   * @param {import("./wire.js").ErrorMessage | undefined} refusal The fatal error that came before.
   */
  constructor(closeCode, refusal) {
    const said = refusal ? `${refusal.code}: ${refusal.message}` : "no reason was given";
    super(`the server closed with ${closeCode}, ${said}`);
    this.closeCode = closeCode;
    this.code = refusal?.code;
    this.sequence = refusal?.sequence;
  }
}

export class SessionEnded extends TclifError {
  /** @param {string} reason As in `goodbye`: `taken_over`, `deleted`, … */
  constructor(reason) {
    super(`the session's connection ended: ${reason}`);
    this.reason = reason;
  }
}

export class ConnectionLost extends TclifError {
  /**
   * @param {number} closeCode Of the last attempt.
   * @param {number} forMs How long there has been no progress.
   * @param {import("./wire.js").ErrorMessage | undefined} refusal What the server said last, if it did.
   */
  constructor(closeCode, forMs, refusal) {
    const said = refusal
      ? `the server says ${refusal.code}: ${refusal.message}`
      : "is it running, is the address right, does it know the token? A WebSocket does not tell";
    super(`no usable connection for ${forMs} ms, the last attempt closed with ${closeCode}; ${said}`);
    this.closeCode = closeCode;
    this.forMs = forMs;
    this.code = refusal?.code;
  }
}
