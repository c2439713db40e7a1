/** One device on one line: which, what it is in, and the numbers that matter in that. */

import { h } from "../core/dom.js";
import { about, clockwise, milliamps } from "../core/formats.js";
import { sinceS } from "../core/clock.js";
import { link } from "../core/route.js";
import { isLive, isSilent, stateOf } from "../core/status.js";
import { say } from "../core/words.js";
import { badge } from "./icons.js";

/** How much of the session is left, in seconds; null where there is none. */
export const leftS = ({ session }) => (session ? Math.max(0, session.duration_s - (session.elapsed_s ?? 0)) : null);

function numbers(row) {
  if (isSilent(row)) {
    return row.heard_at ? say("state.silent", { long: about(sinceS(row.heard_at)) }) : say("state.never_heard");
  }
  if (isLive(row)) {
    const left = leftS(row);
    return [
      h(
        "span",
        { class: "current", title: say("quantities.setting_ma") },
        milliamps(row.session?.setting_ma ?? row.amplitude_ma),
      ),
      left !== null && h("span", { class: "left", title: say("session.left") }, clockwise(left)),
    ];
  }
  return null;
}

export function deviceLine(row) {
  const shown = stateOf(row);
  return h(
    "li",
    { key: row.device, class: `device-line ${shown.level}`, "data-device": row.device },
    h(
      "a",
      { href: link("device", row.device) },
      h("span", { class: "id" }, row.device),
      badge(shown),
      h("span", { class: "numbers" }, numbers(row)),
    ),
  );
}
