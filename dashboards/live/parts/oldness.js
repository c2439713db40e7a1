/** What is wrong with the page's own data, said loudly: old, without the fleet, simulated, draining. */

import { h } from "../core/dom.js";
import { about } from "../core/formats.js";
import { ageS, isOld, isUnheard, state } from "../core/store.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

const note = (key, level, shape, text) =>
  h(
    "p",
    { key, class: `note ${level}`, role: level === "high" ? "alert" : undefined },
    icon(shape),
    h("span", null, text),
  );

const fleetIsAbsent = () => state.overview?.fleet?.reachable === false;

export function oldness() {
  const notes = [];
  const age = ageS();
  const { fleet } = state.overview ?? {};
  if (state.ended === "too_many") notes.push(note("ended", "high", "lost", say("old.too_many")));
  else if (age === null) notes.push(note("first", "calm", "stale", say("old.connecting")));
  else if (isUnheard()) notes.push(note("stream", "high", "lost", say("old.stream", { long: about(age) })));
  if (fleetIsAbsent()) notes.push(note("fleet", "high", "lost", say("old.fleet")));
  else if (fleet && fleet.connected === false) notes.push(note("broker", "high", "lost", say("old.broker")));
  else if (fleet?.stale) notes.push(note("stale", "high", "stale", say("old.stale")));
  if (fleet?.journal_refusing) notes.push(note("journal", "high", "alarm", say("old.journal")));
  if (fleet?.draining) notes.push(note("draining", "low", "notice", say("old.draining")));
  if (state.me?.simulated) notes.push(note("simulated", "calm", "notice", say("old.simulated")));
  document.documentElement.classList.toggle("is-old", isOld());
  return notes;
}
