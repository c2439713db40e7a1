/**
 * The one place for what the page knows. The stream feeds it, views read it, nothing else changes it.
 *
 * `heardMs` is the page's own monotonic clock when the server was last heard: how old everything here is.
 */

const SAMPLES_KEPT = 6_000; // of one device: ten minutes at ten a second

export const state = {
  me: null,
  isUnknown: false, // who is signed in in this browser by now
  isLeaving: false, // they are signing out themselves
  isStaying: false, // they wanted to, and the server has not heard it
  putOut: false, // whoever was signed in here is not any more, and did not ask for that
  overview: null, // {as_of, fleet, rooms: [{room, devices}], alarms: {high, medium, low, info}}
  alarms: [], // the open ones, gravest first
  alarmsAt: null, // when they were read, by the server's clock
  alarmsMs: performance.now(), // and by the page's own monotonic one; before that, since when they are awaited
  pushed: [], // the stops that were pushed here, newest first
  chosen: "", // what is to be stopped where the view is about none: "device/stim-01", "room/room-1"
  samples: new Map(), // device -> its newest samples, oldest first
  heardMs: null,
  stream: "connecting", // connecting, live, lost
  ended: null, // why the server has ended the stream for good, in one word
  route: { name: "overview", at: [] },
};

const listeners = new Set();

/** Call `listener` after every change; the answer ends that. */
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const partings = new Set();

/** Call `act` whenever somebody leaves the page to another person, or to nobody: what is theirs ends there. */
export const atParting = (act) => partings.add(act);

/** They leave it now. */
export const part = () => each(partings);

/** Call them all: one that fails is reported and holds up no other, least of all a stop. */
export function each(acts) {
  for (const act of acts) {
    try {
      act();
    } catch (error) {
      reportError(error);
    }
  }
}

/** Change what is known, and tell everybody. */
export function change(changes) {
  Object.assign(state, changes);
  each(listeners);
}

/** The server was heard just now. */
export const heard = (changes = {}) => change({ heardMs: performance.now(), stream: "live", ...changes });

/** How old what is shown is, in seconds; null before anything came. */
export const ageS = () => (state.heardMs === null ? null : (performance.now() - state.heardMs) / 1000);

const OLD_S = 3; // the server says something at least every second

/** Whether the server has not been heard for too long. */
export const isUnheard = () => state.stream === "lost" || (ageS() ?? 0) > OLD_S;

/** Whether what is shown may no longer be so: that, or the server itself does not see everything. */
export const isOld = () => isUnheard() || state.overview?.fleet?.stale === true;

const ALARMS_OLD_S = 9; // they are read every four seconds

/** How long it is that the open alarms were read, or are awaited, in seconds. */
export const alarmsAgeS = () => (performance.now() - state.alarmsMs) / 1000;
export const areAlarmsOld = () => alarmsAgeS() > ALARMS_OLD_S;

/** A device's rows of the overview, all rooms together. */
export const devices = () => (state.overview?.rooms ?? []).flatMap((room) => room.devices);
export const deviceRow = (id) => devices().find((row) => row.device === id);
export const roomRows = (id) => state.overview?.rooms.find((room) => room.room === id)?.devices ?? [];
export const may = (permission) => state.me?.may.includes(permission) ?? false;

function byRoom(rows) {
  const rooms = new Map();
  for (const row of rows.sort((a, b) => (a.device < b.device ? -1 : 1))) {
    rooms.set(row.room, [...(rooms.get(row.room) ?? []), row]);
  }
  return [...rooms].sort(([a], [b]) => (a < b ? -1 : 1)).map(([room, devices]) => ({ room, devices }));
}

/** Take in what changed in the overview: rows of devices, devices that are gone, and everything else as it is. */
export function merge(overview, delta) {
  const { devices: changed = [], gone = [], ...rest } = delta;
  const rows = new Map(overview.rooms.flatMap((room) => room.devices).map((row) => [row.device, row]));
  for (const row of changed) rows.set(row.device, { ...rows.get(row.device), ...row }); // only what is new of it
  for (const device of gone) rows.delete(device);
  return { ...overview, ...rest, rooms: byRoom([...rows.values()]) };
}

/** Keep a sample for the traces, in the order of its time; a late one goes where it belongs. */
export function keepSample(device, sample) {
  const kept = state.samples.get(device) ?? [];
  let place = kept.length;
  while (place > 0 && kept[place - 1].at > sample.at) place -= 1;
  if (kept[place - 1]?.at === sample.at) {
    Object.assign(kept[place - 1], sample); // told twice, perhaps by somebody who knows more of it
    return;
  }
  kept.splice(place, 0, sample);
  if (kept.length > SAMPLES_KEPT) kept.shift();
  state.samples.set(device, kept);
}

export const newestSample = (device) => state.samples.get(device)?.at(-1) ?? null;

export const noAlarms = () => ({ alarms: [], alarmsAt: null, alarmsMs: performance.now() });

/** Nothing of the one before is shown to the next. */
export function forget() {
  state.samples.clear();
  change({
    me: null,
    isUnknown: false,
    isStaying: false,
    chosen: "",
    overview: null,
    ...noAlarms(),
    heardMs: null,
    stream: "connecting",
  });
}
