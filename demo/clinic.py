"""A small clinic: a site, Mosquitto, the fleet service, a bench of simulated stimulators, and an agent for each.

    with Clinic(folder, {"stim-01": "room-1", "stim-02": "room-1"}) as clinic:
        clinic.open()
        clinic.request("stim-01", client="client-0001")
        clinic.press("stim-01", "arm")

Everything that is asked here goes through what a clinic uses: the fleet's control socket, the panels of the devices.
Only `truth` looks behind the agents: what really flows, by the stimulator itself.
"""

import signal
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agents.commandline import ask_panel
from agents.drivers.bench import BenchStimulator
from agents.simulation.bench import MODEL, socket_of
from demo.processes import DidNotHappen, Process, await_that
from fleet.adapters.control.client import FleetUnreachable, ask

SITE = "north"
OPERATOR = "anna.k"
UP_WITHIN_S = 40.0  # twenty processes on two cores
RULE_SET = "ems-2026-1"

# A usual local plan (domain.md "Dose rules"): quadriceps after surgery, 35 Hz, 300 us, well inside every limit.
PLAN: Mapping[str, object] = {
    "modality": "nmes",
    "body_site": "thigh",
    "electrode_area_cm2": 50.0,
    "frequency_hz": 35.0,
    "pulse_width_us": 300.0,
    "setting_ma_max": 40.0,
    "duration_s": 1200.0,
    "on_s": 6.0,
    "off_s": 12.0,
    "ramp_up_s": 1.0,
    "ramp_down_s": 1.0,
}


class Refused(Exception):
    """The fleet or a panel said no; the text is what it said."""


class Clinic:
    """The clinic in `folder`, closed at first. `devices` maps each device to its room.

    `port` is the broker's; `http_port` serves health and metrics, 0: none.
    """

    def __init__(
        self, folder: Path, devices: Mapping[str, str], *, port: int, http_port: int = 0, seed: int = 0
    ) -> None:
        self.folder = folder
        self.devices = dict(devices)
        self.port = port
        self.http_port = http_port
        self.site_dir = folder / "site"
        self.fleet_dir = folder / "fleet"
        self.bench_dir = folder / "bench"
        self.trace_dir = folder / "true-output"
        logs = folder / "logs"
        on_bench = [f"--device={device}={self.serial(device)},{MODEL}" for device in devices]
        self.broker = Process("broker", ["broker", *self._site, f"--port={port}"], logs / "broker.log")
        fleet = ["fleet", *self._site, f"--data-dir={self.fleet_dir}", f"--http-port={http_port}"]
        self.fleet = Process("fleet", fleet, logs / "fleet.log")
        self.stimulators = Process(
            "stimulators",
            [
                "stimulators",
                f"--dir={self.bench_dir}",
                f"--trace-dir={self.trace_dir}",
                f"--seed={seed}",
                *on_bench,
            ],
            logs / "stimulators.log",
        )
        self.agents = {device: self._agent(device, logs) for device in devices}

    @property
    def processes(self) -> tuple[Process, ...]:
        """In the order in which they start."""
        return (self.broker, self.fleet, self.stimulators, *self.agents.values())

    def provision(self) -> None:
        """Keys, certificates, registry: as `make demo` needs them once, and a clinic at its beginning."""
        for folder in (self.folder, self.folder / "logs", self.fleet_dir, self.bench_dir):
            folder.mkdir(parents=True, exist_ok=True)
        ca = f"--ca-dir={self.folder / 'ca'}"
        self.command("provision", "site", SITE, *self._site, ca, f"--broker-port={self.port}")
        for device, room in self.devices.items():
            self.command(
                "provision",
                "device",
                device,
                *self._site,
                ca,
                f"--room={room}",
                f"--serial={self.serial(device)}",
                f"--model={MODEL}",
                f"--out={self.papers(device)}",
            )
        until = (datetime.now(UTC) + timedelta(days=365)).date()
        self.command("provision", "operator", OPERATOR, *self._site, f"--instructed={MODEL}={until}")

    def open(self) -> None:
        """Start everything and wait until the fleet sees every device fresh and idle.

        Raises:
            DidNotHappen: something does not come up in its time.
        """
        for process in self.processes:
            process.start()
        self.await_devices(self.devices)

    def close(self) -> list[str]:
        """End everything in order; what did not go cleanly, as sentences."""
        complaints = [process.end() for process in reversed(self.processes) if process.was_started]
        return [complaint for complaint in complaints if complaint is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.processes):
            if process.alive:
                process.send(signal.SIGCONT)
                process.kill()

    # --- what people do ---------------------------------------------------------------------------------------------

    def request(self, device: str, client: str, **changes: Any) -> dict[str, Any]:
        """Ask for a session; the fleet's answer, also a refusal. `changes` are of the plan, or `findings`."""
        findings = changes.pop("findings", ())
        return self.ask(
            op="session_request",
            client=client,
            device=device,
            room=self.devices[device],
            operator=OPERATOR,
            plan={**PLAN, **changes},
            screening={"rule_set": RULE_SET, "at_wall_s": time.time(), "findings": list(findings)},
        )

    def press(self, device: str, button: str, step_ma: float | None = None) -> str:
        """Press a button at the device; what its panel says.

        Raises:
            Refused: the device refuses.
        """
        step = {} if step_ma is None else {"step_ma": step_ma}
        answer = ask_panel(self.data(device), {"do": button, **step})
        if not answer["accepted"]:
            raise Refused(str(answer["words"]))
        return str(answer["words"])

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the fleet service something at its control socket."""
        return ask(self.fleet_dir / "control.sock", request)

    def answers(self) -> bool:
        """Whether the fleet service answers people."""
        try:
            return bool(self.ask(op="status")["ok"])
        except FleetUnreachable:
            return False

    # --- what is so -------------------------------------------------------------------------------------------------

    def truth(self, device: str) -> dict[str, Any]:
        """What really flows: `true_ma`, `zero_since_s` and `at_s` (boot time) of the simulated stimulator."""
        return self._bench(device, do="truth")

    def suffer(self, device: str, **fault: object) -> None:
        """Let a fault happen to a stimulator now: `kind`, and perhaps `for_s` and `size`."""
        self._bench(device, do="fault", fault=fault)

    def heal(self, device: str, kind: str) -> None:
        self._bench(device, do="heal", kind=kind)

    def device(self, device: str) -> dict[str, Any]:
        """What the fleet knows of a device."""
        known: dict[str, Any] = next(row for row in self.ask(op="devices")["devices"] if row["device"] == device)
        return known

    def await_devices(self, devices: Iterable[str]) -> None:
        """Wait until the fleet sees these devices fresh, idle and with their settings."""

        def all_ready() -> bool:
            try:
                rows = self.ask(op="devices")["devices"]
            except FleetUnreachable:
                return False
            ready = {
                row["device"]
                for row in rows
                if row["presence"] == "fresh" and row["phase"] == "idle" and row["has_its_settings"]
            }
            return ready >= set(devices)

        await_that("every device is known to the fleet, fresh and idle", all_ready, UP_WITHIN_S, self._last_words)

    def await_phase(self, device: str, phase: str, within_s: float = 10.0) -> None:
        """Wait until the fleet has heard a phase from a device."""
        await_that(
            f"{device} is {phase}",
            lambda: self.answers() and self.device(device)["phase"] == phase,
            within_s,
            self.agents[device].last_words,
        )

    # --- the insides ------------------------------------------------------------------------------------------------

    @property
    def _site(self) -> tuple[str, ...]:
        return (f"--site-dir={self.site_dir}",)

    @staticmethod
    def serial(device: str) -> str:
        return f"SN-{device}"

    def papers(self, device: str) -> Path:
        """The folder that was handed to the device."""
        return self.folder / "devices" / device

    def data(self, device: str) -> Path:
        """The device's own folder: latch, spool, panel."""
        return self.folder / "agents" / device

    def command(self, *command: str) -> None:
        """Run a `stimfleet` command to its end.

        Raises:
            DidNotHappen: it failed; with what it said.
        """
        process = Process(command[0], command, self.folder / "logs" / "commands.log")
        process.start()
        if process.wait(UP_WITHIN_S) != 0:
            raise DidNotHappen(f"`stimfleet {' '.join(command)}` failed. {process.last_words()}")

    def _agent(self, device: str, logs: Path) -> Process:
        command = [
            "agent",
            f"--device-dir={self.papers(device)}",
            f"--data-dir={self.data(device)}",
            f"--stimulator={socket_of(self.bench_dir, device)}",
            f"--broker-port={self.port}",
        ]
        return Process(f"agent {device}", command, logs / f"agent-{device}.log")

    def _bench(self, device: str, **said: object) -> dict[str, Any]:
        stimulator = BenchStimulator(socket_of(self.bench_dir, device), timeout_s=2.0)
        try:
            return stimulator.tell(**said)
        finally:
            stimulator.close()

    def _last_words(self) -> str:
        return " ".join(process.last_words() for process in self.processes)
