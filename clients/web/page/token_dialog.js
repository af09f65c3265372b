/** Asks for the token, once. */

/** @param {string} id */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

/**
 * Asks until something is entered.
 * @param {string} refused Why the token before would not do, or nothing.
 * @returns {Promise<string>}
 */
export function askForToken(refused) {
  const [dialog, input, enter] = ["token-dialog", "token", "token-enter"].map(byId);
  byId("token-refused").textContent = refused;
  input.value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const take = () => {
      if (!input.value.trim()) return;
      dialog.close();
      resolve(input.value.trim());
    };
    enter.onclick = take;
    input.onkeydown = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") take();
    };
    // there is nothing to see without one
    dialog.oncancel = (/** @type {Event} */ event) => event.preventDefault();
  });
}
