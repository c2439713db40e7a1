"""What people are shown of the state, as plain JSON: sessions, devices, clients' doses, the service itself."""

from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract.causes import AlarmCode
from broker.contract.messages import LIVE_PHASES, Phase
from broker.contract.plan import Modality
from broker.contract.topics import ALL
from fleet.core import dose
from fleet.core.alarm_events import Why
from fleet.core.alarm_state import SITE, Alarm
from fleet.core.alarm_steps import RANK
from fleet.core.alarm_table import ROWS
from fleet.core.attention_state import Attention, Responsibility, channel
from fleet.core.conditions import due_why
from fleet.core.due import dues, instructions
from fleet.core.fold_doses import local_day
from fleet.core.presence import STALE_AFTER_S, liveness
from fleet.core.refusals import Refusal
from fleet.core.registry import RegisteredDevice
from fleet.core.rota import on_call
from fleet.core.state import Session, State
from fleet.core.steady import STEP_S
from fleet.core.turn import Turn, wall_time

SESSIONS_SHOWN_MAX = 200
LIVE_SILENT_AFTER_S = 2.0  # a live device speaks every 0.5 s: what it was last heard doing is over by now


def _silent_after_s(phase: Phase) -> float:
    return LIVE_SILENT_AFTER_S if phase in LIVE_PHASES else STALE_AFTER_S


def session_row(session: Session) -> dict[str, Any]:
    """One session, without who the client is beyond the token."""
    authorisation = session.authorisation
    return {
        "session_id": session.session_id,
        "device": session.device,
        "room": authorisation.room,
        "client": authorisation.client,
        "operator": authorisation.operator,
        "state": session.state.value,
        "accepted": session.accepted,
        "withheld": None if session.withheld is None else session.withheld.value,
        "cause": None if session.cause is None else session.cause.value,
        "authorised_at": authorisation.issued_at,
        "elapsed_s": session.elapsed_s if session.ended is None else session.ended.elapsed_s,
    }


def session_list(state: State, *, open_only: bool) -> list[dict[str, Any]]:
    """The newest 200 sessions, newest first."""
    sessions = sorted(state.durable.sessions.values(), key=lambda session: session.authorised_wall_s, reverse=True)
    return [session_row(session) for session in sessions if session.open or not open_only][:SESSIONS_SHOWN_MAX]


def session_details(state: State, session: Session) -> dict[str, Any]:
    """One session with its plan, its numbers and the newest sample of its device."""
    plan, ended, seen = session.plan, session.ended, state.newest(session.device)
    return {
        **session_row(session),
        "plan": {name: getattr(plan, name) for name in plan.__slots__},
        "ended": None if ended is None else {name: getattr(ended, name) for name in ended.__slots__},
        "sample": None if seen is None else {name: getattr(seen.sample, name) for name in seen.sample.__slots__},
    }


def device_rows(state: State, now_s: float, wall_s: float = 0.0) -> list[dict[str, Any]]:
    """Every registered device, by id, as of `now_s` (boot time) and of `wall_s` or, if later, the newest event."""
    return [
        device_row(state, registered, now_s, due_rows(state, registered, wall_s))
        for _, registered in sorted(state.durable.registry.devices.items())
    ]


def device_row(state: State, registered: RegisteredDevice, now_s: float, due: list[dict[str, Any]]) -> dict[str, Any]:
    """One device with what is `due` on it. Its holds include those of the whole site."""
    name = registered.device
    device, seen = state.device(name), state.newest(name)
    return {
        "device": name,
        "room": registered.room,
        "model": registered.model,
        "struck_off": registered.struck_off,
        "presence": liveness(state, name, now_s).value,
        "silent_s": None if seen is None else round(now_s - seen.received_s, 1),
        "silent": seen is not None and now_s - seen.received_s > _silent_after_s(seen.sample.phase),
        "boot_n": device.boot_n,
        "phase": None if seen is None else seen.sample.phase.value,
        "has_its_settings": seen is not None
        and device.settings is not None
        and seen.sample.settings_version == device.settings.version,
        "settings_version": None if device.settings is None else device.settings.version,
        "names_version": None if seen is None else seen.sample.settings_version,
        "service_hold": registered.service_hold,
        "held_for_service": device.birth is not None and device.birth.holds.service,
        "amplitude_ma": None if seen is None else seen.sample.amplitude_ma,
        "latched": device.birth.latched if device.birth else None,
        "holds": sorted({hold.hold_id or "" for where in (name, ALL) for hold in state.durable.holds.get(where, ())}),
        "session_id": device.session_id,
        "stop_unconfirmed": any(
            name in stop.pursuits and stop.pursuits[name].unconfirmed for stop in state.durable.stops.values()
        ),
        "due": due,
    }


def due_rows(state: State, registered: RegisteredDevice, wall_s: float) -> list[dict[str, Any]]:
    """What is due on a device, a row for each check: how much is left of it, by whatever counts; below zero: overdue.

    `due_on` is the last day that is still good. A check that was never recorded has nothing left, and is overdue.
    """
    rows: dict[str, dict[str, Any]] = {}
    for due in dues(state.durable, registered, max(wall_s, state.durable.wall_s)):
        row = rows.setdefault(due.check, {"check": due.check, **_NOTHING_DUE})
        row["overdue"] |= due.overdue
        row["soon"] |= due.soon
        row["layer"] = due.layer.value
        if due.left is not None:
            row[f"{due.unit.value}_left"] = due.left
            row["due_on"] = due.on.isoformat() if due.on is not None else row["due_on"]
        else:
            row["found"] = due.what
    return list(rows.values())


_NOTHING_DUE = {
    "due_on": None,
    "days_left": None,
    "hours_left": None,
    "sessions_left": None,
    "overdue": False,
    "soon": False,
    "found": None,
}


def instruction_rows(state: State, wall_s: float) -> list[dict[str, Any]]:
    """Operators whose instruction on a model runs out within 30 days, or has within the last 30."""
    found = instructions(state.durable, max(wall_s, state.durable.wall_s))
    return [{**asdict(one), "on": one.on.isoformat()} for one in found]


def alarm_row(alarm: Alarm, cleared_wall_s: float | None = None, held: dict[str, Any] | None = None) -> dict[str, Any]:
    """One alarm; `since` is when its condition began, `cleared` when it was over. Times are UTC.

    `held` is how people have it: `responsibility`, `by` whom and for which `reason`, `silent_until`, the `rung` that
    was told last, `comments`.
    """
    return {
        "alarm_id": alarm.alarm_id,
        "code": alarm.code.value,
        "priority": alarm.priority.value,
        "device": alarm.device,
        "room": alarm.room,
        "members": sorted(alarm.members),
        "since": wall_time(alarm.since_wall_s),
        "cleared": None if cleared_wall_s is None else wall_time(cleared_wall_s),
        "signal": alarm.signal.state.value,
        "responsible": ROWS[alarm.code].responsible.value,
        "session_id": alarm.session_id,
        "why": asdict(alarm.why),
        **(_held(None, State()) if held is None else held),
    }


def _held(one: Attention | None, state: State) -> dict[str, Any]:
    """How people have an alarm. What was set in boot time is told in the wall time of the newest event's clock."""
    until_s = None if one is None else one.until_s
    durable = state.durable
    return {
        "responsibility": (Responsibility.NONE if one is None else one.responsibility).value,
        "by": None if one is None else one.by,
        "reason": None if one is None else one.reason,
        "silent_until": None if until_s is None else wall_time(durable.wall_s + (until_s - durable.now_s)),
        "rung": 0 if one is None else one.rung,
        "comments": [
            {"at": wall_time(said.wall_s), "by": said.issued_by, "text": said.text}
            for said in (() if one is None else one.comments)
        ],
    }


def alarm_rows(state: State, *, past: bool, wall_s: float) -> list[dict[str, Any]]:
    """The open alarms as of `wall_s`, gravest first and then oldest first; after them, if asked for, those that are
    over, newest first.
    """
    durable = state.durable
    alarms = sorted(durable.alarms.items(), key=lambda found: (RANK[found[1].priority], found[1].since_wall_s))
    rows = [
        alarm_row(
            replace(alarm, room=_stands_in(state, alarm), why=_why_now(state, alarm, wall_s)),
            held=_held(durable.attention.get(where), state),
        )
        for where, alarm in alarms
    ]
    over = [alarm_row(past.alarm, past.cleared_wall_s) for past in reversed(durable.past_alarms)] if past else []
    return rows + over


def _stands_in(state: State, alarm: Alarm) -> str | None:
    """A device that was moved since the alarm was raised is to be found where it is now."""
    registered = None if alarm.device is None else state.registered(alarm.device)
    return alarm.room if registered is None else registered.room


def clinic_s(state: State, now_s: float, wall_s: float) -> float:
    """What the clinic's time is [s since 1970], where the fleet host's clock says `wall_s`."""
    return Turn(state, now_s, wall_s).wall_s


def clock_details(state: State, now_s: float, wall_s: float) -> dict[str, Any]:
    """What the fleet host's clock says (`wall_s`), and what the clinic's time is."""
    turn = Turn(state, now_s, wall_s)
    return {
        "host": wall_time(wall_s),
        "clinic": wall_time(turn.wall_s),
        "ahead_s": turn.ahead_s,
        "step_s_max": STEP_S,
        "in_doubt": state.durable.clock_step_s is not None,
    }


def _why_now(state: State, alarm: Alarm, wall_s: float) -> Why:
    """What is most pressing now, and what is left of it: what was when the alarm was raised is no news weeks later.
    While the host's clock is in doubt, that: a forged message before it has kept the alarm's reason.
    """
    if alarm.code is AlarmCode.A09 and alarm.device is None and state.durable.clock_step_s is not None:
        return Why(quantity="clock_step_s", value=state.durable.clock_step_s)
    if alarm.code is not AlarmCode.A11:
        return alarm.why
    place = SITE if alarm.device is None else alarm.device
    return due_why(state.durable, place, max(wall_s, state.durable.wall_s)) or alarm.why


def people_rows(state: State) -> list[dict[str, Any]]:
    """Everybody on the rota: each way to them, last proven when, and what is known against it. Times are UTC."""
    rota, proofs = state.durable.rota, state.durable.proofs
    rows = []
    for person in () if rota is None else rota.people.values():
        ways = []
        for method in person.methods:
            proof = proofs[channel(person.person, method.method)]
            proven = None if proof.proven_wall_s is None else wall_time(proof.proven_wall_s)
            ways.append(
                {
                    "method": method.method,
                    "kind": method.kind,
                    "priorities": [priority.value for priority in method.priorities],
                    "last_proven": proven,
                    "failed": proof.failed,
                }
            )
        rows.append({"person": person.person, "name": person.name, "methods": ways})
    return rows


def on_call_rows(state: State, wall_s: float) -> dict[str, str | None]:
    """Who has each rotation at that moment; None: nobody."""
    rota = state.durable.rota
    zone = ZoneInfo(state.durable.registry.clinic.time_zone)
    rotations = {} if rota is None else rota.rotations
    return {name: on_call(rotation, wall_s, zone) for name, rotation in rotations.items()}


def refusal_row(refusal: Refusal) -> dict[str, Any]:
    """One refusal; days as `2026-11-25`."""
    again_on = None if refusal.again_on is None else refusal.again_on.isoformat()
    return {**asdict(refusal), "again_on": again_on}


def client_details(state: State, client: str, wall_s: float) -> dict[str, Any]:
    """What the dose ledger holds of a client, and from which day each modality is possible again."""
    durable = state.durable
    doses = durable.doses.get(client, dose.NOTHING)
    today = local_day(durable, max(wall_s, durable.wall_s))
    return {
        "client": client,
        "today": today.isoformat(),
        "time_zone": durable.registry.clinic.time_zone,
        "sessions": [_dose_row(one) for one in sorted(doses.sessions, key=lambda one: one.day)],
        "modalities": {modality.value: _modality_row(state, doses, modality, today) for modality in Modality},
    }


def _dose_row(one: dose.Dose) -> dict[str, Any]:
    """`current_s` is the device's where `by` is `device`; where it is `fleet`, the longest that it may have been."""
    known_s = one.flowed_s if one.settled else None
    return {
        "session_id": one.session_id,
        "device": one.device,
        "modality": one.modality.value,
        "day": one.day.isoformat(),
        "standing": "reserved" if not one.settled else "counts" if one.counts else "does_not_count",
        "reserved_s": one.reserved_s,
        "current_s": known_s,
        "by": None if known_s is None else "device" if one.whole else "fleet",
    }


def _modality_row(state: State, doses: dose.ClientDoses, modality: Modality, today: date) -> dict[str, Any]:
    rules = state.durable.registry.clinic.dose
    since, days = dose.experienced_since(doses, modality, today), rules[modality].conditioning_days
    is_first = since is None and rules[modality].first_duration_s_max < rules[modality].duration_s_max
    until = today if since is None else since + timedelta(days=days)
    return {
        "in_7_days": dose.in_a_week(doses, modality, today),
        "in_7_days_max": rules[modality].sessions_per_7_days_max,
        "possible_from": dose.possible_from(doses, rules, modality, today).isoformat(),
        "first_duration_s_max": rules[modality].first_duration_s_max if is_first else None,
        "conditioning_until": until.isoformat() if until > today else None,
    }
