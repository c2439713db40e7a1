/** From when to when: day, week, month, or any two dates of the clinic's calendar. It stands in the address. */

import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { daysOn, localDay } from "../core/formats.js";
import { replaceQuery } from "../core/route.js";
import { state } from "../core/store.js";
import { say } from "../core/words.js";

const LENGTHS = { day: 1, week: 7, month: 30 };

/** {from, to}: plain dates, both included. A week where the address says nothing. */
export function period() {
  const today = localDay(now());
  const isDate = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "");
  const { from, to } = state.route.query ?? {};
  if (isDate(from) && isDate(to) && from <= to) return { from, to };
  return { from: daysOn(today, 1 - LENGTHS.week), to: today };
}

/** Every day of it, as plain dates. */
export function daysOf({ from, to }) {
  const days = [];
  for (let day = from; day <= to; day = daysOn(day, 1)) days.push(day);
  return days;
}

/** Its fields; `changed` is called with what was chosen. */
export function periodFields(changed) {
  const { from, to } = period();
  const today = localDay(now());
  const choose = (chosen) => {
    replaceQuery({ ...state.route.query, ...chosen });
    changed();
  };
  const button = ([name, days]) => {
    const start = daysOn(today, 1 - days);
    const pressed = from === start && to === today;
    return h(
      "button",
      {
        type: "button",
        key: name,
        "aria-pressed": String(pressed),
        on: { click: () => choose({ from: start, to: today }) },
      },
      say(`period.${name}`),
    );
  };
  const date = (name, value, more) =>
    h(
      "label",
      { class: "field inline", key: name },
      h("span", null, say(`period.${name}`)),
      h("input", {
        id: name,
        type: "date",
        value,
        max: today,
        ...more,
        on: { change: (event) => event.target.value && choose({ from, to, [name]: event.target.value }) },
      }),
    );
  return h(
    "div",
    { class: "period", role: "group", "aria-label": say("period.title") },
    h("div", { class: "choices" }, Object.entries(LENGTHS).map(button)),
    date("from", from),
    date("to", to, { min: from }),
  );
}
