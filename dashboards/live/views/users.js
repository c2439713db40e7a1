/** Users, machines' tokens and the audit, for admins. A password or a token is shown once, when it is made. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { dayAndYear, moment, number } from "../core/formats.js";
import { change, state } from "../core/store.js";
import { say } from "../core/words.js";
import { alert, announce } from "../parts/announce.js";
import { reading, table, wordsOf } from "../parts/pieces.js";

const ROLES = ["viewer", "therapist", "on-call", "manager", "admin"];
const AUDIT_SHOWN = 50;
const NEW_USER = { user: "", name: "", role: "viewer", operator: "" };
const NEW_TOKEN = { name: "", role: "viewer", days: "365" };

const roleOptions = (roles) => roles.map((role) => h("option", { key: role, value: role }, say(`roles.${role}`)));

export function users() {
  const all = reading(() => api.get("users"));
  const tokens = reading(() => api.get("tokens"));
  const audit = reading(() => api.get("audit", { limit: AUDIT_SHOWN }));
  let newUser = { ...NEW_USER };
  let newToken = { ...NEW_TOKEN };
  let once = null; // {what, secret}
  let wrong = "";
  const read = () => Promise.all([all.read(), tokens.read(), audit.read()]);
  read();

  async function act(doIt, done) {
    wrong = "";
    try {
      const answer = await doIt();
      if (answer.one_time_password)
        once = { what: say("users.once_password", { user: answer.user }), secret: answer.one_time_password };
      if (answer.value) once = { what: say("users.once_token", { name: answer.name }), secret: answer.value };
      announce(done);
    } catch (error) {
      wrong = wordsOf(error);
      alert(wrong);
    }
    await read();
    change({});
  }

  function addUser(event) {
    event.preventDefault();
    const { operator, ...rest } = newUser;
    act(
      () =>
        api
          .post("users", operator ? { ...rest, operator } : rest)
          .then((answer) => ((newUser = { ...NEW_USER }), answer)),
      say("users.added"),
    );
  }

  function addToken(event) {
    event.preventDefault();
    act(
      () =>
        api
          .post("tokens", { ...newToken, days: newToken.days ? Number(newToken.days) : null })
          .then((answer) => ((newToken = { ...NEW_TOKEN }), answer)),
      say("users.token_added"),
    );
  }

  const patch = (row, changes) =>
    act(() => api.patch(`users/${encodeURIComponent(row.user)}`, changes), say("users.changed"));
  const button = (text, click, label) =>
    h("button", { type: "button", class: "small-button", "aria-label": label, on: { click } }, text);
  const input = (form, name, label, more) =>
    h(
      "label",
      { class: "field", key: name },
      h("span", null, label),
      h("input", {
        value: form()[name],
        autocomplete: "off",
        ...more,
        on: { input: (event) => ((form()[name] = event.target.value), change({})) },
      }),
    );
  const roleOf = (form, roles) =>
    h(
      "label",
      { class: "field", key: "role" },
      h("span", null, say("users.role")),
      h(
        "select",
        { value: form().role, on: { change: (event) => ((form().role = event.target.value), change({})) } },
        roleOptions(roles),
      ),
    );

  const userColumns = () => [
    { name: say("users.user"), head: true, cell: (row) => row.user },
    { name: say("users.name"), cell: (row) => row.name },
    {
      name: say("users.role"),
      cell: (row) =>
        h(
          "select",
          {
            "aria-label": say("users.role_of", { user: row.user }),
            value: row.role,
            disabled: row.user === state.me.user,
            on: { change: (event) => patch(row, { role: event.target.value }) },
          },
          roleOptions(ROLES),
        ),
    },
    { name: say("users.operator"), cell: (row) => row.operator ?? "–" },
    {
      name: say("users.standing"),
      cell: (row) => say(row.disabled ? "users.disabled" : row.must_change ? "users.must_change" : "users.active"),
    },
    {
      name: say("users.actions"),
      cell: (row) =>
        row.user !== state.me.user && [
          button(
            say("users.new_password"),
            () => patch(row, { generate: true }),
            say("users.new_password_of", { user: row.user }),
          ),
          " ",
          button(
            say(row.disabled ? "users.enable" : "users.disable"),
            () => patch(row, { disabled: !row.disabled }),
            say(row.disabled ? "users.enable_of" : "users.disable_of", { user: row.user }),
          ),
        ],
    },
  ];
  const tokenColumns = () => [
    { name: say("users.name"), head: true, cell: (row) => row.name },
    { name: say("users.role"), cell: (row) => say(`roles.${row.role}`) },
    { name: say("users.token_by"), cell: (row) => row.created_by },
    { name: say("users.token_ends"), cell: (row) => (row.ends_at ? dayAndYear(row.ends_at) : say("users.never")) },
    { name: say("users.token_used"), cell: (row) => (row.used_at ? moment(row.used_at) : say("users.never")) },
    {
      name: say("users.actions"),
      cell: (row) =>
        button(
          say("users.revoke"),
          () => act(() => api.remove(`tokens/${row.token}`), say("users.revoked")),
          say("users.revoke_of", { name: row.name }),
        ),
    },
  ];
  const auditColumns = () => [
    { name: say("record.at"), head: true, cell: (row) => moment(row.at) },
    { name: say("users.who"), cell: (row) => row.who },
    { name: say("users.from"), cell: (row) => row.address },
    { name: say("users.did"), cell: (row) => row.what },
    { name: say("users.subject"), cell: (row) => row.subject },
    { name: say("users.outcome"), cell: (row) => row.outcome },
  ];
  const card = (title, ...body) =>
    h("section", { class: "card wide", "aria-label": title }, h("h2", null, title), body);

  return {
    title: () => say("nav.users"),
    render: () => [
      wrong && h("p", { class: "wrong", role: "alert" }, wrong),
      once &&
        h(
          "section",
          { class: "card once", role: "status" },
          h("p", null, once.what),
          h("p", { class: "secret" }, once.secret),
          button(say("close"), () => ((once = null), change({}))),
        ),
      card(
        say("users.title"),
        all.show((found) => table(say("users.title"), userColumns(), found.users, { keyOf: (row) => row.user })),
        h(
          "form",
          { class: "row", on: { submit: addUser } },
          input(() => newUser, "user", say("users.user"), {
            required: true,
            pattern: "[a-z0-9][a-z0-9.\\-]{0,63}",
            maxlength: "64",
            autocapitalize: "none",
          }),
          input(() => newUser, "name", say("users.name"), { required: true, maxlength: "64" }),
          roleOf(() => newUser, ROLES),
          input(() => newUser, "operator", say("users.operator"), {
            pattern: "[a-z0-9][a-z0-9.\\-]{0,63}",
            maxlength: "64",
            autocapitalize: "none",
          }),
          h("button", { class: "primary" }, say("users.add")),
        ),
      ),
      card(
        say("users.tokens"),
        tokens.show((found) =>
          table(say("users.tokens"), tokenColumns(), found.tokens, {
            keyOf: (row) => row.token,
            empty: say("users.no_tokens"),
          }),
        ),
        h(
          "form",
          { class: "row", on: { submit: addToken } },
          input(() => newToken, "name", say("users.name"), { required: true, maxlength: "64" }),
          roleOf(
            () => newToken,
            ROLES.filter((role) => role !== "admin"),
          ),
          input(() => newToken, "days", say("users.days"), { type: "number", min: "1", max: "3660" }),
          h("button", { class: "primary" }, say("users.add_token")),
        ),
      ),
      card(
        say("users.audit"),
        audit.show((found) => [
          table(say("users.audit"), auditColumns(), found.rows, { keyOf: (row) => row.position }),
          h("p", { class: "small" }, say("users.audit_shown", { n: number(found.rows.length) })),
        ]),
      ),
    ],
  };
}
