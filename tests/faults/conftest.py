"""One clinic for all tests here: it takes seconds to open. Each test leaves every device idle."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agents.simulation.trace import Trace, read_trace
from broker.ports import free_port
from demo.clinic import Clinic, Refused
from demo.processes import await_that

DEVICES = {"stim-01": "room-1", "stim-02": "room-2"}
LEASE_S = 5.0
TICK_S = 0.05
RAMP_S = 1.0


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Ward:
    """The clinic, as the tests speak of it."""

    clinic: Clinic
    clients: int = 0

    def treat(self, device: str, to_ma: int = 8) -> str:
        """A session with an ON phase of ten minutes, started and raised until current flows; its id."""
        self.clinic.await_devices({device})  # a fleet that was just started has not heard an idle device yet
        self.clients += 1
        answer = await_that(f"the record of the last session at {device}", lambda: self._asked(device), 15.0)
        assert answer["ok"], answer
        self.clinic.await_phase(device, "authorised")
        self.insist(device, "arm")
        self.insist(device, "start")
        for _ in range(to_ma // 2):
            self.insist(device, "raise", 2.0)
        await_that("current flows", lambda: self.true_ma(device) > to_ma / 2.0, 15.0)
        return str(answer["session_id"])

    def _asked(self, device: str) -> dict[str, Any] | None:
        """The fleet's answer; None while it has not heard yet that the device's last session is over."""
        answer = self.clinic.request(device, client=f"client-{self.clients:04d}", on_s=600.0, off_s=0.0)
        waits = [refusal["rule"] for refusal in answer.get("refusals", ())] == ["device_in_session"]
        return None if waits else answer

    def insist(self, device: str, button: str, step_ma: float | None = None) -> None:
        """Press until the device takes it, as a person does."""
        said = ""

        def press() -> bool:
            nonlocal said
            try:
                self.clinic.press(device, button, step_ma)
            except (Refused, OSError) as not_yet:
                said = str(not_yet)
                return False
            return True

        await_that(f"{device} takes {button}", press, 20.0, lambda: said)

    def true_ma(self, device: str) -> float:
        return float(self.clinic.truth(device)["true_ma"])

    def await_zero(self, device: str, within_s: float) -> float:
        """Wait until nothing flows; the boot time since which nothing has."""
        await_that(f"nothing flows at {device}", lambda: self.true_ma(device) == 0.0, within_s)
        since_s = self.clinic.truth(device)["zero_since_s"]
        assert isinstance(since_s, float)
        return since_s

    def truth(self, device: str) -> Trace:
        """The whole true output so far."""
        return read_trace(self.clinic.trace_dir / f"{device}.csv")

    def permission_until_s(self, device: str) -> float | None:
        """The boot time until which the agent holds a lease, to a tenth of a second; None without one."""
        said = re.search(r"permission +(\d+\.\d) s left", self.clinic.press(device, "status"))
        return None if said is None else boottime_s() + float(said[1])

    def newest_sample_sent_s(self, session: str) -> float:
        """The boot time at which the newest sample that the fleet has of a session was sent, by its own wall time."""
        sample = self.clinic.ask(op="session_show", session_id=session)["session"]["sample"]
        return datetime.fromisoformat(sample["at"]).timestamp() - time.time() + boottime_s()

    def state_of(self, session: str) -> tuple[str, str | None]:
        """The state of a session and its cause, as the fleet has it."""
        shown = self.clinic.ask(op="session_show", session_id=session)["session"]
        return shown["state"], shown["cause"]

    def await_record(self, session: str, ended: tuple[str, str]) -> None:
        """Wait until the journal has how a session ended."""
        what = f"the record says {ended}"
        await_that(what, lambda: self.state_of(session) == ended, 15.0, lambda: f"It says {self.state_of(session)}.")

    def await_connected(self, device: str) -> None:
        await_that(f"{device} is connected", lambda: "not connected" not in self.clinic.press(device, "status"), 15.0)

    def end_to_end(self, device: str) -> None:
        """A session from its request to its end in the record."""
        session = self.treat(device, to_ma=2)
        self.end(device)
        self.await_record(session, ("aborted", "therapist_stop"))

    def end(self, device: str) -> None:
        """The therapist ends the session; the device is idle afterwards."""
        self.insist(device, "stop")
        self.clinic.await_phase(device, "idle")

    def reset(self, device: str) -> None:
        """A person at the device resets its latch; it is idle afterwards."""
        self.insist(device, "reset")
        self.clinic.await_phase(device, "idle")


@pytest.fixture(scope="package")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder: Path = tmp_path_factory.mktemp("clinic")
    clinic = Clinic(folder, DEVICES, port=free_port(), http_port=free_port(), seed=1)
    clinic.provision()
    with clinic:
        clinic.open()
        yield Ward(clinic)
        assert clinic.close() == [], "every process ends cleanly"
