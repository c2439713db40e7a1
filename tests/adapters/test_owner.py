"""The owner: what forbids goes at once, what allows when it is durable, and by then the newest decision counts."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.contract.messages import Receipt, Scope, Uplink
from broker.contract.topics import Channel
from broker.pki.registry_file import load_registry
from fleet.adapters.journal.errors import JournalUnwritable
from fleet.adapters.journal.writer import Journal
from fleet.core import effects, inputs
from fleet.core.screening import Screening
from fleet.core.turn import Decision
from fleet.inbox import Inbox
from fleet.owner import Owner
from fleet.roster import core_registry
from fleet.stored import FOLD
from tests.adapters.clinic import eventually
from tests.adapters.test_downlink import DEVICE, Office, retained
from tests.core.clinic import PLAN

WALL_S = 1.7e9


class Lead:
    """An owner with a real journal; its downlink's line is the test's."""

    def __init__(self, folder: Path) -> None:
        self.office = Office(folder)
        self.path = folder / "journal.db"
        self.answers: list[tuple[str, effects.Reply]] = []
        self.journal = Journal(self.path, FOLD, lambda _error: None)
        self.owner = Owner(
            self.journal,
            Inbox(100),
            self.office.downlink,
            answered=lambda request_id, reply: self.answers.append((request_id, reply)),
            boottime=lambda: self.office.now_s,
            walltime=lambda: WALL_S,
        )
        self.office.downlink.attach(self.office.wire)
        self.owner.turn(inputs.TookOver("host-boot", self.office.now_s, WALL_S))
        registry = load_registry(self.office.clinic.site_dir)
        self.owner.turn(inputs.RegistryChanged(core_registry(registry, 5_000), self.office.now_s, WALL_S))

    def push_stop(self, request_id: str) -> None:
        self.owner.turn(
            inputs.PushStop(
                request_id=request_id,
                device=DEVICE,
                issued_by="anna",
                reason="pushed",
                now_s=self.office.now_s,
                wall_s=WALL_S,
            )
        )

    def release(self, request_id: str) -> None:
        self.owner.turn(
            inputs.ReleaseHold(
                request_id=request_id,
                scope=Scope.DEVICE,
                device=DEVICE,
                issued_by="anna",
                now_s=self.office.now_s,
                wall_s=WALL_S,
            )
        )

    def broker_answers(self) -> None:
        """Everything published so far is acknowledged, and reported to the core."""
        for packet_id in range(len(self.office.wire.sent) + 1):
            self.office.downlink.acknowledged(packet_id, 0)
        for taken in self.office.heard.taken:
            self.owner.turn(inputs.StopSent(taken.command_id, taken.hold_id, taken.sent_s, WALL_S))
        for gone in self.office.heard.cleared:
            self.owner.turn(inputs.StopCleared(gone.device, gone.command_id, gone.sent_s, WALL_S))

    @asynccontextmanager
    async def disk_refusing(self) -> AsyncIterator[None]:
        await self.all_durable()
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    async def all_durable(self) -> None:
        await eventually(lambda: not self.journal._waiting)


@pytest.fixture
async def lead(tmp_path: Path) -> AsyncIterator[Lead]:
    leading = Lead(tmp_path)
    confirming = asyncio.ensure_future(leading.owner.confirmations())
    yield leading
    confirming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await confirming
    leading.journal.close()


async def test_a_release_that_waited_for_the_disk_does_not_clear_the_stop_that_came_meanwhile(lead: Lead) -> None:
    lead.push_stop("1" * 32)
    lead.broker_answers()
    async with lead.disk_refusing():
        lead.release("2" * 32)
        lead.push_stop("3" * 32)
        newest = lead.office.wire.sent[-1].payload
        assert newest
    await eventually(lambda: len(lead.answers) == 3)
    assert [type(reply) for _, reply in lead.answers] == [effects.Ordered] * 3
    assert retained(lead.office.wire) == newest


async def test_a_released_hold_is_cleared_and_the_core_hears_of_it(lead: Lead) -> None:
    lead.push_stop("1" * 32)
    lead.broker_answers()
    lead.release("2" * 32)
    await eventually(lambda: retained(lead.office.wire) == b"")
    lead.broker_answers()
    sent = len(lead.office.wire.sent)
    for _ in range(100):  # 10 s in which nothing has to be cleared again
        lead.office.now_s += 0.1
        lead.owner.turn(inputs.Tick(lead.office.now_s, WALL_S))
    await lead.all_durable()
    assert [published.payload for published in lead.office.wire.sent[sent:] if not published.payload] == []


def ask_session(lead: Lead, request_id: str) -> None:
    lead.owner.turn(
        inputs.RequestSession(
            request_id=request_id,
            client=f"client-{request_id[:4]}",
            device=DEVICE,
            room="room-1",
            plan=PLAN,
            screening=Screening(rule_set="ems-1", at_wall_s=WALL_S - 60.0),
            operator="anna",
            now_s=lead.office.now_s,
            wall_s=WALL_S,
        )
    )


def device_speaks(lead: Lead) -> None:
    """A device that has taken its settings, idle, heard a moment ago."""
    device = lead.office.clinic.device(DEVICE)

    def says(message: Uplink) -> None:
        lead.owner.turn(inputs.Received(DEVICE, message, lead.office.now_s, WALL_S))

    says(device.birth())
    issued = lead.owner.state.device(DEVICE).settings
    assert issued is not None
    device.settings_version = issued.version
    says(device.birth())
    says(device.sample())


async def test_an_authorisation_that_waited_for_the_disk_is_not_sent_once_it_is_withdrawn(lead: Lead) -> None:
    authorisations = f"{DEVICE}/authorisation"
    device_speaks(lead)
    async with lead.disk_refusing():
        ask_session(lead, "1" * 32)
        (session_id,) = lead.owner.state.durable.sessions
        lead.owner.turn(
            inputs.CancelSession(
                request_id="2" * 32,
                session_id=session_id,
                issued_by="anna",
                now_s=lead.office.now_s,
                wall_s=WALL_S,
            )
        )
    await eventually(lambda: len(lead.answers) == 2)
    assert lead.answers[0] == ("1" * 32, effects.Granted(session_id))
    assert authorisations not in lead.office.wire.channels
    ask_session(lead, "3" * 32)
    await eventually(lambda: authorisations in lead.office.wire.channels)


def deciding(monkeypatch: pytest.MonkeyPatch, *follow: effects.AfterCommit) -> None:
    """From now on the core decides this, whatever it hears."""
    monkeypatch.setattr("fleet.owner.decide", lambda _state, _heard: Decision((), (), follow))


async def test_receipts_do_not_pile_up_before_a_disk_that_refuses(lead: Lead, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents send again what is not receipted, so receipts need no room; in the end the process ends itself."""
    monkeypatch.setattr("fleet.owner.RECEIPTS_UP_TO", 100)
    monkeypatch.setattr("fleet.owner.AFTERWARDS_MAX", 200)
    tick = inputs.Tick(lead.office.now_s, WALL_S)
    deciding(monkeypatch, effects.SendReceipt(DEVICE, Receipt("5" * 32, 1, ())))
    for _ in range(1_000):
        lead.owner.turn(tick)
    assert len(lead.owner._afterwards) == 100
    assert lead.owner.counts == {(Channel.RECEIPT, "shed"): 900}
    deciding(monkeypatch, effects.Answer("1" * 32, effects.Ordered("2" * 32)))
    for _ in range(100):
        lead.owner.turn(tick)
    with pytest.raises(JournalUnwritable, match="200 decisions wait"):
        lead.owner.turn(tick)
