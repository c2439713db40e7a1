/**
 * Waiting, and what time it is, by the server: a browser's own clock may be wrong, and ages must not be.
 *
 * The server says its time with what it sends; since then the page's own monotonic clock counts.
 */

let saidMs = null; // Unix time that the server said last
let heardMs = 0; // the page's monotonic clock at that

/** The server said that it is `at` (ISO 8601). */
export function serverSaid(at) {
  const said = Date.parse(at);
  if (Number.isNaN(said)) return;
  saidMs = said;
  heardMs = performance.now();
}

/** Unix time in milliseconds. */
export const nowMs = () => (saidMs === null ? Date.now() : saidMs + performance.now() - heardMs);
export const now = () => new Date(nowMs());

/** How many seconds ago `at` (ISO 8601) was; null where there is none. */
export const sinceS = (at) => (at ? Math.max(0, (nowMs() - Date.parse(at)) / 1000) : null);

export const wait = (ms) => new Promise((go) => setTimeout(go, ms));
