"""A simulated stimulator in the agent's own process: for virtual time, and for many agents in one process."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from agents.drivers.port import Drive, DriverLost, Identity, Reading
from agents.simulation.stimulator import SimulatedStimulator


class InProcessStimulator:
    """Implements `Stimulator` directly on the simulation; `clock` is boot time in seconds.

    `lock` is held while the stimulator is touched, where somebody else touches it too.
    """

    def __init__(
        self,
        stimulator: SimulatedStimulator,
        clock: Callable[[], float],
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._stimulator = stimulator
        self._clock = clock
        self._lock = contextlib.nullcontext() if lock is None else lock

    def identify(self) -> Identity:
        return self._stimulator.identify()

    def self_test(self) -> str | None:
        with self._lock:
            self._demand_answer()
            return self._stimulator.self_test(self._clock())

    def exchange(self, drive: Drive) -> Reading:
        with self._lock:
            self._demand_answer()
            return self._stimulator.exchange(drive, self._clock())

    def close(self) -> None:
        """Nothing to close: the stimulator lives on."""

    def _demand_answer(self) -> None:
        if not self._stimulator.answers(self._clock()):
            raise DriverLost(f"stimulator {self._stimulator.serial} is silent")
