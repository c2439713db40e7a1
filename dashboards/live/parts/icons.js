/** Icons as shapes, drawn in the colour of the text: each abnormal state has a form of its own, not a colour only. */

import { h } from "../core/dom.js";

const line = (d) => ["path", { d, fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round" }];
const solid = (d) => ["path", { d, fill: "currentColor" }];
const ring = (r = 8, dash) => [
  "circle",
  { cx: 12, cy: 12, r, fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": dash },
];
const hole = (d) => [
  "path",
  { d, fill: "none", stroke: "var(--hole)", "stroke-width": 2.4, "stroke-linecap": "round" },
];

const OCTAGON = "M8 2.5h8L21.5 8v8L16 21.500H8L2.5 16V8z";
const SHAPES = {
  alarm: [solid("M12 2 23 21H1z"), hole("M12 9v5M12 17.600v.1")],
  warning: [solid("M12 1.5 22.5 12 12 22.5 1.5 12z"), hole("M12 7v6M12 16.800v.1")],
  notice: [ring(9), line("M12 11v6M12 7.200v.1")],
  stop: [solid(OCTAGON)],
  latched: [["path", { d: OCTAGON, fill: "none", stroke: "currentColor", "stroke-width": 2 }], line("M8 12h8")],
  held: [line("M7 11V8a5 5 0 0 1 10 0v3"), solid("M5 11h14v10H5z")],
  lost: [ring(9, "3 3"), line("M8 8l8 8M16 8l-8 8")],
  stale: [ring(9, "4 2.5"), line("M12 7v5l3.5 2")],
  off: [ring(9), line("M6 6l12 12")],
  service: [line("M14.5 6.500a4 4 0 0 0 5 5L12 19a3 3 0 0 1-4-4l7.5-7.500M5 5l4 4")],
  paused: [line("M9 6v12M15 6v12")],
  running: [line("M2 12h3l2-6 4 13 4-13 2 6h5")],
  armed: [ring(9), ["circle", { cx: 12, cy: 12, r: 3.5, fill: "currentColor" }]],
  authorised: [line("M4 12.500l5 5L20 6.5")],
  ready: [ring(9), line("M8 12.300l2.8 2.800L16 9.5")],
  battery: [line("M3 8h15v8H3zM21 11v2")],
  sound: [solid("M4 9h4l5-4v14l-5-4H4z"), line("M16 9a4 4 0 0 1 0 6M18.5 6.500a8 8 0 0 1 0 11")],
  muted: [solid("M4 9h4l5-4v14l-5-4H4z"), line("M16.5 9.500l5 5M21.5 9.500l-5 5")],
  person: [["circle", { cx: 12, cy: 8, r: 4, fill: "currentColor" }], solid("M4 21a8 7 0 0 1 16 0z")],
  link: [line("M4 12a8 8 0 0 1 16 0M7.5 12a4.5 4.5 0 0 1 9 0M12 12v8")],
};

/** Icons say nothing by themselves: the word stands beside them. */
export function icon(name, more = "") {
  const shapes = SHAPES[name].map(([tag, props]) => h(tag, props));
  return h("svg", { class: `icon ${more}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, shapes);
}

/** A state with its icon and its word. */
export const badge = ({ level, icon: shape, word }) =>
  h("span", { class: `badge ${level}` }, icon(shape), h("span", null, word));
