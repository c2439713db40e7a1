/** All rooms at a glance: what is abnormal has a colour, an icon and a word; everything else is calm. */

import { h } from "../core/dom.js";
import { link } from "../core/route.js";
import { devices, may, state } from "../core/store.js";
import { isAbnormal, isLive, roomState, stateOf } from "../core/status.js";
import { say } from "../core/words.js";
import { stopButton } from "../parts/dock.js";
import { deviceLine } from "../parts/device-line.js";
import { icon } from "../parts/icons.js";

export function summary() {
  const rows = devices();
  const figures = [
    ["treating", rows.filter(isLive).length],
    ["ready", rows.filter((row) => stateOf(row).name === "idle").length],
    ["abnormal", rows.filter(isAbnormal).length],
    ["devices", rows.length],
  ];
  return h(
    "dl",
    { class: "summary" },
    figures.map(([name, n]) =>
      h(
        "div",
        { key: name, class: name === "abnormal" && n ? "attention" : "" },
        h("dt", null, say(`summary.${name}`)),
        h("dd", null, n),
      ),
    ),
  );
}

export function roomCard({ room, devices: rows }, { withStop = true } = {}) {
  const { level, abnormal, live } = roomState(rows);
  const words = abnormal
    ? say("room.abnormal", { n: abnormal })
    : live
      ? say("room.treating", { n: live })
      : say("room.quiet");
  return h(
    "section",
    { class: `room ${level}`, key: room, "aria-labelledby": `room-${room}`, "data-room": room },
    h(
      "header",
      null,
      h("h2", { id: `room-${room}` }, h("a", { href: link("room", room) }, room)),
      h("p", { class: "room-state" }, abnormal > 0 && icon(level === "high" ? "alarm" : "warning"), words),
      withStop && stopButton("room", room, "quiet"),
    ),
    h("ul", { class: "device-lines" }, rows.map(deviceLine)),
  );
}

export function overview() {
  return {
    title: () => say("nav.overview"),
    traces: () => [],
    render() {
      if (!state.overview) return h("p", { class: "waiting" }, say("waiting"));
      const { rooms } = state.overview;
      return [
        h(
          "div",
          { class: "view-head" },
          summary(),
          h(
            "div",
            { class: "actions" },
            may("request") && h("a", { class: "button primary", href: link("request") }, say("request.title")),
            h("a", { class: "button", href: link("wall") }, say("nav.wall")),
          ),
        ),
        rooms.length
          ? h(
              "div",
              { class: "rooms" },
              rooms.map((room) => roomCard(room)),
            )
          : h("p", null, say("room.none")),
      ];
    },
  };
}
