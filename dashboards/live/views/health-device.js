/** The health of one device day by day: battery, drift of the impedance, lease margin, and everything in a table. */

import { h } from "../core/dom.js";
import { number, ohms, percent, plainDay, seconds } from "../core/formats.js";
import { known, say } from "../core/words.js";
import { columns } from "../parts/columns.js";
import { daysOf, period } from "../parts/period.js";
import { table } from "../parts/pieces.js";

/** A share of the device's own first baselines, in percent. */
export const driftPct = (share) => (share === null ? null : share * 100);

/** Readings that are charted: name, unit, field of a row, and by what it is multiplied. */
const CHARTED = [
  ["battery", "%", "battery_pct_min", 1],
  ["drift", "%", "impedance_drift", 100],
  ["margin", "s", "lease_margin_s_min", 1],
];

/** A chart of readings in words: from the least to the most. */
function span(name, values, unit) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return say("nothing");
  const [least, most] = [Math.min(...known), Math.max(...known)].map((value) => number(value, unit, 1));
  return say("health.span", { name: say(`health.${name}`), least, most });
}

function charts(device, rows) {
  const days = daysOf(period());
  const found = new Map(rows.map((row) => [row.day, row]));
  const chart = ([name, unit, field, times]) => {
    const values = days.map((day) =>
      (found.get(day)?.[field] ?? null) === null ? null : found.get(day)[field] * times,
    );
    const series = [{ name: say(`health.${name}`), colour: "series-1", values }];
    return columns(`${device}/${JSON.stringify(series)}`, say(`health.${name}`), {
      days,
      series,
      unit,
      words: span(name, values, unit),
    });
  };
  return h("div", { class: "charts" }, CHARTED.map(chart));
}

/** One device day by day, as charts and as a table. */
export function deviceHealth({ device, rows }) {
  const columnsOf = [
    { name: say("usage.by.day"), head: true, cell: (row) => plainDay(row.day) },
    { name: say("health.battery"), numeric: true, cell: (row) => percent(row.battery_pct_min) },
    { name: say("health.impedance"), numeric: true, cell: (row) => ohms(row.impedance_ohm) },
    { name: say("health.drift"), numeric: true, cell: (row) => percent(driftPct(row.impedance_drift)) },
    { name: say("health.margin"), numeric: true, cell: (row) => seconds(row.lease_margin_s_min) },
    {
      name: say("health.faults"),
      cell: (row) =>
        Object.entries(row.faults ?? {})
          .map(([kind, n]) => `${known(`causes.${kind}`) ? say(`causes.${kind}`) : kind.replaceAll("_", " ")} ${n}`)
          .join(", ") || "–",
    },
    { name: say("health.reconnects"), numeric: true, cell: (row) => number(row.reconnects) },
    { name: say("health.losses"), numeric: true, cell: (row) => number(row.losses) },
    { name: say("health.gaps"), numeric: true, cell: (row) => number(row.samples_missed) },
  ];
  return [
    charts(device, rows),
    table(say("health.of", { device }), columnsOf, rows, { keyOf: (row) => row.day, empty: say("nothing") }),
  ];
}
