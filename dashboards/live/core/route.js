/** Addresses within the page: `#/device/stim-01`. The back button works, and a link can be sent to a colleague. */

import { change, state } from "./store.js";

export const link = (name, ...at) => `#/${[name, ...at].map(encodeURIComponent).join("/")}`;

export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...at] = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // a stray percent sign somebody typed
    }
  });
  return { name: name || "overview", at, query: Object.fromEntries(new URLSearchParams(search)) };
}

export const go = (...to) => {
  location.hash = link(...to);
};

/** Other parameters of the same view, without a step in the history. */
export function replaceQuery(query) {
  const search = new URLSearchParams(query).toString();
  history.replaceState(null, "", `${link(state.route.name, ...state.route.at)}${search ? `?${search}` : ""}`);
  change({ route: parse(location.hash) });
}
