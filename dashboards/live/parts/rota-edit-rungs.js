/** Who is told first, and who next where nobody takes it; quiet hours, digests, and the scheduled test alarm. */

import { h } from "../core/dom.js";
import { EVERYONE, PRIORITIES, namesOf } from "../core/rota-draft.js";
import { change } from "../core/store.js";
import { say } from "../core/words.js";
import { adder, field, input, small, takeOut, whole, wrongAt } from "./rota-fields.js";

const OFF = { class: "plain chip-off" };

function ladder(draft, name, priority, errors) {
  const rungs = draft[name][priority] ?? [];
  const title = say(`priority.${priority}`);
  const shown = (id) => {
    if (id === EVERYONE) return say("rota.everybody");
    return draft.people.find((one) => one.id === id)?.name ?? id;
  };
  const remove = (n, names) => {
    takeOut(rungs, n, names);
    if (!rungs.length) delete draft[name][priority];
  };
  const rung = (names, n) =>
    h(
      "li",
      { key: n, class: "rung-form", "data-rung": `${name}/${priority}/${n + 1}` },
      h("span", { class: "n" }, n + 1),
      h(
        "ul",
        { class: "chips" },
        names.map((id, m) =>
          h(
            "li",
            { key: id },
            shown(id),
            small("×", () => takeOut(names, m, id), say("rota.remove_of", { what: shown(id) }), OFF),
          ),
        ),
      ),
      adder(
        say("rota.add_to_rung", { n: n + 1 }),
        namesOf(draft)
          .filter((id) => !names.includes(id))
          .map((id) => [id, shown(id)]),
        (id) => names.push(id),
      ),
      small(say("rota.remove"), () => remove(n, names), say("rota.remove_rung", { n: n + 1, priority: title })),
      wrongAt(errors, `${name}/${priority}/${n + 1}`),
    );
  return h(
    "section",
    { class: "ladder-form", key: priority, "aria-label": title },
    h("h3", null, title),
    wrongAt(errors, `${name}/${priority}`),
    h("ol", null, rungs.map(rung)),
    small(
      say("rota.add_rung"),
      () => (draft[name][priority] = [...(draft[name][priority] ?? []), []]),
      say("rota.add_rung_of", { priority: title }),
    ),
  );
}

const ladders = (draft, name, errors) =>
  h(
    "section",
    { class: "card", id: `edit-${name}`, key: name, "aria-label": say(`rota.${name}`) },
    h("h2", null, say(`rota.${name}`)),
    h("p", { class: "small" }, say(`rota.${name}_lead`)),
    wrongAt(errors, name),
    h(
      "div",
      { class: "ladders" },
      PRIORITIES.map((priority) => ladder(draft, name, priority, errors)),
    ),
  );

function others(draft, errors) {
  const quiet = () => {
    draft.quiet_hours = draft.quiet_hours ? null : { begin: "22:00", end: "06:00" };
    change({});
  };
  const time = { type: "time", required: true };
  return h(
    "section",
    { class: "card", id: "edit-others", key: "others", "aria-label": say("rota.others") },
    h("h2", null, say("rota.others")),
    h(
      "div",
      { class: "row" },
      h(
        "label",
        { class: "tick" },
        h("input", { type: "checkbox", checked: draft.quiet_hours !== null, on: { change: quiet } }),
        say("rota.quiet"),
      ),
      draft.quiet_hours && field(say("period.from"), input(draft.quiet_hours, "begin", time)),
      draft.quiet_hours && field(say("period.to"), input(draft.quiet_hours, "end", time)),
    ),
    wrongAt(errors, "quiet_hours"),
    h(
      "div",
      { class: "row" },
      field(say("rota.digest_at"), input(draft, "digest_at", time)),
      field(say("rota.drill_every"), whole(draft.drill, "every_days", { min: "1", max: "90", required: true })),
      field(say("rota.drill_at"), input(draft.drill, "at", time)),
      field(say("rota.proven_within"), whole(draft, "proven_within_days", { min: "1", max: "365", required: true })),
    ),
    wrongAt(errors, "digest_at", "drill", "proven_within_days"),
  );
}

export const editRungs = (draft, errors) => [
  ladders(draft, "rungs", errors),
  h(
    "details",
    { class: "engineers", key: "engineers", open: Object.keys(draft.engineer_rungs).length > 0 ? true : undefined },
    h("summary", null, say("rota.engineer_rungs")),
    ladders(draft, "engineer_rungs", errors),
  ),
  others(draft, errors),
];

