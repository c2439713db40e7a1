"""Routes that show: the overview, devices, alarms, a client's dose ledger."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from broker.contract.topics import ALL
from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Seeing
from fleet.api.guard import require
from fleet.api.rows import alarms_of, fleet_row, overview, rows_of_devices
from fleet.api.sessions import shown_to
from fleet.api.sight import Sight
from fleet.api.window import wall_words
from fleet.core.state import State
from fleet.views import client_details, session_row
from fleet.words.alarms import alarm_words

router = APIRouter()
SESSIONS_OF_A_DEVICE = 10
DeviceName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,31}$", examples=["stim-01"])]
ClientName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{3,63}$", examples=["client-9d20"])]


@router.get("/overview", tags=["devices"], response_model=models.Overview, responses=problems())
async def show_overview(sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """Every room with its devices, and how many alarms are open: what the stream's snapshot holds."""
    return overview(sight)


@router.get("/devices", tags=["devices"], response_model=models.Devices, responses=problems())
async def show_devices(sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """Every device, by id."""
    return {"as_of": wall_words(sight.walltime()), "devices": rows_of_devices(sight)}


@router.get("/devices/{device}", tags=["devices"], response_model=models.DeviceDetails, responses=problems(404))
async def show_device(device: DeviceName, sight: Seeing, who: Annotated[SignedIn, require(Permission.SEE)]) -> Any:
    """Everything about one device: what it is, its settings with who set each limit, its holds, what is due."""
    row = row_of(sight, device)
    state, wall_s = sight.state, sight.walltime()
    known = state.device(device)
    sessions = [one for one in state.durable.sessions.values() if one.device == device]
    sessions.sort(key=lambda one: one.authorised_wall_s, reverse=True)
    return {
        "as_of": wall_words(wall_s),
        "fleet": fleet_row(sight),
        "device": row,
        "birth": known.birth,
        "settings": known.settings,
        "holds": holds_of(state, device),
        "releases": [
            {"command_id": one.command_id, "scope": one.scope.value, "issued_by": one.issued_by}
            for one in known.releases
        ],
        "due": row["due"],
        "alarms": [_in_words(alarm) for alarm in alarms_of(sight, device=device)],
        "sessions": [shown_to(who, session_row(one)) for one in sessions[:SESSIONS_OF_A_DEVICE]],
    }


def row_of(sight: Sight, device: str) -> dict[str, Any]:
    """The row of one device.

    Raises:
        Declined: 404, there is none.
    """
    for row in rows_of_devices(sight, only=device):
        return row
    raise Declined(404, "unknown_device", f"There is no device {device}.")


def holds_of(state: State, device: str) -> list[dict[str, Any]]:
    """What holds a device, also with the whole site."""
    return [
        {
            "hold_id": hold.hold_id,
            "scope": "all" if where == ALL else "device",
            "command_id": hold.stop.command_id,
            "cause": hold.stop.cause.value,
            "issued_by": hold.stop.issued_by,
            "issued_at": hold.stop.issued_at,
        }
        for where in dict.fromkeys((device, ALL))
        for hold in state.durable.holds.get(where, ())
    ]


def _in_words(alarm: dict[str, Any]) -> dict[str, Any]:
    return {**alarm, "words": alarm_words(alarm)}


@router.get("/alarms", tags=["alarms"], response_model=models.Alarms, responses=problems())
async def show_alarms(
    sight: Seeing,
    _who: Annotated[SignedIn, require(Permission.SEE)],
    past: Annotated[bool, Query(description="also those that are over, newest first")] = False,
    device: Annotated[str | None, Query(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] = None,
) -> Any:
    """What is wrong, gravest first, and what to do about it."""
    rows = alarms_of(sight, past=past, device=device)
    return {"as_of": wall_words(sight.walltime()), "alarms": [_in_words(row) for row in rows]}


@router.get("/clients/{client}", tags=["sessions"], response_model=models.ClientDoses, responses=problems())
async def show_client(
    client: ClientName, sight: Seeing, _who: Annotated[SignedIn, require(Permission.SEE_CLIENTS)]
) -> Any:
    """What a client has had and when the next session is possible. A token that nobody has used has had nothing."""
    return client_details(sight.state, client, sight.walltime())
