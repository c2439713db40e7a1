"""One device's life: stimulator, control loop, spool, link and panel, from READY to an output at zero.

    control thread (50 ms)  ->  disk thread: latch, spool  ->  event loop: link, panel, supervisor

The event loop may stall and the disk may hang: the control thread goes on, and permission runs out by itself.

    AgentRefused           it cannot begin; the text is one sentence for people
    anything else          a bug or a dead disk: output goes to zero, the process ends, its supervisor starts it again
"""

import asyncio
import fcntl
import logging
import os
import secrets
import signal
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, assert_never

from agents.clocks import Clocks
from agents.connection import Endpoint
from agents.control import Control, Round
from agents.counters import Counters, NotCounted
from agents.drivers.bench import BenchStimulator
from agents.drivers.port import DriverLost, Stimulator
from agents.latch import LatchFile
from agents.link import Link
from agents.panel import Panel
from agents.settings import Settings
from agents.socket_path import PANEL_SOCKET, overlong
from agents.spool import Happened, Spool, SpoolFailed, Stamp, corrupt_spool, open_spool
from agents.steps import Acknowledge, Announce, Emit, Output, Persist, Reply, Sample
from agents.systemd import notify, watchdog_period_s
from broker.contract.messages import CommandRefused, Detail, EventKind
from broker.pki.link import DevicePapers, device_links, load_papers
from broker.pki.registry import BadRegistry
from broker.wire.codec import warm_up

_log = logging.getLogger(__name__)
ALIVE_S: Final = 1.0  # a control loop that has not ticked for so long is not alive
FAREWELL_S: Final = 3.0


class AgentRefused(Exception):
    """The agent cannot begin; the text is one sentence for people."""


class Agent:
    """The parts, tied together. Make it in the event loop that is to run it.

    `stimulator` is where it is not the one of the settings, `round_` whose thread the control loop runs in where it is
    not its own, `tell` who hears of the life of the process: one agent among many is no process.

    Raises:
        AgentRefused: papers, keys, counters, spool or the stimulator are not what they must be.
    """

    def __init__(
        self,
        settings: Settings,
        clocks: Clocks,
        *,
        stimulator: Stimulator | None = None,
        round_: Round | None = None,
        tell: Callable[[str], None] = notify,
    ) -> None:
        self._clocks = clocks
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._started = False
        self._dead: asyncio.Future[None] = self._loop.create_future()
        self._papers, endpoint = _endpoint(settings)
        self._stimulator = BenchStimulator(settings.stimulator) if stimulator is None else stimulator
        self._counters = _counters(settings.counters)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._spool, self._corrupt = _spool(settings, self._stamp_now)
        self._control = Control(
            self._stimulator,
            LatchFile(settings.data_dir / "latch"),
            self._deliver,
            clocks.boottime_s,
            clocks.wall_s,
            on_lease=self._counters.leased,
            round_=round_,
        )
        self._link = Link(
            endpoint,
            self._control,
            self._control.snapshot,
            self._spool,
            self._disk,
            clocks,
            self._on_refused,
            on_telemetry=self._counters.published,
        )
        self._panel = Panel(
            settings.data_dir,
            self._control,
            self._control.snapshot,
            is_connected=lambda: self._link.connected,
            device=self._papers.device,
            room=self._papers.room,
        )

    async def run(self, end: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Live until `end` is set; then end at zero, told to the fleet as far as it listens."""
        try:
            self._open_panel()
            await self._start()
            async with asyncio.TaskGroup() as life:
                link = life.create_task(self._link.run(), name="agent: link")
                watchers = [
                    life.create_task(self._panel.serve(), name="agent: panel"),
                    life.create_task(self._fall_with_disk(), name="agent: disk"),
                    life.create_task(self._tell_supervisor(), name="agent: supervisor"),
                ]
                self._tell("READY=1")
                on_ready()
                await end.wait()
                self._tell("STOPPING=1")
                await asyncio.to_thread(self._control.stop)
                self._link.end()
                await self._panel.close()
                await asyncio.wait([link], timeout=FAREWELL_S)
                for task in (link, *watchers):
                    task.cancel()
        finally:
            await self._panel.close()
            await asyncio.to_thread(self._close)

    def _open_panel(self) -> None:
        try:
            self._panel.open()
        except OSError as error:
            raise AgentRefused(
                f"The panel cannot open at {self._panel.path}: {error.strerror or error}. Take away what is there, or "
                "give another --data-dir."
            ) from error

    async def _start(self) -> None:
        try:
            await asyncio.to_thread(self._control.start)
        except DriverLost as lost:
            raise AgentRefused(f"{lost}.") from lost
        self._started = True
        serial = self._control.snapshot().identity.serial
        if serial != self._papers.serial:
            raise AgentRefused(
                f"The stimulator here has the serial {serial}, the papers are for {self._papers.serial}: "
                "connect the right one, or provision this one."
            )
        if self._corrupt is not None:
            self._record_later(EventKind.SELF_TEST_FAILED, corrupt_spool(self._corrupt))

    def _close(self) -> None:
        if self._started:
            self._control.stop()
        self._disk.shutdown()
        self._spool.close()
        self._counters.close()
        self._stimulator.close()

    async def _fall_with_disk(self) -> None:
        await asyncio.shield(self._dead)

    async def _tell_supervisor(self) -> None:
        """Alive means: the control loop has ticked. A process whose loop has died must not look well."""
        period_s = watchdog_period_s()
        while True:
            await asyncio.sleep(period_s or ALIVE_S)
            if period_s is not None and self._clocks.boottime_s() - self._control.snapshot().stepped_s < ALIVE_S:
                self._tell("WATCHDOG=1")

    # --- what the parts say to each other ---------------------------------------------------------------------------

    def _deliver(self, output: Output) -> None:
        """In the control loop's disk thread, in order: an event is on disk before what follows it is told."""
        match output:
            case Emit():
                self._record(
                    Happened(
                        self._stamp(output.boottime_s),
                        _new_id(),
                        output.kind,
                        output.session_id,
                        output.cause,
                        output.detail,
                    )
                )
            case Acknowledge():
                self._link.say_ack(output)
            case Sample():
                self._link.say_sample(output)
            case Announce():
                self._link.say_birth()
            case Reply():
                self._panel.reply(output)
            case Persist():
                raise AssertionError("the control loop writes its record itself")
            case _:
                assert_never(output)

    def _record(self, event: Happened) -> None:
        self._spool.append(event)
        self._link.say_events()

    def _on_refused(self, refused: CommandRefused) -> None:
        self._record_later(EventKind.COMMAND_REFUSED, refused)

    def _record_later(self, kind: EventKind, detail: Detail) -> None:
        """From the event loop: an event of the agent itself, written in the spool's thread."""
        event = Happened(self._stamp_now(), _new_id(), kind, detail=detail)
        self._disk.submit(self._record, event).add_done_callback(self._die_of)

    def _die_of(self, written: Future[None]) -> None:
        if (error := written.exception()) is not None:
            self._loop.call_soon_threadsafe(self._take_death, error)

    def _take_death(self, error: BaseException) -> None:
        if not self._dead.done():
            self._dead.set_exception(error)

    def _stamp_now(self) -> Stamp:
        return self._stamp(self._clocks.boottime_s())

    def _stamp(self, boottime_s: float) -> Stamp:
        return Stamp(self._control.snapshot().boot_n, self._clocks.wall_time_of(boottime_s), boottime_s)


def _new_id() -> str:
    return secrets.token_hex(16)


def _spool(settings: Settings, stamp: Callable[[], Stamp]) -> tuple[Spool, Path | None]:
    try:
        return open_spool(settings.data_dir / "spool.db", _new_id, stamp, settings.spool_events_max)
    except SpoolFailed as failed:
        raise AgentRefused(
            f"The agent cannot begin: {failed}. Nothing is stimulated unrecorded: take away what is in the way, see to "
            "the disk, or give another --data-dir."
        ) from failed


def _counters(path: Path | None) -> NotCounted:
    try:
        return NotCounted() if path is None else Counters(path)
    except OSError as error:
        raise AgentRefused(f"The counters cannot be kept in {path}: {error.strerror}.") from error


def _endpoint(settings: Settings) -> tuple[DevicePapers, Endpoint]:
    try:
        papers = load_papers(settings.device_dir)
        keys = device_links(papers)
        tls = ssl.create_default_context(cafile=str(papers.ca))
        tls.load_cert_chain(papers.certificate, papers.key)
    except BadRegistry as bad:
        raise AgentRefused(str(bad)) from bad
    except (OSError, ValueError) as error:
        raise AgentRefused(f"The keys and certificates in {settings.device_dir} cannot be used: {error}.") from error
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    host = settings.broker_host or papers.broker_host
    return papers, Endpoint(papers.site, papers.device, keys, host, settings.broker_port or papers.broker_port, tls)


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """One agent a device: two would feed one stimulator and share one latch.

    Raises:
        AgentRefused: another one runs on this data folder, or the folder cannot be used.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise AgentRefused(f"The data folder {data_dir} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AgentRefused(f"Another agent runs on the data folder {data_dir}.") from error
    finally:
        os.close(descriptor)


async def run_agent(settings: Settings, clocks: Clocks, on_ready: Callable[[], None]) -> None:
    """Run one agent until SIGTERM or SIGINT.

    Raises:
        AgentRefused: it cannot begin.
        ExceptionGroup, SpoolFailed: it cannot go on; output is at zero.
    """
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    if (why := overlong(settings.data_dir / PANEL_SOCKET)) is not None:
        raise AgentRefused(f"The panel cannot open: {why}.")
    warm_up()
    with alone(settings.data_dir):
        await Agent(settings, clocks).run(end, on_ready)
