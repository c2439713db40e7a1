"""The fleet service of one site: the composition root. It reads the clocks, makes the parts, starts the tasks.

    socket -> intake -> inbox -> owner (core) -> at once ------------------------> downlink -> socket
                                              \\-> journal -> after the commit -/

What it does first is to answer samples: state from the journal, keys, connections; the control socket comes after.
An unexpected exception anywhere ends the process, and the supervisor starts it again.
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from broker.contract.topics import FLEET_INTAKE, FLEET_SAFETY, Channel
from broker.pki.registry import BadRegistry
from broker.pki.site import SERVICES_FOLDER
from broker.wire import codec
from fleet.adapters.control.server import control_socket
from fleet.adapters.downlink import Downlink, RetainedCleared, StopTaken, Undelivered
from fleet.adapters.echo import Echo, TakenOver
from fleet.adapters.feed.server import Feed
from fleet.adapters.intake import Intake
from fleet.adapters.journal.errors import JournalContested, JournalCorrupt, JournalUnwritable, UnknownStored
from fleet.adapters.journal.writer import Journal
from fleet.adapters.lock import Lock, Lost, one_instance
from fleet.connections import Connections
from fleet.core.alarm_inputs import RotaChanged
from fleet.core.inputs import RegistryChanged, StopCleared, StopSent, TookOver
from fleet.desk import Desk
from fleet.figures import Parts
from fleet.footing import Footing
from fleet.inbox import Inbox
from fleet.keyring import Keyring
from fleet.mqtt import Endpoint
from fleet.owner import Owner
from fleet.settings import Settings
from fleet.site import Site, Stamps, read_site, stamps_of
from fleet.stored import FOLD, FleetJournal
from fleet.surface import Surface
from fleet.tally import Tally

log = logging.getLogger(__name__)
EXIT_ENDED = 0
EXIT_FAILED = 1
EXIT_JOURNAL = 65  # the journal cannot be read: only a person can help, so the supervisor does not start it again
EXIT_TAKEN_OVER = 75  # the supervisor does not start it again
EXIT_REFUSED = 78  # settings or site cannot be used
FIRST_SNAPSHOT_S = 1.0
LOCK_LOOK_S = 1.0
REGISTRY_LOOK_S = 0.5  # a device struck off is without rights within 1 s
SOCKET_PATH_BYTES_MAX = 107  # unix(7): sun_path has 108, the last of them zero
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Life(Enum):
    """What a sign of life says."""

    STARTS = b"s"  # it waits for the lock, or reads the journal: nothing hangs, nothing is answered yet
    TURNS = b"t"  # the owner's turns turn
    CARRIES = b"c"  # and both connections carry


Alive = Callable[[Life], None]
_WHAT_TO_DO: dict[type[Exception], str] = {
    JournalCorrupt: "See `stimfleet journal verify`; `stimfleet journal restore BACKUP` sets it aside for a backup",
    UnknownStored: "Start the newer program that wrote it, or `stimfleet journal restore BACKUP` of this one's time",
}


def boottime_s() -> float:
    """CLOCK_BOOTTIME: counts through suspend, decides everything."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def walltime_s() -> float:
    """Unix time, for people and calendars."""
    return time.time()


def host_boot() -> str:
    """Names this boot of this host: boot times of another one are not compared."""
    return BOOT_ID.read_text().strip()


def warm_up() -> None:
    """Build whatever a start would otherwise build: the supervisor does it once, its workers inherit it."""
    codec.warm_up()
    FOLD.warm_up()
    version()


@cache
def version() -> str:
    """Of this package, as it is installed."""
    return metadata.version("stimfleet")


def run_fleet(settings: Settings, alive: Alive = lambda life: None) -> int:
    """Run until SIGTERM or SIGINT; the exit status. Waits for the lock of the data folder first.

    `alive` is called several times a second, from the turns of the owner once it has begun.
    """
    if len(os.fsencode(settings.control_path)) > SOCKET_PATH_BYTES_MAX:
        log.error(
            "the data folder's path is too long: %s may have %d bytes", settings.control_path, SOCKET_PATH_BYTES_MAX
        )
        return EXIT_REFUSED
    try:
        stamps = stamps_of(settings.site_dir)  # before it is read: what changes meanwhile is found
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        site = read_site(settings)
    except (BadRegistry, OSError, ValueError) as bad:
        log.error("the site cannot be used: %s", bad)
        return EXIT_REFUSED
    with one_instance(
        settings.lock_path,
        lambda: log.warning("another fleet instance runs here: waiting"),
        lambda: alive(Life.STARTS),
    ) as lock:
        return asyncio.run(_Service(settings, site, stamps, alive, lock).run())


@dataclass(slots=True)
class _Reports:
    """What becomes of messages: a stop that the broker took goes back to the core, what failed to the log."""

    inbox: Inbox

    def stop_taken(self, taken: StopTaken) -> None:
        sent = StopSent(taken.command_id, taken.hold_id, taken.sent_s, walltime_s())
        if not self.inbox.urgent(sent):
            log.error("no room for the report that stop %s was sent", taken.command_id)

    def retained_cleared(self, cleared: RetainedCleared) -> None:
        report = StopCleared(cleared.device, cleared.command_id, cleared.sent_s, walltime_s())
        if not self.inbox.urgent(report):  # the core asks again
            log.error("no room for the report that the retained stop of %s was cleared", cleared.device)

    def undelivered(self, device: str, channel: Channel, why: Undelivered) -> None:
        if channel is not Channel.LEASE:  # those are counted, and too many to tell
            log.error("%s for %s was not delivered: %s", channel, device, why)


class _Ended(Exception):
    """Somebody asked the service to end."""


class _Service:
    """The parts of one running service."""

    def __init__(self, settings: Settings, site: Site, stamps: Stamps, alive: Alive, lock: Lock) -> None:
        self._settings = settings
        self._site = site
        self._stamps = stamps
        self._alive = alive
        self._lock = lock
        self._loop: asyncio.AbstractEventLoop
        self._surface: Surface
        self._failure: BaseException | None = None
        self._up = asyncio.Event()
        self._end = asyncio.Event()

    async def run(self) -> int:
        """Run until ended; the exit status."""
        self._loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loose_end)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        path = self._settings.journal_path
        try:
            journal: FleetJournal = Journal(path, FOLD, self._on_disk, lambda: self._alive(Life.STARTS))
        except (JournalCorrupt, UnknownStored) as error:
            log.error("the journal %s cannot be used, nothing is led: %s. %s", path, error, _WHAT_TO_DO[type(error)])
            return EXIT_JOURNAL
        except JournalUnwritable as error:  # a disk may come back
            log.error("the journal %s cannot be used: %s", path, error)
            return EXIT_FAILED
        gc.freeze()  # what was restored stays: no look at it later
        restored = journal.restored
        for why in restored.passed_over:
            log.warning("journal: %s: it is passed over, the rows themselves are folded", why)
        log.info("journal: %d rows, %d since snapshot %s", restored.tip.position, restored.folded, restored.snapshot)
        status = EXIT_ENDED
        try:
            await self._serve(journal)
        except* _Ended:
            log.info("ended")
        except* (TakenOver, Lost) as taken:
            log.error("this instance ends: %s", taken.exceptions[0])
            status = EXIT_TAKEN_OVER
        except* JournalContested:
            pass  # closing the journal says it again
        finally:
            try:
                journal.close()
            except JournalContested as contested:
                log.error("this instance ends: %s", contested)
                status = EXIT_TAKEN_OVER
        return status

    async def _serve(self, journal: FleetJournal) -> None:
        settings, registry = self._settings, self._site.registry
        inbox = Inbox(settings.inbox_items_max)
        keyring = Keyring(self._site.links)
        clocks: dict[str, Any] = {"boottime": boottime_s, "walltime": walltime_s}
        downlink = Downlink(
            registry.site, keyring, _Reports(inbox), boottime=boottime_s, items_max=settings.outbox_items_max
        )
        state = journal.restored.state
        desk = Desk(inbox, state, status=lambda: self._status(owner, inbox, intake, downlink, journal, feed), **clocks)
        tally = Tally(state)
        owner = Owner(journal, inbox, downlink, answered=desk.answered, turned=tally.turned, **clocks)
        owner.turn(TookOver(host_boot(), boottime_s(), walltime_s()))
        self._adopt(owner, self._site)
        echo = Echo(secrets.token_hex(8), lambda: owner.state.fleet_n)
        feed = Feed(boottime_s)
        intake = Intake(registry.site, keyring, inbox, heard_echo=echo.heard, took=feed.sample, **clocks)
        incoming, outgoing = self._endpoint(FLEET_INTAKE), self._endpoint(FLEET_SAFETY)
        connections = Connections(registry.site, incoming, outgoing, intake, downlink, echo, self._up)
        footing = Footing(settings.site_dir, settings.data_dir)
        ours = (owner, tally, inbox, intake, downlink, journal, connections, feed, footing)
        parts = Parts(registry.site, version(), *ours)
        self._surface = Surface(settings.http_host, settings.http_port, parts, self._up.is_set, **clocks)
        async with asyncio.TaskGroup() as group:
            group.create_task(owner.turns(settings.tick_period_s, self._breathe), name="turns")
            group.create_task(owner.confirmations(), name="confirmations")
            group.create_task(connections.keep(), name="connections")
            group.create_task(self._watch_registry(owner, keyring), name="registry")
            group.create_task(self._take_snapshots(owner), name="snapshots")
            group.create_task(self._wait_for_the_end(owner), name="end")
            group.create_task(self._watch_lock(), name="lock")
            group.create_task(self._serve_people(desk), name="control")
            group.create_task(self._serve_watchers(), name="http")
            group.create_task(self._serve_readers(feed), name="feed")

    def _endpoint(self, identity: str) -> Endpoint:
        settings, services = self._settings, self._settings.site_dir / SERVICES_FOLDER
        return Endpoint(
            settings.broker_host or self._site.registry.broker_host,
            settings.broker_port or self._site.registry.broker_port,
            identity,
            settings.site_dir / "ca.crt",
            services / f"{identity}.crt",
            services / f"{identity}.key",
        )

    def _adopt(self, owner: Owner, site: Site) -> None:
        owner.turn(RegistryChanged(site.adopted, boottime_s(), walltime_s()))
        if site.bad_rota is None:
            owner.turn(RotaChanged(site.rota, boottime_s(), walltime_s()))
        else:
            log.error("the rota stays as it was: %s", site.bad_rota)

    async def _watch_registry(self, owner: Owner, keyring: Keyring) -> None:
        """Adopt registry and keys whenever one of their files is another. What cannot be used changes nothing.

        They are read beside the loop: 1,000 devices' keys take a tenth of a second to derive.
        """
        known, failed = self._stamps, None
        while True:
            await asyncio.sleep(REGISTRY_LOOK_S)
            try:
                stamps = stamps_of(self._settings.site_dir)
                if stamps == known:
                    continue
                site = await asyncio.to_thread(read_site, self._settings)
            except (BadRegistry, OSError, ValueError) as error:  # tried again until it succeeds, told once
                if str(error) != failed:
                    failed = str(error)
                    log.error("the registry stays as it was: %s", error)
                continue
            keyring.exchange(site.links)
            self._adopt(owner, site)
            known, failed = stamps, None

    async def _watch_lock(self) -> NoReturn:
        """A lock whose file was removed keeps nobody out: it is taken again, or somebody else leads by now.

        A disk that fails or hangs is no reason to end: sessions are led on and stops go out without it.
        """
        failed = None
        while True:
            await asyncio.sleep(LOCK_LOOK_S)
            try:
                await asyncio.to_thread(self._lock.look)
                failed = None
            except OSError as error:  # tried again until it succeeds, told once
                if str(error) != failed:
                    failed = str(error)
                    log.error("the lock cannot be looked at: %s", error)

    async def _take_snapshots(self, owner: Owner) -> None:
        """Soon after a start, so that one that is killed again and again has less to fold each time; then by period."""
        await asyncio.sleep(FIRST_SNAPSHOT_S)
        while True:
            owner.take_snapshot()
            await asyncio.sleep(self._settings.snapshot_period_s)

    async def _samples_first(self) -> None:
        """Wait until samples are answered; without a broker, for a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._up.wait()

    async def _serve_watchers(self) -> None:
        """Health and metrics over HTTP."""
        await self._samples_first()
        await self._surface.serve()

    async def _serve_people(self, desk: Desk) -> None:
        """The control socket, once samples are answered; also without a broker, after a second."""
        await self._samples_first()
        if not self._up.is_set():
            log.warning("no connection to the broker yet")
        async with control_socket(self._settings.control_path, desk.answer):
            await asyncio.Event().wait()

    async def _serve_readers(self, feed: Feed) -> None:
        """Samples, for the processes that read along."""
        await self._samples_first()
        async with feed.serve(self._settings.feed_path):
            await feed.beats()

    async def _wait_for_the_end(self, owner: Owner) -> NoReturn:
        await self._end.wait()
        if self._failure is not None:
            raise self._failure
        owner.take_snapshot()  # the next start folds nothing
        raise _Ended

    def _breathe(self) -> None:
        self._surface.turned()
        self._alive(Life.CARRIES if self._up.is_set() else Life.TURNS)

    def _on_disk(self, error: JournalUnwritable | None) -> None:
        if error is None:
            log.warning("the journal is written again")
        elif isinstance(error, JournalContested):
            self._failure = error
            self._loop.call_soon_threadsafe(self._end.set)
        else:
            log.error("%s: nothing new is authorised, no receipts; stops still go out", error)

    def _on_loose_end(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback or task outside the group failed: that is a bug, and nothing limps on."""
        loop.default_exception_handler(context)
        self._failure = context.get("exception") or RuntimeError(context["message"])
        self._end.set()

    def _status(
        self, owner: Owner, inbox: Inbox, intake: Intake, downlink: Downlink, journal: FleetJournal, feed: Feed
    ) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "fleet_n": owner.state.fleet_n,
            "site": self._site.registry.site,
            "connected": self._up.is_set(),
            "journal_position": journal.position,
            "journal_refusing": journal.refusing,
            "draining": owner.state.durable.draining,
            "clock_step_s": owner.state.durable.clock_step_s,
            "inbox": len(inbox),
            "inbox_most": inbox.most,
            "outbox": downlink.waiting,
            "http": self._surface.state,
            "feed_missed": feed.missed,
            "heard": {channel.value: count for channel, count in intake.heard.items()},
            "sent": {channel.value: count for channel, count in downlink.sent.items()},
            "refused": _counts(intake.counts.items()),
            "refused_by_core": _counts(owner.counts.items()),
            "undelivered": _counts(downlink.counts.items()),
        }


def _counts(counted: Iterable[tuple[tuple[Channel | None, str], int]]) -> dict[str, int]:
    """Counters by channel and reason, fit for JSON."""
    return {f"{channel or 'none'}.{reason}": count for (channel, reason), count in counted}
