"""`users.db` on the disk: private, shared with the command line, and what happens where it cannot be used."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from fleet.api.access import Role
from fleet.api.people import Told, Unusable
from fleet.api.store import Store
from tests.api.desk import NOON_WALL_S, Front, running, until

TOLD = Told(NOON_WALL_S, "somebody", "command line", "change user")


def test_what_was_readable_by_others_is_so_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.touch(0o644)
    path.chmod(0o644)
    store = Store(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_what_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_bytes(b"this is no database, but a text that is long enough to be looked at as one" * 20)
    with pytest.raises(Unusable, match=r"users.db cannot be used: file is not a database. Put it aside"):
        Store(path)
    with pytest.raises(Unusable, match="cannot be made: No such file or directory"):
        Store(tmp_path / "nowhere" / "users.db")


def test_what_a_newer_program_wrote_is_left_to_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "users.db")) as newer:
        newer.execute("PRAGMA user_version = 2")
    with pytest.raises(Unusable, match="is of a newer program"):
        Store(tmp_path / "users.db")


async def test_what_the_command_line_changes_is_noticed_within_a_second(front: Front) -> None:
    front.user("root", Role.ADMIN)
    front.user("anna", Role.MANAGER)
    anna = front.browser()
    await anna.signs_in("anna")
    other = Store(front.folder / "users.db")
    async with running(front.reception):
        assert (await anna.get("/me")).status_code == 200
        other.change_user("anna", TOLD, disabled=True)
        await until(lambda: front.reception.by_cookie(anna.cookie or "") is None, within_s=1.0)
        assert (await anna.get("/me")).status_code == 401
        other.change_user("anna", TOLD, disabled=False)
        await until(lambda: not front.reception._kept.users["anna"].disabled)
        assert (await anna.get("/me")).status_code == 401, "the session does not come back"
    other.close()


async def test_who_is_signed_in_may_stop_while_the_store_cannot_be_used(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    locked = sqlite3.connect(front.folder / "users.db", isolation_level=None)
    locked.execute("DROP TABLE audit")
    async with running(front.reception):
        assert (await browser.stops()).status_code == 202
        await until(lambda: "Who is signed in stays so" in caplog.text)
        assert (await browser.stops()).status_code == 202
        assert (await front.browser().signs_in("anna")).status_code == 503
    assert caplog.text.count("Who is signed in stays so") == 1, "told once in a row"
    locked.close()


async def test_a_stop_does_not_wait_for_a_store_that_somebody_holds(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    held = sqlite3.connect(front.folder / "users.db", isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    async with running(front.reception):
        other = asyncio.ensure_future(front.browser().signs_in("anna"))
        for _ in range(20):
            assert (await browser.stops()).status_code == 202
        assert not other.done(), "it waits for the disk"
        held.execute("ROLLBACK")
        assert (await other).status_code == 200
    held.close()
    assert [told.what for told in front.audit()].count("POST /api/v1/stops") == 20, "nothing of it is lost"
