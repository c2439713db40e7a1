/** One's own account: the password, and how the page looks in this browser. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { seconds } from "../core/formats.js";
import { change, state } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "../parts/announce.js";
import { wordsOf } from "../parts/pieces.js";
import { SCHEMES, chooseScheme, scheme } from "../parts/scheme.js";

const LENGTH_MIN = 12;

export function account() {
  const form = { password: "", new: "", again: "", wrong: "", done: "" };

  async function submit(event) {
    event.preventDefault();
    form.done = "";
    form.wrong = form.new === form.again ? "" : say("account.differ");
    if (!form.wrong) {
      try {
        const me = await api.post("me/password", { password: form.password, new: form.new });
        api.takeToken(me.csrf);
        Object.assign(form, { password: "", new: "", again: "", done: say("account.done") });
        const known = await api.me();
        announce(form.done);
        change({ me: known });
      } catch (error) {
        form.wrong =
          error.status === 429 ? say("signin.too_often", { long: seconds(error.retryAfterS, 0) }) : wordsOf(error);
      }
    }
    if (form.wrong) alert(form.wrong);
    change({});
  }

  const field = (name, autocomplete, min) =>
    h(
      "label",
      { class: "field", key: name },
      h("span", null, say(`account.${name}`)),
      h("input", {
        id: `password-${name}`,
        type: "password",
        required: true,
        minlength: min,
        maxlength: "256",
        autocomplete,
        value: form[name],
        on: { input: (event) => (form[name] = event.target.value) },
      }),
    );

  return {
    title: () => say("account.title"),
    render: () => [
      state.me.must_change && h("p", { class: "lead" }, say("account.must_change")),
      h(
        "div",
        { class: "columns" },
        h(
          "section",
          { class: "card", "aria-labelledby": "password-title" },
          h("h2", { id: "password-title" }, say("account.change")),
          h(
            "form",
            { on: { submit } },
            field("password", "current-password"),
            field("new", "new-password", LENGTH_MIN),
            field("again", "new-password", LENGTH_MIN),
            form.wrong && h("p", { class: "wrong" }, form.wrong),
            form.done && h("p", { class: "done" }, form.done),
            h("button", { class: "primary" }, say("account.go")),
          ),
        ),
        h(
          "section",
          { class: "card", "aria-labelledby": "scheme-title" },
          h("h2", { id: "scheme-title" }, say("account.scheme")),
          h(
            "div",
            { class: "ticks", role: "radiogroup", "aria-labelledby": "scheme-title" },
            SCHEMES.map((name) =>
              h(
                "label",
                { class: "tick", key: name },
                h("input", {
                  type: "radio",
                  name: "scheme",
                  value: name,
                  checked: scheme() === name,
                  on: { change: () => chooseScheme(name) },
                }),
                say(`account.schemes.${name}`),
              ),
            ),
          ),
        ),
        h(
          "section",
          { class: "card", "aria-labelledby": "me-title" },
          h("h2", { id: "me-title" }, say("account.me")),
          h(
            "dl",
            { class: "facts" },
            [
              ["user", state.me.user],
              ["name", state.me.name],
              ["role", say(`roles.${state.me.role}`)],
              ["operator", state.me.operator ?? say("account.no_operator")],
            ].map(([name, value]) =>
              h("div", { key: name }, h("dt", null, say(`users.${name}`)), h("dd", null, value)),
            ),
          ),
        ),
      ),
    ],
  };
}
