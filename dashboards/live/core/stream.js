/**
 * The live stream: one for the page, made anew where it was lost, with the devices whose samples the view draws.
 *
 * Browsers take a while to notice a dead line, so silence counts: the server sends something at least every few
 * seconds, and what is older than `LOST_AFTER_S` is called so, loudly.
 */

import * as api from "./api.js";
import { serverSaid } from "./clock.js";
import { ageS, atParting, change, each, heard, isUnheard, keepSample, merge, state } from "./store.js";

export const LOST_AFTER_S = 5;
const OPENED_EVERY_MS = 1_000; // at the most, where it was lost: a server that refuses is not asked without a pause
const TRACED_MAX = 12; // the server draws a line there

let source = null;
let traced = "";
let openedMs = -OPENED_EVERY_MS;
let wasLost = false;
let askedMs = 0;
const listeners = new Set();

/** Listen, and draw the samples of these devices too. The same ones again change nothing. */
export function listen(devices = []) {
  if (state.ended === "too_many") return; // another window has it, until this page is loaded again or somebody else's
  const wanted = [...devices].sort().slice(0, TRACED_MAX).join(",");
  if (source && wanted === traced) return;
  if (wasLost && performance.now() - openedMs < OPENED_EVERY_MS) return; // it is drawn again every second
  traced = wanted;
  open();
}

function hush() {
  source?.close();
  source = null;
}
atParting(() => {
  hush();
  state.ended = null; // whoever comes may have fewer windows
});

function open() {
  hush();
  openedMs = performance.now();
  const mine = new EventSource(api.url("stream", { trace: traced }));
  source = mine;
  const on = (name, take) =>
    mine.addEventListener(name, (event) => {
      if (source === mine) take(event.data ? JSON.parse(event.data) : {});
    });
  on("snapshot", (overview) => {
    state.ended = null;
    serverSaid(overview.as_of);
    heard({ overview });
  });
  on("delta", (delta) => {
    serverSaid(delta.as_of);
    heard(state.overview ? { overview: merge(state.overview, delta) } : {});
  });
  on("sample", (sample) => {
    keepSample(sample.device, sample);
    heard();
  });
  on("alive", () => heard());
  on("end", ({ why }) => {
    hush();
    wasLost = true;
    change({ stream: "lost", ended: why });
  });
  on("open", () => {
    askWho();
    wasLost = false;
    each(listeners);
  });
  mine.addEventListener("error", () => {
    if (source !== mine) return;
    wasLost = true;
    if (state.stream === "live") change({ stream: "connecting" });
    if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, from where it was
    hush();
    askWho();
  });
}

/** Call `act` whenever the stream is there (again): samples of in between have to be asked for. The answer ends it. */
export function whenOpened(act) {
  listeners.add(act);
  return () => listeners.delete(act);
}

/** No stream says who is signed in here: the browser may be somebody else's by the time that one is there. */
async function askWho() {
  askedMs = performance.now();
  change({ isUnknown: (await api.whoIsIt()) === api.WHO.unknown });
}

/** To be called every second: what has not been heard for too long is lost; who is not known is asked for again. */
export function watch() {
  const asksAgain = (!source || isUnheard()) && performance.now() - askedMs > LOST_AFTER_S * 1_000;
  if (state.me && (state.isUnknown || asksAgain)) askWho();
  const age = ageS();
  if (age !== null && age <= LOST_AFTER_S) return;
  if (age !== null && state.stream !== "lost") {
    wasLost = true;
    change({ stream: "lost" });
  }
  if (source && performance.now() - openedMs > LOST_AFTER_S * 1_000) open(); // again, as long as it is silent
}
