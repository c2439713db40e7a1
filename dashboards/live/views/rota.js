/** Who is on call: now and next, the week as a picture, gaps in cover, people and the proof of each way to them. */

import * as api from "../core/api.js";
import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { daysOn, localDay, plainDay } from "../core/formats.js";
import { EVERYONE } from "../core/rota-draft.js";
import { link } from "../core/route.js";
import { change, may } from "../core/store.js";
import { say } from "../core/words.js";
import { icon } from "../parts/icons.js";
import { reading, repeatedly } from "../parts/pieces.js";
import { drills, rotaPeople } from "../parts/rota-people.js";
import { rotaWeek, when } from "../parts/rota-week.js";

const READ_EVERY_MS = 2_000;
const DAYS = 7;
const GAPS_SHOWN = 5;

/** The Monday of the week that a plain day is in. */
const mondayOf = (day) => daysOn(day, -((new Date(`${day}T12:00:00Z`).getUTCDay() + 6) % 7));

const names = (people) => people.map((one) => one.name).join(", ");

/** What the rung is made of, where that is not the people themselves. */
const byWhat = (rung) => {
  const people = new Set(rung.people.map((one) => one.person));
  const shown = (name) => (name === EVERYONE ? say("rota.everybody") : name);
  return rung.names.filter((name) => !people.has(name)).map(shown);
};

function rungLine(rung) {
  const nobody = !rung.people.length;
  return h(
    "li",
    { key: rung.rung, class: nobody ? "gap" : "", "data-rung": `${rung.priority}/${rung.rung}` },
    h("span", { class: "n" }, rung.rung),
    h(
      "span",
      { class: "who-now" },
      h("b", null, nobody && icon("alarm"), nobody ? say("rota.nobody") : names(rung.people)),
      h("span", { class: "small" }, ` ${byWhat(rung).join(", ")}`),
    ),
    rung.next &&
      h(
        "span",
        { class: "small next" },
        say("rota.next", {
          names: rung.next.people.length ? names(rung.next.people) : say("rota.nobody"),
          at: when(rung.next.at),
        }),
      ),
  );
}

function rungs(found) {
  const groups = new Map();
  for (const rung of found.rungs) {
    const key = `${rung.priority}/${rung.engineers}`;
    groups.set(key, [...(groups.get(key) ?? []), rung]);
  }
  return h(
    "div",
    { class: "columns rungs", key: "rungs" },
    [...groups].map(([key, of]) => {
      const title = say(`priority.${of[0].priority}`);
      const name = of[0].engineers ? say("rota.for_engineers", { priority: title }) : title;
      const quiet = of[0].priority === "low" && found.quiet;
      return h(
        "section",
        { class: `card rung-card ${of[0].priority}`, key, "aria-label": name },
        h("h3", null, name),
        h("ol", null, of.map(rungLine)),
        quiet && h("p", { class: "small" }, say("rota.quiet_now")),
      );
    }),
  );
}

function gapList(gaps) {
  if (!gaps.length) return h("p", { class: "covered", key: "covered" }, icon("ready"), say("rota.covered"));
  const line = (gap) =>
    h(
      "li",
      { key: `${gap.priority}/${gap.engineers}/${gap.from_at}` },
      icon("alarm"),
      say(gap.engineers ? "rota.gap_engineers" : "rota.gap", {
        from: when(gap.from_at),
        until: when(gap.until_at),
        priority: say(`priority.${gap.priority}`),
      }),
    );
  return h(
    "ul",
    { class: "gaps", key: "gaps", "aria-label": say("rota.gaps") },
    gaps.slice(0, GAPS_SHOWN).map(line),
    gaps.length > GAPS_SHOWN && h("li", null, say("more", { n: gaps.length - GAPS_SHOWN })),
  );
}

function showing() {
  const thisWeek = mondayOf(localDay(now()));
  let first = thisWeek;
  const rota = reading(() => api.get("rota", { from: first, days: DAYS }));
  const people = reading(() => api.get("people"));
  const drill = drills(people.read);
  const stop = repeatedly(() => Promise.all([rota.read(), people.read()]), READ_EVERY_MS);
  const week = (days) => () => {
    first = days === null ? thisWeek : daysOn(first, days);
    rota.read();
    change({});
  };

  const weeks = () =>
    h(
      "div",
      { class: "view-head", key: "weeks" },
      h(
        "h2",
        null,
        say("rota.week", {
          from: plainDay(first, { day: "numeric", month: "long" }),
          to: plainDay(daysOn(first, DAYS - 1), { day: "numeric", month: "long" }),
        }),
      ),
      h(
        "div",
        { class: "choices", role: "group", "aria-label": say("rota.weeks") },
        h("button", { type: "button", on: { click: week(-DAYS) } }, say("rota.earlier")),
        h(
          "button",
          { type: "button", "aria-pressed": String(first === thisWeek), on: { click: week(null) } },
          say("rota.this_week"),
        ),
        h("button", { type: "button", on: { click: week(DAYS) } }, say("rota.later")),
      ),
    );

  return {
    title: () => say("nav.rota"),
    leave: stop,
    render: () => [
      rota.show((found) => [
        h(
          "div",
          { class: "view-head", key: "head" },
          h("p", { class: "lead" }, say(found.rota ? "rota.lead" : "rota.none")),
          h(
            "div",
            { class: "row" },
            may("alarm_respond") && h("a", { class: "button", href: link("call") }, say("call.open")),
            may("edit_rota") &&
              h(
                "a",
                { class: "button primary", href: link("rota", "edit") },
                say(found.rota ? "rota.edit" : "rota.make"),
              ),
          ),
        ),
        found.errors.map(({ text }) => h("p", { class: "wrong", key: text }, icon("warning"), text)),
        found.rota && [
          !found.in_use && h("p", { class: "wrong", key: "not-in-use" }, icon("stale"), say("rota.not_in_use")),
          gapList(found.gaps),
          h("h2", { key: "now" }, say("rota.now")),
          rungs(found),
          weeks(),
          found.rota.rotations.map((rotation) => rotaWeek(rotation, found, first, DAYS)),
        ],
      ]),
      people.show((found) => rotaPeople(found, drill)),
    ],
  };
}

/** `#/rota`, and `#/rota/edit` for who may. */
export async function rota(mode) {
  if (mode !== "edit") return showing();
  return (await import("./rota-edit.js")).rotaEdit();
}
