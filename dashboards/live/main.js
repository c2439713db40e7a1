/** Puts the page together: who is signed in, which view, what the store knows; and draws it when any of it changes. */

import * as api from "./core/api.js";
import { h, render } from "./core/dom.js";
import { useZone } from "./core/formats.js";
import { link, parse } from "./core/route.js";
import { change, forget, may, part, state, subscribe } from "./core/store.js";
import { listen, watch } from "./core/stream.js";
import { followAlarms } from "./core/alarms.js";
import { say, speak } from "./core/words.js";
import { frame } from "./parts/frame.js";
import { waiting } from "./parts/pieces.js";
import { useScheme } from "./parts/scheme.js";
import { signIn } from "./views/sign-in.js";
import { VIEWS } from "./views/views.js";

const OPENED_AGAIN_MS = 1_500; // a view whose module did not come: the line was lost

const page = document.getElementById("page");
let view = null;
let drawing = false;
let turn = 0;
let shownAt = null; // the address that was shown last
let shown = 0; // the turn of the view: each has elements of its own
let traces = []; // the devices whose samples it draws
let looked = false; // who is signed in here, once the page is there

function draw() {
  drawing = false;
  if (!state.me) {
    render(page, looked ? signIn(enter) : notKnown());
    document.title = say("app");
    return;
  }
  if (view) traces = view.traces?.() ?? [];
  if (may("see")) listen(traces); // the same ones again change nothing
  const title = view ? view.title() : say("app");
  render(page, ...frame(shown, title, view ? view.render() : waiting(), signOut));
  document.title = view ? `${title} · ${say("app")}` : title;
}

/** The page was loaded while another tab signs in. */
const notKnown = () => h("main", { class: "view" }, waiting(), h("p", null, say("stop.not_instead")));

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

/** Show the view that the address names. */
async function show() {
  if (state.me?.must_change) history.replaceState(null, "", link("account")); // nothing else is open yet
  state.route = parse(location.hash);
  if (!state.me) return drawSoon();
  const here = [state.route.name, ...state.route.at].join("/");
  const moved = here !== shownAt;
  const opens = moved || !view;
  if (opens) {
    leaveView();
    const open = VIEWS[state.route.name] ?? VIEWS.missing;
    const mine = turn;
    let opened;
    try {
      opened = await open(...state.route.at);
    } catch (error) {
      setTimeout(() => mine === turn && show(), OPENED_AGAIN_MS);
      throw error;
    }
    if (mine !== turn) return opened.leave?.(); // somebody has gone on meanwhile
    view = opened;
    shown = mine;
    shownAt = here;
  }
  useScheme();
  change({});
  if (opens) focusOnTitle(moved);
}

/** Whoever hears the page is told where they are; the keyboard goes on from there. Who has not `moved` stays there. */
function focusOnTitle(moved) {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      if (!moved && document.activeElement !== document.body) return;
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
  change({ me: known, isUnknown: false, putOut: false });
  await show();
}

/**
 * Another tab has signed in anew, or as somebody else: nothing that was read as the one before stays. What they see of
 * the rooms is the same: a stop button that is about to be pressed stays where it is, and keeps the focus.
 */
async function becomeAnother(me) {
  if (me.user !== state.me?.user) {
    leaveView();
    part();
    if (me.may.includes("see")) change({ alarms: [], alarmsAt: null });
    else forget();
  }
  await enter(me);
}

function leaveView() {
  turn += 1;
  view?.leave?.();
  view = null;
}

function leave() {
  leaveView();
  part();
  api.takeToken(null);
  forget();
}

async function signOut() {
  if (state.isLeaving) return;
  change({ isLeaving: true });
  await api.logOut().catch(() => {}); // signed out here in any case
  change({ isLeaving: false });
  leave();
}

/** The server does not know them any more: that is said, for nothing can be stopped from here now. */
function putOut() {
  if (!state.me || state.isLeaving) return;
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

// The server says for a while only that somebody is signing in. Whoever cannot be asked for can try to sign in.
const found = await api.me(Infinity).catch(() => null);
looked = true;
if (found) await enter(found);
else {
  state.route = parse(location.hash);
  drawSoon();
}
