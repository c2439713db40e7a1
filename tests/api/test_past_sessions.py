"""Sessions that the fleet's state has forgotten, over HTTP: listed page by page and shown, from the journal on disk."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from broker.pki.opening import OpeningHours
from fleet.adapters.journal.writer import Journal
from fleet.api import sessions
from fleet.api.access import Role
from fleet.api.reports import Reports
from fleet.api.sight import Sight
from fleet.api.window import Window
from fleet.core.fold_sessions import SESSIONS_KEPT
from fleet.core.state import Session
from fleet.replica import Replica
from fleet.reports import session_ledger
from fleet.stored import FOLD
from tests.api.desk import Front
from tests.core.practice import Practice


@pytest.fixture(scope="module")
def year() -> tuple[Practice, list[Session]]:
    """A clinic, and its sessions as the fleet's state had them when each was over, newest first."""
    clinic = Practice()
    clinic.at("2026-12-01 09:00")
    over = []
    for n in range(SESSIONS_KEPT + 44):
        session_id = clinic.treats(f"client-{n % 50:04}", on_time_s=100.0 + n)
        over.append(clinic.state.durable.sessions[session_id])
        clinic.days_later(0.5)
    return clinic, over[::-1]


@asynccontextmanager
async def front(folder: Path, clinic: Practice, role: Role) -> AsyncIterator[httpx.AsyncClient]:
    """A machine of that role at the routes, with a replica that has read the journal in `folder`."""
    journal = Journal(folder / "journal.db", FOLD, lambda _error: None)
    await journal.append("2026-12-01T09:00:00.000Z", clinic.journal)
    journal.close()
    replica = Replica.from_snapshot(folder / "journal.db")
    nobody: Any = None  # the history store is not asked
    hours, zone = OpeningHours.of({}), ZoneInfo("UTC")
    reports = Reports(folder / "journal.db", folder / "usage.json", nobody, hours, zone, lambda: clinic.wall_s)
    sight = Sight("clinic", False, lambda: clinic.now_s, lambda: clinic.wall_s, Window(1), replica=replica)
    desk = Front(folder)
    desk.app.include_router(sessions.router, prefix="/api/v1")
    desk.app.state.sight, desk.app.state.reports = sight, reports
    try:
        async with desk.machine(desk.token(role)) as machine:
            yield machine
    finally:
        for end in reports.at_end:
            end()
        replica.close()
        desk.store.close()


async def test_every_page_is_there_back_to_the_first_session(
    year: tuple[Practice, list[Session]], tmp_path: Path
) -> None:
    clinic, made = year
    async with front(tmp_path, clinic, Role.THERAPIST) as machine:
        found, asked = [], "/api/v1/sessions?limit=60"
        while True:
            page = (await machine.get(asked)).raise_for_status().json()
            found += page["sessions"]
            if page["next"] is None:
                break
            asked = f"/api/v1/sessions?limit=60&before={page['next']}"
        assert [(row["session_id"], row["client"], row["state"]) for row in found] == [
            (one.session_id, one.client, "completed") for one in made
        ]
        of_one = (await machine.get("/api/v1/sessions?client=client-0003&limit=200")).json()
        older = (await machine.get(f"/api/v1/sessions?client=client-0003&before={of_one['next']}")).json()
        assert [row["session_id"] for row in of_one["sessions"] + older["sessions"]] == [
            one.session_id for one in made if one.client == "client-0003"
        ]
    assert (tmp_path / "sessions.json").exists(), "what was counted is kept"


async def test_one_that_the_state_has_forgotten_is_shown_as_it_was(
    year: tuple[Practice, list[Session]], tmp_path: Path
) -> None:
    clinic, made = year
    first = made[-1]
    assert first.session_id not in clinic.state.durable.sessions
    async with front(tmp_path, clinic, Role.VIEWER) as machine:
        shown = (await machine.get(f"/api/v1/sessions/{first.session_id}")).raise_for_status().json()
        assert (shown["state"], shown["cause"], shown["authorised_at"]) == (
            "completed",
            "completed",
            first.authorisation.issued_at,
        )
        assert first.ended is not None
        assert shown["ended"]["on_time_s"] == first.ended.on_time_s == 100.0
        assert shown["plan"]["duration_s"] == first.plan.duration_s
        assert shown["limits"]["peak_ma_max"]["value"] == first.authorisation.limits.peak_ma_max.value
        assert (shown["client"], shown["operator"]) == (None, None), "a viewer sees no client here either"
        nobody = await machine.get(f"/api/v1/sessions/{'0' * 32}")
        assert (nobody.status_code, nobody.json()["error"]) == (404, "unknown_session")
        (tmp_path / "journal.db").rename(tmp_path / "elsewhere.db")
        away = await machine.get(f"/api/v1/sessions/{made[-2].session_id}")
        assert away.status_code == 503
        assert (await machine.get("/api/v1/sessions")).status_code == 200, "the newest wait for no disk"


async def test_a_forgotten_one_takes_one_place_of_the_reports_at_each_look(
    year: tuple[Practice, list[Session]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, made = year
    taken: list[str] = []
    apart = Reports.apart

    async def counted(reports: Reports, make: Callable[[], Any]) -> Any:
        taken.append("one")
        return await apart(reports, make)

    monkeypatch.setattr(Reports, "apart", counted)
    async with front(tmp_path, clinic, Role.VIEWER) as machine:
        path = f"/api/v1/sessions/{made[-1].session_id}"
        (await machine.get(path)).raise_for_status()  # counts the journal
        taken.clear()
        (await machine.get(path)).raise_for_status()
        assert taken == ["one"]


async def test_where_the_list_is_full_an_older_session_is_not_called_unknown(
    year: tuple[Practice, list[Session]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, made = year
    monkeypatch.setattr(session_ledger, "KEPT_MAX", len(made) - 10)
    async with front(tmp_path, clinic, Role.VIEWER) as machine:
        older = await machine.get(f"/api/v1/sessions/{made[-1].session_id}")
        assert older.status_code == 404
        assert older.json()["text"] == (
            f"Session {made[-1].session_id} is not among the newest 290: if it is older, its record is in the journal."
        )
        assert (await machine.get(f"/api/v1/sessions/{made[289].session_id}")).status_code == 200
