/** Puts the page together: who is signed in, which view, what the store knows; and draws it when any of it changes. */

import * as api from "./core/api.js";
import { wait } from "./core/clock.js";
import { h, render } from "./core/dom.js";
import { useZone } from "./core/formats.js";
import { link, parse } from "./core/route.js";
import { NO_ALARMS, change, forget, may, part, state, subscribe } from "./core/store.js";
import { listen, watch } from "./core/stream.js";
import { followAlarms } from "./core/alarms.js";
import { say, speak } from "./core/words.js";
import { frame } from "./parts/frame.js";
import { alert } from "./parts/announce.js";
import { failed, waiting } from "./parts/pieces.js";
import { useScheme } from "./parts/scheme.js";
import { signIn } from "./views/sign-in.js";
import { VIEWS } from "./views/views.js";

const AGAIN_MS = 1_500; // what did not come at first is asked for again

const page = document.getElementById("page");
let view = null;
let drawing = false;
let turn = 0;
let shownAt = null; // the address that was shown last
let shown = 0; // the turn of the view: each has elements of its own
let traces = []; // the devices whose samples it draws
let absent = null; // the address whose view has not come
let looked = false; // who is signed in here, once the page is there
let refusing = null; // why that cannot be read

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
  render(page, ...frame(shown, title, view ? view.render() : notHere(), signOut));
  document.title = view ? `${title} · ${say("app")}` : title;
}

/** The page was loaded while another tab signs in, or the server does not answer. */
const notKnown = () =>
  h("main", { class: "view" }, refusing ? failed(refusing) : waiting(), h("p", null, say("stop.not_instead")));

/** A browser may keep a module that did not come as one that never does: until the page is loaded anew. */
const notHere = () =>
  absent === address()
    ? h(
        "div",
        null,
        h("p", { class: "wrong", role: "alert" }, say("absent")),
        h("button", { type: "button", on: { click: () => location.reload() } }, say("load_anew")),
      )
    : waiting();

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

const address = () => [state.route.name, ...state.route.at].join("/");

/** Show the view that the address names. */
async function show() {
  if (state.me?.must_change) history.replaceState(null, "", link("account")); // nothing else is open yet
  state.route = parse(location.hash);
  if (!state.me) return drawSoon();
  const here = address();
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
      reportError(error); // whoever signs in has signed in all the same
      if (mine !== turn) return;
      absent = here;
      setTimeout(() => mine === turn && show(), AGAIN_MS);
      return drawSoon();
    }
    if (mine !== turn) return opened.leave?.(); // somebody has gone on meanwhile
    view = opened;
    absent = null;
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
  change({ me: known, isUnknown: false, isStaying: false, putOut: false });
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
    if (me.may.includes("see")) change(NO_ALARMS);
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
  change({ isLeaving: true, isStaying: false });
  const error = await api.logOut().then(
    () => null,
    (refused) => refused,
  );
  // Who was not heard is signed in still: whoever opens this page next would be them.
  const isStaying = error !== null && error.who !== api.WHO.nobody;
  change({ isLeaving: false, isStaying });
  if (isStaying) alert(say("old.staying"));
  else leave();
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

// The server says for a while only that somebody is signing in. Only when it says that nobody is, nobody is.
async function whoIsHere() {
  for (;;) {
    try {
      return await api.me(Infinity);
    } catch (error) {
      if (error.status === 401) return null;
      refusing = error;
      drawSoon();
      await wait(AGAIN_MS);
    }
  }
}

const found = await whoIsHere();
looked = true;
if (found) await enter(found);
else {
  state.route = parse(location.hash);
  drawSoon();
}
