/**
 * A deliberate gesture: press and hold, or, by the keyboard, Enter twice. A tap or a single key does nothing.
 *
 * Whoever uses a screen reader clicks without pointer or key: that counts as Enter does.
 */

import { say } from "../core/words.js";
import { announce } from "./announce.js";

export const HOLD_MS = 600;
const AGAIN_WITHIN_MS = 4_000;

const gestures = new WeakMap(); // element -> {timer, state}

function become(element, state, afterMs, then) {
  clearTimeout(gestures.get(element)?.timer);
  gestures.set(element, { state, timer: then && setTimeout(then, afterMs) });
  if (state) element.dataset.gesture = state;
  else delete element.dataset.gesture;
}

/** What a button listens to, so that `fire` is called by the gesture; `what` names it for people. */
export function deliberately(what, fire) {
  const begin = (event) => {
    if (event.button !== 0) return;
    const element = event.currentTarget;
    element.setPointerCapture?.(event.pointerId);
    become(element, "holding", HOLD_MS, () => {
      become(element, null);
      fire();
    });
  };
  const giveUp = (event) => {
    const element = event.currentTarget;
    if (gestures.get(element)?.state !== "holding") return;
    become(element, "short", AGAIN_WITHIN_MS, () => become(element, null));
    announce(say("stop.hold_longer", { what }));
  };
  const leave = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < box.left || x > box.right || y < box.top || y > box.bottom) giveUp(event);
  };
  const click = (event) => {
    const element = event.currentTarget;
    if (event.detail > 0) return; // the end of a press, held or not
    if (gestures.get(element)?.state === "armed") {
      become(element, null);
      fire();
      return;
    }
    become(element, "armed", AGAIN_WITHIN_MS, () => become(element, null));
    announce(say("stop.press_again", { what }));
  };
  return {
    pointerdown: begin,
    pointerup: giveUp,
    pointercancel: giveUp,
    pointermove: leave,
    contextmenu: (event) => event.preventDefault(), // a long touch
    keydown: (event) => {
      if (event.repeat) event.preventDefault(); // a key that is kept down presses once
    },
    blur: (event) => become(event.currentTarget, null),
    click,
  };
}
