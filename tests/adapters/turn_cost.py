"""What the owner pays for a sample with and without counting it, and what one scrape costs.

`python -m tests.adapters.turn_cost [devices]`. Everything is real but the socket: core, journal, sealing, figures.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from broker.contract import messages
from broker.contract.messages import Phase
from broker.wire.mac import LinkKeys
from fleet.adapters.downlink import Downlink
from fleet.adapters.echo import Echo
from fleet.adapters.feed.server import Feed
from fleet.adapters.intake import Intake
from fleet.adapters.journal.writer import Journal
from fleet.adapters.metrics import Exposition
from fleet.connections import Connections
from fleet.core import inputs
from fleet.core.registry import Clinic, Operator, RegisteredDevice, Registry
from fleet.core.screening import Screening
from fleet.figures import Parts, figures
from fleet.footing import Footing
from fleet.inbox import Inbox
from fleet.keyring import Keyring
from fleet.mqtt import Endpoint
from fleet.owner import Owner
from fleet.stored import FOLD
from fleet.tally import Tally
from tests.adapters.test_downlink import Heard
from tests.core.clinic import PLAN, SUNDAY_NOON_WALL_S, WALL, Stimulator

ROOMS = 50
BATCH = 2_000
PAIRS = 40
SCRAPES = 50


class Nowhere:
    """A line that takes everything."""

    unacknowledged_max = 100_000
    drains = True

    def publish(self, topic: str, payload: bytes, *, qos: int, **_how: object) -> int:
        return qos


class Ward:
    """So many devices, each with a running session, and everything around the owner that a scrape looks at."""

    def __init__(self, folder: Path, devices: int) -> None:
        self.now_s = 1_000.0
        names = [f"stim-{n:04}" for n in range(devices)]
        ring = Keyring({name: {"k" * 8: LinkKeys("k" * 8, b"u" * 32, b"d" * 32)} for name in names})
        inbox = Inbox(1_000)
        downlink = Downlink("north", ring, Heard(), boottime=self.now, items_max=100_000)
        downlink.attach(Nowhere())
        clocks: dict[str, Any] = {"boottime": self.now, "walltime": lambda: SUNDAY_NOON_WALL_S}
        intake = Intake("north", ring, inbox, heard_echo=lambda _: True, **clocks)
        journal = Journal(folder / "journal.db", FOLD, lambda _: None)
        self.tally = Tally(journal.restored.state)
        self.owner = Owner(journal, inbox, downlink, answered=lambda *_: None, **clocks)
        nowhere = Endpoint("127.0.0.1", 0, "nobody", folder, folder, folder)
        connections = Connections("north", nowhere, nowhere, intake, downlink, Echo("0", lambda: 1), asyncio.Event())
        feed = Feed(self.now)
        parts = (self.owner, self.tally, inbox, intake, downlink, journal, connections, feed, Footing(folder, folder))
        self.parts = Parts("north", "0.1.0", *parts)
        self.stims = [Stimulator(name, name.upper()) for name in names]
        self._open()

    def now(self) -> float:
        return self.now_s

    def hear(self, name: str, message: messages.Uplink) -> None:
        self.owner.turn(inputs.Received(name, message, self.now_s, SUNDAY_NOON_WALL_S))

    def _open(self) -> None:
        registered = {
            stim.name: RegisteredDevice(
                device=stim.name, room=f"room-{n % ROOMS}", model="sim-1", serial=stim.serial, enrolment="first"
            )
            for n, stim in enumerate(self.stims)
        }
        operators = {"ada": Operator(operator="ada", instructed_until_wall_s={"sim-1": SUNDAY_NOON_WALL_S * 2})}
        registry = Registry(clinic=Clinic(), devices=registered, operators=operators)
        self.owner.turn(inputs.TookOver("host", self.now_s, SUNDAY_NOON_WALL_S))
        self.owner.turn(inputs.RegistryChanged(registry, self.now_s, SUNDAY_NOON_WALL_S))
        for stim in self.stims:
            self._treat(stim, registered[stim.name].room)

    def _treat(self, stim: Stimulator, room: str) -> None:
        self.hear(stim.name, stim.birth())
        stim.settings_version = 1
        self.hear(stim.name, stim.birth())
        self.hear(stim.name, stim.sample())
        self.owner.turn(
            inputs.RequestSession(
                request_id=stim.name,
                client=f"client-{stim.name}",
                device=stim.name,
                room=room,
                plan=PLAN,
                screening=Screening(rule_set="rules-1", at_wall_s=SUNDAY_NOON_WALL_S - 60.0),
                operator="ada",
                now_s=self.now_s,
                wall_s=SUNDAY_NOON_WALL_S,
            )
        )
        session = self.owner.state.session_on(self.owner.state.device(stim.name))
        assert session is not None
        stim.session_id = session.session_id
        done = messages.Ack(stim.boot_n, session.authorisation.command_id, messages.AckStatus.DONE, None, None, WALL)
        self.hear(stim.name, done)
        for phase in (Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING):
            stim.phase = phase
            self.hear(stim.name, stim.sample())
        stim.elapsed_s = 6.0
        stim.shown = {"setting_ma": 30.0, "amplitude_ma": 29.5, "lease_margin_s": 4.4}
        self.hear(stim.name, stim.sample())

    def samples(self, count: int, turns: "cycle[Stimulator]") -> list[inputs.Received]:
        heard = []
        for n, stim in enumerate(islice(turns, count)):
            sample = replace(stim.sample(), amplitude_ma=29.0 + n % 7 / 10)
            heard.append(inputs.Received(stim.name, sample, self.now_s, SUNDAY_NOON_WALL_S))
        return heard


def us_each(owner: Owner, heard: Sequence[inputs.Received]) -> float:
    began_s = time.perf_counter()
    for received in heard:
        owner.turn(received)
    return (time.perf_counter() - began_s) / len(heard) * 1e6


def told(what: str, values: list[float], unit: str) -> None:
    low, median, high = (f"{value:.2f}" for value in (min(values), statistics.median(values), max(values)))
    print(f"{what:<44} {median} {unit} at the median, {low} to {high}")  # noqa: T201


async def measure(folder: Path, devices: int) -> None:
    ward = Ward(folder, devices)
    owner, turns = ward.owner, cycle(ward.stims)
    without: list[float] = []
    counted: list[float] = []
    for _ in range(PAIRS):
        for kept, turned in ((without, lambda *_: None), (counted, ward.tally.turned)):
            owner._turned = turned
            kept.append(us_each(owner, ward.samples(BATCH, turns)))
        await asyncio.sleep(0)  # one turn for the journal
    leases = sum(room.leases for room in ward.tally.rooms.values())
    assert leases == PAIRS * BATCH, f"every sample is leased: {leases}"
    told(f"a sample, {devices} devices, not counted", without, "us")
    told("a sample, counted", counted, "us")
    told("  the difference, in pairs", [b - a for a, b in zip(without, counted, strict=True)], "us")

    exposition, reading, text = Exposition(), [], b""
    making = []
    for _ in range(SCRAPES):
        began_s = time.perf_counter()
        now = figures(ward.parts, connected=True, now_s=ward.now_s, wall_s=SUNDAY_NOON_WALL_S)
        read_s = time.perf_counter()
        text = exposition.text(now)
        reading.append((read_s - began_s) * 1e3)
        making.append((time.perf_counter() - read_s) * 1e3)
    told("a scrape: reading the figures", reading, "ms")
    told(f"a scrape: making {len(text) // 1024} KiB of text", making, "ms")
    ward.parts.journal.close()


def main(devices: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), devices))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
