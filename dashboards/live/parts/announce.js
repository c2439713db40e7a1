/**
 * What a screen reader is told: what just happened, politely, or at once where somebody may be in danger.
 *
 * Each sentence is added, so that one is not lost because another follows it.
 */

const KEPT = 5;

function into(id, text) {
  const region = document.getElementById(id);
  const said = document.createElement("p");
  said.textContent = text;
  region.append(said);
  while (region.childElementCount > KEPT) region.firstElementChild.remove();
}

export const announce = (text) => into("polite", text);
export const alert = (text) => into("assertive", text);
