"""Routes about stops: push one, see what became of it; lift its hold; confirm that a silent device is off.

Pushing waits for nothing but the fleet: no database, no thread, and a line to the fleet of its own.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from broker.contract.topics import ALL
from fleet.api import models, stop_models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Seeing, Settings, Stopping, ask_fleet, ask_stop
from fleet.api.bodies import ReleaseBody, StopBody
from fleet.api.guard import require
from fleet.api.rows import stop_row
from fleet.api.seeing import DeviceName, holds_of, row_of
from fleet.api.window import wall_words
from fleet.core.presence import liveness
from fleet.core.state import State

router = APIRouter(tags=["stops"])
LISTED_MAX = 200
CommandId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c4a1be2d94d0f8f8a6f0f5c1e2a3b"])]
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": models.Refused, "description": "refused, every reason"}}


@router.post(
    "/stops", status_code=202, response_model=stop_models.Commands, responses={**problems(404, 413, 503), **_CONFLICT}
)
async def push_stop(body: StopBody, line: Stopping, who: Annotated[SignedIn, require(Permission.STOP)]) -> Any:
    """Emergency stop of a device, a room or the whole site. 202: it was sent. It is done when zero is measured: follow
    `GET /stops/{command_id}`. Anything else: use the button on the stimulator.
    """
    if (body.scope == "site") is not (body.name is None):
        raise Declined(422, "invalid", "The request's name: it names the device or the room; the site has none.")
    said = {"issued_by": who.user, "reason": body.reason}
    if body.scope == "room":
        answer = await ask_stop(line, room=body.name, **said)
        return {"commands": answer["commands"]}
    device = ALL if body.name is None else body.name
    if body.scope == "device" and device == ALL:
        raise Declined(422, "invalid", "The request's name: the whole site has the scope `site`.")
    answer = await ask_stop(line, device=device, **said)
    return {"commands": [{"device": device, "command_id": answer["command_id"]}]}


@router.get("/stops", response_model=stop_models.Stops, responses=problems())
async def list_stops(
    sight: Seeing,
    _who: Annotated[SignedIn, require(Permission.SEE)],
    limit: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 50,
) -> Any:
    """The newest stops with their latencies, newest first."""
    stops = [stop_row(stop) for stop, _ in zip(sight.book.newest(), range(limit), strict=False)]
    return {"as_of": wall_words(sight.walltime()), "stops": stops}


@router.get("/stops/{command_id}", response_model=stop_models.Stop, responses=problems(404))
async def show_stop(command_id: CommandId, sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """One stop, device by device: ordered, sent, received, zero measured; or not confirmed, and what to do.

    A stop that has just been answered may be unknown for some tens of milliseconds: ask again.
    """
    stop = sight.book.get(command_id)
    if stop is None:
        raise Declined(404, "unknown_stop", f"There is no stop {command_id} among the newest, or not yet.")
    return stop_row(stop)


@router.get("/releases/{device}", response_model=stop_models.Releasable, responses=problems(404))
async def show_release(device: DeviceName, sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """Whether the hold of a device, or of `all`, may be lifted now: each condition, and what is left to do after it."""
    state = sight.state
    row = None if device == ALL else row_of(sight, device)
    holds = [hold for hold in holds_of(state, device) if device == ALL or hold["scope"] == "device"]
    conditions = _conditions(state, device, sight.boottime(), held=bool(holds))
    latched = None if row is None else row["latched"]
    return {
        "device": device,
        "may": all(one["holds"] for one in conditions if one["condition"] != "heard"),
        "holds": holds,
        "conditions": conditions,
        "afterwards": None if latched is None else f"Its latch ({latched}) is reset at the device, by a person.",
    }


def _conditions(state: State, device: str, now_s: float, *, held: bool) -> list[dict[str, Any]]:
    """What `releases.requested` asks before it lifts anything."""
    stops = [stop for stop in state.durable.stops.values() if stop.device == device]
    sent = all(stop.sent_s is not None for stop in stops)
    zero = not any(p.urgent_s is not None for stop in stops for p in stop.pursuits.values())
    listed = [state.device(device)] if device != ALL else list(state.durable.devices.values())
    theirs = any(
        (one.birth.holds.all if device == ALL else one.birth.holds.device) for one in listed if one.birth is not None
    )
    found = [
        ("hold", held or theirs, "there is a hold", "there is no hold"),
        ("sent", sent, "its stop has gone out", "its stop has not gone out yet"),
        ("zero_measured", zero, "zero current has been measured", "zero current has not been measured yet"),
    ]
    if device != ALL:
        fresh = liveness(state, device, now_s).value == "fresh"
        found.append(("heard", fresh, "the device is heard", "the device is not heard: it lifts its hold once it is"))
    return [{"condition": name, "holds": holds, "words": yes if holds else no} for name, holds, yes, no in found]


@router.post("/releases", response_model=models.Done, responses={**problems(413, 503), **_CONFLICT})
async def release(body: ReleaseBody, settings: Settings, who: Annotated[SignedIn, require(Permission.RELEASE)]) -> Any:
    """Lift the hold of a device or of the whole site. It starts nothing: a latch waits for a person at the device."""
    if (body.device == ALL) is not (body.scope == "all") and body.scope is not None:
        raise Declined(422, "invalid", "The request's scope: `all` goes with the device `all`, and with no other.")
    return await ask_fleet(settings, op="release", device=body.device, scope=body.scope, issued_by=who.user)


@router.post("/devices/{device}/confirm-off", response_model=models.Done, responses={**problems(503), **_CONFLICT})
async def confirm_off(
    device: DeviceName, settings: Settings, who: Annotated[SignedIn, require(Permission.CONFIRM_OFF)]
) -> Any:
    """At the device, you have seen that it is off: ends the stop of one that does not speak any more."""
    return await ask_fleet(settings, op="confirm_off", device=device, issued_by=who.user)
