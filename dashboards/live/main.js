/** Puts the page together: who is signed in, which view, what the store knows; and draws it when any of it changes. */

import * as api from "./core/api.js";
import { wait } from "./core/clock.js";
import { h, render } from "./core/dom.js";
import { useZone } from "./core/formats.js";
import { link, parse } from "./core/route.js";
import { change, each, forget, may, noAlarms, part, state, subscribe } from "./core/store.js";
import { listen, watch } from "./core/stream.js";
import { followAlarms } from "./core/alarms.js";
import { say, speak } from "./core/words.js";
import { frame } from "./parts/frame.js";
import { alert } from "./parts/announce.js";
import { failed, waiting } from "./parts/pieces.js";
import { useScheme } from "./parts/scheme.js";
import { truths } from "./parts/truth.js";
import { signIn } from "./views/sign-in.js";
import { VIEWS } from "./views/views.js";

const AGAIN_MS = 1_500; // what did not come at first is asked for again

const page = document.getElementById("page");
let view = null;
let drawing = false;
let turn = 0;
let coming = 0; // whoever comes last is there
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
  const { title, body } = view ? ofView() : { title: say("app"), body: comes() };
  if (may("see")) listen(traces); // the same ones again change nothing
  render(page, ...frame(shown, title, body, signOut));
  document.title = view ? `${title} · ${say("app")}` : title;
}

/** One that fails does not keep what stands around it from being drawn: how old it is, and what became of a stop. */
function ofView() {
  try {
    traces = view.traces?.() ?? [];
    return { title: view.title(), body: view.render() };
  } catch (error) {
    reportError(error);
    return { title: say("app"), body: notHere("failing") };
  }
}

/** The page was loaded while another tab signs in, or the server does not answer. */
const notKnown = () =>
  h(
    "main",
    { class: "view", key: "not-known" },
    truths(),
    refusing ? failed(refusing) : waiting(),
    h("p", null, say("stop.not_instead")),
  );

const comes = () => (absent === address() ? notHere("absent") : waiting());

/** A browser may keep a module that did not come as one that never does: until the page is loaded anew. */
const notHere = (why) =>
  h(
    "div",
    { key: why },
    h("p", { class: "wrong", role: "alert" }, why === "absent" ? say("absent") : say("failing")),
    h("button", { type: "button", on: { click: () => location.reload() } }, say("load_anew")),
  );

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

/**
 * Somebody has signed in, here or in another tab: nothing that was read as the one before stays. What they see of the
 * rooms is the same: a stop button that is about to be pressed stays where it is, and keeps the focus.
 */
async function enter(me) {
  coming += 1;
  const mine = coming;
  const known = me.may ? me : await whoIsHere();
  if (mine !== coming) return; // somebody else meanwhile, or nobody
  if (!known) {
    change({ putOut: true });
    return leave();
  }
  api.takeToken(known.csrf);
  if (known.user !== state.me?.user) {
    leaveView();
    part();
    if (known.may.includes("see")) change(noAlarms());
    else forget();
  }
  useZone(known.time_zone);
  await speak(known.language);
  if (mine !== coming) return;
  change({ me: known, isUnknown: false, isStaying: false, putOut: false });
  await show();
}

/** Who is here: nobody only when the server says so. For a while it may say that somebody is signing in, or nothing. */
async function whoIsHere() {
  looked = false;
  refusing = null;
  for (;;) {
    try {
      const found = await api.me(Infinity);
      looked = true;
      return found;
    } catch (error) {
      looked = error.status === 401;
      if (looked) return null;
      refusing = error;
      drawSoon();
      await wait(AGAIN_MS);
    }
  }
}

function leaveView() {
  turn += 1;
  each([() => view?.leave?.()]);
  view = null;
}

function leave() {
  coming += 1;
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
api.whenFound((me, isSame) => (isSame && me.user === state.me?.user ? change({ me }) : enter(me)));
subscribe(drawSoon);
window.addEventListener("hashchange", show);
setInterval(() => {
  watch();
  drawSoon(); // ages and clocks
}, 1_000);
followAlarms();
useScheme();

const found = await whoIsHere();
if (found) await enter(found);
else {
  state.route = parse(location.hash);
  drawSoon();
}
