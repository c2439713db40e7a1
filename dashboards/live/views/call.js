/**
 * For the telephone of whoever is on call: the open alarms, gravest first, in type that is read at arm's length; each
 * with what to do, who has it, and three buttons for one thumb. What is old is said before anything else.
 */

import * as api from "../core/api.js";
import { RANK, readAlarmsSoon, toDo, what, where, why } from "../core/alarms.js";
import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { about, ago, time } from "../core/formats.js";
import { link } from "../core/route.js";
import { alarmsAgeS, areAlarmsOld, change, isOld, may, state } from "../core/store.js";
import { PRIORITY } from "../core/status.js";
import { known, say } from "../core/words.js";
import { alert, announce } from "../parts/announce.js";
import { audio } from "../parts/alarm-strip.js";
import { drillAnswer } from "../parts/drill-answer.js";
import { icon } from "../parts/icons.js";
import { reading, repeatedly, wordsOf } from "../parts/pieces.js";

const READ_EVERY_MS = 30_000;
const REASONS = ["busy", "away", "cannot_help"];

const isDoubtful = () => areAlarmsOld() || isOld() || state.overview?.fleet?.stale === true;

/** What somebody has comes after what nobody has. */
const isTaken = (alarm) => Number(alarm.responsibility === "accepted");

/** Whether what is shown is of now. Nobody may take an old empty list for a quiet clinic. */
function truth() {
  const age = alarmsAgeS();
  if (state.alarmsAt === null) return h("p", { class: "call-truth old" }, icon("stale"), say("call.not_yet"));
  if (isDoubtful()) {
    return h(
      "p",
      { class: "call-truth old", role: "alert" },
      icon("lost"),
      h("span", null, say("call.old", { long: about(Math.max(age, 1)), at: time(state.alarmsAt) })),
    );
  }
  return h("p", { class: "call-truth" }, icon("ready"), say("call.now", { at: time(nowMs()) }));
}

function whoHasIt(alarm) {
  const { responsibility, by, reason } = alarm;
  if (!responsibility || !known(`alarms.has.${responsibility}`)) return say("alarms.has.none");
  return say(`alarms.has.${responsibility}`, { by: by ?? "", reason: reason ?? "" });
}

export function call() {
  let cannot = null; // the alarm that somebody is saying why about
  let wrong = null; // {alarm, error}
  let busy = null;
  const rota = reading(() => api.get("rota", { days: 1 }));
  const people = reading(() => api.get("people"));
  const test = drillAnswer(people.read);
  const stops = may("see_rota") ? [rota, people].map((one) => repeatedly(one.read, READ_EVERY_MS)) : [];

  async function act(alarm, name, said) {
    busy = alarm.alarm_id;
    wrong = null;
    change({});
    try {
      await api.alarmDo(alarm.alarm_id, name, said);
      cannot = null;
      announce(say(`alarms.done.${name}`));
    } catch (error) {
      wrong = { alarm: alarm.alarm_id, error };
      alert(wordsOf(error));
    }
    busy = null;
    readAlarmsSoon();
    change({});
  }

  const button = (alarm, name, more, click) =>
    h(
      "button",
      {
        type: "button",
        key: name,
        class: `thumb ${more}`,
        "data-act": name,
        "aria-disabled": busy === alarm.alarm_id ? "true" : undefined,
        on: { click: () => busy === null && click() },
      },
      say(`alarms.act.${name}`),
    );

  const whyNot = (alarm) =>
    h(
      "div",
      { class: "thumbs why-not", role: "group", "aria-label": say("alarms.say.reject") },
      h("p", null, say("call.why_not")),
      REASONS.map((reason) =>
        h(
          "button",
          {
            type: "button",
            key: reason,
            class: "thumb",
            on: { click: () => act(alarm, "reject", { reason: say(`call.reason.${reason}`) }) },
          },
          say(`call.reason.${reason}`),
        ),
      ),
      h(
        "button",
        { type: "button", class: "thumb plain", on: { click: () => ((cannot = null), change({})) } },
        say("cancel"),
      ),
    );

  function actions(alarm) {
    if (!may("alarm_respond") || alarm.cleared) return null;
    if (cannot === alarm.alarm_id) return whyNot(alarm);
    const silent = ["acknowledged", "shelved"].includes(alarm.signal);
    const refuse = () => {
      cannot = alarm.alarm_id;
      change({});
    };
    return h(
      "div",
      { class: "thumbs", role: "group", "aria-label": say("alarms.actions", { where: where(alarm) }) },
      alarm.responsibility !== "accepted" && button(alarm, "accept", "primary", () => act(alarm, "accept")),
      !silent && button(alarm, "acknowledge", "", () => act(alarm, "acknowledge")),
      alarm.responsibility !== "rejected" && button(alarm, "reject", "", refuse),
    );
  }

  function card(alarm) {
    const { level, icon: shape } = PRIORITY[alarm.priority];
    const because = why(alarm);
    return h(
      "li",
      { key: alarm.alarm_id, class: `call-card ${level}`, "data-alarm": alarm.alarm_id, "data-code": alarm.code },
      h(
        "header",
        null,
        h("span", { class: "call-priority" }, icon(shape), say(`priority.${alarm.priority}`)),
        h("time", { datetime: alarm.since }, `${time(alarm.since)} · ${ago(alarm.since)}`),
      ),
      h("h2", null, alarm.device ? h("a", { href: link("device", alarm.device) }, where(alarm)) : where(alarm)),
      h("p", { class: "call-what" }, what(alarm), because && h("span", { class: "because" }, ` (${because})`)),
      h("p", { class: "call-do" }, toDo(alarm)),
      h("p", { class: `call-who ${alarm.responsibility}` }, icon("person"), whoHasIt(alarm)),
      actions(alarm),
      wrong?.alarm === alarm.alarm_id && h("p", { class: "wrong", role: "alert" }, wordsOf(wrong.error)),
    );
  }

  /** Who is told first now, of what has to be acted on. */
  function onCall() {
    const first = rota.value?.rungs.find((rung) => rung.priority === "high" && rung.rung === 1 && !rung.engineers);
    if (!first) return null;
    const names = first.people.map((one) => one.name).join(", ");
    return h(
      "p",
      { class: first.people.length ? "call-rota" : "call-rota gap" },
      h("a", { href: link("rota") }, names ? say("call.on_call", { names }) : say("rota.nobody")),
    );
  }

  return {
    title: () => say("call.title"),
    leave: () => stops.forEach((stop) => stop()),
    render() {
      const open = [...state.alarms].sort(
        (a, b) => RANK[a.priority] - RANK[b.priority] || isTaken(a) - isTaken(b) || (a.since < b.since ? -1 : 1),
      );
      const toAct = open.filter((alarm) => RANK[alarm.priority] <= RANK.medium);
      const later = open.filter((alarm) => RANK[alarm.priority] > RANK.medium);
      const sure = state.alarmsAt !== null && !isDoubtful();
      return h(
        "div",
        { class: "call" },
        h("div", { class: "call-top", key: "top" }, truth(), audio()),
        toAct.length > 0 &&
          h("ul", { class: "call-cards", key: "cards", "aria-label": say("alarms.open_ones") }, toAct.map(card)),
        !toAct.length && sure && h("p", { class: "all-well", key: "well" }, say("call.none")),
        later.length > 0 &&
          h(
            "details",
            { class: "call-later", key: "later" },
            h("summary", null, say("call.later", { n: later.length })),
            h("ul", { class: "call-cards" }, later.map(card)),
          ),
        test(people.value),
        onCall(),
      );
    },
  };
}
