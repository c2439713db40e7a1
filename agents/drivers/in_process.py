"""A simulated stimulator in the agent's own process: for virtual time, and for many agents in one process."""

from collections.abc import Callable

from agents.drivers.port import Drive, DriverLost, Identity, Reading
from agents.simulation.stimulator import SimulatedStimulator


class InProcessStimulator:
    """Implements `Stimulator` directly on the simulation; `clock` is boot time in seconds."""

    def __init__(self, stimulator: SimulatedStimulator, clock: Callable[[], float]) -> None:
        self._stimulator = stimulator
        self._clock = clock

    def identify(self) -> Identity:
        return self._stimulator.identify()

    def self_test(self) -> str | None:
        self._demand_answer()
        return self._stimulator.self_test(self._clock())

    def exchange(self, drive: Drive) -> Reading:
        self._demand_answer()
        return self._stimulator.exchange(drive, self._clock())

    def close(self) -> None:
        """Nothing to close: the stimulator lives on."""

    def _demand_answer(self) -> None:
        if not self._stimulator.answers(self._clock()):
            raise DriverLost(f"stimulator {self._stimulator.serial} is silent")
