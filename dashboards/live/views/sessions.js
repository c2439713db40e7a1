/** The sessions, newest first, page by page back to the oldest that the fleet lists; or those that are open. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { clockwise, moment } from "../core/formats.js";
import { link } from "../core/route.js";
import { change, deviceRow, may } from "../core/store.js";
import { known, say } from "../core/words.js";
import { reading, repeatedly, table } from "../parts/pieces.js";

const READ_EVERY_MS = 3_000;
const LIMIT = 50;

export const causeWords = (cause) => (cause ? say(`causes.${cause}`) : "–");

export const shortId = (id) => id.slice(0, 8);

/** A session's own time; while it runs, by the newest sample of its device. */
function elapsedS(row) {
  const live = deviceRow(row.device)?.session;
  return live?.session_id === row.session_id ? live.elapsed_s : row.elapsed_s;
}

/** Columns of a table of sessions; whose they are only for who may see that. */
export function sessionColumns({ withDevice = true } = {}) {
  return [
    {
      name: say("session.id"),
      head: true,
      cell: (row) => h("a", { href: link("session", row.session_id) }, shortId(row.session_id)),
    },
    withDevice && {
      name: say("session.device"),
      cell: (row) => h("a", { href: link("device", row.device) }, row.device),
    },
    {
      name: say("session.state"),
      cell: (row) => say(known(`session_state.${row.state}`) ? `session_state.${row.state}` : row.state),
    },
    withDevice && { name: say("session.room"), cell: (row) => row.room },
    may("see_records") && { name: say("session.client"), cell: (row) => row.client ?? "–" },
    { name: say("session.authorised"), cell: (row) => moment(row.authorised_at) },
    { name: say("session.elapsed"), numeric: true, cell: (row) => clockwise(elapsedS(row)) },
    { name: say("session.cause"), cell: (row) => causeWords(row.cause) },
  ].filter(Boolean);
}

export function sessions() {
  const found = { open: false, before: null };
  const list = reading(() => api.get("sessions", { open: found.open, limit: LIMIT, before: found.before }));
  const stop = repeatedly(list.read, READ_EVERY_MS);
  const look = (changes) => {
    Object.assign(found, changes);
    list.read();
    change({});
  };
  const pages = ({ next }) =>
    h(
      "div",
      { class: "actions" },
      found.before &&
        h("button", { type: "button", on: { click: () => look({ before: null }) } }, say("sessions.newest")),
      next && h("button", { type: "button", on: { click: () => look({ before: next }) } }, say("sessions.older")),
    );
  return {
    title: () => say("nav.sessions"),
    leave: stop,
    render: () => [
      h(
        "div",
        { class: "view-head" },
        h(
          "label",
          { class: "tick" },
          h("input", {
            type: "checkbox",
            checked: found.open,
            on: { change: (event) => look({ open: event.target.checked, before: null }) },
          }),
          say("sessions.open_only"),
        ),
        may("request") && h("a", { class: "button primary", href: link("request") }, say("request.title")),
      ),
      list.show((value) => [
        table(say("nav.sessions"), sessionColumns(), value.sessions, {
          keyOf: (row) => row.session_id,
          empty: say("sessions.none"),
        }),
        pages(value),
      ]),
    ],
  };
}
