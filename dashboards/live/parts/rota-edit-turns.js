/** Rotations: whose week follows whose, when it is handed over, and who stands in for whom. */

import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { daysOn, localDay } from "../core/formats.js";
import { atParting } from "../core/store.js";
import { say } from "../core/words.js";
import { NAME, act, adder, field, input, move, select, small, takeOut, wrongAt } from "./rota-fields.js";

const fresh = { id: "" };
atParting(() => (fresh.id = ""));

function order(draft, one) {
  const nameOf = (id) => draft.people.find((person) => person.id === id)?.name ?? id;
  const line = (id, n) =>
    h(
      "li",
      { key: `${id}/${n}` },
      h("span", { class: "n" }, n + 1),
      h("b", null, nameOf(id)),
      small("↑", () => move(one.people, n, -1), say("rota.up", { name: nameOf(id) }), n ? {} : { disabled: true }),
      small(
        "↓",
        () => move(one.people, n, 1),
        say("rota.down", { name: nameOf(id) }),
        n < one.people.length - 1 ? {} : { disabled: true },
      ),
      small(say("rota.remove"), () => takeOut(one.people, n, id), say("rota.remove_of", { what: nameOf(id) })),
    );
  return h(
    "div",
    { class: "order" },
    h("h4", null, say("rota.order")),
    h("ol", null, one.people.map(line)),
    adder(
      say("rota.add_to_order"),
      draft.people.map((person) => [person.id, person.name]),
      (id) => one.people.push(id),
    ),
  );
}

function overrides(draft, one) {
  const who = [["", say("rota.nobody_instead")], ...draft.people.map((person) => [person.id, person.name])];
  const today = localDay(now());
  const add = () => {
    const person = draft.people[0]?.id ?? "";
    one.overrides.push({ person, begin: `${daysOn(today, 1)}T08:00`, end: `${daysOn(today, 2)}T08:00` });
  };
  const line = (other, n) =>
    h(
      "li",
      { key: n, class: "row override", "data-override": n },
      field(say("rota.instead"), select(other, "person", who)),
      field(say("period.from"), input(other, "begin", { type: "datetime-local", required: true })),
      field(say("period.to"), input(other, "end", { type: "datetime-local", required: true })),
      small(
        say("rota.remove"),
        () => takeOut(one.overrides, n, other),
        say("rota.remove_of", { what: `${other.begin}` }),
      ),
    );
  return h(
    "div",
    { class: "overrides" },
    h("h4", null, say("rota.overrides")),
    one.overrides.length > 0 && h("ul", null, one.overrides.map(line)),
    h("button", { type: "button", class: "small-button", on: { click: act(add) } }, say("rota.add_override")),
  );
}

const rotationForm = (draft, one, n, errors) =>
  h(
    "section",
    { class: "rotation-form", key: one.id, "data-rotation": one.id, "aria-label": one.id },
    h(
      "div",
      { class: "row" },
      h("b", { class: "id" }, one.id),
      field(say("rota.first_day"), input(one, "first_day", { type: "date", required: true })),
      field(say("rota.hand_over"), input(one, "hand_over", { type: "time", required: true })),
      field(say("rota.last_day"), input(one, "last_day", { type: "date" })),
      small(say("rota.remove"), () => takeOut(draft.rotations, n, one), say("rota.remove_of", { what: one.id })),
    ),
    wrongAt(errors, `rotations/${one.id}`, `rotations[${n}]`),
    h("div", { class: "halves" }, order(draft, one), overrides(draft, one)),
  );

export function editRotations(draft, errors) {
  const add = () => {
    const id = fresh.id.trim();
    if (!id || draft.rotations.some((one) => one.id === id)) return;
    draft.rotations.push({
      id,
      people: [],
      first_day: localDay(now()),
      hand_over: "08:00",
      last_day: null,
      overrides: [],
    });
    fresh.id = "";
  };
  return h(
    "section",
    { class: "card", id: "edit-rotations", key: "edit-rotations", "aria-label": say("rota.rotations") },
    h("h2", null, say("rota.rotations")),
    h("p", { class: "small" }, say("rota.rotations_lead")),
    draft.rotations.map((one, n) => rotationForm(draft, one, n, errors)),
    h(
      "div",
      { class: "row add" },
      field(say("rota.new_rotation"), input(fresh, "id", { ...NAME, placeholder: "on-call" })),
      h("button", { type: "button", on: { click: act(add) } }, say("rota.add_rotation")),
    ),
  );
}
