/** The newest stops, each with what became of it at every device. */

import * as api from "../core/api.js";
import { h } from "../core/dom.js";
import { latency, moment } from "../core/formats.js";
import { link } from "../core/route.js";
import { say } from "../core/words.js";
import { icon } from "../parts/icons.js";
import { reading, repeatedly, table } from "../parts/pieces.js";

const READ_EVERY_MS = 2_000;
const LIMIT = 100;

/** One row a device; the first of a stop says which stop it is. */
const rowsOf = (stops) =>
  stops.flatMap((stop) =>
    (stop.devices.length ? stop.devices : [{ device: stop.device, standing: "ordered" }]).map((device, n) => ({
      stop,
      device,
      first: n === 0,
    })),
  );

function outcome({ stop, device }) {
  if (device.unconfirmed) return h("span", { class: "badge high" }, icon("alarm"), say("stop.step.not_confirmed"));
  if (device.standing === "zero") return say("stop.zero_measured");
  if (device.standing === "sent" && stop.scope === "site") return say("stop.standing.sent_to_site");
  return say(`stop.standing.${device.standing}`);
}

const COLUMNS = () => [
  { name: say("stops.at"), head: true, cell: ({ stop, first }) => (first ? moment(stop.ordered_at) : "") },
  {
    name: say("stops.what"),
    cell: ({ stop, first }) => (first ? (stop.scope === "site" ? say("stop.whole_site") : stop.device) : ""),
  },
  { name: say("stops.by"), cell: ({ stop, first }) => (first ? stop.issued_by : "") },
  { name: say("stops.cause"), cell: ({ stop, first }) => (first ? say(`causes.${stop.cause}`) : "") },
  { name: say("stops.device"), cell: ({ device }) => h("a", { href: link("device", device.device) }, device.device) },
  { name: say("stops.sent"), numeric: true, cell: ({ device }) => latency(device.cause_to_sent_s) },
  { name: say("stops.received"), numeric: true, cell: ({ device }) => latency(device.sent_to_received_s) },
  { name: say("stops.zero"), numeric: true, cell: ({ device }) => latency(device.sent_to_zero_s) },
  { name: say("stops.outcome"), cell: outcome },
];

export function stops() {
  const list = reading(() => api.stops(LIMIT));
  const stop = repeatedly(list.read, READ_EVERY_MS);
  return {
    title: () => say("nav.stops"),
    leave: stop,
    render: () => [
      h("p", { class: "lead" }, say("stops.lead")),
      list.show(({ stops: found }) =>
        table(say("nav.stops"), COLUMNS(), rowsOf(found), {
          keyOf: ({ stop: one, device }) => `${one.command_id}/${device.device}`,
          empty: say("stops.none"),
        }),
      ),
    ],
  };
}
