/**
 * The emergency stop, in reach on every view: for a device, its room, and the site; and what became of those pushed.
 * On the view of a device or a room it is about that one; elsewhere the device is chosen beside it.
 */

import { h } from "../core/dom.js";
import { roomRows, deviceRow, devices, state } from "../core/store.js";
import { push } from "../core/stopping.js";
import { say } from "../core/words.js";
import { deliberately } from "./hold.js";
import { icon } from "./icons.js";
import { truths } from "./truth.js";

/** What the view is about: {device, room}, as far as it is about one. */
function about() {
  const { name, at } = state.route;
  const session = name === "session" && devices().find((row) => row.session_id === at[0]);
  const device = name === "device" ? at[0] : (session && session.device) || null;
  const room = name === "room" ? at[0] : (device && deviceRow(device)?.room) || null;
  return { device, room };
}

function scopes() {
  const { device, room } = about();
  if (device || room) return { device, room, choose: false };
  const [kind, name] = state.chosen.split("/");
  return { device: kind === "device" ? name : null, room: kind === "room" ? name : null, choose: true };
}

export function stopButton(scope, name, more = "") {
  const what = scope === "site" ? say("stop.whole_site") : name;
  const spoken = say("stop.button_label", { what });
  return h(
    "button",
    {
      type: "button",
      key: `stop/${scope}/${name}`,
      class: `stop ${more}`,
      "data-stop": `${scope}/${name}`,
      "aria-label": spoken,
      on: deliberately(what, () => push(scope, name)),
    },
    icon("stop"),
    h(
      "span",
      { class: "what" },
      h("span", { class: "verb" }, say("stop.verb")),
      h("span", { class: "name" }, scope === "site" ? say("stop.site_button") : what),
    ),
    h("span", { class: "holding" }, say("stop.keep_holding")),
    h("span", { class: "short" }, say("stop.hold")),
    h("span", { class: "armed" }, say("stop.again")),
  );
}

function chooser() {
  const option = (value, text) => h("option", { value, key: value }, text);
  const rooms = (state.overview?.rooms ?? []).map(({ room }) =>
    h(
      "optgroup",
      { label: room, key: room },
      option(`room/${room}`, say("stop.all_of_room", { room, n: roomRows(room).length })),
      roomRows(room).map((row) => option(`device/${row.device}`, row.device)),
    ),
  );
  const on = {
    change: (event) => {
      state.chosen = event.target.value;
    },
  };
  return h(
    "label",
    { class: "chooser", key: "chooser" },
    h("span", { class: "visually-hidden" }, say("stop.choose_label")),
    h("select", { id: "stop-what", value: state.chosen, on }, option("", say("stop.choose")), rooms),
  );
}

export function dock() {
  const { device, room, choose } = scopes();
  return h(
    "section",
    { class: "dock", id: "dock", tabindex: "-1", "aria-labelledby": "dock-title" },
    truths(),
    h(
      "div",
      { class: "dock-row" },
      h(
        "div",
        { class: "dock-words" },
        h("h2", { id: "dock-title" }, say("stop.title")),
        h("p", { class: "how" }, say("stop.how")),
        h("p", { class: "not-instead" }, say("stop.not_instead")),
      ),
      h(
        "div",
        { class: "dock-buttons" },
        choose && chooser(),
        device && stopButton("device", device),
        room && stopButton("room", room),
        stopButton("site", state.me?.site ?? "site"),
      ),
    ),
  );
}
