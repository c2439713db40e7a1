/** An address that leads nowhere. */

import { h } from "../core/dom.js";
import { link } from "../core/route.js";
import { say } from "../core/words.js";

export const missing = () => ({
  title: () => say("missing.title"),
  render: () => h("p", null, say("missing.text"), " ", h("a", { href: link("overview") }, say("nav.overview"))),
});
