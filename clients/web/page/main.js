/** The page: says how the server is, asks for a token where it wants one, and shows the sessions. */

import { Monitor } from "./monitor.js";
import { Server, explained } from "./server.js";
import { Teaching } from "./teaching.js";
import { askForToken } from "./token_dialog.js";

const status = /** @type {HTMLElement} */ (document.getElementById("status"));
const changeToken = /** @type {HTMLButtonElement} */ (document.getElementById("change-token"));
const server = new Server(sessionStorage);

/** @type {Promise<void> | undefined} */
let asking;
let isWell = false;

/** @param {string} refused */
function ask(refused) {
  asking ??= askForToken(refused).then((token) => {
    server.useToken(token);
    asking = undefined;
  });
  return asking;
}

/** @param {string} text @param {boolean} isBad */
function say(text, isBad) {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("bad", isBad);
}

/** @param {import("./server.js").Problem} problem */
async function meet(problem) {
  if (problem.status === 401) {
    await ask(server.token === undefined ? "" : explained(problem));
    return;
  }
  isWell = false;
  monitor.lose();
  say(`${explained(problem)} Trying again …`, true);
}

changeToken.addEventListener("click", () => void ask("").then(() => location.reload()));

const monitor = new Monitor(server, meet, () => {
  if (!isWell) void teaching.offerModels();
  isWell = true;
  changeToken.hidden = server.token === undefined;
  say(`Connected to ${location.host}`, false);
});
const teaching = new Teaching(server, (session) => monitor.choose(session), (session) => monitor.has(session));
