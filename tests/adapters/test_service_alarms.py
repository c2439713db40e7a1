"""The running service and the people who are told: the rota of its site, and orders that outlive its death."""

import asyncio
import json
import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import Fleet, fleet_running, live
from tests.rota.test_file import ROTA

ALWAYS = {**ROTA["rotations"][0], "people": ["anna"], "first_day": "2020-01-06", "last_day": None, "overrides": []}
IN_USE = {**ROTA, "rotations": [ALWAYS]}


def rows(clinic: Clinic, *names: str) -> list[dict[str, Any]]:
    """The bodies of the journal's rows of these names, as any tool would read them."""
    with closing(sqlite3.connect(clinic.data_dir / "journal.db")) as database:
        marks = ", ".join("?" for _ in names)
        query = f"SELECT body FROM event WHERE name IN ({marks}) ORDER BY position"  # noqa: S608
        found = database.execute(query, names)
        return [json.loads(body) for (body,) in found]


def writes_rota(clinic: Clinic, rota: Any) -> None:
    (clinic.site_dir / "rota.json").write_text(rota if isinstance(rota, str) else json.dumps(rota))


async def output_stuck(fleet: Fleet, clinic: Clinic) -> list[dict[str, Any]]:
    """A session is stopped, and its device goes on putting out current: A01, and everybody is told."""
    async with live(clinic, "stim-01") as device:
        await fleet.session(device)
        assert (await fleet.ask(op="stop", device="stim-01", issued_by="anna"))["ok"]
        await eventually(lambda: len(rows(clinic, "PageDue")) >= 2)
    return rows(clinic, "PageDue")


async def test_a_rota_is_taken_up_while_the_service_runs_and_one_that_cannot_be_used_changes_nothing(
    clinic: Clinic,
) -> None:
    async with fleet_running(clinic) as fleet:
        assert rows(clinic, "RotaAdopted") == []
        writes_rota(clinic, IN_USE)
        await eventually(lambda: len(rows(clinic, "RotaAdopted")) == 1)
        (adopted,) = rows(clinic, "RotaAdopted")
        assert adopted["rota"]["people"]["anna"]["name"] == "Anna"
        assert "anna-phone" not in json.dumps(adopted)
        writes_rota(clinic, "{ half a ro")
        await eventually(lambda: "the rota stays as it was" in fleet.log())
        answer = await fleet.ask(op="drill", issued_by="ada", person="anna")
        assert answer["ok"], "it still knows whom to tell"
        (clinic.site_dir / "rota.json").unlink()
        await eventually(lambda: len(rows(clinic, "RotaAdopted")) == 2)
        refused = await fleet.ask(op="drill", issued_by="ada")
        assert [refusal["rule"] for refusal in refused["refusals"]] == ["no_rota"]


async def test_a_bad_rota_keeps_nobody_from_treating(clinic: Clinic) -> None:
    writes_rota(clinic, '{"people": 7}')
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as device:
        await fleet.session(device)
        assert "the rota stays as it was: The rota " in fleet.log()


async def test_everybody_is_told_of_an_output_that_is_not_zero_and_one_accepts(clinic: Clinic) -> None:
    writes_rota(clinic, IN_USE)
    async with fleet_running(clinic) as fleet:
        pages = await output_stuck(fleet, clinic)
        assert sorted((page["person"], page["method"], page["rung"]) for page in pages) == [
            ("anna", "phone", 1),
            ("ben", "hook", 1),
        ]
        assert {(page["code"], page["device"], page["room"], page["act"]) for page in pages} == {
            ("A01", "stim-01", "room-1", "trigger")
        }
        assert (await fleet.ask(op="page_delivered", page_id=pages[0]["page_id"]))["ok"]
        shown = (await fleet.ask(op="alarms"))["alarms"][0]
        assert (shown["code"], shown["responsibility"]) == ("A01", "delivered")
        assert (await fleet.ask(op="alarm_accept", alarm_id=shown["alarm_id"], issued_by="ben"))["ok"]
        shown = (await fleet.ask(op="alarms"))["alarms"][0]
        assert (shown["signal"], shown["responsibility"], shown["by"]) == ("acknowledged", "accepted", "ben")
        assert shown["silent_until"] > shown["since"]
        until = "2026-11-25T16:00:00Z"
        refused = await fleet.ask(
            op="alarm_shelve", alarm_id=shown["alarm_id"], issued_by="ben", reason="noise", until=until
        )
        assert [refusal["rule"] for refusal in refused["refusals"]] == ["alarm_never_shelved"]


async def test_an_order_outlives_the_fleet_that_gave_it_and_is_given_once(clinic: Clinic) -> None:
    """Killed between the raise and the delivery: whoever delivers finds the order in the journal, and finds one."""
    writes_rota(clinic, IN_USE)
    async with fleet_running(clinic) as fleet:
        pages = await output_stuck(fleet, clinic)
        before = fleet.worker
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while fleet.worker in (0, before):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # polls another process
        await fleet.answers()
        found = [page for page in rows(clinic, "PageDue") if page["rung"] == 1 and page["code"] == "A01"]
        assert found == pages
        assert len({page["page_id"] for page in rows(clinic, "PageDue")}) == len(rows(clinic, "PageDue"))
        # Its outcome is taken by the one that leads now, once.
        answer = await fleet.ask(op="page_failed", page_id=pages[0]["page_id"], why="unreachable")
        assert answer["ok"]
        again = await fleet.ask(op="page_failed", page_id=pages[0]["page_id"], why="unreachable")
        assert [refusal["rule"] for refusal in again["refusals"]] == ["page_unknown"]
