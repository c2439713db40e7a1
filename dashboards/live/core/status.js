/**
 * What a device is in, for people: one word, one icon, one level. A table, the gravest row that holds wins.
 *
 * Levels: `high`, `medium`, `low` are colours, always with an icon and a word; `lost` and `stale` are hatched, for what
 * is shown may be over by now; `work` and `calm` are grey.
 */

import { sinceS } from "./clock.js";
import { about } from "./formats.js";
import { isOld } from "./store.js";
import { say } from "./words.js";

const LIVE = new Set(["armed", "running", "paused", "stopping"]);
export const isLive = (row) => LIVE.has(row?.phase);

/** Whether what a device's row says may be over by now: the device is not heard, or the page is not told. */
export const isSilent = (row) => !row || row.presence === "lost" || row.presence === "stale" || row.silent || isOld();

const STATES = [
  ["unconfirmed", "high", "alarm", (row) => row.stop_unconfirmed],
  ["struck_off", "lost", "off", (row) => row.struck_off],
  ["lost", "lost", "lost", (row) => row.presence === "lost"],
  ["fault", "high", "alarm", (row) => row.phase === "fault"],
  ["stale", "stale", "stale", (row) => isSilent(row)],
  ["stopped", "medium", "latched", (row) => row.latched && row.holds.length > 0],
  ["latched", "medium", "latched", (row) => row.latched || row.phase === "latched"],
  ["held", "medium", "held", (row) => row.holds?.length > 0],
  ["service", "low", "service", (row) => row.service_hold || row.held_for_service],
  ["stopping", "medium", "latched", (row) => row.phase === "stopping"],
  ["paused", "work", "paused", (row) => row.phase === "paused"],
  ["running", "work", "running", (row) => row.phase === "running"],
  ["armed", "work", "armed", (row) => row.phase === "armed"],
  ["authorised", "work", "authorised", (row) => row.phase === "authorised"],
  ["settings", "low", "service", (row) => row.has_its_settings === false],
  ["idle", "calm", "ready", () => true],
];

const GRAVITY = ["calm", "work", "low", "stale", "lost", "medium", "high"];

/** `{name, level, icon, word}` of a device's row. */
export function stateOf(row) {
  const [name, level, icon] = STATES.find(([, , , holds]) => holds(row));
  return { name, level, icon, word: say(`state.${name}`) };
}

export const isAbnormal = (row) => !["calm", "work"].includes(stateOf(row).level);

/** The gravest level of a room's devices, and how many are abnormal. */
export function roomState(rows) {
  const levels = rows.map((row) => stateOf(row).level);
  const level = GRAVITY.findLast((one) => levels.includes(one)) ?? "calm";
  return { level, abnormal: rows.filter(isAbnormal).length, live: rows.filter(isLive).length };
}

/** Why a device is as it is, in a sentence, where there is more to say. */
export function because(row) {
  const { name } = stateOf(row);
  if (name === "latched" || name === "stopped")
    return say("state.latched_by", { cause: say(`causes.${row.latched ?? "unknown"}`) });
  if (isSilent(row))
    return row.heard_at ? say("state.silent_since", { long: about(sinceS(row.heard_at)) }) : say("state.never_heard");
  return null;
}

/** Icon and level of an alarm's priority. */
export const PRIORITY = {
  high: { level: "high", icon: "alarm" },
  medium: { level: "medium", icon: "warning" },
  low: { level: "low", icon: "notice" },
  info: { level: "calm", icon: "notice" },
};
