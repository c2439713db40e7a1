/** How the devices are: battery, drift of the impedance, faults, reconnects, lease margin, and what is due. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { byUrgency, dueWords } from "../core/due.js";
import { number, ohms, percent, plainDay, seconds } from "../core/formats.js";
import { link } from "../core/route.js";
import { change, devices } from "../core/store.js";
import { known, say } from "../core/words.js";
import { columns } from "../parts/columns.js";
import { icon } from "../parts/icons.js";
import { daysOf, period, periodFields } from "../parts/period.js";
import { reading, table } from "../parts/pieces.js";
import { simulatedNote } from "../parts/simulated.js";
import { deviceHealth, driftPct } from "./health-device.js";

const AT_ONCE_MAX = 4; // devices asked for together: the others' requests are not to wait for this view
const THIN_MARGIN_S = 1.5;
const LOW_BATTERY_PCT = 20;

/** Of each device its health over the period, a few at a time. */
async function readAll(chosen) {
  const waiting = devices().map((row) => row);
  const found = [];
  const work = async () => {
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      const health = await api.get(`devices/${encodeURIComponent(row.device)}/health`, { ...chosen, by: "day" });
      found.push({ ...health, device: row.device, room: row.room });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, work));
  return found.sort((a, b) => (a.device < b.device ? -1 : 1));
}

const faultsOf = (rows) =>
  rows.reduce((sum, row) => sum + Object.values(row.faults ?? {}).reduce((all, n) => all + n, 0), 0);
const sumOf = (rows, name) => rows.reduce((sum, row) => sum + (row[name] ?? 0), 0);
const last = (rows, name) => rows.findLast((row) => row[name] !== null && row[name] !== undefined)?.[name] ?? null;
const least = (rows, name) => {
  const values = rows.map((row) => row[name]).filter((value) => value !== null && value !== undefined);
  return values.length ? Math.min(...values) : null;
};

/** A number that is not as it should be has a sign beside it. */
const noted = (bad, words) => (bad ? h("span", { class: "badge low" }, icon("notice"), words) : words);

function nextDue(due = []) {
  const [next] = byUrgency(due);
  if (!next) return say("due.none");
  if (next.overdue) return h("span", { class: "badge medium" }, icon("warning"), dueWords(next));
  return noted(next.soon, dueWords(next));
}

function tableColumns() {
  const drift = ({ rows }) => driftPct(last(rows, "impedance_drift"));
  return [
    { name: say("health.device"), head: true, cell: (one) => h("a", { href: link("device", one.device) }, one.device) },
    { name: say("health.room"), cell: (one) => one.room },
    {
      name: say("health.battery"),
      numeric: true,
      cell: ({ rows }) =>
        noted((least(rows, "battery_pct_min") ?? 100) < LOW_BATTERY_PCT, percent(least(rows, "battery_pct_min"))),
    },
    { name: say("health.impedance"), numeric: true, cell: ({ rows }) => ohms(last(rows, "impedance_ohm")) },
    {
      name: say("health.drift"),
      numeric: true,
      cell: (one) => noted(Math.abs(drift(one) ?? 0) > 50, percent(drift(one))),
    },
    {
      name: say("health.margin"),
      numeric: true,
      cell: ({ rows }) =>
        noted((least(rows, "lease_margin_s_min") ?? 9) < THIN_MARGIN_S, seconds(least(rows, "lease_margin_s_min"))),
    },
    { name: say("health.faults"), numeric: true, cell: ({ rows }) => number(faultsOf(rows)) },
    { name: say("health.reconnects"), numeric: true, cell: ({ rows }) => number(sumOf(rows, "reconnects")) },
    { name: say("health.losses"), numeric: true, cell: ({ rows }) => number(sumOf(rows, "losses")) },
    { name: say("health.gaps"), numeric: true, cell: ({ rows }) => number(sumOf(rows, "samples_missed")) },
    { name: say("health.due"), cell: (one) => nextDue(one.due) },
  ];
}

function faultKinds(found) {
  const kinds = new Map();
  for (const { rows } of found)
    for (const row of rows)
      for (const [kind, n] of Object.entries(row.faults ?? {})) kinds.set(kind, (kinds.get(kind) ?? 0) + n);
  return [...kinds].sort(([, a], [, b]) => b - a);
}

function charts(found) {
  const days = daysOf(period());
  const perDay = (sum) =>
    days.map((day) => found.reduce((all, { rows }) => all + sum(rows.filter((row) => row.day === day)), 0));
  const faults = [{ name: say("health.faults"), colour: "series-1", values: perDay(faultsOf) }];
  const links = [
    { name: say("health.reconnects"), colour: "series-1", values: perDay((rows) => sumOf(rows, "reconnects")) },
  ];
  const key = JSON.stringify([days, faults, links]);
  return h(
    "div",
    { class: "charts" },
    columns(`faults/${key}`, say("health.faults_by_day"), { days, series: faults, unit: "" }),
    columns(`links/${key}`, say("health.reconnects_by_day"), { days, series: links, unit: "" }),
  );
}

export function health() {
  let chosen = "";
  const all = reading(() => readAll(period()));
  let begun = false;
  const pick = (event) => {
    chosen = event.target.value;
    change({});
  };
  const shown = (found) => {
    const one = found.find(({ device }) => device === chosen);
    return [
      simulatedNote(found[0]?.simulated_until, period()),
      charts(found),
      table(say("health.title"), tableColumns(), found, { keyOf: ({ device }) => device, empty: say("room.none") }),
      faultKinds(found).length > 0 &&
        h(
          "p",
          { class: "small" },
          say("health.kinds"),
          " ",
          faultKinds(found)
            .map(([kind, n]) => `${kind.replaceAll("_", " ")} ${n}`)
            .join(", "),
        ),
      h(
        "div",
        { class: "view-head" },
        h(
          "label",
          { class: "field inline" },
          h("span", null, say("health.days_of")),
          h(
            "select",
            { id: "health-device", value: chosen, on: { change: pick } },
            h("option", { value: "" }, say("request.choose")),
            found.map(({ device }) => h("option", { key: device, value: device }, device)),
          ),
        ),
        one &&
          h(
            "a",
            {
              class: "button",
              href: api.url(`devices/${chosen}/health.csv`, { ...period(), by: "day" }),
              download: `health-${chosen}.csv`,
            },
            say("csv"),
          ),
      ),
      one && deviceHealth(one),
    ];
  };
  return {
    title: () => say("nav.health"),
    render() {
      if (!begun && devices().length) {
        begun = true;
        all.read();
      }
      return [periodFields(all.read), all.show(shown)];
    },
  };
}
