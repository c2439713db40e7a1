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
  alarmsMs: null, // and by the page's own monotonic one
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
export const part = () => partings.forEach((act) => act());

/** Change what is known, and tell everybody: one who fails keeps it from nobody else, least of all from who stops. */
export function change(changes) {
  Object.assign(state, changes);
  for (const listener of listeners) {
    try {
      listener(state);
    } catch (error) {
      reportError(error);
    }
  }
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

/** How old the open alarms are, in seconds; null before any were read. */
export const alarmsAgeS = () => (state.alarmsMs === null ? null : (performance.now() - state.alarmsMs) / 1000);
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

export const NO_ALARMS = { alarms: [], alarmsAt: null, alarmsMs: null };

/** Nothing of the one before is shown to the next. */
export function forget() {
  state.samples.clear();
  change({
    me: null,
    isUnknown: false,
    isStaying: false,
    chosen: "",
    overview: null,
    ...NO_ALARMS,
    heardMs: null,
    stream: "connecting",
  });
}
