/** Asking for a session. While it is filled in, the page says what would speak against it; the fleet decides. */

import * as api from "../core/api.js";
import { nowMs } from "../core/clock.js";
import { h } from "../core/dom.js";
import { plainDay } from "../core/formats.js";
import { PRESETS, RULE_SET } from "../core/presets.js";
import { go, link } from "../core/route.js";
import { change, may } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "../parts/announce.js";
import { icon } from "../parts/icons.js";
import { crumbs, wordsOf } from "../parts/pieces.js";
import { refusalList } from "../parts/refusals.js";
import { fields, roomOf } from "./request-form.js";

const SETTLE_MS = 250; // of typing, before the fleet's rules are asked
const AGAIN_MS = 3_000; // the device may have come or gone meanwhile
const CLIENT = /^[a-z0-9][a-z0-9-]{3,63}$/;
const NOBODY = "nobody-yet"; // while there is no client yet: the other rules are told all the same

const hex = (bytes) =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function newForm(device) {
  const preset = "gentle";
  return {
    device,
    client: "",
    findings: [],
    overrideBy: "",
    hoursAgo: "0",
    asked: false,
    preset,
    plan: { ...PRESETS[preset] },
  };
}

const numbersMissing = (plan) => Object.values(plan).some((value) => value === "" || Number.isNaN(value));

/** The request's body, as far as it is filled in. */
function bodyOf(form) {
  const screening = {
    rule_set: RULE_SET,
    at_wall_s: nowMs() / 1000 - Number(form.hoursAgo || 0) * 3600,
    findings: form.findings,
  };
  if (form.overrideBy) screening.override_by = form.overrideBy;
  return {
    client: CLIENT.test(form.client) ? form.client : NOBODY,
    device: form.device,
    room: roomOf(form.device),
    plan: form.plan,
    screening,
  };
}

/** What the form itself still lacks. */
function missing(form) {
  return [
    !form.device && "device",
    !CLIENT.test(form.client) && "client",
    !form.asked && "asked",
    numbersMissing(form.plan) && "plan",
  ].filter(Boolean);
}

export function request(device = "") {
  const form = newForm(device); // always the same: what a field changes is as it is then, not as it was drawn
  let requestId = hex(16);
  let explained = { refusals: null, error: null };
  let answer = { refusals: [], error: null, busy: false };
  let doses = null;
  let timer = null;
  let asked = 0;

  async function explain() {
    if (!form.device || numbersMissing(form.plan) || !may("explain")) return;
    asked += 1;
    const mine = asked;
    let came;
    try {
      came = { refusals: (await api.explain(bodyOf(form))).refusals, error: null };
    } catch (error) {
      came = { refusals: null, error };
    }
    if (mine !== asked) return;
    const words = verdictWords(came.refusals);
    if (words !== verdictWords(explained.refusals)) announce(words);
    explained = came;
    change({});
  }

  async function readDoses(client) {
    doses = null;
    const found = await api.client(client).catch(() => null); // the rules refuse without it just as well
    if (form.client === client) doses = found;
    change({});
  }

  function edit(changes) {
    const client = changes.client;
    Object.assign(form, changes);
    requestId = hex(16); // another request
    answer = { refusals: [], error: null, busy: false };
    if (client !== undefined && CLIENT.test(client) && may("see_clients")) readDoses(client);
    else if (client !== undefined) doses = null;
    clearTimeout(timer);
    timer = setTimeout(explain, SETTLE_MS);
    change({});
  }

  async function submit(event) {
    event.preventDefault();
    if (answer.busy || missing(form).length) return;
    answer = { refusals: [], error: null, busy: true };
    change({});
    try {
      const { session_id: id } = await api.requestSession({ ...bodyOf(form), request_id: requestId });
      announce(say("request.authorised"));
      go("session", id);
    } catch (error) {
      answer = { refusals: error.refusals ?? [], error, busy: false };
      // What was refused is asked anew. Of what nobody answered it is not known whether it was heard: asked again it is
      // the same request, and what came of it is the answer.
      if (error.refusals?.length) requestId = hex(16);
      alert(error.refusals?.length ? say("request.refused", { n: error.refusals.length }) : wordsOf(error));
      change({});
      requestAnimationFrame(() => document.getElementById("verdict")?.focus());
    }
  }

  function dosesWords() {
    const modality = doses?.modalities?.[form.plan.modality];
    if (!modality) return null;
    const { in_7_days: had, in_7_days_max: most, possible_from: from } = modality;
    return h(
      "p",
      { class: "doses" },
      say("request.doses", { had, most, day: plainDay(from, { weekday: "short", day: "numeric", month: "short" }) }),
    );
  }

  function verdict() {
    const lacks = missing(form);
    const refusals = answer.refusals.length ? answer.refusals : explained.refusals;
    const refused = answer.refusals.length > 0;
    const would = refusals && !refusals.length;
    const error = answer.error && !answer.refusals.length ? answer.error : explained.error;
    return h(
      "aside",
      {
        class: `card verdict ${refused ? "medium" : refusals?.length ? "low" : "calm"}`,
        id: "verdict",
        tabindex: "-1",
        "aria-labelledby": "verdict-title",
      },
      h("h2", { id: "verdict-title" }, say(refused ? "request.verdict_refused" : "request.verdict")),
      error && h("p", { class: "wrong" }, wordsOf(error)),
      refusals?.length > 0 && [
        h("p", null, say(refused ? "request.refused" : "request.would_refuse", { n: refusals.length })),
        refusalList(refusals),
      ],
      would && h("p", { class: "would" }, icon("authorised"), say("request.would")),
      refusals === null && !error && h("p", null, say("request.not_yet")),
      lacks.length > 0 && [
        h("h3", null, say("request.lacks")),
        h(
          "ul",
          { class: "lacks" },
          lacks.map((name) => h("li", { key: name }, say(`request.lack.${name}`))),
        ),
      ],
      h(
        "button",
        { class: "primary", id: "ask", "aria-disabled": answer.busy || lacks.length ? "true" : undefined },
        say(answer.busy ? "request.asking" : "request.ask"),
      ),
      h("p", { class: "small" }, say("request.starts_nothing")),
    );
  }

  timer = setTimeout(explain, SETTLE_MS);
  const again = setInterval(explain, AGAIN_MS);
  return {
    title: () => say("request.title"),
    leave() {
      clearTimeout(timer);
      clearInterval(again);
    },
    render: () => [
      crumbs([say("nav.overview"), link("overview")], [say("nav.sessions"), link("sessions")]),
      may("request")
        ? h(
            "form",
            { class: "request", novalidate: true, on: { submit } },
            h(
              "div",
              { class: "fields" },
              fields({ form, edit, doses: dosesWords(), freshToken: () => edit({ client: `client-${hex(8)}` }) }),
            ),
            verdict(),
          )
        : h("p", null, say("request.who_may")),
    ],
  };
}

const verdictWords = (refusals) => {
  if (!refusals) return "";
  return refusals.length ? say("request.would_refuse", { n: refusals.length }) : say("request.would");
};
