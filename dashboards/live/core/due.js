/** What is due on a device, in words: by day, by hours of use, by sessions; soon, overdue, or never recorded. */

import { number, plainDay } from "./formats.js";
import { say } from "./words.js";

const CHECKS = ["certificate", "calibration", "safety", "firmware_version", "firmware", "instruction"];
const UNITS = ["days", "hours", "sessions"];
const YEAR = { day: "numeric", month: "short", year: "numeric" };

/** `calibration` of `calibration_days_overdue`: the longest name that it begins with. */
const checkOf = (quantity) => CHECKS.filter((name) => quantity.startsWith(name)).sort((a, b) => b.length - a.length)[0];

const left = (unit, value) => say(`due.left.${unit}`, { n: value, value: number(value, "", unit === "hours" ? 1 : 0) });

/** One row of a device's `due`: {check, due_on, days_left, hours_left, sessions_left, overdue, found}. */
export function dueWords(row) {
  const name = say(`due.${row.check}`);
  if (row.overdue) return `${name}: ${say("due.overdue")}`;
  const counted = UNITS.filter((unit) => row[`${unit}_left`] !== null).map((unit) => left(unit, row[`${unit}_left`]));
  const by = row.due_on ? ` (${plainDay(row.due_on, YEAR)})` : "";
  return counted.length ? `${name}: ${counted.join(", ")}${by}` : name;
}

/** The most pressing first: overdue, then what is soon. */
export const byUrgency = (rows) =>
  [...rows].sort((a, b) => b.overdue - a.overdue || b.soon - a.soon || (a.days_left ?? 1e9) - (b.days_left ?? 1e9));

/** What an alarm or a refusal says is due: its quantity names the check and what is counted. */
export function duePhrase(quantity, value) {
  const check = checkOf(quantity ?? "") ?? "certificate";
  const name = say(`due.${check}`);
  if (quantity?.includes("never_recorded")) return `${name}: ${say("due.never")}`;
  if (value === null || value === undefined) return `${name}: ${say("due.overdue")}`;
  const unit = UNITS.find((one) => quantity.includes(`_${one}_left`));
  if (!unit || value < 0) return `${name}: ${say("due.overdue")}`;
  const who = check === "instruction" ? ` (${quantity.split(":").slice(1).join(", ")})` : "";
  return `${name}${who}: ${left(unit, value)}`;
}
