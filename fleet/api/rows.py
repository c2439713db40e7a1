"""What pages are shown, as plain JSON: the views of `fleet.views`, with what only the web process knows added."""

from typing import Any

from broker.contract.topics import ALL
from fleet.api.sight import Sight
from fleet.api.stop_book import Followed, Recorded
from fleet.api.window import wall_words
from fleet.core.alarm_state import Alarm
from fleet.core.events import ConfirmedBy
from fleet.core.presence import LOST_AFTER_S, Liveness
from fleet.core.state import LIVE_STATES, Session, State
from fleet.views import alarm_rows, device_row
from fleet.words.events import SWITCH_OFF, milliseconds

Document = dict[str, Any]
PRIORITIES = ("high", "medium", "low", "info")


def fleet_row(sight: Sight) -> Document:
    """The fleet service itself, and whether what is shown is of now."""
    status, durable, trouble = sight.status or {}, sight.state.durable, sight.trouble
    reachable = sight.reachable
    return {
        "site": sight.site,
        "time_zone": durable.registry.clinic.time_zone,
        "simulated": sight.simulated,
        "reachable": reachable,
        "connected": bool(status.get("connected")) and reachable,
        "journal_refusing": bool(status.get("journal_refusing")),
        "draining": durable.draining,
        "fleet_n": durable.fleet_n,
        "stale": trouble is not None,
        "words": trouble,
    }


def rows_of_devices(sight: Sight, only: str | None = None) -> list[Document]:
    """Every device, by id; or one of them, if it is there."""
    state, now_s, wall_s = sight.state, sight.boottime(), sight.walltime()
    alarms: dict[str, list[Document]] = {}
    for alarm in state.durable.alarms.values():
        for name in _concerned(alarm):
            mark = {"alarm_id": alarm.alarm_id, "code": alarm.code.value, "priority": alarm.priority.value}
            alarms.setdefault(name, []).append(mark)
    rows = []
    for name, registered in sorted(state.durable.registry.devices.items()):
        if only not in (None, name):
            continue
        row = device_row(state, registered, now_s, sight.dues.of(state, registered, wall_s))
        row["presence"] = _presence(sight, name, row["presence"], now_s)
        heard_wall_s = sight.heard_wall_s.get(name)
        row["heard_at"] = None if heard_wall_s is None else wall_words(heard_wall_s)
        row["alarms"] = alarms.get(name, [])
        row["session"] = _open_session(state, name)
        rows.append(row)
    return rows


def _concerned(alarm: Alarm) -> list[str]:
    return list(alarm.members) if alarm.device is None else [alarm.device]


def _presence(sight: Sight, device: str, presence: str, now_s: float) -> str:
    """Nothing is fresh that is not of now. What this process has not heard yet is not lost for that: an idle device
    speaks every 5 s.
    """
    if presence == Liveness.FRESH and sight.trouble is not None:
        return Liveness.STALE.value
    young = now_s - sight.started_s < LOST_AFTER_S
    if presence == Liveness.LOST and young and not sight.state.device(device).lost:
        return Liveness.STALE.value
    return presence


def _open_session(state: State, device: str) -> Document | None:
    """The session at a device, without who is treated and by whom."""
    session = state.session_on(state.device(device))
    if session is None or not session.open:
        return None
    seen = state.newest(device)
    speaks_for_it = seen is not None and seen.sample.session_id == session.session_id
    return {
        "session_id": session.session_id,
        "state": session.state.value,
        "withheld": None if session.withheld is None else session.withheld.value,
        "elapsed_s": seen.sample.elapsed_s if seen is not None and speaks_for_it else session.elapsed_s,
        "duration_s": session.plan.duration_s,
        "setting_ma": seen.sample.setting_ma if seen is not None and speaks_for_it else None,
        "setting_ma_max": session.plan.setting_ma_max,
        "lease_margin_s": seen.sample.lease_margin_s if seen is not None and speaks_for_it else None,
    }


def alarms_of(sight: Sight, *, past: bool = False, device: str | None = None) -> list[Document]:
    """Gravest first; those that are over after them, newest first."""
    rows = alarm_rows(sight.state, past=past, wall_s=sight.walltime())
    return rows if device is None else [row for row in rows if device == row["device"] or device in row["members"]]


def alarm_counts(sight: Sight) -> Document:
    counts = dict.fromkeys(PRIORITIES, 0)
    for alarm in sight.state.durable.alarms.values():
        counts[alarm.priority.value] += 1
    return counts


def overview(sight: Sight) -> Document:
    """The whole clinic."""
    rows = rows_of_devices(sight)
    return {
        "as_of": wall_words(sight.walltime()),
        "fleet": fleet_row(sight),
        "rooms": [
            {"room": room, "devices": [row for row in rows if row["room"] == room]}
            for room in sorted({row["room"] for row in rows})
        ],
        "alarms": alarm_counts(sight),
    }


def live(session: Session) -> bool:
    return session.state in LIVE_STATES


# --- stops ----------------------------------------------------------------------------------------------------------


def stop_row(recorded: Recorded) -> Document:
    """A stop with what became of it, device by device. Seconds; None: not heard (yet)."""
    stop = recorded.stop
    return {
        "command_id": stop.command_id,
        "scope": "site" if recorded.device == ALL else "device",
        "device": recorded.device,
        "cause": stop.cause.value,
        "hold": stop.hold,
        "issued_by": stop.issued_by,
        "reason": recorded.reason,
        "ordered_at": wall_words(recorded.ordered_wall_s),
        "cause_to_sent_s": recorded.cause_to_sent_s,
        "pushed_again": recorded.pushed_again,
        "released_at": None if recorded.released_wall_s is None else wall_words(recorded.released_wall_s),
        "released_by": recorded.released_by,
        "confirmed": bool(recorded.devices) and all(one.by is not None for one in recorded.devices.values()),
        "devices": [_followed_row(recorded, one) for one in recorded.devices.values()],
    }


def _followed_row(recorded: Recorded, one: Followed) -> Document:
    standing = _standing(recorded, one)
    return {
        "device": one.device,
        "room": one.room,
        "followed_by": one.command_id,
        "urgent": one.urgent,
        "standing": standing,
        "unconfirmed": one.by is None and one.unconfirmed_wall_s is not None,
        "was_unconfirmed": one.unconfirmed_wall_s is not None,
        "cause_to_sent_s": recorded.cause_to_sent_s,
        "sent_to_received_s": one.sent_to_received_s,
        "sent_to_zero_s": one.sent_to_zero_s,
        "amplitude_ma": one.amplitude_ma,
        "confirmed_by": None if one.by is None else one.by.value,
        "confirmed_at": None if one.confirmed_wall_s is None else wall_words(one.confirmed_wall_s),
        "words": _stop_words(standing, one, of_site=recorded.device == ALL),
    }


def _standing(recorded: Recorded, one: Followed) -> str:
    if one.by is not None:
        return "off_by_person" if one.by is ConfirmedBy.PERSON else "zero"
    if one.received:
        return "received"
    return "ordered" if recorded.cause_to_sent_s is None else "sent"


def _stop_words(standing: str, one: Followed, *, of_site: bool) -> str:
    if standing == "off_by_person":
        return "a person at the device has seen that it is off; nothing was measured"
    if standing == "zero":
        return f"zero current measured after {milliseconds(one.sent_to_zero_s)}"
    if one.unconfirmed_wall_s is not None:
        room = "" if one.room is None else f"Room {one.room}, "
        return f"{room}{one.device}: {SWITCH_OFF}"
    if standing == "received":
        return f"received after {milliseconds(one.sent_to_received_s)}; zero current is not measured yet"
    if standing == "ordered":
        return "ordered; not sent yet"
    return "sent; zero current is not measured yet" if of_site else "sent; not received yet"  # the site has no receipts
