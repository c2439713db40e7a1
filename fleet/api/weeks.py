"""Routes about weeks: usage, the health of devices, the record of a session; as JSON, and as CSV for a spreadsheet.

Everything is made in the thread of the reports. CSV is `reports.sheets`': no cell of text is a formula.
"""

import json
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from fleet.adapters.history.port import HistoryError
from fleet.adapters.journal.errors import JournalError
from fleet.api import report_models as models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asking import Reporting, Seeing, Settings
from fleet.api.guard import require
from fleet.api.moments import day
from fleet.api.reports import Reports
from fleet.api.seeing import DeviceName, row_of
from fleet.api.sessions import SessionId
from fleet.api.settings import WebSettings
from fleet.core.tallies import By
from fleet.reports.day_samples import day_samples
from fleet.reports.health import HealthRow, health_sheet
from fleet.reports.journal_record import read_record
from fleet.reports.record import NoSuchSession, SessionRecord, record_sheet
from fleet.reports.sheets import BOM, said_until
from fleet.reports.usage import DAYS_MAX, UsageReport, usage_report, usage_sheet
from fleet.words.events import event_words

router = APIRouter()
USUAL_DAYS = 30
HEALTH_DAYS_MAX = 370
CSV_TYPE = "text/csv"
CSV_TABLE: dict[int | str, dict[str, Any]] = {200: {"description": "a table", "content": {CSV_TYPE: {"schema": {}}}}}
# `date` itself would also take numbers.
First = Annotated[str | None, Query(alias="from", pattern=r"^\d{4}-\d{2}-\d{2}$", description="the first day")]
Last = Annotated[str | None, Query(alias="to", pattern=r"^\d{4}-\d{2}-\d{2}$", description="the last day, included")]
SeesUsage = Annotated[SignedIn, require(Permission.SEE_USAGE)]
SeesRecords = Annotated[SignedIn, require(Permission.SEE_RECORDS)]


# --- usage ----------------------------------------------------------------------------------------------------------


@router.get("/usage", tags=["reports"], response_model=models.Usage, responses=problems(503))
async def show_usage(
    reports: Reporting, _who: SeesUsage, by: By = By.DAY, first: First = None, last: Last = None
) -> Any:
    """What was done, added up by day, room, device or the cause that sessions ended by: the last 30 days, or from one
    day to another. Seconds of devices' own records and of the fleet's own timer have columns of their own.
    """
    report = await _usage(reports, by, first, last)
    return {
        "by": report.by.value,
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "time_zone": report.time_zone,
        "simulated_until": said_until(report.simulated_until),
        "rows": [{by.value: row.key, **asdict(row)} for row in report.rows],
        "total": asdict(report.total),
    }


@router.get("/usage.csv", tags=["reports"], response_class=Response, responses={**problems(503), **CSV_TABLE})
async def show_usage_csv(
    reports: Reporting, _who: SeesUsage, by: By = By.DAY, first: First = None, last: Last = None
) -> Response:
    """The same for a spreadsheet, without the total."""
    return table(usage_sheet(await _usage(reports, by, first, last)), f"usage-by-{by}")


async def _usage(reports: Reports, by: By, first: str | None, last: str | None) -> UsageReport:
    begin, end = days_asked(reports, first, last, DAYS_MAX)
    return await reports.of_ledger(lambda ledger: usage_report(ledger, by, begin, end, reports.opening_hours))


def days_asked(reports: Reports, first: str | None, last: str | None, days_max: int) -> tuple[date, date]:
    """The range that was asked for.

    Raises:
        Declined: 422, there is none, or it is too long.
    """
    end = reports.today() if last is None else day("to", last)
    begin = end - timedelta(days=USUAL_DAYS - 1) if first is None else day("from", first)
    if not 0 <= (end - begin).days < days_max:
        raise Declined(422, "invalid", f"The request's from and to: from before to, and {days_max} days at most.")
    return begin, end


def table(text: str, name: str) -> Response:
    """CSV as a file to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response((BOM + text).encode(), media_type=CSV_TYPE, headers=headers)


# --- health ---------------------------------------------------------------------------------------------------------


@router.get("/devices/{device}/health", tags=["reports"], response_model=models.Health, responses=problems(404, 503))
async def show_health(
    device: DeviceName, sight: Seeing, reports: Reporting, _who: SeesUsage, first: First = None, last: Last = None
) -> Any:
    """A device day by day: battery, impedance and its drift, faults by kind, reconnects, lease margin, what is missing
    of its samples and of its record; and what is due.
    """
    due = row_of(sight, device)["due"]
    rows, begin, end, note = await _health(reports, device, first, last)
    return {
        "device": device,
        "from": begin.isoformat(),
        "to": end.isoformat(),
        "simulated_until": said_until(await _simulated_until(reports)),
        "rows": [_health_row(row) for row in rows],
        "due": due,
        "note": note,
    }


@router.get(
    "/devices/{device}/health.csv",
    tags=["reports"],
    response_class=Response,
    responses={**problems(404, 503), **CSV_TABLE},
)
async def show_health_csv(
    device: DeviceName, sight: Seeing, reports: Reporting, _who: SeesUsage, first: First = None, last: Last = None
) -> Response:
    """The same for a spreadsheet."""
    row_of(sight, device)
    rows, _, _, _ = await _health(reports, device, first, last)
    return table(health_sheet(rows, await _simulated_until(reports)), f"health-{device}")


async def _health(
    reports: Reports, device: str, first: str | None, last: str | None
) -> tuple[tuple[HealthRow, ...], date, date, str | None]:
    begin, end = days_asked(reports, first, last, HEALTH_DAYS_MAX)
    note = None
    try:
        async with reports.in_turn():
            samples = await day_samples(reports.history, [device], begin, end, reports.zone)
    except HistoryError as error:
        samples, note = {}, f"The history cannot be read: battery and lease margin are missing. {error}"
    rows = await reports.of_ledger(lambda ledger: ledger.health(begin, end, samples))
    return tuple(row for row in rows if row.device == device), begin, end, note


async def _simulated_until(reports: Reports) -> date | None:
    return await reports.of_ledger(lambda ledger: ledger.simulated_until)


def _health_row(row: HealthRow) -> dict[str, Any]:
    drift = row.impedance_drift
    return {
        **asdict(row),
        "day": row.day.isoformat(),
        "impedance_drift_pct": None if drift is None else drift * 100.0,
        "gaps": row.samples_missed,
    }


# --- the record of a session ----------------------------------------------------------------------------------------


@router.get(
    "/sessions/{session_id}/record", tags=["sessions"], response_model=models.Record, responses=problems(404, 503)
)
async def show_record(session_id: SessionId, reports: Reporting, settings: Settings, _who: SeesRecords) -> Any:
    """Everything that the journal has of a session, with both clocks, the journal's positions and hashes."""
    record = await _record(reports, settings, session_id)

    def told() -> dict[str, Any]:
        def row(entry: Any) -> dict[str, Any]:
            body = json.loads(entry.body)
            return {**asdict(entry), "body": body, "words": event_words(entry.name, body)}

        whole = asdict(record)
        del whole["entries"]
        return {**whole, "plan": asdict(record.plan), "events": [row(entry) for entry in record.entries]}

    return await reports.apart(told)


@router.get(
    "/sessions/{session_id}/record.csv",
    tags=["sessions"],
    response_class=Response,
    responses={**problems(404, 503), **CSV_TABLE},
)
async def show_record_csv(session_id: SessionId, reports: Reporting, settings: Settings, _who: SeesRecords) -> Response:
    """The same for a spreadsheet: an event a line."""
    return table(record_sheet(await _record(reports, settings, session_id)), f"session-{session_id}")


async def _record(reports: Reports, settings: WebSettings, session_id: str) -> SessionRecord:
    try:
        return await reports.apart(lambda: read_record(settings.journal_path, session_id))
    except (NoSuchSession, FileNotFoundError):
        raise Declined(404, "unknown_session", f"The journal has no session {session_id}.") from None
    except JournalError as error:
        raise Declined(503, "journal", f"The journal cannot be read: {error}.") from error
