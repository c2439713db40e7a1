"""Routes about who is on call: the rota as it is now, everybody on it, a drill. The rota itself is a file of the site
(`stimfleet rota`): it is looked after at the fleet's own machine.
"""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from broker.contract.shapes import Label
from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import problems
from fleet.api.asking import Seeing, Settings, ask_fleet
from fleet.api.bodies import Asked
from fleet.api.guard import require
from fleet.api.window import wall_words
from fleet.core.rota import gap
from fleet.views import on_call_rows, people_rows

router = APIRouter(tags=["on call"])
SeesRota = Annotated[SignedIn, require(Permission.SEE_ROTA)]
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": models.Refused, "description": "refused, with the reason"}}


class Way(BaseModel):
    """One way to somebody."""

    method: str
    kind: str
    priorities: list[str]
    last_proven: models.Time | None
    failed: Annotated[str | None, Field(description="what the last try said")]


class Person(BaseModel):
    """Somebody on the rota."""

    model_config = ConfigDict(extra="allow")

    person: str
    name: str
    methods: list[Way]


class People(BaseModel):
    """Everybody on the rota."""

    people: list[Person]


class Rota(BaseModel):
    """Who has each rotation now; null: nobody. `rungs`: who is told of which priority, one rung after the other."""

    on_call: dict[str, str | None]
    rungs: dict[str, list[list[str]]]
    engineer_rungs: dict[str, list[list[str]]]
    gap_from: Annotated[
        models.Time | None, Field(description="from when on, within a day, a first rung reaches nobody")
    ]


class DrillBody(Asked):
    """A test alarm, to everybody or to one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"person": "anna"}]})

    person: Label | None = None


@router.get("/people", response_model=People, responses=problems())
async def show_people(sight: Seeing, _who: SeesRota) -> Any:
    """Everybody on the rota: each way to them, and when it was last proven."""
    return {"people": people_rows(sight.state)}


@router.get("/rota", response_model=Rota, responses=problems())
async def show_rota(sight: Seeing, _who: SeesRota) -> Any:
    """Who is on call now, and who is told of what."""
    durable, wall_s = sight.state.durable, sight.walltime()
    rota = durable.rota
    found_s = None if rota is None else gap(rota, wall_s, ZoneInfo(durable.registry.clinic.time_zone))
    return {
        "on_call": on_call_rows(sight.state, wall_s),
        "rungs": {} if rota is None else {priority.value: rungs for priority, rungs in rota.rungs.items()},
        "engineer_rungs": {}
        if rota is None
        else {priority.value: rungs for priority, rungs in rota.engineer_rungs.items()},
        "gap_from": None if found_s is None else wall_words(found_s),
    }


@router.post("/drills", response_model=models.Done, responses={**problems(413, 503), **_CONFLICT})
async def order_drill(body: DrillBody, settings: Settings, who: Annotated[SignedIn, require(Permission.DRILL)]) -> Any:
    """A test alarm now: whoever gets it answers, and the way to them is proven."""
    return await ask_fleet(settings, op="drill", issued_by=who.user, person=body.person)
