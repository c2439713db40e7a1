/** One device: what it is in, its trace, what holds it and how to release it, its alarms, limits, dates, sessions. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { byUrgency, dueWords } from "../core/due.js";
import { moment, quantity, quantityName } from "../core/formats.js";
import { readPast } from "../core/past.js";
import { link } from "../core/route.js";
import { deviceRow, may, state } from "../core/store.js";
import { whenOpened } from "../core/stream.js";
import { because, stateOf } from "../core/status.js";
import { say } from "../core/words.js";
import { alarmHistory } from "../parts/alarm-history.js";
import { alarmCard } from "../parts/alarm-card.js";
import { badge, icon } from "../parts/icons.js";
import { crumbs, reading, repeatedly, table } from "../parts/pieces.js";
import { deviceReadings, readings } from "../parts/readings.js";
import { holdsOf } from "../parts/release.js";
import { trace } from "../parts/trace.js";
import { limitsToDraw } from "../parts/trace-limits.js";
import { sessionColumns } from "./sessions.js";

const SPAN_S = 300;
const READ_EVERY_MS = 5_000;

function limitsTable(limits) {
  const rows = Object.entries(limits ?? {});
  const columns = [
    { name: say("limits.name"), head: true, cell: ([name]) => quantityName(name) },
    { name: say("limits.value"), numeric: true, cell: ([name, { value }]) => quantity(name, value) },
    { name: say("limits.layer"), cell: ([, { layer }]) => say(`layers.${layer}`) },
  ];
  return table(say("limits.title"), columns, rows, { keyOf: ([name]) => name });
}

function due(details) {
  const rows = details.due ?? [];
  if (!rows.length) return h("p", { class: "empty" }, say("due.none"));
  const line = (row) =>
    h(
      "li",
      { key: row.check, class: row.overdue ? "overdue" : row.soon ? "soon" : "" },
      (row.overdue || row.soon) && icon("warning"),
      dueWords(row),
    );
  return h("ul", { class: "dues" }, byUrgency(rows).map(line));
}

const identity = (row, details) => {
  const birth = details.birth ?? {};
  const pairs = [
    ["model", row.model],
    ["serial", birth.serial],
    ["firmware", birth.firmware],
    ["agent", birth.agent_version],
    ["boot", row.boot_n],
    ["settings", row.settings_version],
  ];
  return h(
    "dl",
    { class: "facts" },
    pairs.map(([name, value]) =>
      h("div", { key: name }, h("dt", null, say(`device.${name}`)), h("dd", null, value ?? "–")),
    ),
  );
};

const card = (title, more, ...body) =>
  h("section", { class: `card ${more}`, "aria-label": title }, h("h2", null, title), body);

export function device(id) {
  let gaps = [];
  let inForce = null; // at the session that is open there
  const readLimits = async () => {
    const open = deviceRow(id)?.session?.session_id;
    inForce = open ? ((await api.session(open).catch(() => ({ in_force: inForce }))).in_force ?? null) : null;
  };
  const details = reading(() => api.device(id));
  const stop = repeatedly(() => Promise.all([details.read(), readLimits()]), READ_EVERY_MS);
  const past = reading(() => api.alarmHistory(id));
  past.read();
  const readGaps = async () => {
    gaps = await readPast(id, SPAN_S);
  };
  const again = whenOpened(readGaps);
  readGaps();
  const source = () => ({
    samples: state.samples.get(id) ?? [],
    gaps,
    spanS: SPAN_S,
    limits: limitsToDraw(inForce, deviceRow(id)?.session?.setting_ma_max),
  });

  function head(row) {
    const why = because(row);
    return h(
      "section",
      { class: `device-head ${stateOf(row).level}`, "aria-label": say("device.now") },
      h("div", { class: "state" }, badge(stateOf(row)), why && h("p", { class: "why" }, why)),
      readings(deviceReadings(row)),
      h(
        "div",
        { class: "actions" },
        row.session_id && h("a", { class: "button", href: link("session", row.session_id) }, say("session.see")),
        may("request") &&
          stateOf(row).name === "idle" &&
          h("a", { class: "button primary", href: link("request", id) }, say("request.here")),
      ),
    );
  }

  return {
    title: () => say("device.title", { device: id }),
    traces: () => [id],
    leave() {
      stop();
      again();
    },
    render() {
      const row = deviceRow(id);
      if (!state.overview) return h("p", { class: "waiting" }, say("waiting"));
      if (!row) return h("p", null, say("device.unknown", { device: id }));
      const alarms = state.alarms.filter((alarm) => alarm.device === id || alarm.members?.includes(id));
      return [
        crumbs([say("nav.overview"), link("overview")], [row.room, link("room", row.room)]),
        head(row),
        h(
          "div",
          { class: "columns attention", key: "attention" },
          alarms.length > 0 &&
            h(
              "ul",
              { class: "alarm-cards", "aria-label": say("nav.alarms") },
              alarms.map((alarm) => alarmCard(alarm)),
            ),
          holdsOf(row, details.read),
        ),
        trace(id, source),
        details.show((found) => [
          h(
            "div",
            { class: "columns" },
            card(
              say("device.sessions"),
              "wide",
              table(say("device.sessions"), sessionColumns({ withDevice: false }), found.sessions ?? [], {
                keyOf: (one) => one.session_id,
                empty: say("device.no_sessions"),
              }),
            ),
            card(say("device.identity"), "", identity(row, found)),
            card(say("due.title"), "", due(found)),
            card(say("limits.title"), "", limitsTable(found.settings?.limits ?? found.limits)),
          ),
          h("p", { class: "small" }, say("read_at", { at: moment(details.at) })),
        ]),
        past.show(alarmHistory),
      ];
    },
  };
}
