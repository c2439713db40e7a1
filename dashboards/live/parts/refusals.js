/** Why the fleet refuses: every rule that does, in words, with its number and its limit. */

import { h } from "../core/dom.js";
import { duePhrase } from "../core/due.js";
import { number, plainDay, quantity, quantityName } from "../core/formats.js";
import { known, say } from "../core/words.js";
import { icon } from "./icons.js";

/** What was found, a cause, a phase, or a quantity without its unit. */
function named(name) {
  const group = ["findings", "causes", "state"].find((one) => known(`${one}.${name}`));
  return group ? say(`${group}.${name}`) : quantityName(name);
}

/** One refusal as a sentence. A rule that this page does not know is said in the fleet's own words. */
export function refusalWords({ rule, layer, quantity: name, value, limit, again_on: againOn, words }) {
  if (!known(`rules.${rule}`)) return words;
  const plain = (figure) => number(figure, "", Number.isInteger(figure) ? 0 : 1);
  const spoken = say(`rules.${rule}`, {
    name: name === null ? "" : named(name),
    due: rule === "device_due" ? duePhrase(name, value) : "",
    site: say(`sites.${name}`),
    value: name === null ? plain(value) : quantity(name, value),
    limit: name === null ? plain(limit) : quantity(name, limit),
    n: plain(value),
    most: plain(limit),
    beyond: say(value !== null && limit !== null && value < limit ? "rules.below" : "rules.above"),
  });
  const again = againOn
    ? ` ${say("rules.again_on", { day: plainDay(againOn, { weekday: "long", day: "numeric", month: "long" }) })}`
    : "";
  return `${spoken[0].toUpperCase()}${spoken.slice(1)}${again} (${say(`layers.${layer}`)})`;
}

export const refusalList = (refusals) =>
  h(
    "ul",
    { class: "refusals" },
    refusals.map((refusal, n) =>
      h(
        "li",
        { key: `${refusal.rule}/${refusal.quantity}/${refusal.layer}/${n}`, "data-rule": refusal.rule },
        icon("warning"),
        refusalWords(refusal),
      ),
    ),
  );
