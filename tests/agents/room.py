"""A control loop in real time: the real threads, a simulated stimulator, a disk and a fleet that a test may break."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from agents.control import Control, Round
from agents.drivers.in_process import InProcessStimulator
from agents.drivers.port import Drive, Identity, Reading
from agents.simulation.stimulator import SimulatedStimulator
from agents.steps import (
    Durable,
    Output,
    Press,
    Reply,
    Sample,
)
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import Phase, Scope
from tests.agents.clinic import CALM_SKIN, PLAN, SESSION, SETTINGS


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watched:
    """The simulated stimulator, with a record of what it was ordered, and faults of the driver itself."""

    def __init__(self) -> None:
        self.simulated = SimulatedStimulator("S-1", start_s=boottime_s(), skin=CALM_SKIN)
        self._driver = InProcessStimulator(self.simulated, boottime_s)
        self.ordered: list[tuple[float, Drive]] = []
        self.error: Exception | None = None
        self.slow_s = 0.0

    def identify(self) -> Identity:
        return self._driver.identify()

    def self_test(self) -> str | None:
        return self._driver.self_test()

    def exchange(self, drive: Drive) -> Reading:
        self.ordered.append((boottime_s(), drive))
        if self.error is not None:
            raise self.error
        time.sleep(self.slow_s)  # a slow serial line takes its time
        return self._driver.exchange(drive)

    def close(self) -> None:
        self._driver.close()


class Memory:
    """A durable store that can hang, fail, or be damaged."""

    def __init__(self) -> None:
        self.saved: list[Durable] = []
        self.answers = threading.Event()
        self.answers.set()
        self.error: OSError | None = None
        self.damage: str | None = None

    def load(self) -> tuple[Durable, str | None]:
        return Durable(boot_n=8, settings=SETTINGS), self.damage

    def save(self, durable: Durable) -> None:
        assert self.answers.wait(30.0)
        if self.error is not None:
            raise self.error
        self.saved.append(durable)


class Room:
    """A control loop in real time, with a fleet that leases and a record of what was told."""

    def __init__(self, round_: Round | None = None) -> None:
        self.stimulator = Watched()
        self.memory = Memory()
        self.told: list[Output] = []
        self.margins_s: list[float | None] = []
        self.deaths: list[BaseException] = []
        self.died = threading.Event()
        self.delivers = threading.Event()
        self.delivers.set()
        self.deliver_error: Exception | None = None
        self.leasing = True
        self._presses = 0
        self.control = Control(
            self.stimulator,
            self.memory,
            self._deliver,
            boottime_s,
            time.time,
            first_seq=100,
            die=self._die,
            on_lease=self.margins_s.append,
            round_=round_,
        )

    def _die(self, error: BaseException) -> None:
        self.deaths.append(error)
        self.died.set()

    def _deliver(self, output: Output) -> None:
        assert self.delivers.wait(30.0)
        if self.deliver_error is not None:
            raise self.deliver_error
        self.told.append(output)
        if isinstance(output, Sample) and output.telemetry.phase in messages.LIVE_PHASES and self.leasing:
            seq = output.telemetry.seq
            self.control.hear(messages.Lease(1, self.control.snapshot().boot_n, SESSION, seq, 4000))

    def press(self, press: Press, step_ma: float = 1.0) -> Reply:
        self._presses += 1
        press_id = self._presses
        assert self.control.press(press_id, press, step_ma)

        def answer() -> Reply | None:
            told = [each for each in self.told if isinstance(each, Reply) and each.press_id == press_id]
            return told[0] if told else None

        await_true(lambda: answer() is not None)
        reply = answer()
        assert reply is not None
        return reply

    def until_running(self, setting_ma: float) -> None:
        await_true(lambda: self.control.snapshot().reading is not None)
        await_true(lambda: self.phase() is Phase.IDLE)
        time.sleep(1.2)  # zero takes a second to be measured after a boot
        snapshot = self.control.snapshot()
        self.control.hear(
            messages.Authorisation(
                fleet_n=1,
                boot_n=snapshot.boot_n,
                answers=snapshot.seq - 1,
                command_id="0c" * 16,
                session_id=SESSION,
                client="c-7f3a",
                operator="op-1",
                room="room-4",
                rule_set="rules-1",
                plan=replace(PLAN, off_s=0.0, ramp_up_s=0.5),
                limits=GENERIC_PROFILE,
                start_within_s=60.0,
                pause_total_s=600.0,
                lease_ttl_ms=4000,
                issued_at="2026-11-22T12:00:00.000Z",
            )
        )
        await_true(lambda: self.phase() is Phase.AUTHORISED)
        assert self.press(Press.ARM).accepted
        await_true(lambda: (self.control.snapshot().lease_margin_s or -1.0) > 0.0)
        await_true(lambda: self.control.snapshot().reading.impedance_ohm is not None)  # type: ignore[union-attr]
        reply = self.press(Press.START)
        assert reply.accepted, reply.words
        while self.control.snapshot().setting_ma < setting_ma:
            self.press(Press.RAISE, 2.0)
            time.sleep(0.05)  # the therapist waits before the next step
        await_true(lambda: self.true_ma() > setting_ma - 0.5)

    def phase(self) -> Phase:
        return self.control.snapshot().phase

    def true_ma(self) -> float:
        return self.stimulator.simulated.trace.at(boottime_s())

    def stop_from_fleet(self, command_id: str = "0d" * 16) -> None:
        stop = messages.Stop(command_id, Cause.EMERGENCY_STOP, False, "page", "2026-11-22T12:00:00.000Z")
        self.control.hear_stop(Scope.DEVICE, stop, "0e" * 8)


def await_true(is_so: Callable[[], bool], within_s: float = 8.0) -> None:
    until_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not come about"
        time.sleep(0.002)  # nothing tells the test when, so it looks again and again
