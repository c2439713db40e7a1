/** Small pieces that several views share: the way back, tables, what is being waited for or has failed. */

import * as api from "../core/api.js";
import { now } from "../core/clock.js";
import { h } from "../core/dom.js";
import { change, state } from "../core/store.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

const AGAIN_MS = 500;

/** The way back: pairs of a name and where it leads. */
export const crumbs = (...steps) =>
  h(
    "nav",
    { class: "crumbs", "aria-label": say("nav.crumbs") },
    h(
      "ol",
      null,
      steps.map(([name, href]) => h("li", { key: href }, h("a", { href }, name))),
    ),
  );

/**
 * A table. Columns are `{name, cell, numeric, head}`; a row's key is `keyOf(row)`; `foot` is a last row, like them.
 */
export function table(caption, columns, rows, { keyOf, foot, empty = say("nothing") } = {}) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const cells = (row) =>
    columns.map(({ name, cell, numeric, head }) =>
      h(
        head ? "th" : "td",
        { key: name, class: numeric ? "numeric" : undefined, scope: head ? "row" : undefined },
        cell(row),
      ),
    );
  return h(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      null,
      h("caption", { class: "visually-hidden" }, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map(({ name, numeric }) =>
            h("th", { key: name, scope: "col", class: numeric ? "numeric" : undefined }, name),
          ),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row, n) => h("tr", { key: keyOf ? keyOf(row) : n }, cells(row))),
      ),
      foot && h("tfoot", null, h("tr", null, cells(foot))),
    ),
  );
}

/** What went wrong with something that was asked for, in words. */
export function wordsOf(error) {
  if (error instanceof api.Unreachable) return error.isRead ? say("unreachable") : say("unheard");
  if (error.who === api.WHO.somebody) return say("signed_in_anew", { name: state.me?.name ?? "–" });
  return error.message || say("failed");
}

export const failed = (error) => h("p", { class: "wrong" }, icon("warning"), wordsOf(error));
export const waiting = () => h("p", { class: "waiting" }, say("waiting"));

/**
 * Something that is read from the server and shown: `read()` asks anew, `value` and `error` say what came of it, `at`
 * when the value was read. What was asked earlier and comes later is dropped. What was refused because another tab
 * signs in is asked again.
 */
export function reading(ask) {
  let turn = 0;
  const one = {
    value: null,
    at: null,
    error: null,
    async read() {
      turn += 1;
      const mine = turn;
      try {
        const value = await ask();
        if (mine !== turn) return;
        one.value = value;
        one.at = now();
        one.error = null;
      } catch (error) {
        if (mine !== turn) return;
        one.error = error;
        if (api.isOpen(error.who)) setTimeout(() => mine === turn && one.read(), AGAIN_MS);
      }
      change({});
    },
    /** What is there, or that it is being waited for, or why it is not there. */
    show: (draw) => [one.error && failed(one.error), one.value ? draw(one.value) : !one.error && waiting()],
  };
  return one;
}

/**
 * Ask again every so often while the view is open, one at a time: each would drop the one before, and where the
 * server is slow none would ever be shown. The answer ends it.
 */
export function repeatedly(act, everyMs) {
  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    await act().finally(() => (asking = false));
  };
  ask();
  const timer = setInterval(ask, everyMs);
  return () => clearInterval(timer);
}
