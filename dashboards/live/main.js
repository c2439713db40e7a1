/** Puts the page together: who is signed in, which view, what the store knows; and draws it when any of it changes. */

import * as api from "./core/api.js";
import { render } from "./core/dom.js";
import { useZone } from "./core/formats.js";
import { link, parse } from "./core/route.js";
import { change, forget, may, state, subscribe } from "./core/store.js";
import { hush, listen, watch } from "./core/stream.js";
import { followAlarms, followNoAlarm } from "./core/alarms.js";
import { say, speak } from "./core/words.js";
import { frame } from "./parts/frame.js";
import { useScheme } from "./parts/scheme.js";
import { signIn } from "./views/sign-in.js";
import { VIEWS } from "./views/views.js";

const page = document.getElementById("page");
let view = null;
let drawing = false;
let turn = 0;

function draw() {
  drawing = false;
  if (!state.me) {
    render(page, signIn(enter));
    document.title = say("app");
    return;
  }
  if (!view) return;
  if (may("see")) listen(view.traces?.() ?? []); // the same ones again change nothing
  render(page, ...frame(view.title(), view.render(), leave));
  document.title = `${view.title()} · ${say("app")}`;
}

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

/** Show the view that the address names. */
async function show() {
  const before = state.route;
  if (state.me?.must_change) history.replaceState(null, "", link("account")); // nothing else is open yet
  state.route = parse(location.hash);
  if (!state.me) return drawSoon();
  const same = view && before.name === state.route.name && before.at.join("/") === state.route.at.join("/");
  if (!same) {
    view?.leave?.();
    const open = VIEWS[state.route.name] ?? VIEWS.missing;
    turn += 1;
    const mine = turn;
    const opened = await open(...state.route.at);
    if (mine !== turn) return opened.leave?.(); // somebody has gone on meanwhile
    view = opened;
  }
  useScheme();
  change({});
  if (!same && before.name !== "") focusOnTitle();
}

/** Whoever hears the page is told where they are; the keyboard goes on from there. */
function focusOnTitle() {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      window.scrollTo(0, 0);
      document.getElementById("title")?.focus({ preventScroll: true });
    }),
  );
}

async function enter(me) {
  api.takeToken(me.csrf);
  const known = me.may ? me : await api.me();
  useZone(known.time_zone);
  await speak(known.language);
  change({ me: known, putOut: false });
  await show();
}

/** Another tab has signed in anew, or as somebody else: nothing of the one before stays. */
async function becomeAnother(me) {
  if (me.user !== state.me?.user) leave();
  await enter(me);
}

function leave() {
  hush();
  view?.leave?.();
  view = null;
  api.takeToken(null);
  forget();
  followNoAlarm();
}

/** The server does not know them any more: that is said, for nothing can be stopped from here now. */
function putOut() {
  if (!state.me) return;
  change({ putOut: true });
  leave();
}

api.whenSignedOut(putOut);
api.whenSignedInAnew(becomeAnother);
subscribe(drawSoon);
window.addEventListener("hashchange", show);
setInterval(() => {
  watch();
  drawSoon(); // ages and clocks
}, 1_000);
followAlarms();
useScheme();

try {
  await enter(await api.me());
} catch {
  state.route = parse(location.hash);
  drawSoon();
}
