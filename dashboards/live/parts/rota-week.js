/** The week of a rotation as a picture: people by days in the clinic's zone; who stands in, gaps where nobody is. */

import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { daysOn, localDay, plainDay, time } from "../core/formats.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

const UNITS = 1_000; // the span, in the units of the drawing
const ROW = 10;

const ms = (at) => Date.parse(at);
/** `Mon 30 Nov, 08:00`, in the clinic's zone. */
export const when = (at) =>
  `${plainDay(localDay(at), { weekday: "short", day: "numeric", month: "short" })}, ${time(at)}`;

const nameOf = (people, id) => people.find((one) => one.id === id)?.name ?? id;

/** One turn in words, also for who does not see the picture. */
const words = (turn, people) =>
  say(turn.person === null ? "rota.turn_nobody" : turn.override ? "rota.turn_instead" : "rota.turn", {
    name: turn.person === null ? "" : nameOf(people, turn.person),
    from: when(turn.from_at),
    until: when(turn.until_at),
  });

function bar(turn, span, level) {
  const x = ((ms(turn.from_at) - span.from) / (span.until - span.from)) * UNITS;
  const width = ((ms(turn.until_at) - ms(turn.from_at)) / (span.until - span.from)) * UNITS;
  return h("rect", { key: turn.from_at, class: level, x: x + 1, y: 1, width: Math.max(2, width - 2), height: ROW - 2 });
}

function line(at, span, level) {
  const x = ((at - span.from) / (span.until - span.from)) * UNITS;
  return h("line", { key: `${level}/${at}`, class: level, x1: x, x2: x, y1: 0, y2: ROW });
}

function row(key, name, level, bars, span, days) {
  const grid = days.map((_, n) => n && line(span.from + (n * (span.until - span.from)) / days.length, span, "grid"));
  const now = nowMs() > span.from && nowMs() < span.until && line(nowMs(), span, "now");
  return h(
    "li",
    { key, class: level },
    h("span", { class: "name" }, level === "gap" && icon("alarm"), name),
    h(
      "svg",
      { class: "lane", viewBox: `0 0 ${UNITS} ${ROW}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      h("rect", { key: "track", class: "track", x: 0, y: 0, width: UNITS, height: ROW }),
      grid,
      bars,
      now,
    ),
  );
}

/** `found`: what the API says of the rota; `first` a plain day, `count` how many are shown. */
export function rotaWeek(rotation, found, first, count) {
  const people = found.rota.people;
  const days = Array.from({ length: count }, (_, n) => daysOn(first, n));
  const turns = found.turns.filter((turn) => turn.rotation === rotation.id);
  if (!turns.length) return null;
  const span = { from: ms(turns[0].from_at), until: ms(turns.at(-1).until_at) };
  const gaps = turns.filter((turn) => turn.person === null);
  const who = [...new Set([...rotation.people, ...turns.map((turn) => turn.person).filter(Boolean)])];
  return h(
    "figure",
    { class: "week", key: rotation.id, "data-rotation": rotation.id },
    h(
      "figcaption",
      null,
      rotation.id,
      h(
        "ul",
        { class: "legend" },
        h("li", { class: "key-week" }, say("rota.legend.week")),
        h("li", { class: "key-instead" }, say("rota.legend.instead")),
        gaps.length > 0 && h("li", { class: "key-gap" }, say("rota.legend.gap")),
      ),
    ),
    h(
      "ul",
      { class: "lanes", "aria-hidden": "true" },
      h(
        "li",
        { class: "days", key: "days" },
        h("span", { class: "name" }),
        h(
          "span",
          { class: "of-days" },
          days.map((day) =>
            h(
              "span",
              { key: day },
              h("b", null, plainDay(day, { weekday: "short" })),
              ` ${plainDay(day, { day: "numeric" })}`,
            ),
          ),
        ),
      ),
      gaps.length > 0 && row("gap", say("rota.nobody"), "gap", gaps.map((turn) => bar(turn, span, "gap")), span, days),
      who.map((id) =>
        row(
          id,
          nameOf(people, id),
          "",
          turns.filter((turn) => turn.person === id).map((turn) => bar(turn, span, turn.override ? "instead" : "own")),
          span,
          days,
        ),
      ),
    ),
    h(
      "ol",
      { class: "turns small" },
      turns.map((turn) => h("li", { key: turn.from_at, class: turn.person ? "" : "wrong" }, words(turn, people))),
    ),
  );
}
