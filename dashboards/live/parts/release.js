/**
 * What keeps a device off, and lifting it: each condition is shown, met or not. Releasing starts nothing: the latch is
 * reset at the device, by a person.
 */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { atParting, change, may } from "../core/store.js";
import { stateOf } from "../core/status.js";
import { known, say } from "../core/words.js";
import { announce } from "./announce.js";
import { icon } from "./icons.js";
import { refusalList } from "./refusals.js";
import { wordsOf } from "./pieces.js";

const READ_EVERY_MS = 1_000;

const nothing = () => ({ device: null, found: null, error: null, busy: false, refusals: [], done: "" });
let shown = nothing();
atParting(() => (shown = nothing()));

async function read(device) {
  try {
    let found = await api.releaseConditions(device);
    // Where nothing holds the device itself, it is the hold of the whole site.
    if (!found.holds.length && shown.siteWide) found = await api.releaseConditions("all");
    if (shown.device === device) shown.found = found;
  } catch (error) {
    if (shown.device === device) shown.error = error;
  }
  change({});
}

function open({ device, holds }) {
  const { error } = shown.device ? nothing() : shown; // what was refused as the page changed hands
  shown = { ...nothing(), error, device, siteWide: holds.length > 0, readMs: performance.now() };
  read(device);
}

/** What is done to lift it; `after` reads the view anew. */
async function act(what, doIt, after) {
  const mine = Object.assign(shown, { busy: true, refusals: [], error: null });
  change({});
  try {
    await doIt();
    mine.done = say(`release.done_${what}`);
    announce(mine.done);
  } catch (error) {
    mine.error = error;
    mine.refusals = error.refusals ?? [];
    if (!shown.device) shown.error = error;
  } finally {
    mine.busy = false;
    await Promise.all([mine === shown && read(mine.device), after()]);
  }
}

function conditions(found) {
  const wordsFor = ({ condition, holds, words }) => {
    if (!known(`release.condition.${condition}`)) return words;
    return holds ? say(`release.condition.${condition}`) : say(`release.missing.${condition}`);
  };
  return h(
    "ul",
    { class: "conditions" },
    (found.conditions ?? []).map((one) =>
      h(
        "li",
        { key: one.condition, class: one.holds ? "met" : "not-met" },
        icon(one.holds ? "authorised" : "warning"),
        h("span", { class: "visually-hidden" }, say(one.holds ? "release.met" : "release.not_met")),
        wordsFor(one),
      ),
    ),
  );
}

/** Of a device that is held, latched, out of service or not confirmed off; nothing for any other. */
export function holdsOf(row, after) {
  const { name } = stateOf(row);
  const latched = row.latched !== null;
  const held = row.holds.length > 0 || row.held_for_service;
  if (!held && !latched && !row.stop_unconfirmed) return null;
  if (shown.device !== row.device) open(row);
  else if (performance.now() - shown.readMs > READ_EVERY_MS) {
    shown.readMs = performance.now();
    read(row.device);
  }
  const target = shown.found?.device ?? row.device;
  const release = () => act("release", () => api.release(target), after);
  const off = () => act("off", () => api.confirmOff(row.device), after);
  return h(
    "section",
    { class: `card release ${name}`, key: "release", "aria-labelledby": "release-title" },
    h("h2", { id: "release-title" }, say(held ? "release.title_held" : "release.title_latched")),
    h("p", null, say(held ? "release.lead_held" : "release.lead_latched")),
    shown.found && conditions(shown.found),
    shown.refusals.length > 0 && refusalList(shown.refusals),
    shown.error && !shown.refusals.length && h("p", { class: "wrong" }, wordsOf(shown.error)),
    shown.done && h("p", { class: "done", role: "status" }, shown.done),
    h(
      "div",
      { class: "actions" },
      held &&
        may("release") &&
        h(
          "button",
          { type: "button", class: "primary", disabled: shown.busy, "data-do": "release", on: { click: release } },
          target === "all" ? say("release.go_site") : say("release.go", { device: row.device }),
        ),
      row.stop_unconfirmed &&
        may("confirm_off") &&
        h("button", { type: "button", disabled: shown.busy, on: { click: off } }, say("release.confirm_off")),
    ),
    held && !may("release") && h("p", { class: "small" }, say("release.who")),
  );
}
