"""What each step of a sample's way through the fleet costs, without a network: processor time of one thread.

    receive    the body of a PUBLISH -> authentic, decoded -> inbox
    decide     input -> decision
    answer     lease -> bytes, MAC -> a PUBLISH

And what keeps everything else waiting while it is done: a tick, the longest piece of a snapshot.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

from broker.contract.messages import Lease
from broker.wire import sealed
from broker.wire.mac import LinkKeys
from fleet.adapters.intake import Intake
from fleet.core.decide import decide
from fleet.core.effects import SendLease
from fleet.core.inputs import Input, Tick
from fleet.core.state import snapshot
from fleet.frames import publish_frame, published
from fleet.inbox import Inbox
from fleet.keyring import Keyring
from fleet.stored import FOLD
from tests.bench.figures import Figure
from tests.core.clinic import Clinic, Stimulator
from tests.core.sample_cost import clinic_running

SITE, KID = "north", "0123abcd"
SAMPLE_US_MAX = 100.0  # 5,000 a second: half a core
HOLD_UP_MS_MAX = 5.0  # of what a stop may have to wait for

_Args = ParamSpec("_Args")
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class Stages:
    """So many devices, each with a running session; medians of so many rounds of one sample each."""

    devices: int = 50
    rounds: int = 40


class Way:
    """The parts that a sample passes, in the order in which it passes them."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.stims = list(clinic.stims.values())
        self._keys = {stim.name: LinkKeys(KID, stim.name.encode(), stim.serial.encode()) for stim in self.stims}
        self._inbox = Inbox(len(self.stims))
        self._intake = Intake(
            SITE,
            Keyring({name: {KID: keys} for name, keys in self._keys.items()}),
            self._inbox,
            heard_echo=lambda _: True,
            boottime=lambda: clinic.now_s,
            walltime=lambda: clinic.wall_s,
        )

    def bodies(self) -> list[bytes]:
        """The next sample of each device, as the broker would pass it on."""
        return [self._body(stim) for stim in self.stims]

    def receive(self, bodies: Sequence[bytes]) -> list[Input]:
        for body in bodies:
            arrived, _ = published(0x30, body)
            self._intake.hear(arrived)
        return list(iter(self._inbox.next, None))

    def decide(self, heard: Sequence[Input]) -> list[tuple[str, Lease]]:
        effects = [effect for item in heard for effect in decide(self.clinic.state, item).at_once]
        return [(effect.device, effect.message) for effect in effects if isinstance(effect, SendLease)]

    def answer(self, leases: Sequence[tuple[str, Lease]]) -> None:
        for device, lease in leases:
            packet = sealed.pack(SITE, device, lease, self._keys[device])
            self._frame(packet)

    def _body(self, stim: Stimulator) -> bytes:
        sample = stim.sample(amplitude_ma=29.0 + stim.seq % 5 / 10)
        frame = self._frame(sealed.pack(SITE, stim.name, sample, self._keys[stim.name]))
        return frame[3:]  # a sample's length takes two bytes

    def _frame(self, packet: sealed.Packet) -> bytes:
        return publish_frame(
            packet.topic,
            packet.payload,
            qos=packet.qos,
            retain=packet.retain,
            packet_id=0,
            expiry_s=packet.expiry_s,
            user_properties=packet.user_properties,
        )


def measure(_folder: Path, stages: Stages, tell: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds of a sample by stage, milliseconds of what holds up everything else."""
    tell(f"{stages.devices} sessions begin")
    way = Way(clinic_running(stages.devices))
    tell(f"{stages.rounds} rounds")
    spent: dict[str, list[float]] = {"receive": [], "decide": [], "answer": []}
    ticks: list[float] = []
    for _ in range(stages.rounds):
        heard, seconds = _timed(way.receive, way.bodies())
        spent["receive"].append(seconds)
        leases, seconds = _timed(way.decide, heard)
        spent["decide"].append(seconds)
        assert len(leases) == stages.devices, "every sample deserves a lease"
        spent["answer"].append(_timed(way.answer, leases)[1])
        ticks.append(_timed(decide, way.clinic.state, Tick(way.clinic.now_s, way.clinic.wall_s))[1])
    us = {stage: round(median(all_s) / stages.devices * 1e6, 2) for stage, all_s in spent.items()}
    pieces = _pieces(way.clinic)
    tick_ms = round(median(ticks) * 1e3, 3)
    return {
        "figures": [
            Figure("sample_us", round(sum(us.values()), 2), at_most=SAMPLE_US_MAX).document(),
            Figure("tick_ms", tick_ms, at_most=HOLD_UP_MS_MAX).document(),
            Figure("longest_piece_ms", pieces["longest_ms"], at_most=HOLD_UP_MS_MAX).document(),
        ],
        "us": us,
        "snapshot": pieces,
    }


def _timed(do: Callable[_Args, _Done], *args: _Args.args, **kwargs: _Args.kwargs) -> tuple[_Done, float]:
    began_s = time.thread_time()
    done = do(*args, **kwargs)
    return done, time.thread_time() - began_s


def _pieces(clinic: Clinic) -> dict[str, float]:
    making = FOLD.pieces(snapshot(clinic.state))
    lengths, seconds = [], []
    while True:
        piece, took_s = _timed(next, making, None)
        if piece is None:
            break
        lengths.append(len(piece))
        seconds.append(took_s)
    return {
        "pieces": len(lengths),
        "bytes": sum(lengths),
        "longest_ms": round(max(seconds) * 1e3, 3),
        "together_ms": round(sum(seconds) * 1e3, 2),
    }
