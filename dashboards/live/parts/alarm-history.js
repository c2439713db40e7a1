/** The alarms that a device has had: when, which, how long, who had it and how soon. */

import { what } from "../core/alarms.js";
import { h } from "../core/dom.js";
import { about, day, moment } from "../core/formats.js";
import { PRIORITY } from "../core/status.js";
import { known, say } from "../core/words.js";
import { badge } from "./icons.js";
import { table } from "./pieces.js";

const lastedS = (row) => (row.cleared ? (Date.parse(row.cleared) - Date.parse(row.since)) / 1000 : null);

function whoHadIt(row) {
  if (row.accepted_by) {
    return say("history.accepted", { by: row.accepted_by, long: about(row.accepted_after_s) });
  }
  if (row.answered_after_s !== null) return say("history.answered", { long: about(row.answered_after_s) });
  return say(row.cleared ? "history.by_itself" : "history.nobody");
}

const causeOf = (row) => {
  const group = ["causes", "findings", "quantities"].find((one) => row.cause && known(`${one}.${row.cause}`));
  return group ? `: ${say(`${group}.${row.cause}`)}` : "";
};

const columns = () => [
  { name: say("history.since"), head: true, cell: (row) => moment(row.since) },
  {
    name: say("history.priority"),
    cell: (row) =>
      badge({
        level: row.cleared ? "calm" : PRIORITY[row.priority].level,
        icon: PRIORITY[row.priority].icon,
        word: say(`priority.${row.priority}`),
      }),
  },
  { name: say("history.what"), cell: (row) => `${what(row)}${causeOf(row)}` },
  { name: say("history.code"), cell: (row) => row.code },
  {
    name: say("history.lasted"),
    numeric: true,
    cell: (row) => (row.cleared ? about(lastedS(row)) : say("history.still")),
  },
  { name: say("history.who"), cell: whoHadIt },
];

/** `found`: what the API says of a period. */
export function alarmHistory(found) {
  const from = `${found.from}T12:00:00Z`;
  return h(
    "section",
    { class: "card", id: "alarm-history", "aria-label": say("history.title") },
    h("h2", null, say("history.title")),
    table(say("history.title"), columns(), found.alarms, {
      keyOf: (row) => row.alarm_id,
      empty: say("history.none", { day: day(from) }),
    }),
    h(
      "p",
      { class: "small" },
      say("history.from", { day: day(from) }),
      found.more > 0 && ` ${say("more", { n: found.more })}`,
    ),
  );
}
