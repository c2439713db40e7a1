/** One room: its devices with their numbers, large enough to read from the door. */

import { h } from "../core/dom.js";
import { readPast } from "../core/past.js";
import { link } from "../core/route.js";
import { may, roomRows, state } from "../core/store.js";
import { because, stateOf } from "../core/status.js";
import { whenOpened } from "../core/stream.js";
import { say } from "../core/words.js";
import { badge } from "../parts/icons.js";
import { crumbs } from "../parts/pieces.js";
import { deviceReadings, readings } from "../parts/readings.js";

const SHOWN_S = 15; // a device without a session speaks every 5 s

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
  const readAll = () => roomRows(id).forEach((row) => readPast(row.device, SHOWN_S));
  const again = whenOpened(readAll);
  readAll();
  return {
    title: () => say("room.title", { room: id }),
    traces: () => roomRows(id).map((row) => row.device),
    leave: again,
    render() {
      if (!state.overview) return h("p", { class: "waiting" }, say("waiting"));
      const rows = roomRows(id);
      return [
        crumbs([say("nav.overview"), link("overview")]),
        rows.length
          ? h("ul", { class: "device-cards" }, rows.map(card))
          : h("p", null, say("room.unknown", { room: id })),
      ];
    },
  };
}
