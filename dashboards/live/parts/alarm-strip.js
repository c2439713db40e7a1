/** The gravest open alarm on every view, how many more there are, and their sound. */

import { h } from "../core/dom.js";
import { seconds, ago } from "../core/formats.js";
import { sounds, toDo, what, where } from "../core/alarms.js";
import { link } from "../core/route.js";
import { state } from "../core/store.js";
import { PRIORITY } from "../core/status.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";
import { sound } from "./sound.js";

/** The state of the sound, and pausing it; nothing while nothing is to be heard. */
export function audio() {
  if (!sound.active()) return null;
  const pausedS = sound.pausedS();
  if (pausedS > 0) {
    const said = say("sound.paused", { left: seconds(Math.ceil(pausedS), 0) });
    return h(
      "button",
      { type: "button", class: "audio", on: { click: sound.resume } },
      icon("muted"),
      h("span", null, said),
    );
  }
  if (sound.blocked()) return h("span", { class: "audio blocked" }, icon("muted"), say("sound.blocked"));
  return h("button", { type: "button", class: "audio", on: { click: sound.pause } }, icon("sound"), say("sound.pause"));
}

export function alarmStrip() {
  const open = state.alarms.filter((alarm) => ["high", "medium"].includes(alarm.priority));
  const first = open.find(sounds) ?? open[0];
  if (!first) return null;
  const { level, icon: shape } = PRIORITY[first.priority];
  const more = open.length - 1;
  return h(
    "section",
    {
      class: `alarm-strip ${level} ${sounds(first) ? "on" : "noted"}`,
      key: "alarms",
      "aria-label": say("alarms.gravest"),
    },
    h("span", { class: "priority" }, icon(shape), say(`priority.${first.priority}`)),
    h(
      "p",
      null,
      h("b", null, where(first)),
      ": ",
      what(first),
      ". ",
      h("span", { class: "do" }, toDo(first)),
      h("span", { class: "since" }, ` ${ago(first.since)}`),
    ),
    audio(),
    h(
      "a",
      { href: link("alarms"), class: "button" },
      more > 0 ? say("alarms.and_others", { n: more }) : say("alarms.see"),
    ),
  );
}
