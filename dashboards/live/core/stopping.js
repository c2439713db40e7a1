/**
 * Stops that were pushed from this page, and what became of them. Sent at once, sent again while nobody answers, and
 * followed until zero current is measured. Nothing is assumed: what is not known is said to be unknown.
 */

import * as api from "./api.js";
import { wait } from "./clock.js";
import { change, each, state } from "./store.js";
import { alert } from "../parts/announce.js";
import { say } from "./words.js";
import { latency } from "./formats.js";

const TRIES_MAX = 20;
const TRY_AGAIN_MS = 500;
const WHO_SOON_MS = 500; // who is signed in here by now is mostly known sooner
const LOOK_MS = 150; // while it is under way
const LOOK_LATER_MS = 2_000; // once it is overdue
const SOON_MS = 10_000;
const UNREAD_MS = 2 * LOOK_LATER_MS;
const OVER_KEPT = 5; // those that are over; what is not known yet is never dropped

let number = 0;

const told = () => change({ pushed: state.pushed });

/** Push a stop: `scope` is device, room or site. What becomes of it stands first in `state.pushed`. */
export async function push(scope, name) {
  number += 1;
  const pushed = { id: number, scope, name, at: new Date(), stage: "sending", tries: 0, commands: [] };
  state.pushed = kept([pushed, ...state.pushed]);
  const heard = order(pushed); // before anything is said of it
  each([told, () => alert(say("stop.said.sending", { what: whatOf(pushed) }))]);
  await heard;
  if (pushed.stage === "ordered") await Promise.all(pushed.commands.map((command) => follow(pushed, command)));
}

/** What is not over stays until it is, however many there are; of the others the newest. */
function kept(stops) {
  const over = stops.filter(mayDismiss).slice(OVER_KEPT);
  return stops.filter((pushed) => !over.includes(pushed));
}

async function order(pushed) {
  let asAnother = false;
  while (pushed.tries < TRIES_MAX) {
    pushed.tries += 1;
    try {
      const answer = await api.stop(pushed.scope, pushed.name, say("stop.reason"));
      pushed.commands = answer.commands.map((command) => ({ ...command, devices: [] }));
      pushed.stage = "ordered";
      state.pushed = state.pushed.filter((other) => other === pushed || !isSame(other, pushed));
      told();
      return;
    } catch (error) {
      const who = api.isOfAnother(error) ? await whoNow(() => fails(pushed, "unheard", error)) : null;
      if (who === api.WHO.somebody && !asAnother) {
        asAnother = true; // signed in in another tab: at once, as them
        continue;
      }
      const answered = error instanceof api.ApiError;
      const final = answered && error.status < 500 && error.status !== 429 && !api.isOpen(who);
      fails(pushed, final ? "refused" : "unheard", error);
      if (final) return;
    }
    await wait(TRY_AGAIN_MS);
  }
}

/** Who is signed in here; `late` is called where that is not known soon. */
async function whoNow(late) {
  const timer = setTimeout(late, WHO_SOON_MS);
  const who = await api.whoIsIt();
  clearTimeout(timer);
  return who;
}

/** It is not heard of, or refused: said aloud once. */
function fails(pushed, stage, error) {
  const isNew = stage !== pushed.stage;
  pushed.stage = stage;
  pushed.words = error instanceof api.ApiError ? error.message : "";
  told();
  if (isNew) alert(say(`stop.said.${stage}`, { what: whatOf(pushed) }));
}

/** Pushed again while it is followed, it is the same stop: it is shown once. */
const isSame = (one, other) => idsOf(one) === idsOf(other);
const idsOf = ({ commands }) => commands.map((command) => command.command_id).join();

async function follow(pushed, command) {
  const began = performance.now();
  command.readMs = began;
  for (;;) {
    try {
      const answer = await api.stopState(command.command_id);
      command.devices = answer.devices;
      command.confirmed = answer.confirmed;
      command.readMs = performance.now();
    } catch {
      // The first look may come too early; that it is not read for longer is said on the page (`isUnread`).
    }
    told();
    speak(pushed);
    if (!state.pushed.includes(pushed) || isDone(command)) return;
    const soon = state.me && performance.now() - began < SOON_MS;
    await wait(soon ? LOOK_MS : LOOK_LATER_MS);
  }
}

/** Whether what became of a stop has not been read for so long that nobody should wait for it. */
export const isUnread = ({ readMs }) => performance.now() - readMs > UNREAD_MS;

/** Whether a stop is over everywhere: the server says that it is confirmed, and so does each of its devices. */
export const isDone = ({ confirmed, devices }) => confirmed === true && devices.length > 0 && devices.every(isOver);

export const isOver = (row) => stageOf(row) === "zero" || stageOf(row) === "seen_off";

/** How far a stop is with one device: zero, seen_off, unconfirmed, received, sent, ordered. */
export function stageOf(row) {
  if (row.standing === "off_by_person") return "seen_off";
  return row.unconfirmed ? "unconfirmed" : row.standing;
}

const names = (rows) => rows.map((row) => row.device).join(", ");

/** A word of alarm when one is not confirmed, of relief when all are: not "measured" where one was seen. Each once. */
function speak(pushed) {
  const rows = pushed.commands.flatMap((command) => command.devices);
  const late = rows.filter((row) => stageOf(row) === "unconfirmed");
  if (late.length && !pushed.warned) {
    pushed.warned = true;
    alert(say("stop.said.unconfirmed", { what: names(late) }));
  }
  const all = pushed.commands.every(isDone);
  if (all && !pushed.relieved) {
    pushed.relieved = true;
    const at = (stage) => rows.filter((row) => stageOf(row) === stage);
    const [measured, seen] = [at("zero"), at("seen_off")];
    if (seen.length) alert(say("stop.said.seen_off", { what: names(seen) }));
    if (measured.length) {
      const slowest = Math.max(...measured.map((row) => row.sent_to_zero_s ?? 0));
      const what = seen.length ? names(measured) : whatOf(pushed);
      alert(say("stop.said.zero", { what, time: latency(slowest) }));
    }
  }
}

export const whatOf = ({ scope, name }) => (scope === "site" ? say("stop.whole_site") : name);

/** Put away what is over; what is not cannot be put away. */
export function dismiss(id) {
  change({ pushed: state.pushed.filter((pushed) => pushed.id !== id || !mayDismiss(pushed)) });
}

export const mayDismiss = (pushed) =>
  pushed.stage === "refused" ||
  (pushed.stage === "unheard" && pushed.tries >= TRIES_MAX) ||
  (pushed.stage === "ordered" && pushed.commands.every(isDone));
