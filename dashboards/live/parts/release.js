/**
 * What keeps a device off, and lifting it: each condition is shown, met or not. Releasing starts nothing: the latch is
 * reset at the device, by a person.
 */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { atParting, change, may } from "../core/store.js";
import { stateOf } from "../core/status.js";
import { known, say } from "../core/words.js";
import { alert, announce } from "./announce.js";
import { icon } from "./icons.js";
import { refusalList } from "./refusals.js";
import { failed, reading, wordsOf } from "./pieces.js";

const READ_EVERY_MS = 1_000;
const SAID_MS = 20_000;

const nothing = () => ({ device: null, isHeld: false, found: null, readMs: 0, looking: false, busy: false, done: "" });
let shown = nothing();
let refused = null; // what was not done last: {device, error, atMs, at}
atParting(() => (shown = nothing()));

function open(device) {
  const mine = Object.assign(nothing(), { device });
  mine.found = reading(async () => {
    const found = await api.releaseConditions(device);
    // Where nothing holds the device itself, it is the hold of the whole site.
    return found.holds.length || !mine.isHeld ? found : api.releaseConditions("all");
  });
  return mine;
}

async function look(mine) {
  if (mine.looking || performance.now() - mine.readMs < READ_EVERY_MS) return;
  mine.looking = true;
  await mine.found.read();
  Object.assign(mine, { looking: false, readMs: performance.now() });
}

/** What is done to lift it; `after` reads the view anew. */
async function act(what, doIt, after) {
  const mine = Object.assign(shown, { busy: true, done: "" });
  refused = null;
  change({});
  try {
    await doIt();
    mine.done = say(`release.done_${what}`);
    announce(mine.done);
  } catch (error) {
    refused = { device: mine.device, error, atMs: performance.now(), at: mine };
    alert(say("release.came", { device: mine.device, why: wordsOf(error) }));
  } finally {
    mine.busy = false;
    await Promise.all([mine === shown && mine.found.read(), after()]);
  }
}

/** Why it was not done here: for who pressed, until they leave it; for who is here by then, a while. */
function whyNot(device) {
  if (refused?.device !== device) return null;
  return refused.at === shown || performance.now() - refused.atMs < SAID_MS ? refused.error : null;
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
  if (shown.device !== row.device) shown = open(row.device);
  shown.isHeld = row.holds.length > 0;
  look(shown);
  const { value: found, error: unread } = shown.found;
  const wrong = whyNot(row.device);
  const target = found?.device ?? row.device;
  const release = () => act("release", () => api.release(target), after);
  const off = () => act("off", () => api.confirmOff(row.device), after);
  return h(
    "section",
    { class: `card release ${name}`, key: "release", "aria-labelledby": "release-title" },
    h("h2", { id: "release-title" }, say(held ? "release.title_held" : "release.title_latched")),
    h("p", null, say(held ? "release.lead_held" : "release.lead_latched")),
    unread && failed(unread),
    found && conditions(found),
    wrong && (wrong.refusals?.length ? refusalList(wrong.refusals) : failed(wrong)),
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
