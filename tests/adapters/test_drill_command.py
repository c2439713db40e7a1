"""`stimfleet rota drill` and `answer`, as people type them beside a running fleet."""

import argparse
import asyncio
from pathlib import Path

import pytest

from fleet.commandline import add_commands
from fleet.words.pages import ANSWER_CHARS, answer_words
from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import fleet_running
from tests.adapters.test_service_alarms import IN_USE, rows, writes_rota


async def run(data_dir: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="stimfleet")
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["rota", *words, "--data-dir", str(data_dir)])
    status: int = await asyncio.to_thread(args.run, args)
    return status


async def test_a_test_alarm_is_ordered_and_answered_by_the_code_of_its_message(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    writes_rota(clinic, IN_USE)
    async with fleet_running(clinic):
        await eventually(lambda: len(rows(clinic, "RotaAdopted")) == 1)
        assert await run(clinic.data_dir, "drill", "--person", "anna") == 0
        assert "Ordered." in capsys.readouterr().out
        await eventually(lambda: len(rows(clinic, "PageDue")) == 2)
        page = next(page for page in rows(clinic, "PageDue") if page["method"] == "phone")
        said = answer_words(page["page_id"])
        code = said.rpartition(" ")[2]
        assert (len(code), said.partition(": ")[2]) == (ANSWER_CHARS, f"stimfleet rota answer {code}")
        assert await run(clinic.data_dir, "answer", code) == 0
        assert capsys.readouterr().out == "Answered: phone reaches anna.\n"
        (proven,) = rows(clinic, "ChannelProven")
        assert (proven["page_id"], proven["person"], proven["method"]) == (page["page_id"], "anna", "phone")
        # Once is enough, and nothing else proves anything.
        assert await run(clinic.data_dir, "answer", code) == 1
        assert "That test is over" in capsys.readouterr().err
        assert await run(clinic.data_dir, "answer", "0" * 8) == 1
        assert "No test alarm has the code" in capsys.readouterr().err
        assert await run(clinic.data_dir, "answer", "xyz") == 1
        assert "A code is the 8 or more" in capsys.readouterr().err
        assert await run(clinic.data_dir, "drill", "--person", "nobody") == 1
        assert "Refused, for 1 reason:" in capsys.readouterr().err
        assert len(rows(clinic, "ChannelProven")) == 1
