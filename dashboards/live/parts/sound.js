/**
 * The sound of alarms, by the pattern of their priority (after IEC 60601-1-8: high 3 + 2 pulses, medium 3). It can be
 * paused for 120 s at most, and says that it is; a new one of a higher priority is heard in spite of that.
 *
 * Browsers are silent until somebody has touched the page: `blocked` says so.
 */

import { change } from "../core/store.js";

export const PAUSE_S_MAX = 120;
const PATTERNS = {
  high: { at: [0, 0.25, 0.5, 0.85, 1.1], hz: 740, everyS: 4 },
  medium: { at: [0, 0.35, 0.7], hz: 523, everyS: 8 },
};
const PULSE_S = 0.16;
const LOUD = 0.18;

let context = null;
let urgent = [];
let pausedUntilMs = 0;
let pausedOver = "";
let timer = null;

const priority = () => (urgent.some((alarm) => alarm.priority === "high") ? "high" : urgent.length ? "medium" : null);
const isHigher = (one, other) => one === "high" && other === "medium";

function play(name) {
  const { at, hz } = PATTERNS[name];
  for (const start of at) {
    const from = context.currentTime + start;
    const gain = context.createGain();
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(LOUD, from + 0.02);
    gain.gain.setValueAtTime(LOUD, from + PULSE_S - 0.03);
    gain.gain.linearRampToValueAtTime(0, from + PULSE_S);
    for (const overtone of [1, 2, 3, 4]) {
      const tone = context.createOscillator();
      tone.frequency.value = hz * overtone;
      const soft = context.createGain();
      soft.gain.value = 1 / overtone;
      tone.connect(soft).connect(gain);
      tone.start(from);
      tone.stop(from + PULSE_S);
    }
    gain.connect(context.destination);
  }
}

function turn() {
  clearTimeout(timer);
  timer = null;
  const now = priority();
  if (!now) return;
  const everyMs = PATTERNS[now].everyS * 1000;
  if (sound.pausedS() > 0) {
    timer = setTimeout(turn, 500);
    return;
  }
  if (context?.state === "running") play(now);
  timer = setTimeout(turn, everyMs);
}

export const sound = {
  /** These alarms are to be heard. */
  follow(alarms) {
    urgent = alarms;
    const now = priority();
    if (!now) {
      pausedUntilMs = 0; // the next one is a new one
      clearTimeout(timer);
      timer = null;
      return;
    }
    if (sound.pausedS() > 0 && isHigher(now, pausedOver)) pausedUntilMs = 0;
    if (!timer) turn();
  },
  active: () => priority() !== null,
  pausedS: () => Math.max(0, (pausedUntilMs - performance.now()) / 1000),
  pause() {
    pausedUntilMs = performance.now() + PAUSE_S_MAX * 1000;
    pausedOver = priority();
    change({});
  },
  resume() {
    pausedUntilMs = 0;
    turn();
    change({});
  },
  /** Whether the browser keeps it from sounding. */
  blocked: () => context?.state !== "running",
};

/** Browsers allow sound from the first touch or key on. */
for (const name of ["pointerdown", "keydown"]) {
  window.addEventListener(name, () => {
    context ??= new AudioContext();
    if (context.state === "suspended") context.resume().then(() => change({}));
  });
}
