"""Session and driver together, without threads or clocks of their own: what one wake of the control loop does."""

from collections.abc import Callable

from agents.drivers.port import Drive, DriverLost, Reading, Stimulator
from agents.session import step
from agents.state import State
from agents.steps import Input, Output, Passed, Tick

HELD_UP_S = 0.15  # three ticks since the last step: what was decided then is decided anew before it is applied
EXCHANGES_MAX = 3  # a wake: what a reading decides is applied at once, and what that reading decides, but not for ever
FALL_MA = 0.1  # a setting that falls by this is applied at once; what rises, or ramps down, waits for the tick


class Stepper:
    """One session on one stimulator. `tell` gets what each wake decides, in order, once zero has been applied."""

    def __init__(
        self,
        stimulator: Stimulator,
        state: State,
        tell: Callable[[Output], None],
        boottime_s: Callable[[], float],
        wall_s: Callable[[], float],
    ) -> None:
        self.state = state
        self._stimulator = stimulator
        self._tell = tell
        self._boottime_s = boottime_s
        self._wall_s = wall_s
        self._untold: list[Output] = []

    def tick(self) -> None:
        """Read the stimulator, decide, apply."""
        self._exchange()
        self._tell_all()

    def feed(self, given: Input) -> None:
        """Decide on what was heard. Zero, or less, goes to the stimulator before anything is told."""
        before = self.state.drive
        self._catch_up(self._boottime_s())
        self._step(given)
        if _cannot_wait(before, self.state.drive):
            self._exchange()
        self._tell_all()

    def _exchange(self) -> None:
        for _ in range(EXCHANGES_MAX):
            # Before measuring: permission is counted from here.
            now_s, wall_s = self._boottime_s(), self._wall_s()
            self._catch_up(now_s)
            drive = self.state.drive
            self._step(Tick(now_s, wall_s, self._read(drive)))
            if not _cannot_wait(drive, self.state.drive):
                return

    def _catch_up(self, now_s: float) -> None:
        """After a hold-up nothing old is applied: permission, completion and ramps are judged at this moment first."""
        if now_s - self.state.now_s > HELD_UP_S:
            self._step(Passed(now_s))

    def _read(self, drive: Drive) -> Reading | None:
        try:
            return self._stimulator.exchange(drive)
        except DriverLost:
            return None  # the session counts the silence; its own watchdog ends the stimulator's output

    def _step(self, given: Input) -> None:
        self.state, outcome = step(self.state, given)
        self._untold += outcome.outputs

    def _tell_all(self) -> None:
        for output in self._untold:
            self._tell(output)
        self._untold.clear()


def _cannot_wait(before: Drive, after: Drive) -> bool:
    switched = (before.enabled, before.test_pulse, before.relay_open) != (
        after.enabled,
        after.test_pulse,
        after.relay_open,
    )
    return switched or after.setting_ma < before.setting_ma - FALL_MA
