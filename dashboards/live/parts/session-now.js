/** What a session is in now, and its numbers: as its device is, and dashes while that is not heard. */

import { clockwise, milliamps, number, seconds } from "../core/formats.js";
import { isAbnormal, isSilent, stateOf } from "../core/status.js";
import { known, say } from "../core/words.js";
import { readings } from "./readings.js";

const OPEN = new Set(["authorised", "armed", "running", "paused", "stopping", "lost"]);
const LEVELS = { stopped_latched: "medium", lost: "high", aborted: "low" };

export const isOpen = ({ state: name }) => OPEN.has(name);
export const levelOf = ({ state: name }) => LEVELS[name] ?? "calm";

const stateWords = (name) => say(known(`session_state.${name}`) ? `session_state.${name}` : name);

export const ends = (ended) =>
  ended &&
  readings([
    ["session.elapsed", clockwise(ended.elapsed_s), "big"],
    ["session.on_time", clockwise(ended.on_time_s)],
    ["session.peak", milliamps(ended.peak_ma)],
    ["session.charge", number(ended.charge_uc / 1000, "mC", 1)],
    ["session.gaps", number(ended.gaps)],
  ]);

/** How it is now; dashes while its device is not heard. */
export function live(row, found) {
  const now = isSilent(row) ? null : row;
  const left = now && found.plan.duration_s - (now.session?.elapsed_s ?? found.elapsed_s);
  return readings([
    ["session.left", clockwise(left), "big"],
    ["quantities.setting_ma", milliamps(now?.session?.setting_ma ?? null), "big"],
    ["quantities.amplitude_ma", milliamps(now?.amplitude_ma ?? null), "big"],
    ["quantities.lease_margin_s", seconds(now?.session?.lease_margin_s ?? null)],
  ]);
}

/** What a session is in: `{level, icon, word}`. */
export function standing({ state: name }) {
  const level = levelOf({ state: name });
  return {
    level: level === "calm" && OPEN.has(name) ? "work" : level,
    icon: level === "calm" ? (name === "running" ? "running" : "authorised") : "latched",
    word: stateWords(name),
  };
}

/** What its device is in, where that is not as it should be while the session is open; else null. */
export const abnormal = (row, { state: name }) => (row && OPEN.has(name) && isAbnormal(row) ? stateOf(row) : null);
