"""Many devices at once: a clinic whose state is not compared after every step, and can so be large."""

from collections.abc import Iterable

from fleet.core.decide import Decision, decide
from fleet.core.inputs import Input, Received
from fleet.core.registry import RegisteredDevice
from tests.core.clinic import Clinic, Stimulator


class Crowd(Clinic):
    """So many devices, ten a room, born and heard."""

    def __init__(self, devices: int) -> None:
        super().__init__(alarms=True)
        self.stims = {f"stim-{n}": Stimulator(f"stim-{n}", f"SN-{n}") for n in range(devices)}
        self.changes_registry(
            devices={
                name: RegisteredDevice(
                    device=name, room=f"room-{n // 10}", model="sim-1", serial=f"SN-{n}", enrolment="first"
                )
                for n, name in enumerate(self.stims)
            }
        )

    def decides(self, heard: Input) -> Decision:
        decision = decide(self.state, heard)
        self.journal += decision.events
        return decision

    def treats(self, names: Iterable[str]) -> None:
        """Each of them runs a session; they are heard meanwhile."""
        for name in names:
            self.running(name, client=f"c-{name}", request_id=f"request-{name}")
            self.now_s -= 3.0  # beside each other, not one after the other
            self.wall_s -= 3.0
        self.now_s += 3.0
        self.wall_s += 3.0

    def all_speak(self) -> None:
        """A sample of each, at this very moment."""
        for name, stim in self.stims.items():
            self.decides(Received(name, stim.sample(), self.now_s, self.wall_s))
