/** Samples as columns for a chart: in the order of time, with a hole wherever samples are missing. Pure. */

const LIVE = new Set(["armed", "running", "paused", "stopping"]);
const GAP_LIVE_S = 1.6; // three samples that did not come
const GAP_IDLE_S = 12; // a device without a session speaks every 5 s

/** Unix seconds of a sample's time, which is ISO 8601 or a number. */
export function atS({ at }) {
  if (typeof at !== "number") return Date.parse(at) / 1000;
  return at > 1e11 ? at / 1000 : at;
}

const patienceS = (sample) => (LIVE.has(sample.phase) ? GAP_LIVE_S : GAP_IDLE_S);

/** Where samples are missing, as pairs of Unix seconds. Late ones fill what they were late for. */
export function gapsIn(samples) {
  const found = [];
  for (let n = 1; n < samples.length; n += 1) {
    const [before, after] = [atS(samples[n - 1]), atS(samples[n])];
    if (samples[n].after_gap || after - before > patienceS(samples[n - 1])) found.push([before, after]);
  }
  return found;
}

/** Gaps that touch are one; in order. What `samples` fill by now, because it came late, is none. */
export function merged(gaps, samples) {
  const times = samples.map(atS);
  const open = ([from, to]) => !times.some((at) => at > from + 0.01 && at < to - 0.01);
  const found = [];
  for (const [from, to] of gaps.filter(open).sort(([a], [b]) => a - b)) {
    const last = found.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else found.push([from, to]);
  }
  return found;
}

/** From the last sample until now, where one is overdue. */
export function silenceSince(samples, nowS) {
  const last = samples.at(-1);
  return last && nowS - atS(last) > patienceS(last) ? [[atS(last), nowS]] : [];
}

/** `[xs, ...ys]` of these quantities: null where there is no reading, and a null in the middle of each gap. */
export function columnsOf(samples, quantities, gaps) {
  const xs = [];
  const ys = quantities.map(() => []);
  const starts = new Set(gaps.map(([from]) => from));
  for (const sample of samples) {
    xs.push(atS(sample));
    quantities.forEach((quantity, n) => ys[n].push(quantity(sample)));
    if (starts.has(atS(sample))) {
      xs.push(atS(sample) + 0.001);
      ys.forEach((column) => column.push(null));
    }
  }
  return [xs, ...ys];
}

/** A quantity of the samples that came in time, and of those that came late. */
export const inTime = (name) => (sample) => (sample.late ? null : (sample[name] ?? null));
export const late = (name) => (sample) => (sample.late ? (sample[name] ?? null) : null);
