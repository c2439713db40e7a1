/** How numbers, times and durations look: the one place for it. A reading that is missing is a dash, never a zero. */

import { now, sinceS } from "./clock.js";
import { numberFormat, timeFormat } from "./intl.js";
import { known, say, spoken as language } from "./words.js";

export const NOTHING = "–";
const NARROW_SPACE = "\u202f";

let zone = "UTC";

/** English without a country would be American: the month before the day. */
const spoken = () => (language() === "en" ? "en-GB" : language());

/** Times are shown in the clinic's zone, wherever the browser is. */
export function useZone(timeZone) {
  try {
    timeFormat("en", { timeZone });
    zone = timeZone;
  } catch {
    zone = "UTC"; // shown beside the clock, so nobody is misled
  }
}

export const timeZone = () => zone;

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

/** `12.5 mA`: a number with its unit, which never breaks away from it. */
export function number(value, unit = "", decimals = 0) {
  if (missing(value)) return NOTHING;
  const shape = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  const digits = numberFormat(spoken(), shape).format(Number(value));
  return unit ? `${digits}${NARROW_SPACE}${unit}` : digits;
}

export const milliamps = (value) => number(value, "mA", 1);
export const percent = (value, decimals = 0) => number(value, "%", decimals);
export const celsius = (value) => number(value, "°C", 1);
export const seconds = (value, decimals = 1) => number(value, "s", decimals);
export const ohms = (value) => (value >= 10_000 ? number(value / 1000, "kΩ", 1) : number(value, "Ω"));
/** From seconds: `14 ms`, and `1.2 s` where it is long. */
export const latency = (value) =>
  value >= 10 ? number(value, "s", 1) : number(missing(value) ? null : value * 1000, "ms");

/** `12:34`, with hours where there are any: of a session. */
export function clockwise(value) {
  if (missing(value)) return NOTHING;
  const whole = Math.max(0, Math.floor(value));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `4 min`, `2 h 10 min`, `3 d`: about how long. */
export function about(value) {
  if (missing(value)) return NOTHING;
  if (value < 60) return number(Math.max(0, value), "s");
  if (value < 3600) return number(Math.floor(value / 60), "min");
  if (value < 86_400)
    return `${number(Math.floor(value / 3600), "h")} ${number(Math.floor((value % 3600) / 60), "min")}`;
  return number(Math.floor(value / 86_400), "d");
}

const date = (at) => (at instanceof Date ? at : new Date(at));

function shown(at, shape) {
  if (missing(at)) return NOTHING;
  return timeFormat(spoken(), { timeZone: zone, hourCycle: "h23", ...shape }).format(date(at));
}

const HM = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short" };

export const time = (at) => shown(at, HM);
export const timeToSeconds = (at) => shown(at, { ...HM, second: "2-digit" });
export const timeToMilliseconds = (at) => shown(at, { ...HM, second: "2-digit", fractionalSecondDigits: 3 });
export const day = (at) => shown(at, DAY);
export const dayAndYear = (at) => shown(at, { ...DAY, year: "numeric" });

/** The time, with its day where that is not today. */
export const moment = (at) => (localDay(at) === localDay(now()) ? timeToSeconds(at) : `${day(at)}, ${time(at)}`);

/** `2026-11-25`: the clinic's local date. */
export function localDay(at) {
  if (missing(at)) return "";
  const shape = { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" };
  const parts = timeFormat("en", shape).formatToParts(date(at));
  const part = (type) => parts.find((one) => one.type === type).value;
  return `${part("year")}-${part("month")}-${part("day")}`;
}

/** A plain date `2026-11-25` some days on, as one. */
export function daysOn(plain, days) {
  const then = new Date(`${plain}T12:00:00Z`);
  then.setUTCDate(then.getUTCDate() + days);
  return then.toISOString().slice(0, 10);
}

/** A plain date for people: `25 Nov`, with its weekday where there is room. */
export function plainDay(plain, shape = DAY) {
  if (!plain) return NOTHING;
  return timeFormat(spoken(), { timeZone: "UTC", ...shape }).format(new Date(`${plain}T12:00:00Z`));
}

/** How long ago, in words: `4 min ago`. */
export const ago = (at) => (missing(at) ? NOTHING : say("time.ago", { long: about(sinceS(at)) }));

/** A field of the wire with its unit, by its name: `peak_ma` 12.5 is `12.5 mA`. */
const UNITS = [
  [/_mj(_max)?$/, "mJ", 1],
  [/_ma_cm2(_max)?$/, "mA/cm²", 2],
  [/_ma_per_s(_max)?$/, "mA/s", 1],
  [/_ma(_max|_min)?$/, "mA", 1],
  [/_us(_max|_min)?$/, "µs", 0],
  [/_hz(_max|_min)?$/, "Hz", 0],
  [/_ohm$/, "Ω", 0],
  [/_pct$/, "%", 0],
  [/_cm2$/, "cm²", 0],
  [/_uc$/, "µC", 1],
  [/_c$/, "°C", 1],
];

export function quantity(name, value) {
  if (missing(value) || typeof value !== "number") return missing(value) ? NOTHING : String(value);
  if (/_wall_s$|^wall_s$/.test(name)) return dayAndYear(value * 1000);
  const unit = UNITS.find(([ending]) => ending.test(name));
  if (unit) return number(value, unit[1], unit[2]);
  const whole = Number.isInteger(value);
  if (/_s(_max|_min)?$/.test(name)) return value < 60 ? number(value, "s", whole ? 0 : 1) : about(value);
  return number(value, "", whole ? 0 : 2);
}

/** `peak_ma` as people say it: `peak`. */
export const quantityName = (name) => {
  if (known(`quantities.${name}`)) return say(`quantities.${name}`);
  return name.replace(/_(ma_per_s|ma_cm2|ma|us|hz|ohm|pct|cm2|mj|uc|c|s)(_max|_min)?$/, "$2").replaceAll("_", " ");
};
