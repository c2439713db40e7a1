"""What people are shown of the state, as plain JSON: sessions, devices, the service itself."""

from typing import Any

from broker.contract.messages import LIVE_PHASES, Phase
from broker.contract.topics import ALL
from fleet.core.presence import STALE_AFTER_S, liveness
from fleet.core.state import Session, State

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
        "elapsed_s": session.elapsed_s,
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


def device_rows(state: State, now_s: float) -> list[dict[str, Any]]:
    """Every registered device, by id, as of `now_s` (boot time). Its holds include those of the whole site."""
    rows = []
    for name, registered in sorted(state.durable.registry.devices.items()):
        device, seen = state.device(name), state.newest(name)
        rows.append(
            {
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
                "holds": sorted(
                    {hold.hold_id or "" for where in (name, ALL) for hold in state.durable.holds.get(where, ())}
                ),
                "session_id": device.session_id,
                "stop_unconfirmed": any(
                    name in stop.pursuits and stop.pursuits[name].unconfirmed for stop in state.durable.stops.values()
                ),
            }
        )
    return rows
