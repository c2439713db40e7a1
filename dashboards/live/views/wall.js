/** The overview for a screen on the wall: dark, large, nothing to press but the stop. */

import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { timeToSeconds } from "../core/formats.js";
import { state } from "../core/store.js";
import { say } from "../core/words.js";
import { audio } from "../parts/alarm-strip.js";
import { alarmCard } from "../parts/alarm-card.js";
import { roomCard, summary } from "./overview.js";

const ALARMS_SHOWN = 4;

export function wall() {
  return {
    title: () => say("nav.wall"),
    render() {
      if (!state.overview) return h("p", { class: "waiting" }, say("waiting"));
      const urgent = state.alarms.filter((alarm) => ["high", "medium"].includes(alarm.priority));
      const more = urgent.length - ALARMS_SHOWN;
      return h(
        "div",
        { class: `wall-columns ${urgent.length ? "with-alarms" : ""}` },
        h(
          "div",
          { class: "wall-rooms" },
          h("div", { class: "wall-head" }, summary(), h("time", { class: "wall-clock" }, timeToSeconds(now()))),
          h(
            "div",
            { class: "rooms" },
            state.overview.rooms.map((room) => roomCard(room, { withStop: false })),
          ),
        ),
        urgent.length > 0 &&
          h(
            "section",
            { class: "wall-alarms", "aria-label": say("nav.alarms") },
            h("header", null, h("h2", null, say("alarms.open", { n: urgent.length })), audio()),
            h(
              "ul",
              { class: "alarm-cards" },
              urgent.slice(0, ALARMS_SHOWN).map((alarm) => alarmCard(alarm, false)),
            ),
            more > 0 && h("p", null, say("more", { n: more })),
          ),
      );
    },
  };
}
