/** A client of the streaming learning service, for browsers and Node. See README.md. */

export { SessionClient } from "./client.js";
export * from "./errors.js";
