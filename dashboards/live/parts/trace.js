/**
 * The trace of a device: current and setting, impedance, lease margin, one above the other on one axis of time, each
 * with its limits. What is missing is hatched, what came late is drawn as dots, nothing is joined across a gap.
 */

import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { milliamps, ohms, seconds, timeToSeconds } from "../core/formats.js";
import { subscribe } from "../core/store.js";
import { say } from "../core/words.js";
import { axis, colour, hatch, limitLine, plotIn, stepped, timeLabels } from "./plot.js";
import { atS, columnsOf, gapsIn, inTime, late, merged, silenceSince } from "./trace-points.js";

const DRAW_EVERY_MS = 250;
const OHM_SHOWN = 3300;

// Limits are drawn, so the scale reaches up to them: of the impedance's to the first that it may meet.
const PANELS = [
  {
    name: "current",
    height: 190,
    quantities: [inTime("setting_ma"), inTime("amplitude_ma"), late("amplitude_ma")],
    series: () => [
      line("series-2", { paths: stepped }),
      line("series-1", { width: 2, fill: () => colour("series-fill") }),
      dots(),
    ],
    top: (most, limits) => Math.max(most, highest(limits), 5) * 1.08,
  },
  {
    name: "impedance",
    height: 130,
    quantities: [inTime("impedance_ohm"), late("impedance_ohm")],
    series: () => [line("series-1"), dots()],
    top: (most, limits) => Math.max(most * 1.1, Math.min(highest(limits) * 1.1, OHM_SHOWN)),
  },
  {
    name: "lease",
    height: 130,
    quantities: [inTime("lease_margin_s"), late("lease_margin_s")],
    series: () => [line("series-1"), dots()],
    top: (most, limits) => Math.max(most, highest(limits), 5) * 1.1,
  },
];

const highest = (limits) => Math.max(0, ...limits.map(([value]) => value));
const line = (name, more) => ({ stroke: () => colour(name), width: 1.5, points: { show: false }, ...more });
const dots = () => ({ stroke: () => colour("late"), paths: () => null, points: { show: true, size: 5, width: 1.5 } });

function panel(element, one, read) {
  const { name } = one;
  const draw = (plot) => {
    const { gaps, limits } = read();
    for (const [from, to] of gaps) hatch(plot, from, to);
    // Side by side, so that the names of two that are close can be read.
    (limits[name] ?? []).forEach(([value, text], n) => limitLine(plot, value, text, n % 2 ? "left" : "right"));
  };
  const options = {
    height: one.height,
    padding: [8, 12, name === "lease" ? 0 : 8, 0],
    cursor: { sync: { key: "trace" }, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => read().span },
      y: { range: (_plot, _low, most) => [0, one.top(most ?? 0, read().limits[name] ?? [])] },
    },
    axes: [
      axis({ values: timeLabels, show: name === "lease", size: 28, space: 90 }),
      axis({ size: 52, space: 24, label: say(`trace.axis.${name}`), labelSize: 18, labelGap: 0 }),
    ],
    series: [{}, ...one.series()],
    hooks: { draw: [draw] },
  };
  return plotIn(element, options, columnsOf([], one.quantities, []));
}

/** Everything at once for one drawing: the samples in view, their gaps, the span of time. */
function look(source) {
  const { samples, gaps = [], limits = {}, spanS, fromS, toS } = source();
  const end = toS ?? nowMs() / 1000;
  const span = [fromS ?? end - spanS, end];
  const seen = samples.filter((sample) => atS(sample) >= span[0] - 10 && atS(sample) <= span[1] + 1);
  const silence = toS === undefined ? silenceSince(seen, end) : [];
  const known = gaps.filter(([from, to]) => to > span[0] && from < end);
  return { samples: seen, gaps: [...merged([...known, ...gapsIn(seen)], seen), ...silence], limits, span };
}

function start(element, source) {
  let now = look(source);
  const charts = PANELS.map((one) => {
    const figure = element.appendChild(document.createElement("div"));
    figure.className = `trace-${one.name}`;
    return [one, panel(figure, one, () => now)];
  });
  let drawnMs = 0;
  const draw = () => {
    if (performance.now() - drawnMs < DRAW_EVERY_MS) return;
    drawnMs = performance.now();
    now = look(source);
    for (const [one, { plot }] of charts) plot.setData(columnsOf(now.samples, one.quantities, now.gaps));
    element.setAttribute("aria-label", inWords(now));
    element.dataset.samples = String(now.samples.length);
  };
  draw();
  const stop = subscribe(draw);
  const timer = setInterval(draw, 1_000); // time goes on where nothing comes
  return () => {
    stop();
    clearInterval(timer);
    for (const [, chart] of charts) chart.end();
  };
}

function inWords({ samples, gaps, limits, span }) {
  const last = samples.at(-1);
  if (!last) return say("trace.nothing");
  const texts = Object.values(limits).flatMap((lines) => lines.map(([, text]) => text));
  return say("trace.words", {
    from: timeToSeconds(span[0] * 1000),
    to: timeToSeconds(span[1] * 1000),
    current: milliamps(last.amplitude_ma),
    setting: milliamps(last.setting_ma),
    impedance: ohms(last.impedance_ohm),
    margin: seconds(last.lease_margin_s),
    gaps: gaps.length,
    limits: texts.join(", "),
  });
}

const KEYS = ["current", "setting", "limit", "late", "gap"];
const legend = () =>
  h(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    KEYS.map((name) => h("li", { key: name, class: `key-${name}` }, say(`trace.key.${name}`))),
  );

/** `source()` gives {samples, gaps, limits (`limitsToDraw`), and spanS back from now or fromS and toS}: Unix time. */
export const trace = (key, source) =>
  h(
    "figure",
    { class: "trace", key: `trace/${key}` },
    h("figcaption", null, h("span", { class: "visually-hidden" }, say("trace.title")), legend()),
    h("div", {
      class: "panels",
      role: "img",
      "aria-label": say("trace.title"),
      attach: (element) => start(element, source),
    }),
  );
