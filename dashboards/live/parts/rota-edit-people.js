/** People and the ways to them. Where a way leads is typed in, and never shown again. */

import { h } from "../core/dom.js";
import { KINDS, PRIORITIES } from "../core/rota-draft.js";
import { atParting } from "../core/store.js";
import { say } from "../core/words.js";
import { NAME, act, field, input, select, small, takeOut, wrongAt } from "./rota-fields.js";

const nothing = () => ({ person: { id: "", name: "" }, way: "" });
const fresh = nothing();
atParting(() => Object.assign(fresh, nothing()));

function priorities(way) {
  const toggle = (one) => () => {
    const on = way.priorities.includes(one);
    way.priorities = on ? way.priorities.filter((other) => other !== one) : [...way.priorities, one];
  };
  return h(
    "div",
    { class: "for-priorities", role: "group", "aria-label": say("rota.edit_for", { way: way.id }) },
    PRIORITIES.map((one) =>
      h(
        "label",
        { class: "tick", key: one },
        h("input", { type: "checkbox", checked: way.priorities.includes(one), on: { change: act(toggle(one)) } }),
        say(`priority.${one}`),
      ),
    ),
  );
}

/** Where it leads: what may be told of it, or a field to type it in anew. */
function leads(way) {
  if (way.destination === undefined && (way.to || way.secret)) {
    return h(
      "div",
      { class: "field" },
      h("span", null, say("rota.leads")),
      h(
        "div",
        { class: "row" },
        h("b", { class: "to" }, way.to ?? say("rota.unreadable")),
        small(say("rota.change_way"), () => (way.destination = ""), say("rota.change_way_of", { way: way.id })),
      ),
    );
  }
  const more = { type: "password", required: true, maxlength: "2000", spellcheck: "false", placeholder: "ntfy://…" };
  const secret = { ...more, autocomplete: "new-password" };
  return [
    field(say("rota.leads_new"), input(way, "destination", secret), "grow"),
    way.kind === "webhook" &&
      field(say("rota.key"), input(way, "key", { ...secret, minlength: "16", placeholder: "" }), "grow"),
  ];
}

const removes = (what) => say("rota.remove_of", { what });

const wayForm = (person, way, n, errors) =>
  h(
    "li",
    { key: way.id, class: "way-form", "data-way": `${person.id}/${way.id}` },
    h("b", { class: "id" }, way.id),
    field(
      say("rota.kind"),
      select(
        way,
        "kind",
        KINDS.map((kind) => [kind, say(`rota.kinds.${kind}`)]),
      ),
    ),
    leads(way),
    priorities(way),
    small(say("rota.remove"), () => takeOut(person.methods, n, way), removes(`${person.name}: ${way.id}`)),
    wrongAt(errors, `people/${person.id}/${way.id}`),
  );

function personForm(draft, person, n, errors) {
  const addWay = () => {
    const id = (person.newWay ?? "").trim();
    if (!id || person.methods.some((way) => way.id === id)) return;
    person.methods.push({ id, kind: "apprise", priorities: ["high", "medium"], destination: "" });
    delete person.newWay;
  };
  return h(
    "section",
    { class: "person-form", key: person.id, "data-person": person.id, "aria-label": person.name },
    h(
      "div",
      { class: "row" },
      h("b", { class: "id" }, person.id),
      field(say("users.name"), input(person, "name", { required: true, maxlength: "64" })),
      small(say("rota.remove"), () => takeOut(draft.people, n, person), say("rota.remove_of", { what: person.name })),
    ),
    wrongAt(errors, `people/${person.id}`, `people[${n}]`),
    h("ul", { class: "way-forms" }, person.methods.map((way, m) => wayForm(person, way, m, errors))),
    h(
      "div",
      { class: "row" },
      field(say("rota.new_way"), input(person, "newWay", { ...NAME, placeholder: "sms" })),
      h("button", { type: "button", on: { click: act(addWay) } }, say("rota.add_way")),
    ),
  );
}

export function editPeople(draft, errors) {
  const add = () => {
    const { id, name } = fresh.person;
    if (!id.trim() || draft.people.some((one) => one.id === id.trim())) return;
    draft.people.push({ id: id.trim(), name: name.trim() || id.trim(), methods: [] });
    fresh.person = { id: "", name: "" };
  };
  return h(
    "section",
    { class: "card", id: "edit-people", key: "edit-people", "aria-label": say("rota.people") },
    h("h2", null, say("rota.people")),
    h("p", { class: "small" }, say("rota.edit_people_lead")),
    draft.people.map((person, n) => personForm(draft, person, n, errors)),
    h(
      "div",
      { class: "row add" },
      field(say("rota.new_id"), input(fresh.person, "id", { ...NAME, id: "new-person" })),
      field(say("users.name"), input(fresh.person, "name", { maxlength: "64" })),
      h("button", { type: "button", on: { click: act(add) } }, say("rota.add_person")),
    ),
  );
}
