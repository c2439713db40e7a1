/** The fields of a session request: where and who, screening, placement, plan. What they hold is in `form`. */

import { h } from "../core/dom.js";
import { link } from "../core/route.js";
import { ABSOLUTE, MODALITIES, NUMBERS, PRESETS, RELATIVE, SITES, SITES_EXCLUDED } from "../core/presets.js";
import { devices, state } from "../core/store.js";
import { stateOf } from "../core/status.js";
import { say } from "../core/words.js";

const fieldset = (key, title, ...body) => h("fieldset", { key, class: `card ${key}` }, h("legend", null, title), body);

/** A field with its label, and a hint that is read after it. `tag` and `props` make the control. */
function field(id, label, [tag, props, ...children], hint) {
  const described = hint ? `${id}-hint` : undefined;
  return h(
    "div",
    { class: "field", key: id },
    h("label", { for: id }, label),
    h(tag, { id, "aria-describedby": described, ...props }, children),
    hint && h("small", { id: described }, hint),
  );
}

function options(values, group, chosen) {
  return values.map((value) =>
    h("option", { key: value, value, selected: value === chosen }, say(`${group}.${value}`)),
  );
}

function deviceOptions() {
  return (state.overview?.rooms ?? []).map(({ room, devices: rows }) =>
    h(
      "optgroup",
      { key: room, label: room },
      rows.map((row) => h("option", { key: row.device, value: row.device }, `${row.device} (${stateOf(row).word})`)),
    ),
  );
}

function whoAndWhere({ form, edit, freshToken, doses }) {
  return fieldset(
    "who",
    say("request.who"),
    field(
      "device",
      say("request.device"),
      [
        "select",
        { required: true, value: form.device, on: { change: (event) => edit({ device: event.target.value }) } },
        h("option", { value: "" }, say("request.choose")),
        deviceOptions(),
      ],
      form.device && say("request.stands_in", { room: roomOf(form.device) ?? "?" }),
    ),
    field(
      "client",
      say("request.client"),
      [
        "input",
        {
          required: true,
          value: form.client,
          pattern: "[a-z0-9][a-z0-9\\-]{3,63}",
          maxlength: "64",
          autocomplete: "off",
          autocapitalize: "none",
          spellcheck: "false",
          on: { input: (event) => edit({ client: event.target.value.trim().toLowerCase() }) },
        },
      ],
      say("request.client_hint"),
    ),
    h("button", { type: "button", class: "beside", on: { click: freshToken } }, say("request.new_token")),
    doses,
  );
}

export const roomOf = (device) => devices().find((row) => row.device === device)?.room ?? null;

function ticks(names, { form, edit }) {
  const toggle = (name) => (event) => {
    const findings = event.target.checked ? [...form.findings, name] : form.findings.filter((one) => one !== name);
    edit({ findings, asked: false });
  };
  return h(
    "div",
    { class: "ticks" },
    names.map((name) =>
      h(
        "label",
        { class: "tick", key: name },
        h("input", {
          type: "checkbox",
          name: "finding",
          value: name,
          checked: form.findings.includes(name),
          on: { change: toggle(name) },
        }),
        say(`findings.${name}`),
      ),
    ),
  );
}

function screening(parts) {
  const { form, edit } = parts;
  const relative = form.findings.some((name) => RELATIVE.includes(name));
  return fieldset(
    "screening",
    say("request.screening"),
    h("p", null, say("request.screening_lead")),
    h("h3", null, say("request.absolute")),
    ticks(ABSOLUTE, parts),
    h("h3", null, say("request.relative")),
    ticks(RELATIVE, parts),
    relative &&
      field(
        "override",
        say("request.override"),
        [
          "input",
          {
            value: form.overrideBy,
            maxlength: "64",
            pattern: "[a-z0-9][a-z0-9.\\-]{0,63}",
            autocomplete: "off",
            autocapitalize: "none",
            on: { input: (event) => edit({ overrideBy: event.target.value.trim() }) },
          },
        ],
        say("request.override_hint"),
      ),
    h(
      "div",
      { class: "row" },
      field(
        "screened",
        say("request.screened"),
        [
          "input",
          {
            type: "number",
            min: "0",
            max: "48",
            step: "0.5",
            value: form.hoursAgo,
            on: { input: (event) => edit({ hoursAgo: event.target.value }) },
          },
        ],
        say("request.screened_hint"),
      ),
    ),
    h(
      "label",
      { class: "tick asked" },
      h("input", {
        id: "asked",
        type: "checkbox",
        required: true,
        checked: form.asked,
        on: { change: (event) => edit({ asked: event.target.checked }) },
      }),
      say(form.findings.length ? "request.asked_found" : "request.asked_none", { n: form.findings.length }),
    ),
  );
}

function placement({ form, edit }) {
  const on = { change: (event) => edit({ plan: { ...form.plan, body_site: event.target.value } }) };
  return fieldset(
    "placement",
    say("request.placement"),
    field(
      "body_site",
      say("plan.body_site"),
      [
        "select",
        { value: form.plan.body_site, on },
        h("optgroup", { label: say("request.sites") }, options(SITES, "sites")),
        h("optgroup", { label: say("request.sites_excluded") }, options(SITES_EXCLUDED, "sites")),
      ],
      SITES_EXCLUDED.includes(form.plan.body_site) && say("request.site_never"),
    ),
  );
}

function plan({ form, edit }) {
  const change = (name, value) => edit({ plan: { ...form.plan, [name]: value } });
  const preset = (event) => edit({ preset: event.target.value, plan: { ...PRESETS[event.target.value] } });
  const numbers = NUMBERS.map(([name, unit, step, times]) =>
    h(
      "div",
      { class: "field number", key: name },
      h("label", { for: name }, say(`plan.${name}`), h("span", { class: "visually-hidden" }, `, ${unit}`)),
      h(
        "span",
        { class: "with-unit" },
        h("input", {
          id: name,
          type: "number",
          required: true,
          step: "any",
          min: "0",
          "data-step": step,
          value: form.plan[name] === "" ? "" : String(form.plan[name] / times),
          on: { input: (event) => change(name, event.target.value === "" ? "" : Number(event.target.value) * times) },
        }),
        h("span", { class: "unit", "aria-hidden": "true" }, unit),
      ),
    ),
  );
  return fieldset(
    "plan",
    say("request.plan"),
    h(
      "div",
      { class: "row" },
      field("preset", say("request.preset"), [
        "select",
        { value: form.preset, on: { change: preset } },
        options(Object.keys(PRESETS), "presets"),
      ]),
      field("modality", say("plan.modality"), [
        "select",
        { value: form.plan.modality, on: { change: (event) => change("modality", event.target.value) } },
        options(MODALITIES, "modality"),
      ]),
    ),
    h("div", { class: "numbers-grid" }, numbers),
  );
}

/** All of it. `parts`: {form, edit, freshToken, doses}. */
export const fields = (parts) =>
  devices().length
    ? [whoAndWhere(parts), screening(parts), placement(parts), plan(parts)]
    : h("p", null, say("waiting"), " ", h("a", { href: link("overview") }, say("nav.overview")));
