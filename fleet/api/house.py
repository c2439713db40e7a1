"""Routes about alarms as people answer them, and about the house: drain and undrain."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path

from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Settings, ask_fleet
from fleet.api.bodies import CommentBody, ReasonBody, ShelveBody
from fleet.api.guard import require
from fleet.api.moments import moment_s
from fleet.api.window import wall_words

router = APIRouter()
AlarmId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c4a1be2d94d0f8f8a6f0f5c1e2a3b"])]
Responding = Annotated[SignedIn, require(Permission.ALARM_RESPOND)]
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": models.Refused, "description": "refused, with the reason"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {**problems(404, 503), **_CONFLICT}
_ANSWERS_WITH_BODY: dict[int | str, dict[str, Any]] = {**problems(404, 413, 503), **_CONFLICT}


@router.post("/alarms/{alarm_id}/acknowledge", tags=["alarms"], response_model=models.Done, responses=_ANSWERS)
async def acknowledge(alarm_id: AlarmId, settings: Settings, who: Responding) -> Any:
    """Silence this occurrence, for ten minutes at most. It clears no latch, and a higher priority sounds again."""
    return await ask_fleet(settings, op="alarm_acknowledge", alarm_id=alarm_id, issued_by=who.user)


@router.post("/alarms/{alarm_id}/accept", tags=["alarms"], response_model=models.Done, responses=_ANSWERS)
async def accept(alarm_id: AlarmId, settings: Settings, who: Responding) -> Any:
    """You are on your way: nobody further is called."""
    return await ask_fleet(settings, op="alarm_accept", alarm_id=alarm_id, issued_by=who.user)


@router.post("/alarms/{alarm_id}/reject", tags=["alarms"], response_model=models.Done, responses=_ANSWERS_WITH_BODY)
async def reject(alarm_id: AlarmId, body: ReasonBody, settings: Settings, who: Responding) -> Any:
    """You cannot come: the next one is called now."""
    return await ask_fleet(settings, op="alarm_reject", alarm_id=alarm_id, issued_by=who.user, reason=body.reason)


@router.post("/alarms/{alarm_id}/shelve", tags=["alarms"], response_model=models.Done, responses=_ANSWERS_WITH_BODY)
async def shelve(alarm_id: AlarmId, body: ShelveBody, settings: Settings, who: Responding) -> Any:
    """Silence an alarm that is known, with a reason and an end. Never A01 to A03."""
    try:
        until = wall_words(moment_s("until", datetime.fromisoformat(body.until)))
    except ValueError:
        raise Declined(422, "invalid", "The request's until: it is no time.") from None
    return await ask_fleet(
        settings, op="alarm_shelve", alarm_id=alarm_id, issued_by=who.user, reason=body.reason, until=until
    )


@router.post("/alarms/{alarm_id}/unshelve", tags=["alarms"], response_model=models.Done, responses=_ANSWERS)
async def unshelve(alarm_id: AlarmId, settings: Settings, who: Responding) -> Any:
    """Have it sound again."""
    return await ask_fleet(settings, op="alarm_unshelve", alarm_id=alarm_id, issued_by=who.user)


@router.post("/alarms/{alarm_id}/comment", tags=["alarms"], response_model=models.Done, responses=_ANSWERS_WITH_BODY)
async def comment(alarm_id: AlarmId, body: CommentBody, settings: Settings, who: Responding) -> Any:
    """A note in the record."""
    return await ask_fleet(settings, op="alarm_comment", alarm_id=alarm_id, issued_by=who.user, text=body.text)


@router.post("/drain", tags=["house"], response_model=models.Done, responses=_ANSWERS)
async def drain(settings: Settings, who: Annotated[SignedIn, require(Permission.DRAIN)]) -> Any:
    """Authorise nothing new from now on; what runs goes on to its end."""
    return await ask_fleet(settings, op="drain", issued_by=who.user)


@router.post("/undrain", tags=["house"], response_model=models.Done, responses=_ANSWERS)
async def undrain(settings: Settings, who: Annotated[SignedIn, require(Permission.DRAIN)]) -> Any:
    """Authorise sessions again."""
    return await ask_fleet(settings, op="undrain", issued_by=who.user)
