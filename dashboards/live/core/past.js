/** What was measured before the page looked: asked for once, and again whenever the stream was away. */

import * as api from "./api.js";
import { nowMs } from "./clock.js";
import { keepSample } from "./store.js";

/** The rows of an answer in columns: `{at: [...], phase: [...]}`. */
export function fromColumns(columns) {
  const names = Object.keys(columns);
  return columns.at.map((_, n) => Object.fromEntries(names.map((name) => [name, columns[name][n]])));
}

const seconds = (pair) => pair.map((at) => Date.parse(at) / 1000);

/** Keep the samples of the last `spanS` seconds; the gaps between them as pairs of Unix seconds. */
export async function readPast(device, spanS) {
  const from = new Date(nowMs() - spanS * 1000).toISOString();
  try {
    const past = await api.samples(device, from);
    for (const sample of fromColumns(past.columns)) keepSample(device, sample);
    return past.gaps.map(seconds);
  } catch {
    return []; // what comes live is shown all the same
  }
}
