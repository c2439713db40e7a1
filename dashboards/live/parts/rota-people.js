/** Everybody on the rota: each way to them, when it was last proven by an answered test alarm, and what came of one. */

import * as api from "../core/api.js";
import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { ago, dayAndYear, time } from "../core/formats.js";
import { change, may } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "./announce.js";
import { icon } from "./icons.js";
import { wordsOf } from "./pieces.js";

/** What is known of a way, gravest first: {level, icon, words}. */
function proof(way) {
  if (way.drill === "sending") return { level: "calm", icon: "stale", words: say("rota.drill.sending") };
  if (way.drill === "waiting")
    return { level: "low", icon: "stale", words: say("rota.drill.waiting", { at: time(way.drill_until) }) };
  if (way.failed) return { level: "medium", icon: "warning", words: say("rota.failed", { why: way.failed }) };
  if (!way.last_proven_at) return { level: "medium", icon: "warning", words: say("rota.never_proven") };
  const over = Date.parse(way.proven_until) < nowMs();
  const words = say(over ? "rota.proven_over" : "rota.proven", {
    ago: ago(way.last_proven_at),
    until: dayAndYear(way.proven_until),
  });
  return over ? { level: "medium", icon: "warning", words } : { level: "calm", icon: "ready", words };
}

function wayLine(way) {
  const { level, icon: shape, words } = proof(way);
  return h(
    "li",
    { key: way.method, "data-way": way.method },
    h(
      "span",
      { class: "way" },
      h("b", null, way.method),
      ` ${way.to ?? say("rota.unreadable")} · ${way.priorities.map((one) => say(`priority.${one}`)).join(", ")}`,
    ),
    h("span", { class: `proof ${level}` }, icon(shape), h("span", null, words)),
  );
}

/** What a test alarm was answered with here; `again` reads the people anew. */
export function drills(again) {
  let wrong = null;
  let busy = false;
  async function order(person) {
    if (busy) return;
    busy = true;
    wrong = null;
    change({});
    try {
      await api.post("drills", person ? { person: person.person } : {});
      announce(say("rota.drill.ordered", { who: person?.name ?? say("rota.everybody") }));
    } catch (error) {
      wrong = wordsOf(error);
      alert(wrong);
    }
    busy = false;
    await again();
    change({});
  }
  return {
    wrong: () => wrong && h("p", { class: "wrong", role: "alert" }, wrong),
    button: (person) =>
      may("drill") &&
      h(
        "button",
        {
          type: "button",
          class: person ? "small-button" : "",
          "data-drill": person?.person ?? "everybody",
          "aria-disabled": busy ? "true" : undefined,
          on: { click: () => order(person) },
        },
        person ? say("rota.drill.one", { name: person.name }) : say("rota.drill.all"),
      ),
  };
}

export function rotaPeople(found, drill) {
  return h(
    "section",
    { class: "card people", key: "people", "aria-label": say("rota.people") },
    h("div", { class: "view-head" }, h("h2", null, say("rota.people")), drill.button(null)),
    drill.wrong(),
    h("p", { class: "small" }, say("rota.people_lead", { n: found.proven_within_days ?? "–" })),
    found.people.length
      ? h(
          "ul",
          { class: "people-list" },
          found.people.map((person) =>
            h(
              "li",
              { key: person.person, "data-person": person.person },
              h("div", { class: "view-head" }, h("h3", null, person.name), drill.button(person)),
              person.methods.length
                ? h("ul", { class: "ways" }, person.methods.map(wayLine))
                : h("p", { class: "wrong" }, say("rota.no_way")),
            ),
          ),
        )
      : h("p", { class: "empty" }, say("rota.none_in_use")),
  );
}
