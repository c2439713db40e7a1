/** The open alarms, read again whenever the overview's counts say that something changed, and every few seconds. */

import * as api from "./api.js";
import { now, wait } from "./clock.js";
import { atParting, change, may, state, subscribe } from "./store.js";
import { sound } from "../parts/sound.js";
import { alert } from "../parts/announce.js";
import { duePhrase } from "./due.js";
import { known, say } from "./words.js";
import { quantity, quantityName, about } from "./formats.js";

const EVERY_MS = 4_000;
const AGAIN_MS = 1_000;
const SOON_MS = [0, 150, 600]; // what was done is read back some tens of milliseconds later
const NAMED_MAX = 6;
export const RANK = { high: 0, medium: 1, low: 2, info: 3 };

let counted = "";
let asking = false;
let partings = 0;
let announced = null; // ids that were said already; null: what was there before us is no news

export function followAlarms() {
  subscribe(() => {
    const counts = JSON.stringify(state.overview?.alarms ?? null);
    if (may("see") && counts !== counted) readAlarms(counts);
  });
  setInterval(() => readAlarms(), EVERY_MS);
}

/** Nothing sounds any more, and whoever comes next hears what they find. */
atParting(() => {
  partings += 1;
  counted = "";
  announced = null;
  sound.follow([]);
});

/** Somebody has done something about one. */
export const readAlarmsSoon = () => SOON_MS.forEach((ms) => setTimeout(() => readAlarms(), ms));

async function readAlarms(counts = counted) {
  if (asking || !may("see")) return;
  asking = true;
  counted = counts;
  const mine = partings;
  try {
    const { alarms } = await api.alarms();
    if (mine === partings) {
      tell(alarms);
      change({ alarms, alarmsAt: now(), alarmsMs: performance.now() });
    }
  } catch {
    if (mine === partings) await wait(AGAIN_MS);
    counted = ""; // the next change asks again; those that are old are said to be
  } finally {
    asking = false;
  }
}

function tell(alarms) {
  const urgent = alarms.filter(sounds);
  const fresh = announced && urgent.find((alarm) => !announced.has(alarm.alarm_id));
  if (fresh) alert(`${say(`priority.${fresh.priority}`)}: ${where(fresh)}, ${what(fresh)}. ${toDo(fresh)}`);
  announced = new Set(urgent.map((alarm) => alarm.alarm_id));
  sound.follow(urgent);
}

/** Whether an alarm is to be heard: its signal is on, and nobody has taken note. */
export const sounds = (alarm) => alarm.signal === "on" && RANK[alarm.priority] <= RANK.medium && !alarm.cleared;

export function where(alarm) {
  const members = alarm.members ?? [];
  const place = alarm.room ?? say("alarms.site");
  if (alarm.device) return `${alarm.room ?? say("alarms.room_unknown")}, ${alarm.device}`;
  if (!members.length) return place;
  const more = members.length > NAMED_MAX ? say("alarms.and_more", { n: members.length - NAMED_MAX }) : "";
  return `${place}: ${members.slice(0, NAMED_MAX).join(", ")} ${more}`.trim();
}

const row = (alarm) => {
  const special = `alarm_of.${alarm.code}_${alarm.why?.quantity}`;
  return known(special) ? special : `alarm.${alarm.code}`;
};
export const what = (alarm) => say(`${row(alarm)}.what`);
export const toDo = (alarm) => say(`${row(alarm)}.do`);

/** Its cause and its number, as far as there are any. */
export function why({ code, why: said }) {
  if (!said) return "";
  const { cause, quantity: name, value, limit } = said;
  if (name === "due_in_s") return value >= 0 ? say("alarms.due_in", { long: about(value) }) : say("due.overdue");
  if (code === "A11") return duePhrase(name, value);
  const named = cause ?? (value === null ? name : null);
  const parts = named ? [say(known(`causes.${named}`) ? `causes.${named}` : `findings.${named}`)] : [];
  if (value !== null && value !== undefined && name && name !== "waited_s") {
    const bound = limit === null || limit === undefined ? "" : say("alarms.against", { limit: quantity(name, limit) });
    parts.push(`${quantityName(name)} ${quantity(name, value)} ${bound}`.trim());
  }
  return parts.join(", ");
}
