/** What the page says, in the clinic's language. Every text stands in texts/<language>.js; English is the fallback. */

import { en } from "../texts/en.js";
import { plurals } from "./intl.js";

let texts = en;
let language = "en";

/** Take the clinic's language, where there is a file for it. */
export async function speak(wanted) {
  if (!/^[a-z]{2}$/.test(wanted ?? "") || wanted === language) return;
  try {
    texts = (await import(`../texts/${wanted}.js`))[wanted];
    language = wanted;
  } catch {
    texts = en; // there is no such file: a page in English is better than none
  }
  document.documentElement.lang = language;
}

export const spoken = () => language;

const at = (tree, path) => path.split(".").reduce((node, name) => node?.[name], tree);

/** Whether there is a text of this name. */
export const known = (path) => at(texts, path) !== undefined || at(en, path) !== undefined;

/**
 * The text of this name with its `{places}` filled in. One that depends on a number is a table by plural
 * (`{one: ..., other: ...}`) and is chosen by the value `n`. An unknown name is said as it is: better than nothing.
 */
export function say(path, values = {}) {
  let text = at(texts, path) ?? at(en, path);
  if (text && typeof text === "object") text = text[plurals(language).select(values.n ?? 0)] ?? text.other;
  if (typeof text !== "string") return path.split(".").at(-1).replaceAll("_", " ");
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values[name] === undefined ? whole : String(values[name])));
}
