/** Usage across rooms: sessions, minutes, share of the opening hours, what ended them; by day, room and device. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { number, percent, plainDay } from "../core/formats.js";
import { link } from "../core/route.js";
import { change } from "../core/store.js";
import { known, say } from "../core/words.js";
import { bars } from "../parts/bars.js";
import { columns } from "../parts/columns.js";
import { daysOf, period, periodFields } from "../parts/period.js";
import { reading, table } from "../parts/pieces.js";
import { simulatedNote } from "../parts/simulated.js";

const BY = ["day", "room", "device", "cause"];
const SERIES = [
  ["completed", "series-1"],
  ["stopped", "series-3"],
  ["aborted", "series-2"],
];

export const minutes = (s) => (s ?? 0) / 60;

/** A row's own key: the day, the room ... by which was counted. */
const keyOf = (row) => row.key;

function named(by, key) {
  if (by === "day") return plainDay(key, { weekday: "short", day: "numeric", month: "short" });
  if (by === "cause") return known(`causes.${key}`) ? say(`causes.${key}`) : key;
  return h("a", { href: link(by, key) }, key);
}

/** What was treated: by the devices' own records, and by the fleet's clock where there is none. */
const treatedS = (row) => (row.session_s ?? 0) + (row.fleet_session_s ?? 0);

function tableColumns(by, hasHours) {
  const count = (name) => ({ name: say(`usage.${name}`), numeric: true, cell: (row) => number(row[name] ?? 0) });
  return [
    {
      name: say(`usage.by.${by}`),
      head: true,
      cell: (row) => (row.total ? say("usage.total") : named(by, keyOf(row))),
    },
    count("authorised"),
    ...(by === "cause" ? [] : [count("refused")]),
    count("started"),
    count("completed"),
    count("stopped"),
    count("aborted"),
    { name: say("usage.minutes"), numeric: true, cell: (row) => number(minutes(treatedS(row)), "min", 1) },
    { name: say("usage.current"), numeric: true, cell: (row) => number(minutes(row.current_s), "min", 1) },
    ...(hasHours ? [{ name: say("usage.utilisation"), numeric: true, cell: (row) => percent(share(row), 1) }] : []),
    ...(by === "cause" ? [] : [count("reconnects")]),
  ];
}

const share = (row) => (row.utilisation === null || row.utilisation === undefined ? null : row.utilisation * 100);

function perDay(chosen, rows) {
  const days = daysOf(chosen);
  const found = new Map(rows.map((row) => [keyOf(row), row]));
  const series = SERIES.map(([name, colour]) => ({
    name: say(`usage.${name}`),
    colour,
    values: days.map((day) => found.get(day)?.[name] ?? 0),
  }));
  const treated = [
    {
      name: say("usage.minutes"),
      colour: "series-1",
      values: days.map((day) => minutes(treatedS(found.get(day) ?? {}))),
    },
  ];
  const key = JSON.stringify([chosen, rows.length, series, treated]);
  return [
    columns(`sessions/${key}`, say("usage.sessions_by_day"), { days, series, unit: say("usage.sessions") }),
    columns(`minutes/${key}`, say("usage.minutes_by_day"), { days, series: treated, unit: "min" }),
  ];
}

function figures(total) {
  const hours = share(total);
  const rows = [
    ["started", number(total.started)],
    ["minutes", number(minutes(treatedS(total)), "min")],
    ["completed", total.started ? percent((total.completed / total.started) * 100) : "–"],
    ["utilisation", hours === null ? "–" : percent(hours, 1)],
    ["refused", number(total.refused)],
  ];
  return h(
    "dl",
    { class: "summary" },
    rows.map(([name, value]) =>
      h("div", { key: name }, h("dt", null, say(`usage.figure.${name}`)), h("dd", null, value)),
    ),
  );
}

export function usage() {
  let by = "day";
  const all = reading(async () => {
    const chosen = period();
    const answers = await Promise.all(BY.map((one) => api.get("usage", { by: one, ...chosen })));
    return { chosen, ...Object.fromEntries(BY.map((one, n) => [one, answers[n]])) };
  });
  all.read();

  const tabs = () =>
    h(
      "div",
      { class: "choices", role: "group", "aria-label": say("usage.table_by") },
      BY.map((one) =>
        h(
          "button",
          {
            type: "button",
            key: one,
            "aria-pressed": String(by === one),
            on: { click: () => ((by = one), change({})) },
          },
          say(`usage.by.${one}`),
        ),
      ),
    );

  function shown(found) {
    const { rows, total } = found[by];
    const hasHours = rows.some((row) => share(row) !== null);
    const ended = found.cause.rows
      .map((row) => ({ key: keyOf(row), n: row.completed + row.stopped + row.aborted + row.not_started }))
      .filter(({ n }) => n > 0); // sessions that run have no cause yet
    return [
      simulatedNote(found.day.simulated_until, found.chosen),
      figures(found.day.total),
      h("div", { class: "charts" }, perDay(found.chosen, found.day.rows)),
      h(
        "div",
        { class: "charts" },
        bars(
          say("usage.minutes_by_room"),
          found.room.rows.map((row) => ({
            name: keyOf(row),
            href: link("room", keyOf(row)),
            value: treatedS(row),
            words: `${number(minutes(treatedS(row)), "min")}${share(row) === null ? "" : ` · ${percent(share(row))}`}`,
          })),
        ),
        bars(
          say("usage.ended_by"),
          ended
            .sort((a, b) => b.n - a.n)
            .map(({ key, n }) => ({
              name: known(`causes.${key}`) ? say(`causes.${key}`) : key,
              value: n,
              words: number(n),
            })),
        ),
      ),
      h("h2", null, say("usage.table")),
      h(
        "div",
        { class: "view-head" },
        tabs(),
        h(
          "a",
          {
            class: "button",
            id: "csv",
            href: api.url("usage.csv", { by, ...found.chosen }),
            download: `usage-by-${by}-${found.chosen.from}-${found.chosen.to}.csv`,
          },
          say("csv"),
        ),
      ),
      table(say("usage.table"), tableColumns(by, hasHours), rows, {
        keyOf,
        foot: { ...total, total: true },
        empty: say("usage.none"),
      }),
      h("p", { class: "small" }, say("usage.how")),
    ];
  }

  return {
    title: () => say("nav.usage"),
    render: () => [periodFields(all.read), all.show(shown)],
  };
}
