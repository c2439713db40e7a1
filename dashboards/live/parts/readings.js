/** Readings with their names and units, and which of them matter in what a device is doing. */

import { h } from "../core/dom.js";
import { ago, celsius, clockwise, milliamps, ohms, percent, seconds } from "../core/formats.js";
import { newestSample } from "../core/store.js";
import { isLive, isSilent } from "../core/status.js";
import { say } from "../core/words.js";
import { leftS } from "./device-line.js";

/** Name, value: as a definition list of readings. */
export const readings = (pairs) =>
  h(
    "dl",
    { class: "readings" },
    pairs.map(([name, value, more]) =>
      h("div", { key: name, class: more }, h("dt", null, say(name)), h("dd", null, value)),
    ),
  );

/**
 * Pairs for `readings` of a device, by what it is doing. A reading that is missing is a dash, and so is one of a device
 * that is not heard: a number that may be over by now is not to be taken for one of now.
 */
export function deviceReadings(row) {
  const silent = isSilent(row);
  const sample = newestSample(row.device) ?? {};
  const of = (name) => (silent ? null : (sample[name] ?? row.session?.[name] ?? row[name] ?? null));
  const lastWord = ["state.last_word", row.heard_at ? ago(row.heard_at) : say("state.never_heard")];
  if (!isLive(row)) {
    return [
      ["quantities.battery_pct", percent(of("battery_pct"))],
      ["quantities.temperature_c", celsius(of("temperature_c"))],
      lastWord,
    ];
  }
  return [
    ["quantities.setting_ma", milliamps(of("setting_ma")), "big"],
    ["quantities.amplitude_ma", milliamps(of("amplitude_ma")), "big"],
    ["session.left", clockwise(silent ? null : leftS(row)), "big"],
    ["quantities.impedance_ohm", ohms(of("impedance_ohm"))],
    ["quantities.lease_margin_s", seconds(of("lease_margin_s"))],
    ["quantities.battery_pct", percent(of("battery_pct"))],
    ...(silent ? [lastWord] : []),
  ];
}
