/** Changing the rota: all of it at once, judged as a whole by the server, which says of each error where it is. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { bodyOf, draftOf, placesOf } from "../core/rota-draft.js";
import { go, link } from "../core/route.js";
import { atParting, change, may, state } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "../parts/announce.js";
import { icon } from "../parts/icons.js";
import { crumbs, failed, waiting, wordsOf } from "../parts/pieces.js";
import { editPeople } from "../parts/rota-edit-people.js";
import { editRungs } from "../parts/rota-edit-rungs.js";
import { editRotations } from "../parts/rota-edit-turns.js";

const CHANGED = 412;
let kept = null; // what somebody had begun when an alarm called them away: {user, read, draft, begun}

atParting(() => (kept = null)); // it may hold what they typed in

export function rotaEdit() {
  let read = null; // the rota's version as it was read
  let draft = null;
  let begun = ""; // the draft as it was read
  let isKept = false;
  let trouble = null; // what kept it from being read
  let refused = null; // why it was not saved
  let saving = false;

  async function begin() {
    trouble = refused = null;
    try {
      const found = await api.get("rota", { days: 1 });
      read = found.version;
      draft = draftOf(found.rota);
      begun = JSON.stringify(draft);
      isKept = false;
    } catch (error) {
      trouble = error;
    }
    change({});
  }

  if (kept?.user === state.me?.user && kept) {
    ({ read, draft, begun } = kept);
    isKept = true;
  } else begin();

  async function save(event) {
    event.preventDefault();
    if (saving) return;
    saving = true;
    refused = null;
    change({});
    try {
      await api.put("rota", bodyOf(withoutHalves(draft)), read);
      begun = JSON.stringify(draft);
      announce(say("rota.saved"));
      go("rota");
    } catch (error) {
      refused = error;
      alert(notSavedWords());
      requestAnimationFrame(() => document.querySelector(".refused")?.scrollIntoView({ block: "center" }));
    }
    saving = false;
    change({});
  }

  /** Names that were typed and not added yet are no part of it. */
  const withoutHalves = (all) => ({ ...all, people: all.people.map(({ newWay: _, ...person }) => person) });

  const notSavedWords = () =>
    refused instanceof api.Unreachable ? say("rota.perhaps_saved") : say("rota.not_saved");

  function notSaved() {
    if (!refused) return null;
    const places = placesOf(draft);
    const elsewhere = refused.errors?.filter(({ place }) => !places.has(place)) ?? [];
    const placed = (refused.errors?.length ?? 0) - elsewhere.length;
    return h(
      "section",
      { class: "card refused", key: "refused", role: "alert" },
      h("h2", null, icon("warning"), notSavedWords()),
      placed > 0 && h("p", null, say("rota.errors_placed", { n: placed })),
      elsewhere.map(({ text }) => h("p", { key: text }, text)),
      !refused.errors?.length && h("p", null, wordsOf(refused)),
      refused.status === CHANGED &&
        h("button", { type: "button", on: { click: begin } }, say("rota.take_theirs")),
    );
  }

  return {
    title: () => say("rota.edit"),
    leave() {
      kept = draft && JSON.stringify(draft) !== begun ? { user: state.me?.user, read, draft, begun } : null;
    },
    render() {
      if (!may("edit_rota")) return h("p", null, say("rota.who_may"));
      if (trouble) return failed(trouble);
      if (!draft) return waiting();
      const errors = refused?.errors ?? [];
      return [
        crumbs([say("nav.rota"), link("rota")]),
        h(
          "form",
          { class: "rota-edit", key: "edit", autocomplete: "off", on: { submit: save } },
          isKept &&
            h(
              "div",
              { class: "card kept", key: "kept" },
              h("p", null, say("rota.kept")),
              h("button", { type: "button", class: "small-button", on: { click: begin } }, say("rota.begin_anew")),
            ),
          notSaved(),
          editPeople(draft, errors),
          editRotations(draft, errors),
          editRungs(draft, errors),
          h(
            "div",
            { class: "row save" },
            h("p", { class: "small" }, say("rota.save_lead")),
            h("a", { class: "button", href: link("rota"), on: { click: () => (draft = null) } }, say("cancel")),
            h("button", { class: "primary", "aria-disabled": saving ? "true" : undefined }, say("rota.save")),
          ),
        ),
      ];
    },
  };
}
