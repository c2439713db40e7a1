/** Which view each address opens. Those that people open rarely are fetched when they do. */

import { missing } from "./missing.js";
import { overview } from "./overview.js";
import { room } from "./room.js";

const later =
  (module, name) =>
  async (...at) =>
    (await import(module))[name](...at);

export const VIEWS = {
  overview,
  room,
  missing,
  wall: later("./wall.js", "wall"),
  device: later("./device.js", "device"),
  session: later("./session.js", "session"),
  sessions: later("./sessions.js", "sessions"),
  request: later("./request.js", "request"),
  alarms: later("./alarms.js", "alarms"),
  figures: later("./figures.js", "figures"),
  call: later("./call.js", "call"),
  rota: later("./rota.js", "rota"),
  stops: later("./stops.js", "stops"),
  usage: later("./usage.js", "usage"),
  health: later("./health.js", "health"),
  users: later("./users.js", "users"),
  account: later("./account.js", "account"),
};
