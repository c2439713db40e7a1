"""Routes about who is told of alarms: the rota, the people on it, and test alarms. Where a message truly goes is never
shown.
"""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import partial
from math import ceil
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from broker.pki.registry import BadRegistry
from broker.pki.registry_file import load_registry
from fleet.api import rota_models as models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Seeing, Settings, ask_fleet
from fleet.api.guard import require
from fleet.api.moments import day
from fleet.api.people import Told
from fleet.api.rate import Rate
from fleet.api.rota_rows import gap_row, method_rows, person_rows, rota_row, rung_rows, turn_row
from fleet.api.settings import WebSettings
from fleet.api.sight import Sight
from fleet.api.sign_in import address_of
from fleet.api.window import wall_words
from fleet.core.rota import Rota, is_quiet
from fleet.reports.cover import gaps, turns
from fleet.rota.file import BadRota, core_rota
from fleet.rota.store import ChangedMeanwhile, Stored, replace_rota, stored

router = APIRouter()
DAYS: Final = 14
DAYS_MAX: Final = 62
GAPS_AHEAD_S: Final = 14 * 86_400.0
SeesRota = Annotated[SignedIn, require(Permission.SEE_ROTA)]
EditsRota = Annotated[SignedIn, require(Permission.EDIT_ROTA)]
Drills = Annotated[SignedIn, require(Permission.DRILL)]
AnswersDrill = Annotated[SignedIn, require(Permission.ANSWER_DRILL)]
WRONG_CODES: Final = 10  # of one user at once, and one more every:
WRONG_CODE_EACH_S: Final = 60.0
NO_SUCH_TEST: Final = "No open test alarm has this code: it was answered already, or its 10 min have passed."
# What a sentence of `fleet.rota.whole` or `fleet.rota.file` begins with, and the place that it is about.
_PLACES: Final = (
    (re.compile(r"^The (?:method|person) (\S+?)(?: |$)"), "people/{0}"),
    (re.compile(r"^The rotation (\S+) "), "rotations/{0}"),
    (re.compile(r"^Rung (\d+) of (engineer_rungs|rungs)\.(\w+)"), "{1}/{2}/{0}"),
    (re.compile(r"^The rota has no rungs for (\w+)"), "rungs/{0}"),
    (re.compile(r"^proven_within_days "), "drill"),
    (re.compile(r"^The rota\.(people|rotations)\[(\d+)\]"), "{0}[{1}]"),
    (re.compile(r"^The rota\.(\w+)"), "{0}"),
)


def wrong_codes(boottime: Callable[[], float]) -> Rate:
    """What counts the wrong codes of test alarms, for `app.state`: ten at once, and then one a minute."""
    return Rate(boottime, burst=WRONG_CODES, each_s=WRONG_CODE_EACH_S)


async def _wrong_codes(request: Request) -> Rate:
    rate: Rate = request.app.state.wrong_codes
    return rate


def place_of(sentence: str) -> str:
    """Where it is wrong, by what the sentence begins with; empty: of the whole.

    >>> place_of("Rung 2 of rungs.high names nobody.")
    'rungs/high/2'
    """
    for pattern, place in _PLACES:
        if found := pattern.match(sentence):
            return place.format(*found.groups())
    return ""


@router.get("/rota", tags=["on call"], response_model=models.RotaShown, responses=problems(503))
async def show_rota(
    sight: Seeing,
    settings: Settings,
    response: Response,
    _who: SeesRota,
    first: Annotated[
        str | None, Query(alias="from", pattern=r"^\d{4}-\d{2}-\d{2}$", description="the first day")
    ] = None,
    days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = DAYS,
) -> Any:
    """The whole rota; who is on call now and next, for each rung; whose turn it is from day to day; and gaps in cover
    in the span that is asked for and in the next two weeks.
    """
    shown = await _read(_shown, settings, sight, first, days)
    response.headers["ETag"] = f'"{shown["version"]}"'
    return shown


@router.put(
    "/rota",
    tags=["on call"],
    response_model=models.RotaShown,
    responses={
        **problems(412, 413, 428, 503),
        422: {"model": models.BadRotaProblem, "description": "the rota cannot be used: every error, with its place"},
    },
)
async def put_rota(
    body: models.RotaEntries,
    request: Request,
    response: Response,
    sight: Seeing,
    settings: Settings,
    who: EditsRota,
    if_match: Annotated[str | None, Header(description="the `version` that was read, in quotes or not")] = None,
) -> Any:
    """Put the whole rota in its place. It is judged as a whole, and refused with every error; one that somebody else
    has changed meanwhile is refused too. The fleet takes it up within a second.
    """
    if if_match is None:
        raise Declined(428, "version_missing", "Say by If-Match which version of the rota is to be changed.")
    document = body.model_dump()
    for person in document["people"]:
        for method in person["methods"]:
            method.pop("to")
    version = if_match.strip().removeprefix("W/").strip('"')
    reception = request.app.state.reception
    told = partial(Told, reception.now_wall_s(), who.user, address_of(request), "change rota")
    try:
        changed = await _read(replace_rota, settings.site_dir, document, version)
    except ChangedMeanwhile:
        reception.tell(told(version, outcome="refused: changed meanwhile"))
        raise Declined(412, "changed", "Somebody else has changed the rota meanwhile: read it again first.") from None
    except BadRota as bad:
        errors = [{"place": place_of(text), "text": text} for text in bad.errors]
        reception.tell(told(version, outcome="refused: it cannot be used"))
        text = f"The rota cannot be used: {' '.join(bad.errors)}"
        raise Declined(422, "bad_rota", text, more={"errors": errors}) from None
    reception.tell(told(f"{version} to {changed.version}"))
    shown = await _read(_shown, settings, sight, None, DAYS)
    response.headers["ETag"] = f'"{shown["version"]}"'
    return shown


async def _read(act: Any, *given: Any) -> Any:
    """What touches the disk, off the loop.

    Raises:
        Declined: 503, it refuses.
    """
    try:
        return await asyncio.get_running_loop().run_in_executor(None, partial(act, *given))
    except OSError as error:
        raise Declined(
            503, "disk", f"The site's folder cannot be used: {error.strerror}. Nothing was changed."
        ) from error


def _shown(settings: WebSettings, sight: Sight, first: str | None, days: int) -> dict[str, Any]:
    now_s, zone = sight.walltime(), _zone(settings)
    found = stored(settings.site_dir)
    rota = None if found.rota is None else core_rota(found.rota, str(zone))
    from_s, until_s = _span(first, days, now_s, zone)
    return {
        "as_of": wall_words(now_s),
        "time_zone": str(zone),
        "version": found.version,
        "rota": None if found.rota is None else rota_row(found.rota, method_rows(settings.site_dir, found.rota)),
        "errors": [{"place": place_of(text), "text": text} for text in found.errors],
        "in_use": rota is not None and rota == sight.state.durable.rota,
        "quiet": rota is not None and is_quiet(rota, now_s, zone),
        **_ahead(rota, now_s, from_s, until_s, zone),
    }


def _ahead(rota: Rota | None, now_s: float, from_s: float, until_s: float, zone: ZoneInfo) -> dict[str, Any]:
    if rota is None:
        return {"rungs": [], "turns": [], "gaps": []}
    shown = [turn for rotation in rota.rotations.values() for turn in turns(rotation, from_s, until_s, zone)]
    # What is over is no gap any more: it is shown in the picture, and nobody can close it.
    ahead_s = max(until_s, now_s + GAPS_AHEAD_S)
    return {
        "rungs": rung_rows(rota, now_s, now_s + GAPS_AHEAD_S, zone),
        "turns": [turn_row(turn) for turn in shown],
        "gaps": [gap_row(gap) for gap in gaps(rota, now_s, ahead_s, zone)],
    }


def _span(first: str | None, days: int, now_s: float, zone: ZoneInfo) -> tuple[float, float]:
    """The days that are shown, as moments.

    Raises:
        Declined: 422, there is no such day.
    """
    begin = datetime.fromtimestamp(now_s, zone).date() if first is None else day("from", first)
    end = begin + timedelta(days=days)
    return datetime.combine(begin, time.min, zone).timestamp(), datetime.combine(end, time.min, zone).timestamp()


def _zone(settings: WebSettings) -> ZoneInfo:
    try:
        return ZoneInfo(load_registry(settings.site_dir).time_zone)
    except BadRegistry as bad:
        raise Declined(503, "registry", f"The site's list cannot be read: {bad}") from bad


@router.get("/people", tags=["on call"], response_model=models.People, responses=problems(503))
async def show_people(sight: Seeing, settings: Settings, _who: SeesRota) -> Any:
    """Everybody on the rota, each way to them, and when it was last proven by an answered test alarm."""
    found: Stored = await _read(stored, settings.site_dir)
    ways = {} if found.rota is None else await _read(method_rows, settings.site_dir, found.rota)
    rota = sight.state.durable.rota
    return {
        "as_of": wall_words(sight.walltime()),
        "proven_within_days": None if rota is None else rota.proven_within_days,
        "people": person_rows(sight.state, ways),
    }


@router.post(
    "/drills", tags=["on call"], status_code=202, response_model=models.DrillOrdered, responses=problems(409, 413, 503)
)
async def order_drill(body: models.DrillBody, settings: Settings, who: Drills) -> Any:
    """Send a test alarm, marked as one, by every way to everybody on the rota or to one person. Each way is proven by
    that person's answer.
    """
    person = {} if body.person is None else {"person": body.person}
    answer = await ask_fleet(settings, op="drill", issued_by=who.user, **person)
    return {"drill_id": answer["command_id"]}


@router.post(
    "/drills/answers", tags=["on call"], response_model=models.DrillAnswered, responses=problems(404, 409, 413, 503)
)
async def answer_drill(
    body: models.DrillAnswer,
    sight: Seeing,
    settings: Settings,
    who: AnswersDrill,
    wrong: Annotated[Rate, Depends(_wrong_codes)],
) -> Any:
    """A test alarm has arrived. The code that stands in it says by which way: whoever has not got the message does not
    know it. It is no secret, so wrong ones are counted: after ten, one a minute is looked at, right or wrong.
    """
    if (wait_s := ceil(wrong.wait_s(who.user))) > 0:
        text = f"Too many wrong codes: try again in {wait_s} s."
        raise Declined(429, "too_often", text, headers={"Retry-After": str(wait_s)})
    drills = sight.state.durable.drills
    found = [page_id for page_id in drills if page_id.startswith(body.code)]
    if not found:
        wrong.allows(who.user)
        raise Declined(404, "no_such_test", NO_SUCH_TEST)
    if len(found) > 1:
        raise Declined(409, "ambiguous", "Two test alarms begin with this code: answer by the link of the message.")
    drill = drills[found[0]]
    await ask_fleet(settings, op="drill_answered", page_id=found[0], issued_by=who.user)
    return {"person": drill.person, "method": drill.method}
