/** What is wrong with the page's own data, said loudly: old, without the fleet, simulated, draining. */

import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { about, time } from "../core/formats.js";
import { ageS, alarmsAgeS, areAlarmsOld, isOld, isUnheard, may, state } from "../core/store.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

const note = (key, level, shape, text) =>
  h(
    "p",
    { key, class: `note ${level}`, role: level === "high" ? "alert" : undefined },
    icon(shape),
    h("span", null, text),
  );

const WARN_S = 1_800;
const LATE_S = 300;

/** How long whoever is signed in stays so, at most: a session of theirs that ends is not to come as a surprise. */
const leftS = () => (state.me?.ends_at ? Math.max(0, (Date.parse(state.me.ends_at) - nowMs()) / 1000) : null);
const ends = (left) => ({ at: time(new Date(state.me.ends_at)), long: about(left) });

const oldAlarms = () => note("old-alarms", "high", "lost", say("old.alarms", { long: about(alarmsAgeS()) }));

const fleetIsAbsent = () => state.overview?.fleet?.reachable === false;

/** How old what is shown is, for who may see it. */
function hearing() {
  const notes = [];
  const age = ageS();
  if (state.ended === "too_many") notes.push(note("ended", "high", "lost", say("old.too_many")));
  else if (isUnheard() && age !== null)
    notes.push(note("stream", "high", "lost", say("old.stream", { long: about(age) })));
  else if (areAlarmsOld()) notes.push(oldAlarms());
  else if (age === null || state.alarmsAt === null) notes.push(note("first", "calm", "stale", say("old.connecting")));
  return notes;
}

export function oldness() {
  const notes = may("see") ? hearing() : [];
  const { fleet } = state.overview ?? {};
  if (state.isStaying) notes.push(note("staying", "high", "lost", say("old.staying")));
  if (state.isUnknown) notes.push(note("who", "high", "lost", say("old.who")));
  if (fleetIsAbsent()) notes.push(note("fleet", "high", "lost", say("old.fleet")));
  else if (fleet && fleet.connected === false) notes.push(note("broker", "high", "lost", say("old.broker")));
  else if (fleet?.stale) notes.push(note("stale", "high", "stale", say("old.stale")));
  if (fleet?.journal_refusing) notes.push(note("journal", "high", "alarm", say("old.journal")));
  if (fleet?.draining) notes.push(note("draining", "low", "notice", say("old.draining")));
  const left = leftS();
  if (left !== null && left < WARN_S)
    notes.push(note("ends", left < LATE_S ? "high" : "low", "notice", say("old.signed_in_until", ends(left))));
  if (state.me?.simulated) notes.push(note("simulated", "calm", "notice", say("old.simulated")));
  document.documentElement.classList.toggle("is-old", isOld());
  return notes;
}
