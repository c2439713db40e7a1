/** One alarm: what, where, since when, why, what to do, who has it; and what can be done about it here. */

import * as api from "../core/api.js";
import { readAlarmsSoon, toDo, what, where, why } from "../core/alarms.js";
import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { ago, moment, number, time } from "../core/formats.js";
import { link } from "../core/route.js";
import { atParting, change, may } from "../core/store.js";
import { PRIORITY } from "../core/status.js";
import { known, say } from "../core/words.js";
import { announce } from "./announce.js";
import { badge, icon } from "./icons.js";
import { wordsOf } from "./pieces.js";

const NEVER_SHELVED = new Set(["A01", "A02", "A03"]);
const SHELF_HOURS = [1, 2, 4, 8];
const TEXT_MAX = 64;

const CLOSED = { alarm: null, act: null };
const NOTHING = { alarm: null, error: null };
let form = CLOSED;
let failed = NOTHING; // the last that was not done
let doing = new Set(); // by whoever has the page
atParting(() => {
  form = CLOSED;
  if (!isOfAnother(failed.error)) failed = NOTHING;
  doing = new Set();
});

const isOfAnother = (error) => error !== null && api.isOfAnother(error);

/** `filled`: the form in which it was said. */
async function act(alarm, name, said, filled = null) {
  const theirs = doing;
  const one = `${alarm.alarm_id}/${name}`;
  if (theirs.has(one)) return;
  theirs.add(one);
  failed = NOTHING;
  try {
    await api.alarmDo(alarm.alarm_id, name, said);
    if (form === filled) form = CLOSED; // and not one that was opened meanwhile
    announce(say(`alarms.done.${name}`));
  } catch (error) {
    // Whoever has the page by now is told what concerns them: that it was refused because it is theirs.
    if (theirs === doing || isOfAnother(error)) failed = { alarm: alarm.alarm_id, error };
  }
  theirs.delete(one);
  readAlarmsSoon();
  change({});
}

function open(alarm, name) {
  form = { alarm: alarm.alarm_id, act: name, text: "", hours: 1 };
  failed = NOTHING;
  change({});
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById("alarm-said")?.focus()));
}

function cancel() {
  form = CLOSED;
  change({});
}

function submit(event, alarm) {
  event.preventDefault();
  const until = new Date(nowMs() + form.hours * 3_600_000).toISOString();
  const said = {
    reject: { reason: form.text },
    shelve: { reason: form.text, until },
    comment: { text: form.text },
  };
  act(alarm, form.act, said[form.act], form);
}

function sayForm(alarm) {
  if (form.alarm !== alarm.alarm_id || !form.act) return null;
  const hours = h(
    "label",
    { class: "field" },
    h("span", null, say("alarms.shelve_for")),
    h(
      "select",
      { value: String(form.hours), on: { change: (event) => (form.hours = Number(event.target.value)) } },
      SHELF_HOURS.map((n) => h("option", { value: String(n), key: n }, number(n, "h"))),
    ),
  );
  return h(
    "form",
    { class: "say", on: { submit: (event) => submit(event, alarm) } },
    h(
      "label",
      { class: "field grow" },
      h("span", null, say(`alarms.say.${form.act}`)),
      h("input", {
        id: "alarm-said",
        required: true,
        maxlength: TEXT_MAX,
        value: form.text,
        autocomplete: "off",
        on: { input: (event) => (form.text = event.target.value) },
      }),
    ),
    form.act === "shelve" && hours,
    h("button", { class: "primary" }, say(`alarms.act.${form.act}`)),
    h("button", { type: "button", on: { click: cancel } }, say("cancel")),
  );
}

const button = (alarm, name, primary, click = () => act(alarm, name)) =>
  h(
    "button",
    { type: "button", key: name, class: primary ? "primary" : "", "data-act": name, on: { click } },
    say(`alarms.act.${name}`),
  );

function actions(alarm) {
  if (alarm.cleared || !may("alarm_respond")) return null;
  const silent = ["acknowledged", "shelved"].includes(alarm.signal);
  return h(
    "div",
    { class: "actions", role: "group", "aria-label": say("alarms.actions", { where: where(alarm) }) },
    !silent && button(alarm, "acknowledge", true),
    alarm.responsibility !== "accepted" && button(alarm, "accept"),
    alarm.responsibility !== "rejected" && button(alarm, "reject", false, () => open(alarm, "reject")),
    alarm.signal === "shelved"
      ? button(alarm, "unshelve")
      : !NEVER_SHELVED.has(alarm.code) && button(alarm, "shelve", false, () => open(alarm, "shelve")),
    button(alarm, "comment", false, () => open(alarm, "comment")),
  );
}

function whoHasIt(alarm) {
  const { responsibility, by, responsible } = alarm;
  const words =
    responsibility && known(`alarms.has.${responsibility}`)
      ? say(`alarms.has.${responsibility}`, { by: by ?? "", reason: alarm.reason ?? "" })
      : null;
  return [words, say(`alarms.for.${responsible}`)].filter(Boolean).join("; ");
}

const comments = ({ comments: said = [] }) =>
  said.length > 0 &&
  h(
    "ul",
    { class: "comments" },
    said.map((one, n) => h("li", { key: n }, h("b", null, one.by), ` ${moment(one.at)}: ${one.text}`)),
  );

/** `toAct`: with what can be done about it; without on the wall, where there is nothing to press. */
export function alarmCard(alarm, toAct = true) {
  const { level, icon: shape } = PRIORITY[alarm.priority];
  const because = why(alarm);
  const signal = known(`alarms.signal.${alarm.signal}`)
    ? say(`alarms.signal.${alarm.signal}`, {
        until: alarm.silent_until ? say("alarms.until", { at: time(alarm.silent_until) }) : "",
      })
    : alarm.signal;
  const error = failed.alarm === alarm.alarm_id ? failed.error : null;
  return h(
    "li",
    {
      key: alarm.alarm_id,
      class: `alarm-card ${alarm.cleared ? "past" : level}`,
      "data-alarm": alarm.alarm_id,
      "data-code": alarm.code,
    },
    h(
      "header",
      null,
      badge({ level: alarm.cleared ? "calm" : level, icon: shape, word: say(`priority.${alarm.priority}`) }),
      h("h3", null, alarm.device ? h("a", { href: link("device", alarm.device) }, where(alarm)) : where(alarm)),
      h("span", { class: "code", title: say("alarms.code") }, alarm.code),
    ),
    h("p", { class: "what" }, what(alarm), because && h("span", { class: "because" }, ` (${because})`)),
    !alarm.cleared && h("p", { class: "do" }, toDo(alarm)),
    h(
      "p",
      { class: "small" },
      h("span", null, say("alarms.since", { at: moment(alarm.since), ago: ago(alarm.since) })),
      alarm.cleared
        ? h("span", null, say("alarms.over", { at: moment(alarm.cleared) }))
        : h("span", { class: "signal" }, signal),
      !alarm.cleared && h("span", null, icon("person"), whoHasIt(alarm)),
    ),
    comments(alarm),
    toAct && [actions(alarm), sayForm(alarm)],
    error && h("p", { class: "wrong", role: "alert" }, wordsOf(error)),
  );
}
