/** What a screen reader is told: what just happened, politely, or at once where somebody may be in danger. */

const QUIET_MS = 50;

function into(id, text) {
  const region = document.getElementById(id);
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text; // the same words again are news again
  }, QUIET_MS);
}

export const announce = (text) => into("polite", text);
export const alert = (text) => into("assertive", text);
