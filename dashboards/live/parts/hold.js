/**
 * A deliberate gesture: press and hold, or, by the keyboard, Enter twice. A tap or a single key does nothing.
 *
 * Whoever uses a screen reader clicks without pointer or key: that counts as Enter does.
 *
 * Stopping is always safe, so a doubt about what was held fires. How long a pointer was down is told by its events' own
 * times: a busy page may handle the end of a hold before its timer, and its beginning late. It is followed at the
 * window, not at its element, which may lose the focus, move or be gone meanwhile. And every finger is followed: one of
 * them may have come down by accident. What was not held for long enough is not deliberate, whoever ended it: a swipe
 * home from the edge of a phone, which cancels a touch, must not stop a site. The page says at once to hold longer.
 */

import { say } from "../core/words.js";
import { announce } from "./announce.js";

export const HOLD_MS = 600;
const AGAIN_WITHIN_MS = 4_000;
const ENDS = ["pointerup", "pointercancel"];

const gestures = new WeakMap(); // element -> {timer, state}
const fingers = new WeakMap(); // element -> those on it that may become a hold: Set of AbortController, one for each

/** Show a state at the button: holding, short, armed or none; with `forMs` for as long as that. */
function become(element, state, forMs) {
  clearTimeout(gestures.get(element)?.timer);
  gestures.set(element, { state, timer: forMs && setTimeout(become, forMs, element, null) });
  if (state) element.dataset.gesture = state;
  else delete element.dataset.gesture;
}

/**
 * Follow a pointer that has come down until it is up, cancelled or away from where the button was. The first one on an
 * element that was held calls `held`, and ends the others; the last one that was not calls `short`.
 */
function follow({ pointerId, timeStamp: since, currentTarget: element }, held, short) {
  const over = new AbortController();
  const down = (fingers.get(element) ?? new Set()).add(over);
  fingers.set(element, down);
  const box = element.getBoundingClientRect(); // the button may move away under the finger
  const end = (isHeld) => {
    for (const finger of isHeld ? [...down] : [over]) {
      finger.abort();
      down.delete(finger);
    }
    if (isHeld) held();
    else if (!down.size) short();
  };
  const timer = setTimeout(end, Math.max(0, HOLD_MS - (performance.now() - since)), true);
  over.signal.addEventListener("abort", () => clearTimeout(timer));
  const ended = (event) => {
    if (event.pointerId === pointerId) end(event.timeStamp - since >= HOLD_MS);
  };
  const moved = (event) => {
    const { clientX: x, clientY: y } = event;
    if (x < box.left || x > box.right || y < box.top || y > box.bottom) ended(event);
  };
  const listening = { capture: true, signal: over.signal };
  for (const name of ENDS) window.addEventListener(name, ended, listening);
  window.addEventListener("pointermove", moved, listening);
}

/** What a button listens to, so that `fire` is called by the gesture; `what` names it for people. */
export function deliberately(what, fire) {
  const begin = (event) => {
    const element = event.currentTarget;
    if (event.button !== 0) return;
    const done = () => {
      become(element, null);
      fire();
    };
    const short = () => {
      become(element, "short", AGAIN_WITHIN_MS);
      announce(say("stop.hold_longer", { what }));
    };
    become(element, "holding");
    follow(event, done, short);
    element.setPointerCapture?.(event.pointerId); // last: it throws where the pointer is gone already
  };
  const click = (event) => {
    const element = event.currentTarget;
    if (event.detail > 0) return; // the end of a press, held or not
    if (gestures.get(element)?.state === "armed") {
      become(element, null);
      fire();
      return;
    }
    become(element, "armed", AGAIN_WITHIN_MS);
    announce(say("stop.press_again", { what }));
  };
  const forget = ({ currentTarget: element }) => {
    if (gestures.get(element)?.state !== "armed") return;
    become(element, null);
    announce(say("stop.not_pressed", { what }));
  };
  return {
    pointerdown: begin,
    contextmenu: (event) => event.preventDefault(), // a long touch
    keydown: (event) => {
      if (event.repeat) event.preventDefault(); // a key that is kept down presses once
    },
    blur: forget,
    click,
  };
}
