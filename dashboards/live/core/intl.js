/**
 * The browser's formats of times, numbers and plurals, each made once: to make one takes many times as long as to use
 * it, and a page that is redrawn with every sample uses dozens. There are as many as languages and shapes, times zones.
 */

const made = new Map();

const once =
  (kind) =>
  (language, shape = {}) => {
    const key = `${kind} ${language} ${JSON.stringify(shape)}`;
    if (!made.has(key)) made.set(key, new Intl[kind](language, shape));
    return made.get(key);
  };

export const timeFormat = once("DateTimeFormat");
export const numberFormat = once("NumberFormat");
export const plurals = once("PluralRules");
