/** Columns by day, stacked by what they are made of: uPlot's bars, with words for whoever does not see them. */

import { h } from "../core/dom.js";
import { plainDay } from "../core/formats.js";
import { say } from "../core/words.js";
import { axis, barsOf, colour, plotIn } from "./plot.js";

const HEIGHT = 220;

/** uPlot has no stacks: the tallest sum is drawn first, what stands below it over that. */
function stacked(series) {
  const sums = [];
  let below = series[0].values.map(() => 0);
  for (const one of series) {
    below = below.map((sum, n) => sum + (one.values[n] ?? 0));
    sums.push(below);
  }
  return sums.reverse();
}

function start(element, read) {
  const { days, series, unit } = read();
  const fill = (one) => ({
    fill: () => colour(one.colour),
    width: 0,
    paths: barsOf([0.7, 48]),
    points: { show: false },
  });
  const options = {
    height: HEIGHT,
    cursor: { show: false },
    scales: {
      x: { time: false, range: () => [-0.6, read().days.length - 0.4] },
      y: { range: (_plot, low, most) => [Math.min(0, low ?? 0) * 1.1, Math.max(most ?? 0, 0) * 1.1 || 1] },
    },
    axes: [
      axis({
        size: 30,
        grid: { show: false },
        splits: (plot) => daysShown(read().days.length, plot.width),
        values: (_plot, at) => at.map((n) => plainDay(read().days[n])),
      }),
      axis({ size: 56, label: unit, labelSize: 16, labelGap: 0, space: 40 }),
    ],
    series: [{}, ...[...series].reverse().map(fill)],
  };
  const columns = () => [read().days.map((_, n) => n), ...stacked(read().series)];
  const { plot, end } = plotIn(element, options, columns());
  element.redraw = () => plot.setData(columns());
  element.dataset.days = String(days.length);
  return end;
}

/** Every n-th day, so that their names do not run into each other. */
function daysShown(count, width) {
  const every = Math.max(1, Math.ceil((count * 64) / Math.max(1, width - 60)));
  return Array.from({ length: Math.ceil(count / every) }, (_, n) => n * every).filter((n) => n < count);
}

const sumOf = (values) => Math.round(values.reduce((sum, value) => sum + (value ?? 0), 0));

/**
 * `series` of {name, colour, values}, one value a day. `key` names the data: another one draws it anew. `words` for who
 * does not see it; without them it is the sums, which counts have and readings have not.
 */
export function columns(key, title, { days, series, unit, words }) {
  const data = { days, series, unit };
  const sums = series.map(({ name, values }) => say("usage.sum_of", { name, sum: sumOf(values), unit })).join("; ");
  return h(
    "figure",
    { class: "chart", key: `columns/${key}` },
    h(
      "figcaption",
      null,
      title,
      series.length > 1 &&
        h(
          "ul",
          { class: "legend" },
          series.map((one) => h("li", { key: one.name, class: `key-${one.colour}` }, one.name)),
        ),
    ),
    days.length && series.some(({ values }) => values.some((value) => value))
      ? h("div", {
          key,
          class: "plot",
          role: "img",
          "aria-label": `${title}: ${words ?? sums}`,
          attach: (element) => start(element, () => data),
        })
      : h("p", { class: "empty" }, say("period.nothing")),
  );
}
