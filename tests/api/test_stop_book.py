"""What becomes of stops, as it is told: folded from the events that the core decides, in the fold's own order."""

from dataclasses import replace
from typing import Any

import pytest

from broker.contract.messages import Phase
from fleet.api.rows import stop_row
from fleet.api.stop_book import StopBook
from fleet.core.events import StopOrdered
from fleet.core.state import State
from tests.core.clinic import ONE, TWO, Clinic

ZERO: dict[str, Any] = {"phase": Phase.IDLE, "setting_ma": 0.0, "amplitude_ma": 0.1}


class Told:
    """A clinic with two stimulators, and the book as the web process keeps it."""

    def __init__(self) -> None:
        self.clinic = Clinic()
        self.clinic.ready()
        self.clinic.running("stim-7")
        self.book = StopBook()
        self.read_to = len(self.clinic.journal)

    def pushes(self, hold_id: str | None = None) -> str:
        """The site's stop is pushed; its command id."""
        before = len(self.clinic.journal)
        self.clinic.pushes_stop(None)
        ordered = [event for event in self.clinic.journal[before:] if isinstance(event, StopOrdered)]
        self.reads()
        command_id = ordered[0].stop.command_id
        self.clinic.sent(command_id, hold_id)
        return command_id

    def reads(self) -> None:
        for position, event in enumerate(self.clinic.journal[self.read_to :], self.read_to + 1):
            self.book.hear(position, event, self.clinic.state)
        self.read_to = len(self.clinic.journal)

    def row(self, command_id: str) -> dict[str, Any]:
        self.reads()
        recorded = self.book.get(command_id)
        assert recorded is not None
        return stop_row(recorded)


def standings(row: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {one["device"]: (one["standing"], one["unconfirmed"]) for one in row["devices"]}


def test_a_stop_of_the_site_that_is_sent_waits_for_zero_and_not_for_a_receipt() -> None:
    told = Told()
    site = told.pushes(ONE)
    sent = {one["device"]: (one["standing"], one["words"]) for one in told.row(site)["devices"]}
    assert sent["stim-7"] == ("sent", "sent; zero current is not measured yet")
    told = Told()
    told.clinic.pushes_stop("stim-7")
    told.reads()
    (own,) = [event.stop.command_id for event in told.clinic.journal if isinstance(event, StopOrdered)]
    assert told.row(own)["devices"][0]["words"] == "ordered; not sent yet"
    told.clinic.sent(own, ONE)
    assert told.row(own)["devices"][0]["words"] == "sent; not received yet"


@pytest.mark.parametrize("web_restarted", [False, True], ids=["read along", "web restarted between the two"])
def test_a_second_stop_of_the_site_is_not_confirmed_while_the_first_waits_for_a_device(*, web_restarted: bool) -> None:
    told = Told()
    first = told.pushes(ONE)
    told.clinic.shows("stim-12")  # zero; stim-7, which treats, says nothing more
    told.clinic.after(3.0)
    told.reads()
    if web_restarted:
        told.book = StopBook(from_position=told.read_to)
    second = told.pushes(TWO)
    told.clinic.shows("stim-12")
    shown = told.row(second)
    assert not shown["confirmed"]
    assert standings(shown)["stim-12"] == ("zero", False)
    assert standings(shown)["stim-7"][1], "unconfirmed: switch it off"
    assert {one["device"]: one["followed_by"] for one in shown["devices"]} == {"stim-12": second, "stim-7": first}

    told.clinic.shows("stim-7", **ZERO)  # its link is back: idle, zero
    told.reads()
    shown = told.row(second)
    assert shown["confirmed"]
    assert standings(shown) == {"stim-12": ("zero", False), "stim-7": ("zero", False)}


def test_what_a_forgotten_stop_waits_for_is_still_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many stops later the first one is not listed any more, and its device is still not at zero."""
    monkeypatch.setattr("fleet.api.stop_book.STOPS_KEPT", 1)
    told = Told()
    first = told.pushes(ONE)
    told.clinic.shows("stim-12")
    told.clinic.after(3.0)
    told.pushes(TWO)
    told.clinic.shows("stim-12")
    last = told.pushes(TWO)
    assert told.book.get(first) is None
    told.clinic.shows("stim-12")
    assert not told.row(last)["confirmed"]
    told.clinic.shows("stim-7", **ZERO)
    assert told.row(last)["confirmed"]


def test_a_stop_that_follows_nothing_is_confirmed_by_nothing() -> None:
    told = Told()
    told.pushes(ONE)
    ordered = next(event for event in told.clinic.journal if isinstance(event, StopOrdered))
    book = StopBook()
    book.hear(1, replace(ordered, targets=()), State())
    recorded = book.get(ordered.stop.command_id)
    assert recorded is not None
    assert not stop_row(recorded)["confirmed"]
