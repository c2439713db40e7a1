/** What stands around every view: header, what is wrong with the page's own data, the gravest alarm, the stop. */

import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { time, timeZone } from "../core/formats.js";
import { link } from "../core/route.js";
import { may, state } from "../core/store.js";
import { say } from "../core/words.js";
import { alarmStrip } from "./alarm-strip.js";
import { dock } from "./dock.js";
import { icon } from "./icons.js";
import { oldness } from "./oldness.js";

// View and the permission that shows it.
const NAV = [
  ["overview", "see"],
  ["sessions", "see"],
  ["alarms", "see"],
  ["stops", "see"],
  ["rota", "see_rota"],
  ["usage", "see_usage"],
  ["health", "see_usage"],
  ["users", "users"],
];
const WITHIN = { room: "overview", device: "overview", session: "sessions", request: "sessions", figures: "alarms" };
const BARE = { wall: "nav.leave_wall", call: "nav.leave_call" }; // views for one screen only: no way but out

function nav() {
  const here = WITHIN[state.route.name] ?? state.route.name;
  const item = ([name]) => {
    const count = name === "alarms" ? state.alarms.filter((alarm) => alarm.priority !== "info").length : 0;
    return h(
      "li",
      { key: name },
      h(
        "a",
        { href: link(name), "aria-current": here === name ? "page" : undefined },
        say(`nav.${name}`),
        count > 0 && h("span", { class: "count", title: say("alarms.open", { n: count }) }, count),
      ),
    );
  };
  return h(
    "nav",
    { "aria-label": say("nav.label") },
    h("ul", null, NAV.filter(([, permission]) => may(permission)).map(item)),
  );
}

/** `skip` moves the focus: a link would change the address, and with it the view. */
const skip = (id, text) =>
  h("button", { type: "button", class: "skip", on: { click: () => document.getElementById(id)?.focus() } }, say(text));

function who(signOut) {
  return h(
    "div",
    { class: "who" },
    h("time", { class: "clock", title: timeZone() }, time(now()), h("span", { class: "zone" }, timeZone())),
    h("a", { href: link("account"), class: "account" }, icon("person"), state.me.name),
    h(
      "button",
      { type: "button", class: "plain", disabled: state.isLeaving, on: { click: signOut } },
      state.isLeaving ? say("signing_out") : say("sign_out"),
    ),
  );
}

/** The page as its children; `turn` numbers the view, `signOut` is what its button does. */
export function frame(turn, title, body, signOut) {
  const bare = BARE[state.route.name];
  return [
    skip("title", "skip.content"),
    skip("dock", "skip.stop"),
    h(
      "header",
      { class: "top" },
      h("a", { class: "brand", href: link("overview") }, h("b", null, say("app")), h("span", null, state.me.site)),
      bare ? h("a", { class: "leave-wall", href: link("overview") }, say(bare)) : nav(),
      who(signOut),
    ),
    h("div", { class: "notes" }, oldness(), !bare && alarmStrip()),
    h(
      "main",
      { class: `view of-${state.route.name}`, key: `main/${turn}` },
      h("h1", { id: "title", tabindex: "-1" }, title),
      body,
    ),
    dock(),
  ];
}
