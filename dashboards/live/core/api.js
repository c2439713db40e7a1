/** Asks the fleet's HTTP API (docs/decisions/2026-11-25-eyes.md). The one place of the page that fetches. */

import { wait } from "./clock.js";

const BASE = "api/v1";
const NO_CONTENT = 204;

/** The server's word while another tab signs in: it has ended the session, and the new cookie is on its way here. */
const SIGNING_IN = "signing_in";
const COOKIE_AWAITED_MS = 3_000;
const LOOKS_EVERY_MS = 250;
const OUT_TRIES_MAX = 8; // each waits for the cookie as long as a look does: longer than the server says so

/** The server's words to those of whom it knows nothing any more. A wrong password is none of them. */
const NOT_THEY = new Set(["csrf", "not_signed_in", SIGNING_IN]);

/** Who is signed in in this browser by now: somebody (this page is theirs then), nobody, or that is not known. */
export const WHO = { somebody: "somebody", nobody: "nobody", unknown: "unknown" };

/** Whether somebody is signed in here, or may be. */
export const isOpen = (who) => who === WHO.somebody || who === WHO.unknown;

let csrf = null;
let onSignedOut = () => {};
let onFound = () => {};

/** An answer that is not what was asked for. `refusals` where the fleet refused by its rules. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.text ?? "");
    this.status = status;
    this.word = body.error ?? "";
    this.refusals = body.refusals ?? [];
    this.errors = body.errors ?? []; // of what was asked to be stored: [{place, text}]
    this.retryAfterS = body.retryAfterS ?? null;
    this.who = body.who ?? null; // who is signed in now, where it was asked as somebody who is not: `WHO`
  }
}

/** There was no answer, or none that is whole. `isRead`: nothing was to be changed by what was asked. */
export class Unreachable extends Error {
  constructor(error, isRead) {
    super(error.message);
    this.isRead = isRead;
  }
}

export const takeToken = (token) => {
  csrf = token;
};

/** What happens when the server no longer knows who this is. */
export const whenSignedOut = (act) => {
  onSignedOut = act;
};

/** What happens when it was found who this is, by `act(me, isSame)`: one who signs in in a tab is so in every other. */
export const whenFound = (act) => {
  onFound = act;
};

/** The address of an answer, for a link: `url("usage.csv", {by: "day"})`. */
export function url(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `${BASE}/${path}${search ? `?${search}` : ""}`;
}

async function ask(method, path, { query, body, withinMs = 10_000, quiet = false, version, isRead } = {}) {
  const token = csrf;
  const headers = { Accept: "application/json" };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (method !== "GET" && token) headers["X-CSRF-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  let said;
  try {
    answer = await fetch(url(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(withinMs),
    });
    said = answer.status === NO_CONTENT ? {} : await answer.json();
  } catch (error) {
    const isWhole = error instanceof SyntaxError;
    if (!isWhole || answer.ok) throw new Unreachable(error, isRead ?? method === "GET");
    said = {}; // what stands before the server has said no, in its own way
  }
  if (answer.ok) return said;
  const who = NOT_THEY.has(said.error) && !quiet ? await whoIsIt(token) : null;
  throw new ApiError(answer.status, { ...said, who, retryAfterS: Number(answer.headers.get("Retry-After")) || null });
}

let looking = null;

/** Look who it is instead of whoever had `token`; once, however many requests wait for it. */
export function whoIsIt(token = csrf) {
  if (csrf !== token) return foundMeanwhile();
  looking ??= look(token).finally(() => (looking = null));
  return looking;
}

async function look(token) {
  try {
    const found = await me();
    if (csrf !== token) return foundMeanwhile();
    csrf = found.csrf;
    onFound(found, csrf === token);
    return WHO.somebody;
  } catch (error) {
    if (csrf !== token) return foundMeanwhile();
    if (error.status !== 401 || error.word === SIGNING_IN) return WHO.unknown;
    onSignedOut();
    return WHO.nobody;
  }
}

/** Somebody has signed in or out on this page while it was asked. */
const foundMeanwhile = () => (csrf === null ? WHO.nobody : WHO.somebody);

/** Whether it was refused because it was asked as somebody who is not signed in here: `whoIsIt` says who is. */
export const isOfAnother = (error) => NOT_THEY.has(error.word);

const name = (text) => encodeURIComponent(text);

export const get = (path, query) => ask("GET", path, { query });
export const post = (path, body = {}) => ask("POST", path, { body });
/** Put `body` in the place of what is of that version. */
export const put = (path, body, version) => ask("PUT", path, { body, version });
export const patch = (path, body) => ask("PATCH", path, { body });
export const remove = (path) => ask("DELETE", path);

/** Who is signed in in this browser; while another tab signs in, who that is, if it is known within `forMs`. */
export async function me(forMs = COOKIE_AWAITED_MS) {
  const giveUpMs = performance.now() + forMs;
  for (;;) {
    try {
      return await ask("GET", "me", { withinMs: 3_000, quiet: true });
    } catch (error) {
      if (error.word !== SIGNING_IN || performance.now() > giveUpMs) throw error;
      await wait(LOOKS_EVERY_MS);
    }
  }
}

export const logIn = (user, password) => ask("POST", "login", { body: { user, password }, quiet: true });
/** Whoever is signed in in this browser by now; while another tab signs in, whoever that is. */
export async function logOut() {
  for (let tries = 1; ; tries += 1) {
    try {
      return await post("logout");
    } catch (error) {
      if (!isOpen(error.who) || tries === OUT_TRIES_MAX) throw error;
    }
  }
}

export const device = (id) => get(`devices/${name(id)}`);
export const samples = (id, from, to) => get(`devices/${name(id)}/samples`, { from, to });
export const session = (id) => get(`sessions/${name(id)}`);
export const record = (id) => get(`sessions/${name(id)}/record`);
export const explain = (asked) => ask("POST", "sessions/explain", { body: asked, isRead: true });
export const requestSession = (asked) => post("sessions", asked);
export const cancelSession = (id) => post(`sessions/${name(id)}/cancel`);
export const client = (token) => get(`clients/${name(token)}`);

/**
 * A stop waits for nothing: 3 s are enough for a local answer, and whoever pushed it must hear if there is none. Nor is
 * it asked who is signed in before it is said that it was refused.
 */
export function stop(scope, target, reason) {
  const body = { scope, name: scope === "site" ? null : target, reason };
  return ask("POST", "stops", { body, withinMs: 3_000, quiet: true });
}
export const stopState = (command) => ask("GET", `stops/${name(command)}`, { withinMs: 2_000, quiet: true });
export const stops = (limit) => get("stops", { limit });

export const releaseConditions = (id) => get(`releases/${name(id)}`);
export const release = (id, scope) => post("releases", { device: id, scope });
export const confirmOff = (id) => post(`devices/${name(id)}/confirm-off`);

export const alarms = (past, id) => get("alarms", { past, device: id });
export const alarmHistory = (id, chosen) => get(`devices/${name(id)}/alarms`, chosen);
export const alarmDo = (id, what, said) => post(`alarms/${name(id)}/${what}`, said);
