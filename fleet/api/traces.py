"""Routes that show samples: of a device, of a session. Gaps are gaps, late data is marked, no reading is no zero.

The newest minutes are in memory; what is older, or was not seen by this process, is read from the history store. What
takes time is done in threads, few at a time.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from fleet.adapters.history.port import CLOCK_OFF_S_MAX, HistoryError, Trace
from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asked_ledger import Listing
from fleet.api.asking import Reporting, Seeing
from fleet.api.guard import require
from fleet.api.in_force import in_force, of_device
from fleet.api.moments import moment_s
from fleet.api.reports import Reports
from fleet.api.seeing import DeviceName, row_of
from fleet.api.sessions import SessionId, session_of
from fleet.api.sight import Sight
from fleet.api.window import Point, gaps_of, in_order, points_of, unpacked, wall_words

router = APIRouter()
USUAL_S = 600.0
RANGE_S_MAX = 86_400.0
POINTS_MAX = 15_000  # two hours of a device in a session; a day of an idle one has 17,280
AFTER_S = 30.0  # a trace goes on for so long after its session's planned end: what it ended with
NO_HISTORY = "The history cannot be read: only what is in memory is shown."
Moment = Annotated[datetime | None, Query(description="with its offset, e.g. 2026-11-25T18:00:00Z")]


@router.get("/devices/{device}/samples", tags=["devices"], response_model=models.Samples, responses=problems(404, 503))
async def show_samples(
    device: DeviceName,
    sight: Seeing,
    reports: Reporting,
    _who: Annotated[SignedIn, require(Permission.SEE)],
    begin: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
) -> Any:
    """What a device sent, the last ten minutes or from one time to another, a day and 15,000 samples at most."""
    row_of(sight, device)
    to_s = sight.walltime() if to is None else moment_s("to", to)
    from_s = to_s - USUAL_S if begin is None else moment_s("from", begin)
    if not 0.0 <= to_s - from_s <= RANGE_S_MAX:
        raise Declined(422, "invalid", "The request's from and to: from before to, and a day apart at most.")
    found = await _read(sight, reports, _Asked(device, from_s, to_s))
    force = of_device(sight.state, device)
    return await _answer(found, {"device": device, "in_force": None if force is None else force.model_dump()})


@router.get(
    "/sessions/{session_id}/trace", tags=["sessions"], response_model=models.Trace, responses=problems(404, 503)
)
async def show_trace(
    session_id: SessionId,
    sight: Seeing,
    reports: Reporting,
    listing: Listing,
    _who: Annotated[SignedIn, require(Permission.SEE)],
) -> Any:
    """What its device sent in one session, with the limits to draw."""
    session = await session_of(sight, listing, session_id)
    begin_s = session.authorised_wall_s
    end_s = begin_s + session.authorisation.start_within_s + session.plan.duration_s + session.paused_s + AFTER_S
    asked = _Asked(session.device, begin_s, max(end_s, sight.walltime()), session_id)
    found = await _read(sight, reports, asked)
    force = in_force(sight.state, session)
    about = {"session_id": session_id, "device": session.device, "limits": limits_to_draw(force)}
    return await _answer(found, {**about, "in_force": force.model_dump()})


def limits_to_draw(force: models.InForce) -> dict[str, float]:
    """What a trace's curves are held against."""
    return {name: getattr(force, name) for name in ("setting_ma_max", "peak_ma_max", "lease_ttl_s")}


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """Samples of a device from one moment to another (Unix time), or those of one session."""

    device: str
    from_s: float
    to_s: float
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """The points in order, where they were read, and what is to be said with them."""

    points: list[Point]
    source: str
    note: str | None


async def _read(sight: Sight, reports: Reports, asked: _Asked) -> _Found:
    rows, since_s = sight.window.rows(asked.device), sight.window.since_s(asked.device)
    stored: Trace | None = None
    note = None
    if since_s is None or since_s > asked.from_s - CLOCK_OFF_S_MAX:  # taken then, received before, by a clock ahead
        try:
            async with reports.in_turn():
                stored = await _stored(reports, asked)
        except HistoryError as error:
            note = f"{NO_HISTORY} {error}"

    def joined() -> list[Point]:
        points = in_order(() if stored is None else points_of(stored), _remembered(rows, asked))
        return [one for one in points if asked.session_id is None or one.session_id == asked.session_id]

    points = await asyncio.to_thread(joined)
    if len(points) > POINTS_MAX:
        raise Declined(422, "invalid", f"The request's from and to: {POINTS_MAX} samples at most, ask for less.")
    if stored is None or not len(stored):
        return _Found(points, "memory", note)
    return _Found(points, "both" if len(points) > len(stored) else "history", note)


def _remembered(rows: Iterable[bytes], asked: _Asked) -> Iterator[Point]:
    """What is in memory. All of a session, whatever its device's clock says: a sample is of it or it is not."""
    return unpacked(rows) if asked.session_id is not None else unpacked(rows, asked.from_s, asked.to_s)


async def _stored(reports: Reports, asked: _Asked) -> Trace:
    if asked.session_id is not None:
        return await reports.history.trace(asked.device, asked.session_id)
    return await reports.history.samples(asked.device, asked.from_s, asked.to_s)


async def _answer(found: _Found, about: dict[str, Any]) -> Response:
    """Made in a thread: thousands of numbers take tens of milliseconds to write."""

    def made() -> bytes:
        said = {**about, **_shown(found.points), "source": found.source, "note": found.note}
        return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()

    return Response(await asyncio.to_thread(made), media_type="application/json")


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
