/** Bars by category, one above the other for each, as plain elements: they are read, printed and zoomed as text is. */

import { h } from "../core/dom.js";

/** `rows` of {name, value, words, href}. The longest bar is `most`, or the largest value. */
export function bars(title, rows, most = Math.max(...rows.map((row) => row.value), 0)) {
  const level = (value) => (most > 0 ? Math.round((value / most) * 100) : 0);
  return h(
    "figure",
    { class: "bars" },
    h("figcaption", null, title),
    h(
      "ul",
      null,
      rows.map((row) =>
        h(
          "li",
          { key: row.name },
          h("span", { class: "name" }, row.href ? h("a", { href: row.href }, row.name) : row.name),
          h(
            "svg",
            { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
            h("rect", { class: "track", x: 0, y: 0, width: 100, height: 10 }),
            h("rect", { class: "fill", x: 0, y: 0, width: level(row.value), height: 10 }),
          ),
          h("span", { class: "value" }, row.words),
        ),
      ),
    ),
  );
}
