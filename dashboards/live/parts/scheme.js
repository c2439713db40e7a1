/** Light, dark, or as the browser likes; the wall is always dark. Kept in this browser only. */

import { change, state } from "../core/store.js";

const KEY = "stimfleet.scheme";
export const SCHEMES = ["auto", "light", "dark"];

export function scheme() {
  const kept = localStorage.getItem(KEY);
  return SCHEMES.includes(kept) ? kept : "auto";
}

export function chooseScheme(wanted) {
  localStorage.setItem(KEY, wanted);
  useScheme();
  change({});
}

export function useScheme() {
  const wall = state.route.name === "wall";
  document.documentElement.dataset.scheme = wall ? "dark" : scheme();
  document.documentElement.classList.toggle("wall", wall);
}
