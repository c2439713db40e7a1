/** Small fields of the rota's editor: they change the draft in place, and say what is wrong where it is. */

import { h } from "../core/dom.js";
import { change } from "../core/store.js";
import { errorsAt } from "../core/rota-draft.js";
import { icon } from "./icons.js";

export const NAME = { pattern: "[a-z0-9][a-z0-9\\-]{0,31}", maxlength: "32", autocapitalize: "none" };

/** What is wrong at these places. */
export const wrongAt = (errors, ...places) => {
  const found = errorsAt(errors, ...places);
  const line = ({ text }) => h("p", { class: "wrong at-place", key: text }, icon("warning"), text);
  return found.length > 0 && found.map(line);
};

export const act = (doIt) => () => {
  doIt();
  change({});
};

export const field = (label, input, more = "") => h("label", { class: `field ${more}` }, h("span", null, label), input);

/** An input for `of[name]`; `more` are attributes. */
export const input = (of, name, more = {}) =>
  h("input", {
    autocomplete: "off",
    ...more,
    value: of[name] ?? "",
    on: { input: (event) => ((of[name] = event.target.value), change({})) },
  });

export const whole = (of, name, more) =>
  h("input", {
    type: "number",
    ...more,
    value: String(of[name]),
    on: { input: (event) => ((of[name] = event.target.value === "" ? "" : Number(event.target.value)), change({})) },
  });

/** A choice of [value, text] pairs for `of[name]`. */
export const select = (of, name, options, more = {}) =>
  h(
    "select",
    { ...more, value: of[name] ?? "", on: { change: (event) => ((of[name] = event.target.value), change({})) } },
    options.map(([value, text]) => h("option", { key: value, value }, text)),
  );

export const small = (text, click, label, more = {}) =>
  h("button", { type: "button", class: "small-button", "aria-label": label, ...more, on: { click: act(click) } }, text);

/** Pick one to be added; it adds at once, and is ready for the next. */
export const adder = (label, options, add, more = {}) =>
  options.length > 0 &&
  h(
    "select",
    {
      class: "adder",
      "aria-label": label,
      ...more,
      value: "",
      on: {
        change: (event) => {
          const { value } = event.target;
          event.target.value = "";
          if (value) act(() => add(value))();
        },
      },
    },
    h("option", { key: "", value: "" }, label),
    options.map(([value, text]) => h("option", { key: value, value }, text)),
  );

/** Take out `one`, which was drawn at `n`: pressed twice before the page has drawn anew, it takes no other with it. */
export function takeOut(list, n, one) {
  if (list[n] === one) list.splice(n, 1);
}

/** Move what is at `n` one up or down. */
export function move(list, n, by) {
  const [one] = list.splice(n, 1);
  list.splice(n + by, 0, one);
}
