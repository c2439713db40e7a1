"""Routes against alarm fatigue: the figures of a period, and the alarms that one device has had."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from fleet.api.access import Permission, SignedIn
from fleet.api.answers import problems
from fleet.api.asked_ledger import Alarming
from fleet.api.asking import Reporting, Seeing
from fleet.api.guard import require
from fleet.api.models import Day, Priority, Time
from fleet.api.reports import Reports
from fleet.api.seeing import DeviceName, row_of
from fleet.api.weeks import CSV_TABLE, First, Last, days_asked, table
from fleet.api.window import wall_words
from fleet.reports.alarm_figures import DAYS_MAX, AlarmReport, Figures, alarm_report, alarm_sheet, history
from fleet.reports.alarm_ledger import AlarmLedger, Occurrence

router = APIRouter()
HISTORY_MAX = 200
SeesFigures = Annotated[SignedIn, require(Permission.SEE_USAGE)]
Code = Annotated[str, Field(examples=["A05"])]


class Waited(BaseModel):
    """Seconds until somebody had it, over those alarms that somebody did have."""

    n: int
    median_s: float | None
    p90_s: float | None


class AlarmFigures(BaseModel):
    """Of some alarms."""

    alarms: int
    high: int
    medium: int
    low: int
    info: int
    open: Annotated[int, Field(description="not over yet")]
    needed_nothing: Annotated[int, Field(description="over before anybody did anything about them")]
    answered: Annotated[Waited, Field(description="until the first act of a person on the alarm")]
    accepted: Annotated[Waited, Field(description="until somebody said that they see to it")]


class FiguresOfDay(AlarmFigures):
    """Of the alarms that were raised on a day."""

    day: Day


class FiguresOfCode(AlarmFigures):
    """Of the alarms of one code."""

    code: Code


class Condition(BaseModel):
    """One condition at one place: a device, else a room, else the site."""

    code: Code
    device: str | None
    room: str | None
    alarms: int
    needed_nothing: int
    lasted_s: Annotated[float, Field(description="all of them together")]


class AlarmReportShown(BaseModel):
    """The alarms of some days, both included."""

    model_config = ConfigDict(populate_by_name=True)

    first: Annotated[Day, Field(alias="from")]
    to: Day
    time_zone: str
    since: Annotated[Day | None, Field(description="from this day on the record is whole; null: there is none")]
    device_days: Annotated[int, Field(description="devices that there were, day by day")]
    per_device_day: float | None
    total: AlarmFigures
    days: list[FiguresOfDay]
    codes: list[FiguresOfCode]
    noisiest: Annotated[list[Condition], Field(description="at most ten")]


class PastAlarm(BaseModel):
    """One alarm that a device had, or was one of several in."""

    alarm_id: str
    code: Code
    priority: Annotated[Priority, Field(description="the gravest that it had")]
    device: str | None
    room: str | None
    members_n: int
    cause: Annotated[str | None, Field(description="what it was raised for")]
    since: Time
    cleared: Time | None
    answered_after_s: float | None
    accepted_after_s: float | None
    accepted_by: str | None
    acts: Annotated[int, Field(description="acknowledged, accepted, rejected, shelved, commented")]


class AlarmHistory(BaseModel):
    """The alarms of a device, newest first; `more`: how many older ones of the period are not shown."""

    model_config = ConfigDict(populate_by_name=True)

    device: str
    first: Annotated[Day, Field(alias="from")]
    to: Day
    since: Day | None
    more: int
    alarms: list[PastAlarm]


@router.get("/alarms/figures", tags=["alarms"], response_model=AlarmReportShown, responses=problems(503))
async def show_alarm_figures(
    reports: Reporting, alarming: Alarming, _who: SeesFigures, first: First = None, last: Last = None
) -> Any:
    """How many alarms there were, which, how soon somebody had them, how many needed nobody, and what was noisiest: of
    the last 30 days, or from one day to another.
    """
    report = await _report(reports, alarming, first, last)
    return {
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "time_zone": report.time_zone,
        "since": None if report.since is None else report.since.isoformat(),
        "device_days": report.device_days,
        "per_device_day": report.per_device_day,
        "total": asdict(report.total),
        "days": _rows("day", report.by_day),
        "codes": _rows("code", report.by_code),
        "noisiest": [asdict(row) for row in report.noisiest],
    }


@router.get("/alarms/figures.csv", tags=["alarms"], response_class=Response, responses={**problems(503), **CSV_TABLE})
async def show_alarm_figures_csv(
    reports: Reporting,
    alarming: Alarming,
    _who: SeesFigures,
    by: Literal["day", "code", "condition"] = "day",
    first: First = None,
    last: Last = None,
) -> Response:
    """The same for a spreadsheet: by day, by code, or the noisiest conditions."""
    return table(alarm_sheet(await _report(reports, alarming, first, last), by), f"alarms-by-{by}")


async def _report(reports: Reports, alarming: Alarming, first: str | None, last: str | None) -> AlarmReport:
    begin, end = days_asked(reports, first, last, DAYS_MAX)
    return await alarming.of_ledger(lambda ledger: alarm_report(ledger, begin, end))


def _rows(name: str, figures: dict[str, Figures]) -> list[dict[str, Any]]:
    return [{name: key, **asdict(one)} for key, one in figures.items()]


@router.get("/devices/{device}/alarms", tags=["alarms"], response_model=AlarmHistory, responses=problems(404, 503))
async def show_alarm_history(
    device: DeviceName,
    sight: Seeing,
    reports: Reporting,
    alarming: Alarming,
    _who: Annotated[SignedIn, require(Permission.SEE)],
    first: First = None,
    last: Last = None,
) -> Any:
    """The alarms that a device has had, newest first, with what became of each: of the last 30 days, or from one day to
    another. At most 200.
    """
    row_of(sight, device)
    begin, end = days_asked(reports, first, last, DAYS_MAX)

    def read(ledger: AlarmLedger) -> tuple[tuple[Occurrence, ...], date | None]:
        return history(ledger, device, begin, end), ledger.since_day

    found, since = await alarming.of_ledger(read)
    return {
        "device": device,
        "from": begin.isoformat(),
        "to": end.isoformat(),
        "since": None if since is None else since.isoformat(),
        "more": max(0, len(found) - HISTORY_MAX),
        "alarms": [_past_row(one) for one in found[:HISTORY_MAX]],
    }


def _past_row(one: Occurrence) -> dict[str, Any]:
    def after_s(wall_s: float | None) -> float | None:
        return None if wall_s is None else wall_s - one.raised_wall_s

    return {
        "alarm_id": one.alarm_id,
        "code": one.code.value,
        "priority": one.priority.value,
        "device": one.device,
        "room": one.room,
        "members_n": len(one.members),
        "cause": one.cause,
        "since": wall_words(one.raised_wall_s),
        "cleared": None if one.cleared_wall_s is None else wall_words(one.cleared_wall_s),
        "answered_after_s": after_s(one.answered_wall_s),
        "accepted_after_s": after_s(one.accepted_wall_s),
        "accepted_by": one.accepted_by,
        "acts": one.acts,
    }
