/** One session: how far it is, its trace with its limits, its plan, its numbers, its record. */

import * as api from "../core/api.js";
import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { moment, quantity, timeToMilliseconds } from "../core/formats.js";
import { fromColumns } from "../core/past.js";
import { link } from "../core/route.js";
import { deviceRow, keepSample, may, state } from "../core/store.js";
import { because, isSilent } from "../core/status.js";
import { whenOpened } from "../core/stream.js";
import { known, say } from "../core/words.js";
import { announce } from "../parts/announce.js";
import { badge } from "../parts/icons.js";
import { crumbs, reading, repeatedly, table, wordsOf } from "../parts/pieces.js";
import { refusalList } from "../parts/refusals.js";
import { abnormal, ends, isOpen, levelOf, live, standing } from "../parts/session-now.js";
import { trace } from "../parts/trace.js";
import { limitsToDraw } from "../parts/trace-limits.js";
import { causeWords, shortId } from "./sessions.js";

const READ_EVERY_MS = 2_000;
const WINDOW_S = 300;
const WITHDRAWN_BEFORE = new Set(["authorised", "armed"]);
const PLAN = [
  "body_site",
  "modality",
  "setting_ma_max",
  "frequency_hz",
  "pulse_width_us",
  "electrode_area_cm2",
  "duration_s",
  "on_s",
  "off_s",
  "ramp_up_s",
  "ramp_down_s",
];

function planList(plan) {
  const value = (name) => {
    if (name === "body_site") return say(`sites.${plan[name]}`);
    return name === "modality" ? say(`modality.${plan[name]}`) : quantity(name, plan[name]);
  };
  return h(
    "dl",
    { class: "facts" },
    PLAN.map((name) => h("div", { key: name }, h("dt", null, say(`plan.${name}`)), h("dd", null, value(name)))),
  );
}

/** What the journal says of an event; the machinery's own business has a name and no words. */
const what = (row) => row.words ?? row.name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();

/** Every event of the session in order, with both clocks side by side: the fleet's and the device's. */
function recordTable({ events }) {
  const columns = [
    { name: say("record.at"), head: true, cell: (row) => timeToMilliseconds(row.at) },
    { name: say("record.device_at"), cell: (row) => (row.device_at ? timeToMilliseconds(row.device_at) : "") },
    { name: say("record.what"), cell: what },
    { name: say("record.by"), cell: (row) => row.who ?? "" },
  ];
  return table(say("record.title"), columns, events, { keyOf: (row) => row.position });
}

/** What is to be done: where its device is silent, that it is to be looked at. */
function nextWords({ state: name, device }, row) {
  const shown = row && isSilent(row) ? "lost" : name;
  return say(known(`session_next.${shown}`) ? `session_next.${shown}` : "session_next.elsewhere", { device });
}

export function session(id) {
  const gaps = [];
  let device = null;
  let past = false;
  const wrong = { error: null };
  const found = reading(() => api.session(id));
  const record = reading(() => api.record(id));

  async function readTrace() {
    const answer = await api.get(`sessions/${id}/trace`).catch(() => null); // what comes live is drawn all the same
    if (!answer) return;
    for (const sample of fromColumns(answer.columns)) keepSample(device, { ...sample, session_id: id });
    gaps.splice(0, gaps.length, ...answer.gaps.map((pair) => pair.map((at) => Date.parse(at) / 1000)));
  }

  async function look() {
    await found.read();
    if (!found.value) return;
    const first = device === null;
    device = found.value.device;
    const over = !isOpen(found.value);
    if (first || (over && !past)) await readTrace();
    past = over;
    if (may("see_records")) await record.read();
  }

  const stop = repeatedly(look, READ_EVERY_MS);
  const again = whenOpened(() => device && readTrace());

  function source() {
    const all = state.samples.get(device) ?? [];
    const own = all.filter((sample) => sample.session_id === id);
    const end = past && own.length ? Date.parse(own.at(-1).at) / 1000 + 2 : nowMs() / 1000;
    const begin = own.length ? Date.parse(own[0].at) / 1000 : end - 60;
    const from = past ? begin : Math.max(begin, end - WINDOW_S);
    return {
      samples: own,
      gaps,
      limits: limitsToDraw(found.value?.in_force, found.value?.plan.setting_ma_max),
      fromS: Math.min(from, end - 30),
      toS: past ? end : undefined,
    };
  }

  async function withdraw() {
    wrong.error = null;
    try {
      await api.cancelSession(id);
      announce(say("session.cancelled"));
    } catch (error) {
      wrong.error = error;
    }
    await look();
  }

  function head(value) {
    const row = deviceRow(value.device);
    const own = standing(value);
    const device = abnormal(row, value);
    const cancellable = WITHDRAWN_BEFORE.has(value.state) && may("cancel");
    return h(
      "section",
      { class: `device-head ${device?.level ?? levelOf(value)}`, "aria-label": say("session.now") },
      h(
        "div",
        { class: "state" },
        device && badge(device),
        device && isSilent(row)
          ? h("p", { class: "why" }, because(row), " ", say("session.last_known", { state: own.word }))
          : badge(own),
        h(
          "p",
          null,
          value.cause
            ? say("session.ended_by", { cause: causeWords(value.cause) })
            : nextWords(value, row),
        ),
        value.withheld &&
          h("p", { class: "wrong" }, say("session.withheld", { reason: say(`withheld.${value.withheld}`) })),
      ),
      isOpen(value) ? live(row, value) : ends(value.ended),
      cancellable &&
        h("div", { class: "actions" }, h("button", { type: "button", on: { click: withdraw } }, say("session.cancel"))),
    );
  }

  const facts = (value) =>
    h(
      "dl",
      { class: "facts" },
      [
        ["device", h("a", { href: link("device", value.device) }, value.device)],
        ["room", h("a", { href: link("room", value.room) }, value.room)],
        ["client", value.client ?? say("session.hidden")],
        ["operator", value.operator ?? say("session.hidden")],
        ["authorised", moment(value.authorised_at)],
      ].map(([name, shown]) => h("div", { key: name }, h("dt", null, say(`session.${name}`)), h("dd", null, shown))),
    );

  const card = (title, more, ...body) =>
    h("section", { class: `card ${more}`, "aria-label": title }, h("h2", null, title), body);

  return {
    title: () => say("session.title", { id: shortId(id) }),
    traces: () => (device ? [device] : []),
    leave() {
      stop();
      again();
    },
    render: () => [
      crumbs([say("nav.sessions"), link("sessions")]),
      wrong.error &&
        (wrong.error.refusals?.length
          ? refusalList(wrong.error.refusals)
          : h("p", { class: "wrong", role: "alert" }, wordsOf(wrong.error))),
      found.show((value) => [
        head(value),
        trace(id, source),
        h(
          "div",
          { class: "columns" },
          card(say("session.who"), "", facts(value)),
          card(say("session.plan"), "", planList(value.plan)),
        ),
        may("see_records") &&
          card(
            say("record.title"),
            "record",
            h(
              "p",
              null,
              h(
                "a",
                { class: "button", href: api.url(`sessions/${id}/record.csv`), download: `session-${shortId(id)}.csv` },
                say("csv"),
              ),
            ),
            record.show(recordTable),
          ),
      ]),
    ],
  };
}
