/** The limits that a trace draws: those in force at its session, else those that hold for every session. Pure. */

import { milliamps, ohms, seconds } from "../core/formats.js";
import { say } from "../core/words.js";

const USUAL = { short_ohm: 150, degraded_ohm: 3000, beyond_ohm: 5000 };
const LINES = {
  current: [["setting_ma_max", "peak", milliamps]],
  impedance: [
    ["short_ohm", "short", ohms],
    ["degraded_ohm", "degraded", ohms],
    ["beyond_ohm", "beyond", ohms],
  ],
  lease: [["lease_ttl_s", "lease", seconds]],
};

const missing = (value) => value === null || value === undefined;

/**
 * By panel `[[value, text]]`. `inForce` is what the API says (null: no session); what it says nothing of is not
 * drawn. `settingMaMax` is the plan's, where nothing else is known.
 */
export function limitsToDraw(inForce, settingMaMax = null) {
  const known = inForce ?? { setting_ma_max: settingMaMax, ...USUAL };
  const drawn = ([name]) => !missing(known[name]);
  const line = ([name, text, words]) => [known[name], say(`trace.limit.${text}`, { value: words(known[name]) })];
  const panels = Object.entries(LINES);
  return Object.fromEntries(panels.map(([panel, rows]) => [panel, rows.filter(drawn).map(line)]));
}
