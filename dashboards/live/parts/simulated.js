/** That a past which is shown was made up. */

import { h } from "../core/dom.js";
import { plainDay } from "../core/formats.js";
import { say } from "../core/words.js";
import { icon } from "./icons.js";

/** `until` is the last day that never happened (null: there is none), `from` the first one shown: plain dates. */
export const simulatedNote = (until, { from }) =>
  until && from <= until
    ? h(
        "p",
        { class: "note low simulated", key: "simulated" },
        icon("notice"),
        h(
          "span",
          null,
          say("period.simulated", { day: plainDay(until, { day: "numeric", month: "short", year: "numeric" }) }),
        ),
      )
    : null;
