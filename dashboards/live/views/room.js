/** One room: its devices with their numbers, large enough to read from the door. */

import { h } from "../core/dom.js";
import { ago, celsius, clockwise, milliamps, ohms, percent, seconds } from "../core/formats.js";
import { link } from "../core/route.js";
import { may, newestSample, roomRows, state } from "../core/store.js";
import { because, isLive, stateOf } from "../core/status.js";
import { say } from "../core/words.js";
import { leftS } from "../parts/device-line.js";
import { badge } from "../parts/icons.js";
import { crumbs } from "../parts/pieces.js";

/** Name, value: as a definition list of readings. */
export const readings = (pairs) =>
  h(
    "dl",
    { class: "readings" },
    pairs.map(([name, value, more]) => h("div", { key: name, class: more }, h("dt", null, say(name)), h("dd", null, value))),
  );

export function deviceReadings(row) {
  const sample = newestSample(row.device) ?? {};
  const of = (name) => sample[name] ?? row.session?.[name] ?? row[name] ?? null;
  if (!isLive(row)) {
    return [
      ["quantities.battery_pct", percent(of("battery_pct"))],
      ["quantities.temperature_c", celsius(of("temperature_c"))],
      ["state.last_word", row.heard_at ? ago(row.heard_at) : say("state.never_heard")],
    ];
  }
  return [
    ["quantities.setting_ma", milliamps(of("setting_ma")), "big"],
    ["quantities.amplitude_ma", milliamps(of("amplitude_ma")), "big"],
    ["session.left", clockwise(leftS(row)), "big"],
    ["quantities.impedance_ohm", ohms(of("impedance_ohm"))],
    ["quantities.lease_margin_s", seconds(of("lease_margin_s"))],
    ["quantities.battery_pct", percent(of("battery_pct"))],
  ];
}

function card(row) {
  const shown = stateOf(row);
  const why = because(row);
  const free = shown.name === "idle" && may("request");
  return h(
    "li",
    { key: row.device, class: `device-card ${shown.level}`, "data-device": row.device },
    h("header", null, h("h2", null, h("a", { href: link("device", row.device) }, row.device)), badge(shown)),
    why && h("p", { class: "why" }, why),
    readings(deviceReadings(row)),
    h(
      "footer",
      null,
      row.session_id && h("a", { href: link("session", row.session_id) }, say("session.see")),
      free && h("a", { class: "button", href: link("request", row.device) }, say("request.here")),
    ),
  );
}

export function room(id) {
  return {
    title: () => say("room.title", { room: id }),
    traces: () => roomRows(id).map((row) => row.device),
    render() {
      if (!state.overview) return h("p", { class: "waiting" }, say("waiting"));
      const rows = roomRows(id);
      return [
        crumbs([say("nav.overview"), link("overview")]),
        rows.length ? h("ul", { class: "device-cards" }, rows.map(card)) : h("p", null, say("room.unknown", { room: id })),
      ];
    },
  };
}
