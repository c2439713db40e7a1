/** Figures against alarm fatigue: how many, which, how soon somebody had them, how many needed nobody. */

import * as api from "../core/api.js";
import { what } from "../core/alarms.js";
import { h } from "../core/dom.js";
import { about, daysOn, number, percent, plainDay } from "../core/formats.js";
import { link } from "../core/route.js";
import { change } from "../core/store.js";
import { say } from "../core/words.js";
import { bars } from "../parts/bars.js";
import { columns } from "../parts/columns.js";
import { period, periodFields } from "../parts/period.js";
import { crumbs, reading, table } from "../parts/pieces.js";

const TABLES = { code: "codes", day: "days", condition: "noisiest" };
const SERIES = [
  ["high", "high"],
  ["medium", "series-3"],
  ["low", "series-1"],
  ["info", "series-2"],
];

const named = (code) => what({ code });
const place = (row) => row.device ?? row.room ?? say("alarms.site");
const placed = (row) => {
  if (row.device) return h("a", { href: link("device", row.device) }, row.device);
  return row.room ? h("a", { href: link("room", row.room) }, row.room) : say("alarms.site");
};
const share = (part, of) => (of ? percent((part / of) * 100) : "–");
const waited = (one) => (one.n ? about(one.median_s) : "–");
const slowest = (one) => (one.n ? about(one.p90_s) : "–");

function everyDay({ from, to }) {
  const days = [];
  for (let day = from; day <= to; day = daysOn(day, 1)) days.push(day);
  return days;
}

function summary({ total, per_device_day: perDeviceDay }) {
  const rows = [
    ["alarms", number(total.alarms)],
    ["per_device_day", number(perDeviceDay, "", 2)],
    ["accept_median", waited(total.accepted)],
    ["accept_p90", slowest(total.accepted)],
    ["needed_nothing", share(total.needed_nothing, total.alarms)],
    ["open", number(total.open)],
  ];
  return h(
    "dl",
    { class: "summary figures" },
    rows.map(([name, value]) =>
      h("div", { key: name }, h("dt", null, say(`figures.figure.${name}`)), h("dd", null, value)),
    ),
  );
}

function charts(found, chosen) {
  const days = everyDay(chosen);
  const rows = new Map(found.days.map((row) => [row.day, row]));
  const series = SERIES.map(([name, colour]) => ({
    name: say(`priority.${name}`),
    colour,
    values: days.map((day) => rows.get(day)?.[name] ?? 0),
  }));
  const key = JSON.stringify([chosen, series]);
  const most = (row) => ({
    name: `${row.code} · ${place(row)}`,
    href: row.device ? link("device", row.device) : undefined,
    value: row.alarms,
    words: number(row.alarms),
  });
  return h(
    "div",
    { class: "charts" },
    columns(`alarms/${key}`, say("figures.by_day"), { days, series, unit: say("figures.unit") }),
    found.noisiest.length > 0 && bars(say("figures.noisiest"), found.noisiest.map(most)),
  );
}

const counted = (name) => ({ name: say(`figures.${name}`), numeric: true, cell: (row) => number(row[name]) });
const nothing = () => ({
  name: say("figures.needed_nothing"),
  numeric: true,
  cell: (row) => `${number(row.needed_nothing)} (${share(row.needed_nothing, row.alarms)})`,
});

function tableColumns(by) {
  const rest = [
    counted("alarms"),
    ...SERIES.map(([name]) => ({
      name: say(`priority.${name}`),
      numeric: true,
      cell: (row) => number(row[name]),
    })),
    nothing(),
    { name: say("figures.answer_median"), numeric: true, cell: (row) => waited(row.answered) },
    { name: say("figures.accept_median"), numeric: true, cell: (row) => waited(row.accepted) },
    { name: say("figures.accept_p90"), numeric: true, cell: (row) => slowest(row.accepted) },
  ];
  return {
    day: [
      {
        name: say("figures.by.day"),
        head: true,
        cell: (row) => plainDay(row.day, { weekday: "short", day: "numeric", month: "short" }),
      },
      ...rest,
    ],
    code: [{ name: say("figures.by.code"), head: true, cell: (row) => `${row.code} · ${named(row.code)}` }, ...rest],
    condition: [
      { name: say("figures.by.condition"), head: true, cell: (row) => `${row.code} · ${named(row.code)}` },
      { name: say("figures.where"), cell: placed },
      counted("alarms"),
      nothing(),
      { name: say("figures.lasted"), numeric: true, cell: (row) => about(row.lasted_s) },
    ],
  }[by];
}

export function figures() {
  let by = "code";
  const all = reading(async () => {
    const chosen = period();
    return { chosen, ...(await api.get("alarms/figures", chosen)) };
  });
  all.read();

  const tabs = () =>
    h(
      "div",
      { class: "choices", role: "group", "aria-label": say("figures.table_by") },
      Object.keys(TABLES).map((one) =>
        h(
          "button",
          {
            type: "button",
            key: one,
            "aria-pressed": String(by === one),
            on: { click: () => ((by = one), change({})) },
          },
          say(`figures.by.${one}`),
        ),
      ),
    );

  const csv = ({ from, to }) =>
    h(
      "a",
      {
        class: "button",
        id: "csv",
        href: api.url("alarms/figures.csv", { by, from, to }),
        download: `alarms-by-${by}-${from}-${to}.csv`,
      },
      say("csv"),
    );

  return {
    title: () => say("figures.title"),
    render: () => [
      crumbs([say("nav.alarms"), link("alarms")]),
      periodFields(all.read),
      all.show((found) => [
        found.since > found.chosen.from &&
          h("p", { class: "lead" }, say("figures.since", { day: plainDay(found.since) })),
        summary(found),
        charts(found, found.chosen),
        h("div", { class: "view-head" }, tabs(), csv(found.chosen)),
        table(say("figures.table"), tableColumns(by), found[TABLES[by]], {
          keyOf: (row) => `${row.day ?? ""}/${row.code ?? ""}/${row.device ?? ""}/${row.room ?? ""}`,
          empty: say("figures.none"),
        }),
        h("p", { class: "small" }, say("figures.how")),
      ]),
    ],
  };
}
