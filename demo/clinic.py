"""A small clinic: a site, Mosquitto, the fleet service, simulated stimulators, and an agent for each.

    with Clinic(folder, {"stim-01": "room-1", "stim-02": "room-1"}) as clinic:
        clinic.open()
        clinic.request("stim-01", client="client-0001")
        clinic.press("stim-01", "arm")

Every agent is a process of its own, beside a bench that is another, or only those that are named: the others live in
one process, which `stimfleet simulate` is.

Everything that is asked here goes through what a clinic uses: the fleet's control socket, the panels of the devices.
Only `truth` looks behind the agents: what really flows, by the stimulator itself.
"""

import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agents.commandline import ask_panel
from agents.counters import FILE_NAME as COUNTERS
from agents.drivers.bench import BenchStimulator
from agents.simulation.bench import MODEL, socket_of
from broker.pki.devices import provision_device, provision_operator
from broker.pki.registry_file import load_registry
from broker.pki.site import provision_site
from demo.day import USUAL
from demo.past.making import Folders, Past, make_past
from demo.people import RULE_SET, Pressed
from demo.processes import DidNotHappen, Process, await_that
from fleet.adapters.control.client import FleetUnreachable, ask
from fleet.roster import core_registry
from fleet.rota.file import core_rota, load_rota

SITE = "north"
OPERATOR = "anna.k"
AT_A_SCREEN = "demo.therapist"  # asks at the page, where a person is signed in
STEP_MA = 1.0  # of a raise or lower that names none, by the panel
BESIDE_NICE = 10  # as in the units of what reads along beside the fleet
UP_WITHIN_S = 40.0  # twenty processes on two cores


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Refused(Exception):
    """The fleet or a panel said no; the text is what it said."""


class Clinic:
    """The clinic in `folder`, closed at first. `devices` maps each device to its room.

    `port` is the broker's; `http_port` serves health and metrics, 0: none; `web_port` the page, None: neither page nor
    recorder nor pager. `alone` are those whose agents are processes
    of their own, each with a cable to the broker that can be cut. None: all are, without cables.
    """

    def __init__(
        self,
        folder: Path,
        devices: Mapping[str, str],
        *,
        port: int,
        http_port: int = 0,
        web_port: int | None = None,
        seed: int = 0,
        alone: Collection[str] | None = None,
    ) -> None:
        self.folder = folder
        self.devices = dict(devices)
        self.port = port
        self.http_port = http_port
        self.web_port = web_port
        self.site_dir = folder / "site"
        self.fleet_dir = folder / "fleet"
        self.bench_dir = folder / "bench"
        self.trace_dir = folder / "true-output"
        self.presses: list[Pressed] = []  # by hand, for an observer
        self.past_rows = 0  # of the journal, from before it was opened
        self._logs = folder / "logs"
        self._alone = tuple(device for device in devices if alone is None or device in alone)
        self._together = tuple(device for device in devices if device not in self._alone)
        self._cabled = alone is not None  # then links can be cut
        self.broker = self._process("broker", ["broker", *self._site, f"--port={port}"])
        served = [f"--data-dir={self.fleet_dir}", f"--http-port={http_port}"]
        self.fleet = self._process("fleet", ["fleet", *self._site, *served])
        reads_along = [*self._site, f"--data-dir={self.fleet_dir}"]
        self.recorder = self._process("recorder", ["recorder", *reads_along], nice=BESIDE_NICE)
        self.web = self._process("web", ["web", *reads_along, f"--port={web_port}"], nice=BESIDE_NICE)
        self.pager = self._process("pager", ["pager", *reads_along], nice=BESIDE_NICE)
        self._beside = () if web_port is None else (self.recorder, self.web, self.pager)
        self.stimulators = self._process("stimulators", self._bench_command(seed))
        self.simulate = self._process("simulate", self._simulate_command(seed))
        self.agents = {device: self._agent(device) for device in self._alone}

    @property
    def processes(self) -> tuple[Process, ...]:
        """In the order in which they start."""
        return (
            self.broker,
            self.fleet,
            *self._beside,
            *((self.stimulators,) if self._alone else ()),
            *((self.simulate,) if self._together else ()),
            *self.agents.values(),
        )

    def provision(self) -> None:
        """Keys, certificates, registry: what `stimfleet provision` does, once."""
        for folder in (self.folder, self._logs, self.fleet_dir, self.bench_dir, self.folder / "devices"):
            folder.mkdir(parents=True, exist_ok=True)
        now, ca_dir = datetime.now(UTC), self.folder / "ca"
        provision_site(self.site_dir, ca_dir, SITE, now=now, broker_port=self.port)
        for device, room in self.devices.items():
            provision_device(
                self.site_dir, ca_dir, device, room, self.serial(device), MODEL, self.papers(device), now=now
            )
        for operator in (OPERATOR, AT_A_SCREEN):
            provision_operator(self.site_dir, operator, {MODEL: (now + timedelta(days=365)).date()})
        (self.site_dir / "web.toml").write_text("simulated = true\n", encoding="ascii")

    def remember(self, weeks: int, seed: int) -> Past:
        """Give a provisioned clinic that was never open weeks of a simulated past."""
        registry = core_registry(load_registry(self.site_dir), None)
        folders = Folders(
            journal=self.fleet_dir / "journal.db", history=self.fleet_dir / "history", agents=self.folder / "agents"
        )
        on_call = load_rota(self.site_dir)
        past = make_past(
            registry,
            folders,
            operator=OPERATOR,
            weeks=weeks,
            seed=seed,
            now_wall_s=time.time(),
            rota=None if on_call is None else core_rota(on_call, registry.clinic.time_zone),
        )
        self.past_rows = past.rows
        return past

    def open(self) -> None:
        """Start everything and wait until the fleet sees every device fresh and idle.

        Raises:
            DidNotHappen: something does not come up in its time.
        """
        for process in (self.broker, self.fleet, *((self.stimulators,) if self._alone else ())):
            process.start()
        # What is said before the fleet listens is lost.
        await_that("the fleet is connected", self.answers, UP_WITHIN_S, self._last_words)
        if self._cabled:
            await_that("the bench is ready", self._cables_lie, UP_WITHIN_S, self.stimulators.last_words)
        for process in self.processes:
            if not process.was_started:
                process.start()
        self.await_devices(self.devices)

    def has_page(self) -> bool:
        """Whether the live page is there already.

        Raises:
            DidNotHappen: it never will be, say because the port was taken at the last moment.
        """
        if not self.web.alive:
            raise DidNotHappen(self.web.last_words())
        return "the live page is at" in self.web.log.read_text(encoding="utf-8")

    def close(self, before_fleet: Callable[[], None] = lambda: None) -> list[str]:
        """End everything in order; what did not go cleanly, as sentences.

        `before_fleet` is called when the devices have ended and the fleet still answers.
        """
        complaints = []
        for process in reversed(self.processes):
            if process is self.fleet:
                before_fleet()
            if process.was_started:
                complaints.append(process.end())
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
            plan={**asdict(USUAL), **changes},
            screening={"rule_set": RULE_SET, "at_wall_s": time.time(), "findings": list(findings)},
        )

    def press(self, device: str, button: str, step_ma: float | None = None) -> str:
        """Press a button at the device; what its panel says.

        Raises:
            Refused: the device refuses.
        """
        step = {} if step_ma is None else {"step_ma": step_ma}
        sent_s = boottime_s()
        answer = ask_panel(self.data(device), {"do": button, **step})
        by_ma = (STEP_MA if step_ma is None else step_ma) if button in {"raise", "lower"} else 0.0
        self.presses.append(Pressed(device, button, sent_s, boottime_s(), bool(answer["accepted"]), by_ma))
        if not answer["accepted"]:
            raise Refused(str(answer["words"]))
        return str(answer["words"])

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the fleet service something at its control socket."""
        return ask(self.fleet_dir / "control.sock", request)

    def answers(self) -> bool:
        """Whether the fleet service answers people, and is connected to the broker."""
        try:
            return bool(self.ask(op="status")["connected"])
        except FleetUnreachable:
            return False

    # --- what is so -------------------------------------------------------------------------------------------------

    def truth(self, device: str) -> dict[str, Any]:
        """What really flows: `true_ma`, `zero_since_s` and `at_s` (boot time) of the simulated stimulator."""
        return self._bench(device, do="truth")

    def suffer(self, device: str, **fault: object) -> float:
        """Let a fault happen to a stimulator now: `kind`, and perhaps `for_s` and `size`. The boot time of it."""
        return float(self._bench(device, do="fault", fault=fault)["at_s"])

    def heal(self, device: str, kind: str) -> None:
        self._bench(device, do="heal", kind=kind)

    def device(self, device: str) -> dict[str, Any]:
        """What the fleet knows of a device."""
        known: dict[str, Any] = next(row for row in self.ask(op="devices")["devices"] if row["device"] == device)
        return known

    def await_devices(self, devices: Iterable[str]) -> None:
        """Wait until the fleet sees these devices fresh, idle, with their settings, and nothing latched."""

        def all_ready() -> bool:
            try:
                rows = self.ask(op="devices")["devices"]
            except FleetUnreachable:
                return False
            ready = {
                row["device"]
                for row in rows
                if row["presence"] == "fresh"
                and row["phase"] == "idle"
                and row["latched"] is None  # which the birth says, behind the first idle sample after a reset
                and row["has_its_settings"]
            }
            return ready >= set(devices)

        await_that("every device is known to the fleet, fresh and idle", all_ready, UP_WITHIN_S, self._last_words)

    def await_phase(self, device: str, phase: str, within_s: float = 10.0) -> None:
        """Wait until the fleet has heard a phase from a device."""
        await_that(
            f"{device} is {phase}",
            lambda: self.answers() and self.device(device)["phase"] == phase,
            within_s,
            self.life_of(device).last_words,
        )

    def life_of(self, device: str) -> Process:
        """The process in which a device's agent lives."""
        return self.agents.get(device, self.simulate)

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

    def _process(self, name: str, command: Sequence[str] | Callable[[], Sequence[str]], nice: int = 0) -> Process:
        return Process(name, command, self._logs / f"{name.replace(' ', '-')}.log", nice)

    def _bench_command(self, seed: int) -> list[str]:
        cables = [f"--broker=127.0.0.1:{self.port}"] if self._cabled else []
        on_bench = [f"--device={device}={self.serial(device)},{MODEL}" for device in self._alone]
        where = [f"--dir={self.bench_dir}", f"--trace-dir={self.trace_dir}"]
        return ["stimulators", *where, f"--seed={seed}", *cables, *on_bench]

    def _simulate_command(self, seed: int) -> list[str]:
        folders = {
            "papers": self.folder / "devices",
            "data": self.folder / "agents",
            "bench": self.bench_dir,
            "trace": self.trace_dir,
            "fleet": self.fleet_dir,
        }
        where = [f"--{name}-dir={folder}" for name, folder in folders.items()]
        who = [f"--device={device}" for device in self._together]
        return ["simulate", "--no-day", *self._site, *where, f"--seed={seed}", f"--broker-port={self.port}", *who]

    def _agent(self, device: str) -> Process:
        def command() -> list[str]:
            own = ["agent", f"--device-dir={self.papers(device)}", f"--data-dir={self.data(device)}"]
            port = int(self._cable(device).read_text(encoding="ascii")) if self._cabled else self.port
            own += [f"--counters={self.data(device) / COUNTERS}"]
            return [*own, f"--stimulator={socket_of(self.bench_dir, device)}", f"--broker-port={port}"]

        return self._process(f"agent {device}", command)

    def _cable(self, device: str) -> Path:
        return self.bench_dir / f"{device}.port"

    def _cables_lie(self) -> bool:
        return all(self._cable(device).exists() and self._cable(device).read_text().strip() for device in self._alone)

    def _bench(self, device: str, **said: object) -> dict[str, Any]:
        stimulator = BenchStimulator(socket_of(self.bench_dir, device), timeout_s=2.0)
        try:
            return stimulator.tell(**said)
        finally:
            stimulator.close()

    def _last_words(self) -> str:
        return " ".join(process.last_words() for process in self.processes)
