/**
 * A test alarm is under way: whoever has got it types the code that stands in it. The code is the proof, not the press:
 * this page can be read without the message having come.
 */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { change, may } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "./announce.js";
import { wordsOf } from "./pieces.js";

/** Whether anybody's answer is waited for. */
const isOpen = (people) => people?.people.some((one) => one.methods.some((way) => way.drill !== null));

/** `again` reads the people anew. */
export function drillAnswer(again) {
  const form = { code: "", wrong: "", done: "", busy: false };

  async function submit(event) {
    event.preventDefault();
    if (form.busy) return;
    Object.assign(form, { busy: true, wrong: "", done: "" });
    try {
      const { person, method } = await api.post("drills/answers", { code: form.code.trim().toLowerCase() });
      Object.assign(form, { code: "", done: say("call.test.done", { person, method }) });
      announce(form.done);
    } catch (error) {
      form.wrong = wordsOf(error);
      alert(form.wrong);
    }
    form.busy = false;
    await again();
    change({});
  }

  return (people) =>
    may("answer_drill") &&
    (isOpen(people) || form.done || form.wrong) &&
    h(
      "section",
      { class: "card call-test", key: "test", "aria-labelledby": "call-test-title" },
      h("h2", { id: "call-test-title" }, say("call.test.title")),
      h(
        "form",
        { on: { submit } },
        h(
          "label",
          { class: "field" },
          h("span", null, say("call.test.code")),
          h("input", {
            id: "drill-code",
            required: true,
            pattern: "\\s*[0-9a-fA-F]{8,32}\\s*",
            maxlength: "40",
            autocomplete: "off",
            autocapitalize: "none",
            spellcheck: "false",
            value: form.code,
            on: { input: (event) => (form.code = event.target.value) },
          }),
        ),
        form.wrong && h("p", { class: "wrong", key: "wrong" }, form.wrong),
        form.done && h("p", { class: "done", key: "done" }, form.done),
        h(
          "button",
          { class: "thumb", key: "go", "aria-disabled": form.busy ? "true" : undefined },
          say("call.test.go"),
        ),
      ),
    );
}
