/**
 * The live stream: one for the page, made anew where it was lost, with the devices whose samples the view draws.
 *
 * Browsers take a while to notice a dead line, so silence counts: the server sends something at least every few
 * seconds, and what is older than `LOST_AFTER_S` is called so, loudly.
 */

import * as api from "./api.js";
import { serverSaid } from "./clock.js";
import { ageS, change, heard, keepSample, merge, state } from "./store.js";

export const LOST_AFTER_S = 5;
const AGAIN_MS = 1_500;
const TRACED_MAX = 12; // the server draws a line there

let source = null;
let traced = "";
let again = null;
const listeners = new Set();

/** Listen, and draw the samples of these devices too. The same ones again change nothing. */
export function listen(devices = []) {
  const wanted = [...devices].sort().slice(0, TRACED_MAX).join(",");
  if (source && wanted === traced) return;
  traced = wanted;
  open();
}

export function hush() {
  clearTimeout(again);
  close();
}

function close() {
  source?.close();
  source = null;
}

function open() {
  close();
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
    close();
    change({ stream: "lost", ended: why });
    if (why === "signed_out") askWho();
  });
  on("open", () => listeners.forEach((act) => act()));
  mine.addEventListener("error", () => {
    if (source !== mine) return;
    if (state.stream === "live") change({ stream: "connecting" });
    if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, from where it was
    close();
    askWhoSoon();
  });
}

/** Call `act` whenever the stream is there (again): samples of in between have to be asked for. The answer ends it. */
export function whenOpened(act) {
  listeners.add(act);
  return () => listeners.delete(act);
}

/** Neither a stream that is refused nor one whose session has ended says who it is now: ask, and it is opened anew. */
async function askWho() {
  if ((await api.whoIsIt()) === api.WHO.unknown) askWhoSoon();
}

function askWhoSoon() {
  clearTimeout(again);
  again = setTimeout(askWho, AGAIN_MS);
}

/** To be called every second: what has not been heard for too long is lost. */
export function watch() {
  const age = ageS();
  if (age !== null && age > LOST_AFTER_S && state.stream !== "lost") {
    change({ stream: "lost" });
    if (source) open();
  }
}
