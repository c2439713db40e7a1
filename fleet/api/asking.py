"""What a route has at hand, and how the fleet's answers become HTTP answers."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from fleet.api.answers import Declined
from fleet.api.control import Document, FleetAbsent, StopLine, ask
from fleet.api.reports import Reports
from fleet.api.settings import WebSettings
from fleet.api.sight import Sight
from fleet.words.events import refusal_words

USE_THE_BUTTON = "The fleet service cannot be reached: use the button on the stimulator."
CANNOT = "The fleet service cannot be reached: nothing was changed."
# By the control socket's word: what it is in HTTP.
_STATUS = {
    "refused": 409,
    "unknown_session": 404,
    "unknown_room": 404,
    "unknown_alarm": 404,
    "bad_request": 422,
}


def _sight(request: Request) -> Sight:
    sight: Sight = request.app.state.sight
    return sight


def _settings(request: Request) -> WebSettings:
    settings: WebSettings = request.app.state.settings
    return settings


def _stop_line(request: Request) -> StopLine:
    line: StopLine = request.app.state.stop_line
    return line


# Dependencies that wait for nothing are coroutines all the same: FastAPI would put a plain function into a thread.
async def _sight_of(request: Request) -> Sight:
    return _sight(request)


async def _settings_of(request: Request) -> WebSettings:
    return _settings(request)


async def _stop_line_of(request: Request) -> StopLine:
    return _stop_line(request)


async def _reports_of(request: Request) -> Reports:
    reports: Reports = request.app.state.reports
    return reports


Reporting = Annotated[Reports, Depends(_reports_of)]
Seeing = Annotated[Sight, Depends(_sight_of)]
Settings = Annotated[WebSettings, Depends(_settings_of)]
Stopping = Annotated[StopLine, Depends(_stop_line_of)]


async def ask_fleet(settings: WebSettings, **request: Any) -> Document:
    """What the fleet says to a request that it takes.

    Raises:
        Declined: it refuses (409, with every reason), knows no such thing (404), or cannot at the moment (503).
    """
    try:
        answer = await ask(settings.control_path, request)
    except FleetAbsent:
        raise Declined(503, "fleet_absent", CANNOT) from None
    return accepted(answer)


async def ask_stop(line: StopLine, **request: Any) -> Document:
    """The same for a stop: on its own line, and what cannot be done says what else to do.

    Raises:
        Declined
    """
    try:
        answer = await line.ask({"op": "stop", **request})
    except FleetAbsent:
        raise Declined(503, "fleet_absent", USE_THE_BUTTON) from None
    if not answer["ok"] and answer["error"] not in _STATUS:
        raise Declined(503, answer["error"], f"{answer['text'].rstrip('.')}: use the button on the stimulator.")
    return accepted(answer)


def accepted(answer: Document) -> Document:
    """The answer, where it is none of a refusal.

    Raises:
        Declined
    """
    if answer["ok"]:
        return answer
    status = _STATUS.get(answer["error"], 503)
    more = {}
    if answer["error"] == "refused":
        more["refusals"] = [with_words(refusal) for refusal in answer["refusals"]]
    raise Declined(status, answer["error"], _sentence(answer, more), more=more)


def with_words(refusal: Mapping[str, Any]) -> Document:
    """One refusal, also in words."""
    return {**refusal, "words": refusal_words(refusal)}


def _sentence(answer: Document, more: Document) -> str:
    if "refusals" not in more:
        return str(answer["text"])
    count, words = len(more["refusals"]), "; ".join(one["words"] for one in more["refusals"])
    return f"Refused, for {count} reason{'' if count == 1 else 's'}: {words}."
