/** What became of the stops that were pushed here: sent, received, zero current measured; or not confirmed. */

import { h } from "../core/dom.js";
import { latency, milliamps, timeToSeconds } from "../core/formats.js";
import { deviceRow, state } from "../core/store.js";
import { dismiss, isDone, isOver, isUnread, mayDismiss, stageOf, whatOf } from "../core/stopping.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

const ROWS_SHOWN = 6;

/** The way of a stop as its steps, each with its time. One of the whole site has no receipts: none is waited for. */
export function steps(row, ofSite) {
  const stage = stageOf(row);
  const done = (name, value) => h("li", { class: "done" }, say(`stop.step.${name}`), " ", h("b", null, latency(value)));
  const open = (name) => h("li", { class: "open" }, say(`stop.step.${name}`));
  const zero = () => {
    if (stage === "seen_off") return h("li", { class: "done" }, say("stop.step.seen_off"));
    if (stage === "zero")
      return [done("zero", row.sent_to_zero_s), h("li", { class: "small" }, milliamps(row.amplitude_ma))];
    if (stage === "unconfirmed") return h("li", { class: "not" }, icon("alarm"), say("stop.step.not_confirmed"));
    return open("zero_waiting");
  };
  return h(
    "ol",
    { class: "steps" },
    row.cause_to_sent_s === null ? open("sending") : done("sent", row.cause_to_sent_s),
    row.sent_to_received_s === null
      ? !ofSite && !isOver(row) && open("received_waiting")
      : done("received", row.sent_to_received_s),
    zero(),
  );
}

function ofDevice(row, ofSite) {
  const room = row.room ?? deviceRow(row.device)?.room;
  return h(
    "li",
    { class: `stop-device ${stageOf(row)}`, key: row.device },
    h("span", { class: "who" }, row.device, room && h("span", { class: "small" }, ` ${room}`)),
    steps(row, ofSite),
  );
}

function rowsOf(pushed) {
  const rows = pushed.commands.flatMap((command) => command.devices);
  const worst = [...rows].sort((a, b) => isOver(a) - isOver(b));
  const over = rows.filter(isOver).length;
  return [
    rows.length > 1 && h("p", { class: "sum" }, say("stop.confirmed_of", { over, n: rows.length })),
    h("ul", { class: "stop-devices" }, worst.slice(0, ROWS_SHOWN).map((row) => ofDevice(row, pushed.scope === "site"))),
    rows.length > ROWS_SHOWN && h("p", { class: "small" }, say("more", { n: rows.length - ROWS_SHOWN })),
  ];
}

/** Nothing was heard: it may have gone out all the same. Where the server says how far it came, it says it best. */
const unheard = (words) => (words ? "stop.stage.unheard_of" : "stop.stage.unheard");

/** Everything that is listed is over, and the server does not call the stop confirmed. */
const isOpen = (command) => command.devices.every(isOver) && !isDone(command);

function body(pushed) {
  if (pushed.stage === "sending") return h("p", { class: "stage" }, say("stop.stage.sending"));
  if (pushed.stage === "unheard") {
    const { words, tries } = pushed;
    return h("p", { class: "stage not" }, icon("alarm"), say(unheard(words), { words, n: tries }));
  }
  if (pushed.stage === "refused") {
    return h("p", { class: "stage not" }, icon("alarm"), say("stop.stage.refused", { words: pushed.words }));
  }
  const unread = pushed.commands.some(
    (command) => !isDone(command) && (!state.me || isUnread(command)),
  );
  const open = pushed.commands.some((command) => command.confirmed === false && isOpen(command));
  const not = (name) => h("p", { class: "stage not", key: name }, icon("alarm"), say(`stop.stage.${name}`));
  return [rowsOf(pushed), open && not("open"), unread && not("unread")];
}

/** Whether somebody has to do something about it now. */
function isLate({ stage, commands }) {
  const rows = commands.flatMap((command) => command.devices);
  return stage === "unheard" || stage === "refused" || rows.some((row) => stageOf(row) === "unconfirmed");
}

function truth(pushed) {
  return h(
    "article",
    {
      class: `truth ${isLate(pushed) ? "high" : mayDismiss(pushed) ? "over" : "under-way"}`,
      key: pushed.id,
      "data-truth": pushed.id,
    },
    h(
      "header",
      null,
      h("h3", null, say("stop.pushed", { what: whatOf(pushed) })),
      h("time", null, timeToSeconds(pushed.at)),
      mayDismiss(pushed) &&
        h("button", { type: "button", class: "plain", on: { click: () => dismiss(pushed.id) } }, say("close")),
    ),
    body(pushed),
  );
}

/** Those that somebody has to see to stand first, then the newest. */
export function truths() {
  if (!state.pushed.length) return null;
  const shown = [...state.pushed].sort((one, other) => isLate(other) - isLate(one));
  return h(
    "div",
    { class: "truths", key: "truths", role: "region", "aria-label": say("stop.truths") },
    shown.map(truth),
  );
}
