"""Routes that show samples: of a device, of a session. Gaps are gaps, late data is marked, no reading is no zero."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Seeing
from fleet.api.guard import require
from fleet.api.seeing import DeviceName, row_of
from fleet.api.sessions import SessionId, session_of
from fleet.api.window import Point, gaps_of, wall_words
from fleet.core.state import Session

router = APIRouter()
USUAL_S = 600.0
RANGE_S_MAX = 86_400.0
AFTER_S = 30.0  # a trace goes on for so long after its session's planned end: what it ended with
Moment = Annotated[datetime | None, Query(description="with its offset, e.g. 2026-11-25T18:00:00Z")]


@router.get("/devices/{device}/samples", tags=["devices"], response_model=models.Samples, responses=problems(404))
async def show_samples(
    device: DeviceName,
    sight: Seeing,
    _who: Annotated[SignedIn, require(Permission.SEE)],
    begin: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
) -> Any:
    """What a device sent, the last ten minutes or from one time to another, a day at most."""
    row_of(sight, device)
    to_s = sight.walltime() if to is None else _moment_s("to", to)
    from_s = to_s - USUAL_S if begin is None else _moment_s("from", begin)
    if not 0.0 <= to_s - from_s <= RANGE_S_MAX:
        raise Declined(422, "invalid", "The request's from and to: from before to, and a day apart at most.")
    points = sight.window.between(device, from_s, to_s)
    return {"device": device, **_shown(points), "source": "memory"}


def _moment_s(name: str, moment: datetime) -> float:
    if moment.tzinfo is None:
        raise Declined(422, "invalid", f"The request's {name}: a time has its offset, e.g. 2026-11-25T18:00:00Z.")
    return moment.timestamp()


def _shown(points: Sequence[Point]) -> dict[str, Any]:
    return {
        "columns": {
            "at": [wall_words(point.at_s) for point in points],
            "phase": [point.phase.value for point in points],
            "setting_ma": [point.setting_ma for point in points],
            "amplitude_ma": [point.amplitude_ma for point in points],
            "impedance_ohm": [point.impedance_ohm for point in points],
            "lease_margin_s": [point.lease_margin_s for point in points],
            "battery_pct": [point.battery_pct for point in points],
            "temperature_c": [point.temperature_c for point in points],
            "late": [point.late for point in points],
        },
        "gaps": [(wall_words(begin), wall_words(end)) for begin, end in gaps_of(points)],
    }


@router.get("/sessions/{session_id}/trace", tags=["sessions"], response_model=models.Trace, responses=problems(404))
async def show_trace(session_id: SessionId, sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """What its device sent in one session, with the limits to draw."""
    session = session_of(sight.state.durable.sessions, session_id)
    begin_s = session.authorised_wall_s
    end_s = begin_s + session.authorisation.start_within_s + session.plan.duration_s + session.paused_s + AFTER_S
    points = [
        point
        for point in sight.window.between(session.device, begin_s, max(end_s, sight.walltime()))
        if point.session_id == session_id
    ]
    return {
        "session_id": session_id,
        "device": session.device,
        **_shown(points),
        "source": "memory",
        "limits": limits_to_draw(session),
    }


def limits_to_draw(session: Session) -> dict[str, float]:
    """What a trace's curves are held against."""
    limits = session.authorisation.limits
    return {
        "setting_ma_max": min(session.plan.setting_ma_max, limits.peak_ma_max.value),
        "peak_ma_max": limits.peak_ma_max.value,
        "lease_ttl_s": session.authorisation.lease_ttl_ms / 1000.0,
    }
