/**
 * Signing in. It is the only view without an emergency stop: it says where the other one is, and what became of the
 * stops that were pushed here before.
 */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { atParting, change, state } from "../core/store.js";
import { seconds } from "../core/formats.js";
import { say } from "../core/words.js";
import { alert } from "../parts/announce.js";
import { icon } from "../parts/icons.js";
import { truths } from "../parts/truth.js";

const form = { user: "", password: "", busy: false, wrong: "" };
atParting(() => Object.assign(form, { user: "", password: "", wrong: "" }));

async function submit(event, enter) {
  event.preventDefault();
  if (form.busy) return;
  form.busy = true;
  form.wrong = "";
  change({});
  try {
    const me = await api.logIn(form.user.trim(), form.password);
    Object.assign(form, { user: "", password: "" });
    await enter(me);
  } catch (error) {
    form.wrong = reason(error);
    alert(form.wrong);
    document.getElementById("password")?.select();
  } finally {
    form.busy = false;
    change({});
  }
}

function reason(error) {
  if (error instanceof api.Unreachable) return say("signin.unreachable");
  if (error.status === 429) return say("signin.too_often", { long: seconds(error.retryAfterS, 0) });
  return error.status === 401 ? say("signin.wrong") : error.message || say("failed");
}

const field = (id, label, type, autocomplete) =>
  h(
    "label",
    { class: "field", key: id },
    h("span", null, label),
    h("input", {
      id,
      type,
      autocomplete,
      required: true,
      autocapitalize: "none",
      spellcheck: "false",
      maxlength: "128",
      value: form[id],
      "aria-invalid": form.wrong ? "true" : undefined,
      "aria-describedby": form.wrong ? "signin-wrong" : undefined,
      on: { input: (event) => (form[id] = event.target.value) },
    }),
  );

export const signIn = (enter) =>
  h(
    "main",
    { class: "sign-in", key: "sign-in" },
    h("h1", null, say("app")),
    state.putOut && h("p", { class: "not", role: "alert", key: "put-out" }, icon("alarm"), say("signin.put_out")),
    truths(),
    h("p", null, say("signin.lead")),
    h(
      "form",
      { on: { submit: (event) => submit(event, enter) } },
      field("user", say("signin.user"), "text", "username"),
      field("password", say("signin.password"), "password", "current-password"),
      form.wrong && h("p", { id: "signin-wrong", class: "wrong" }, form.wrong),
      h(
        "button",
        { class: "primary", "aria-disabled": form.busy ? "true" : undefined },
        say(form.busy ? "signin.busy" : "signin.go"),
      ),
    ),
    h("p", { class: "small" }, say("stop.not_instead")),
  );
