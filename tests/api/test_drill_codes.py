"""The codes of test alarms cannot be tried out: wrong ones are limited, user by user, and stand in the audit."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from fleet.adapters.journal.writer import Journal
from fleet.api import rota
from fleet.api.access import Role
from fleet.api.settings import WebSettings
from fleet.api.sight import Sight
from fleet.api.window import Window
from fleet.replica import Replica
from fleet.stored import FOLD
from tests.api.desk import Browser, Front, running, until
from tests.core.on_call import OnCall


@asynccontextmanager
async def front(folder: Path) -> AsyncIterator[tuple[Front, str]]:
    """The routes of the rota, with a test alarm to Ben under way; and its code. No fleet is there to be asked."""
    clinic = OnCall()
    clinic.drills("ben")
    (page_id,) = clinic.state.durable.drills
    journal = Journal(folder / "journal.db", FOLD, lambda _error: None)
    await journal.append("2026-11-26T09:00:00.000Z", clinic.journal)
    journal.close()
    replica = Replica.from_snapshot(folder / "journal.db")
    desk = Front(folder)
    state = desk.app.state
    state.sight = Sight("clinic", False, desk.wall, desk.wall, Window(1), replica=replica)
    state.settings, state.wrong_codes = WebSettings(data_dir=folder, site_dir=folder), rota.wrong_codes(desk.wall)
    desk.app.include_router(rota.router, prefix="/api/v1")
    for user in ("ben", "anna"):
        desk.user(user, Role.MANAGER)
    try:
        yield desk, page_id[:8]
    finally:
        replica.close()
        desk.store.close()


async def types(who: Browser, code: str) -> httpx.Response:
    return await who.sends("POST", "/drills/answers", {"code": code})


async def test_after_ten_wrong_codes_even_the_right_one_waits_and_nobody_else_does(tmp_path: Path) -> None:
    async with front(tmp_path) as (desk, right):
        guesses, other = desk.browser(), desk.browser("192.0.2.8")
        assert (await guesses.signs_in("anna")).status_code == 200
        assert (await other.signs_in("ben")).status_code == 200
        wrong = [f"{n:08x}" for n in range(20) if not right.startswith(f"{n:08x}")]
        assert [(await types(guesses, code)).status_code for code in wrong[:10]] == [404] * 10
        late = await types(guesses, right)
        assert (late.status_code, late.json()["error"], late.headers["retry-after"]) == (429, "too_often", "60")
        assert late.json()["text"] == "Too many wrong codes: try again in 60 s."
        assert (await types(other, right)).json()["error"] == "fleet_absent", "whoever guessed nothing is heard"
        desk.wall.after(45.0)
        assert (await types(guesses, right)).headers["retry-after"] == "15", "what is refused does not count"
        desk.wall.after(15.0)
        assert (await types(guesses, wrong[10])).status_code == 404
        assert (await types(guesses, right)).status_code == 429, "one a minute"
        desk.wall.after(60.0)
        assert (await types(guesses, right)).json()["error"] == "fleet_absent", "it is looked at again"
        assert (await types(guesses, right)).json()["error"] == "fleet_absent", "a right one does not count"

        def told() -> Counter[tuple[str, str]]:
            rows = [row for row in desk.audit() if row.what == "POST /api/v1/drills/answers"]
            return Counter((row.who, row.outcome) for row in rows)

        all_of_it = {("anna", "404"): 11, ("anna", "429"): 3, ("anna", "503"): 2, ("ben", "503"): 1}
        async with running(desk.reception):
            await until(lambda: told() == all_of_it)
