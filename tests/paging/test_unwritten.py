"""While the journal cannot be written, the pager itself calls people: seldom, truly, and until it is over."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.processes import await_that
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.core.attention_state import Act
from fleet.paging.unwritten import Came, Spell, Unwritten, Way
from fleet.words.pages import Surroundings
from tests.hanging import SYNCS, hanging
from tests.paging.house import KEY, House, rota, webhook
from tests.paging.receivers import HttpReceiver, Posted
from tests.paging.test_heartbeat import beating, until
from tests.paging.test_outcomes import Fleet

WORDS = "HIGH Site: the journal cannot be written, new alarms do not reach this phone. Be beside whoever is treated."
OVER = "OVER HIGH Site: the journal is written again, new alarms reach this phone. What was raised meanwhile follows."
REFUSES, WRITES, GONE = True, False, None


def told(spell: Spell, *said: tuple[bool | None, int], taken: bool = True) -> list[tuple[int, Act]]:
    """What is said to people, and in which second, while the fleet says this for so many seconds each."""
    heard: list[tuple[int, Act]] = []
    at_s = 0
    for refusing, seconds in said:
        for _ in range(seconds):
            act = spell.heard(refusing, float(at_s))
            if act is not None:
                heard.append((at_s, act))
                spell.taken = taken
            at_s += 1
    return heard


# --- when -------------------------------------------------------------------------------------------------------------


def test_people_are_called_after_5_s_every_10_min_while_it_lasts_and_told_when_it_is_over() -> None:
    assert told(Spell(), (WRITES, 10), (REFUSES, 1300), (WRITES, 600)) == [
        (15, Act.TRIGGER),
        (615, Act.TRIGGER),
        (1215, Act.TRIGGER),
        (1330, Act.RESOLVE),
    ]


def test_refused_for_a_moment_calls_nobody() -> None:
    assert told(Spell(), *[(REFUSES, 5), (WRITES, 1)] * 100) == []


@pytest.mark.parametrize("away_s", [1, 3, 60, 7_200])
def test_a_fleet_that_is_gone_calls_nobody(away_s: int) -> None:
    assert told(Spell(), (WRITES, 5), (GONE, away_s), (WRITES, 5)) == []
    assert told(Spell(), (REFUSES, 4), (GONE, away_s), (WRITES, 5)) == []


def test_an_answer_that_is_missed_neither_begins_a_refusal_nor_ends_one() -> None:
    assert told(Spell(), (REFUSES, 3), (GONE, 4), (REFUSES, 1)) == [(7, Act.TRIGGER)]
    assert told(Spell(), (GONE, 9), (REFUSES, 5)) == []
    assert told(Spell(), (REFUSES, 4), (GONE, 600)) == [], "it is called for what is said, not for silence"


def test_what_a_fleet_that_was_away_for_long_said_before_is_forgotten() -> None:
    assert told(Spell(), *[(REFUSES, 4), (GONE, 11)] * 20) == []


def test_a_fleet_that_is_gone_after_it_has_refused_ends_nothing() -> None:
    """Started again on the same disk it may never answer: people are called on."""
    assert told(Spell(), (REFUSES, 10), (GONE, 600)) == [(5, Act.TRIGGER), (605, Act.TRIGGER)]


def test_written_for_a_moment_is_not_over() -> None:
    said = told(Spell(), (REFUSES, 10), *[(WRITES, 19), (REFUSES, 1)] * 10, (WRITES, 15), (GONE, 1), (WRITES, 15))
    assert said == [(5, Act.TRIGGER)]


def test_a_call_that_nobodys_channel_took_is_made_again_after_a_minute() -> None:
    assert told(Spell(), (REFUSES, 130), taken=False) == [(5, Act.TRIGGER), (65, Act.TRIGGER), (125, Act.TRIGGER)]


def test_the_next_refusal_is_another_one() -> None:
    again = told(Spell(), *[(REFUSES, 6), (WRITES, 21)] * 2)
    assert again == [(5, Act.TRIGGER), (26, Act.RESOLVE), (32, Act.TRIGGER), (53, Act.RESOLVE)]


# --- to whom ----------------------------------------------------------------------------------------------------------


class Ways:
    """Channels that take everything, or nothing."""

    def __init__(self, *ways: Way, taken: bool = True) -> None:
        self.ways = list(ways)
        self.taken = taken
        self.given: list[tuple[Way, Message]] = []

    def known(self) -> list[Way]:
        if not self.ways:
            raise NotDelivered("there is no rota", again=False)
        return self.ways

    def tell(self, person: str, method: str, message: Message, came: Came) -> None:
        self.given.append(((person, method), message))
        came(self.taken)


class Clock:
    """An hour a second, so that a call is due again in a moment."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def boottime_s(self) -> float:
        return (time.monotonic() - self._began_s) * 3_600.0


def caller(path: Path, ways: Ways) -> Unwritten:
    around = Surroundings(site="north", runbook_url="https://wiki/runbook", anchors={"A12": "a12"})
    clock = Clock()
    return Unwritten(path, around, ways.known, ways.tell, boottime=clock.boottime_s, walltime=lambda: 1_795_597_200.0)


async def test_everybody_is_called_by_every_way_in_one_series(tmp_path: Path) -> None:
    status: dict[str, Any] = {"ok": True, "journal_refusing": True}
    ways = Ways(("anna", "phone"), ("anna", "mail"), ("ben", "phone"))
    async with Fleet(tmp_path / "control.sock", lambda asked: status).listening() as fleet:
        unwritten = caller(fleet.path, ways)
        async with beating(unwritten, unwritten.watch):
            await until(lambda: len(ways.given) >= 6)
            status["journal_refusing"] = False
            await until(lambda: ways.given[-1][1].act is Act.RESOLVE)
    assert [way for way, _ in ways.given[:3]] == ways.ways
    (first, second, third), (_, _, again) = ([message for _, message in ways.given[at : at + 3]] for at in (0, 3))
    assert (first.line, first.rung, first.code, first.priority.value, first.link) == (WORDS, 1, "A12", "high", None)
    assert (first.runbook, first.at) == ("https://wiki/runbook#a12", "2026-11-25T09:00:00.000Z")
    assert (again.rung, again.details[-1]) == (2, "This is call 2.")
    assert len({first.page_id, second.page_id, third.page_id, again.page_id}) == 4
    assert len({message.series for _, message in ways.given}) == 1
    assert ways.given[-1][1].line == OVER
    assert {asked["op"] for asked in fleet.heard} == {"status"}, "the fleet is asked, and told nothing"


class Slow(Ways):
    """Channels whose outcomes come when the test says so."""

    def __init__(self, *ways: Way) -> None:
        super().__init__(*ways)
        self.outcomes: list[Came] = []

    def tell(self, person: str, method: str, message: Message, came: Came) -> None:
        self.given.append(((person, method), message))
        self.outcomes.append(came)


def acts(ways: Ways) -> list[tuple[str, str]]:
    return [(person, message.act.value) for (person, _), message in ways.given]


@contextmanager
def looked_at(ways: Ways) -> Iterator[Callable[..., None]]:
    """Without a loop: the fleet says this for so many seconds."""
    clock = [0.0]
    around = Surroundings(site="north", runbook_url=None, anchors={})
    unwritten = Unwritten(
        Path("none"), around, ways.known, ways.tell, boottime=lambda: clock[0], walltime=lambda: 1_795_597_200.0
    )

    def says(refusing: bool | None, seconds: int) -> None:
        for _ in range(seconds):
            unwritten.hears(refusing)
            clock[0] += 1.0

    yield says


def test_that_it_is_over_is_told_to_whoever_took_a_call_until_it_is_taken() -> None:
    ways = Slow(("anna", "phone"), ("ben", "phone"))
    with looked_at(ways) as says:
        says(REFUSES, 6)
        ways.outcomes[0](True)
        ways.outcomes[1](False)
        says(WRITES, 21)
        assert acts(ways)[2:] == [("anna", "resolve")], "of Ben no call was taken"
        ways.outcomes[2](False)
        ways.ways.clear()  # there is no rota any more: what is owed is owed
        says(WRITES, 60)
        assert acts(ways)[3:] == [("anna", "resolve")]
        ways.outcomes[3](True)
        ways.outcomes[1](True)  # and Ben's did take it, very late
        says(WRITES, 200)
        assert acts(ways)[4] == ("ben", "resolve")
        ways.outcomes[4](True)
        heard = len(ways.given)
        says(WRITES, 200)
        assert len(ways.given) == heard


def test_that_it_is_over_is_given_up_after_ten_tries(caplog: pytest.LogCaptureFixture) -> None:
    ways = Slow(("anna", "phone"))
    with looked_at(ways) as says:
        says(REFUSES, 6)
        ways.outcomes[0](True)
        says(WRITES, 1_000)
    assert acts(ways)[1:] == [("anna", "resolve")] * 10
    assert "a channel of anna did not take that the journal is written again" in caplog.text


def test_whoever_has_not_heard_the_end_by_the_next_refusal_hears_when_that_is_over() -> None:
    ways = Slow(("anna", "phone"))
    with looked_at(ways) as says:
        says(REFUSES, 6)
        ways.outcomes[0](True)
        says(WRITES, 21)
        ways.outcomes[1](False)
        says(REFUSES, 6)
        ways.outcomes[2](False)
        says(WRITES, 21)
    assert [act for _, act in acts(ways)] == ["trigger", "resolve", "trigger", "resolve"]


def test_a_late_outcome_is_one_of_its_own_call() -> None:
    ways = Slow(("anna", "phone"))
    with looked_at(ways) as says:
        says(REFUSES, 70)
        assert len(ways.given) == 2, "nobody took the first, it is made again after a minute"
        ways.outcomes[0](True)
        says(REFUSES, 60)
        assert len(ways.given) == 3, "and the second, which nobody took, too"


async def test_without_a_rota_the_log_says_that_nobody_can_be_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = {"ok": True, "journal_refusing": True}
    async with Fleet(tmp_path / "control.sock", lambda asked: refusing).listening() as fleet:
        unwritten = caller(fleet.path, Ways())
        async with beating(unwritten, unwritten.watch):
            await until(lambda: "nobody can be called: there is no rota" in caplog.text)


# --- for real ---------------------------------------------------------------------------------------------------------


@contextmanager
def refusing_disk(journal: Path) -> Iterator[None]:
    """Nobody else can write the file meanwhile."""
    disk = sqlite3.connect(journal, isolation_level=None)
    disk.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        disk.execute("ROLLBACK")
        disk.close()


def of_journal(posts: Iterable[Posted]) -> list[tuple[str, str]]:
    return [(post.said["act"], post.said["text"]) for post in posts if "the journal" in post.said["text"]]


def test_h19_a_disk_that_refuses_calls_people_at_once_and_what_was_raised_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    """A real fleet; Ben is on the second rung, and hears of it with the first. A restart before it calls nobody."""
    with HttpReceiver() as anna, HttpReceiver() as ben:
        secrets = {"anna-phone": f"{anna.url}/t0p-s3cret\n{KEY}", "ben-phone": f"{ben.url}/\n{KEY}"}
        with House(tmp_path, rota(anna=webhook("anna"), ben=webhook("ben")), secrets) as house:
            house.clinic.fleet.kill()
            house.clinic.fleet.start()
            house.clinic.await_devices(house.devices)
            house.treat("stim-01", to_ma=20)
            with refusing_disk(house.clinic.fleet_dir / "journal.db"):
                house.clinic.suffer("stim-01", kind="output_above", size=8.0)
                for phone in (anna, ben):
                    phone.await_posts(1, within_s=20.0)
                    assert of_journal(phone.posted) == [("trigger", WORDS)]
                assert [post.said["code"] for post in anna.posted] == ["A12"], "the A02 is not written, and not told"
                assert house.clinic.ask(op="status")["journal_refusing"] is True
            a02 = ("the A02 is told", lambda: any(post.said["code"] == "A02" for post in anna.posted))
            await_that(*a02, 20.0, house.pager.last_words)
            await_that("it is over", lambda: [len(of_journal(phone.posted)) for phone in (anna, ben)] == [2, 2], 60.0)
            for phone in (anna, ben):
                assert of_journal(phone.posted) == [("trigger", WORDS), ("resolve", OVER)]
            page_ids = {post.said["page_id"] for post in anna.posted if "the journal" in post.said["text"]}
            known = {one["page_id"] for one in house.journaled("PageDue", "PageArrived", "PageMissed")}
            assert not page_ids & known, "no journal has it"
            written = house.everything_written()
            assert b"call 1 to everybody, and it is in no journal" in written
            assert b"t0p-s3cret" not in written
            assert all(b"client-0001" not in post.body for post in (*anna.posted, *ben.posted))


def test_h19_a_disk_that_hangs_without_an_error_calls_people_too(tmp_path: Path) -> None:
    """Every commit of the fleet takes a minute; SQLite raises nothing."""
    with HttpReceiver() as anna:
        secrets = {"anna-phone": f"{anna.url}/t0p-s3cret\n{KEY}"}
        with House(tmp_path, rota(anna=webhook("anna")), secrets) as house:
            house.treat("stim-01", to_ma=20)
            worker = house.clinic.ask(op="status")["pid"]
            with hanging(worker, [house.clinic.fleet_dir / "journal.db"], SYNCS, tmp_path / "held-up"):
                house.clinic.suffer("stim-01", kind="output_above", size=8.0)
                anna.await_posts(1, within_s=20.0)
                assert of_journal(anna.posted) == [("trigger", WORDS)]
                assert house.clinic.ask(op="status")["journal_refusing"] is True
                assert house.clinic.ask(op="status")["pid"] == worker, "it is the same fleet"
            a02 = ("the A02 is told", lambda: any(post.said["code"] == "A02" for post in anna.posted))
            await_that(*a02, 20.0, house.pager.last_words)
            await_that("it is over", lambda: of_journal(anna.posted)[1:] == [("resolve", OVER)], 60.0)
