/** The alarms, gravest first; on request those that are over. */

import * as api from "../core/api.js";
import { RANK } from "../core/alarms.js";
import { h } from "../core/dom.js";
import { moment } from "../core/formats.js";
import { link } from "../core/route.js";
import { change, may, state } from "../core/store.js";
import { say } from "../core/words.js";
import { alarmCard } from "../parts/alarm-card.js";
import { reading, waiting } from "../parts/pieces.js";

export function alarms() {
  let withPast = false;
  const past = reading(async () => (await api.alarms(true)).alarms.filter((alarm) => alarm.cleared));
  const toggle = (event) => {
    withPast = event.target.checked;
    if (withPast) past.read();
    change({});
  };
  const list = (some, name) =>
    h(
      "ul",
      { class: "alarm-cards", "aria-label": name },
      some.map((alarm) => alarmCard(alarm)),
    );
  function openOnes() {
    const open = [...state.alarms].sort((a, b) => RANK[a.priority] - RANK[b.priority]);
    return [
      open.length ? list(open, say("alarms.open_ones")) : h("p", { class: "all-well" }, say("alarms.none")),
      h("p", { class: "small" }, say("read_at", { at: moment(state.alarmsAt) })),
    ];
  }
  return {
    title: () => say("nav.alarms"),
    render() {
      return [
        h(
          "div",
          { class: "view-head" },
          h("p", { class: "lead" }, state.alarmsAt && say("alarms.open", { n: state.alarms.length })),
          h(
            "div",
            { class: "row" },
            may("see_usage") && h("a", { class: "button", href: link("figures") }, say("figures.title")),
            may("alarm_respond") && h("a", { class: "button", href: link("call") }, say("call.open")),
          ),
          h(
            "label",
            { class: "tick" },
            h("input", { type: "checkbox", checked: withPast, on: { change: toggle } }),
            say("alarms.with_past"),
          ),
        ),
        state.alarmsAt ? openOnes() : waiting(),
        withPast && [h("h2", null, say("alarms.past")), past.show((found) => list(found, say("alarms.past")))],
      ];
    },
  };
}
