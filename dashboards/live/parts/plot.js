/** Charts of the page, drawn by uPlot in the page's own colours, and again where colours, data or width change. */

import uPlot from "../vendor/uplot-1.6.32/uPlot.esm.js";
import { timeZone } from "../core/formats.js";
import { timeFormat } from "../core/intl.js";
import { spoken } from "../core/words.js";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const stepped = uPlot.paths.stepped({ align: 1 });
export const barsOf = (size) => uPlot.paths.bars({ size, align: 0 });

/** The time on an axis, in the clinic's zone. */
export function timeLabels(_plot, splits) {
  const short = splits.length > 1 && splits[1] - splits[0] < 60;
  const shape = { timeZone: timeZone(), hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const format = timeFormat(spoken(), short ? { ...shape, second: "2-digit" } : shape);
  return splits.map((at) => format.format(new Date(at * 1000)));
}

export const axis = (more) => ({
  labelFont: FONT,
  stroke: () => colour("ink-2"),
  font: FONT,
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { show: false },
  ...more,
});

/** A limit as a line across the chart with its name, at its `end` (right, left); drawn where it is within the scale. */
export function limitLine(plot, value, text, end = "right") {
  const y = plot.valToPos(value, "y", true);
  const { left, top, width, height } = plot.bbox;
  if (!(y >= top && y <= top + height)) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = colour("limit");
  ctx.fillStyle = colour("ink-2");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  ctx.font = FONT.replace("12px", `${11 * devicePixelRatio}px`);
  ctx.textAlign = end;
  ctx.textBaseline = y - top > 16 * devicePixelRatio ? "bottom" : "top";
  const x = end === "right" ? left + width - 4 * devicePixelRatio : left + 4 * devicePixelRatio;
  ctx.fillText(text, x, y + (ctx.textBaseline === "top" ? 3 : -2) * devicePixelRatio);
  ctx.restore();
}

/** What is not known: hatched, over the whole height. */
export function hatch(plot, fromS, toS) {
  const { left, top, width, height } = plot.bbox;
  const from = Math.max(left, plot.valToPos(fromS, "x", true));
  const to = Math.min(left + width, plot.valToPos(toS, "x", true));
  if (to <= from) return;
  const { ctx } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(from, top, to - from, height);
  ctx.clip();
  ctx.strokeStyle = colour("line-strong");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (let x = from - height; x < to; x += 7 * devicePixelRatio) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

/** A chart in `element` that is as wide as it. `end` takes it away. */
export function plotIn(element, options, data) {
  const plot = new uPlot({ width: Math.max(element.clientWidth, 100), ...quiet, ...options }, data, element);
  const follow = () => {
    if (element.clientWidth && element.clientWidth !== plot.width) {
      plot.setSize({ width: element.clientWidth, height: options.height });
    }
  };
  const sized = new ResizeObserver(follow);
  sized.observe(element);
  const recolour = new MutationObserver(() => plot.redraw(true, true));
  recolour.observe(document.documentElement, { attributes: true, attributeFilter: ["data-scheme"] });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const redraw = () => plot.redraw(true, true);
  dark.addEventListener("change", redraw);
  return {
    plot,
    end() {
      sized.disconnect();
      recolour.disconnect();
      dark.removeEventListener("change", redraw);
      plot.destroy();
    },
  };
}

const quiet = { legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 7 } } };
