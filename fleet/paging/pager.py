"""Who tells people: the composition root of `stimfleet pager`. It reads the clocks, makes the parts, starts the tasks.

    journal -> replica -> courier -> a lane a channel -> the other side
                              \\-> reports -> control socket -> the fleet decides what is next

It is a process beside the fleet and may be killed at any time: what is due stands in the journal. Without a fleet there
is nothing new to tell, and what came of the last is kept until it is back. One thing it says by itself: that the
fleet cannot write what it would be told by (`unwritten`).
"""

import asyncio
import logging
import os
import signal
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from broker.pki.registry import BadRegistry
from broker.pki.registry_file import load_registry
from fleet.adapters.journal.errors import JournalError, JournalReplaced, JournalUnwritable
from fleet.adapters.lock import one_instance
from fleet.adapters.notify.lane import Deliver
from fleet.adapters.notify.message import Message
from fleet.adapters.notify.settings import PagerSettings
from fleet.adapters.systemd import notify
from fleet.aside import Aside
from fleet.core.alarm_events import Priority
from fleet.core.attention_events import PageDue
from fleet.core.conditions import delivery_fails
from fleet.paging.begun import Begun
from fleet.paging.courier import Courier
from fleet.paging.heartbeat import Heartbeat
from fleet.paging.links import PATH, Link, link_key, link_token
from fleet.paging.outcomes import Reports
from fleet.paging.overdue import overdue
from fleet.paging.targets import Targets
from fleet.paging.unwritten import Unwritten
from fleet.replica import Replica
from fleet.stored import FOLD
from fleet.words.pages import LinkFor, Surroundings, runbook_anchors

log = logging.getLogger(__name__)
EXIT_ENDED = 0
EXIT_AGAIN = 1
EXIT_JOURNAL = 65
EXIT_REFUSED = 78
WAIT_S = 0.5  # for a journal that is not there yet
LIFE_S = 5.0
ROTA_S = 30.0  # how often it is looked whether there is another to keep
RUNBOOK = Path(__file__).resolve().parent.parent.parent / "dashboards" / "runbook.md"


def boottime_s() -> float:
    """CLOCK_BOOTTIME: the journal's orders carry it, and both are on one host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def walltime_s() -> float:
    """Unix time, for people, links and signatures."""
    return time.time()


class _Ended(Exception):
    """Somebody asked the process to end."""


def run_pager(settings: PagerSettings) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    FOLD.forms.warm_up()
    try:
        site = load_registry(settings.site_dir).site
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = link_key(settings.data_dir)
    except (BadRegistry, OSError) as bad:
        log.error("the pager cannot be set up: %s", bad)
        return EXIT_REFUSED
    targets = Targets(settings.site_dir, settings.kept_rota_path)
    targets.warm_up()
    waiting = partial(log.warning, "another pager tells people of this site: waiting until it ends")
    with one_instance(settings.lock_path, waiting), closing(Begun(settings.begun_path)) as begun:
        return asyncio.run(_Pager(settings, site, key, begun, targets).run())


class _Pager:
    """The parts of one running pager."""

    def __init__(self, settings: PagerSettings, site: str, key: bytes, begun: Begun, targets: Targets) -> None:
        self._settings = settings
        self._targets = targets
        self._reports = Reports(settings.control_path)
        around = Surroundings(
            site=site,
            link_for=_links(settings, key),
            runbook_url=settings.runbook_url,
            anchors=runbook_anchors(RUNBOOK.read_text(encoding="utf-8")) if RUNBOOK.exists() else {},
        )
        self._courier = Courier(
            around, self._reports, begun, self._deliver, send_s=settings.send_s, boottime=boottime_s
        )
        secret = settings.heartbeat_secret
        self._heartbeat = Heartbeat(
            settings.control_path,
            site,
            None if secret is None else partial(self._targets.secret, secret),
            self._reaches_people,
            send_s=settings.send_s,
            period_s=settings.heartbeat_period_s,
        )
        self._unwritten = Unwritten(
            settings.control_path,
            around,
            partial(self._targets.ways, Priority.HIGH),
            self._courier.tell,
            boottime=boottime_s,
            walltime=walltime_s,
        )
        self._replica: Replica | None = None
        self._unread: str | None = None  # why the journal was not read at the last look
        self._end = asyncio.Event()

    async def run(self) -> int:
        """Until it is ended; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        status = EXIT_ENDED
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="journal")
                group.create_task(self._courier.run(), name="courier")
                group.create_task(self._reports.run(), name="reports")
                group.create_task(self._heartbeat.beat(), name="heartbeat")
                group.create_task(self._heartbeat.tell_the_fleet(), name="alive")
                group.create_task(self._unwritten.watch(), name="unwritten")
                group.create_task(self._keep_rota(), name="rota")
                group.create_task(_show_life(), name="life")
                group.create_task(self._wait_for_the_end(), name="end")
        except* _Ended:
            log.info("ended")
        except* JournalReplaced as replaced:  # started again, it begins anew
            log.error("%s", replaced.exceptions[0])
            status = EXIT_AGAIN
        except* JournalError as errors:
            log.error("the journal cannot be followed: %s", errors.exceptions[0])
            status = EXIT_JOURNAL
        return status

    async def _follow(self) -> None:
        path = self._settings.journal_path
        with closing(Aside("journal")) as aside:
            self._replica = replica = await self._opened(aside)
            try:
                due = partial(overdue, path, replica.state, replica.tip.position, walltime_s())
                orders = await aside.does(due)
                self._courier.begin(orders, replica.state)
                replica.heard.append(self._courier.heard)
                log.info(
                    "telling people from row %d of the journal on; %d left to tell", replica.tip.position, len(orders)
                )
                notify(os.environ, "READY=1")
                await replica.follow(aside, lambda rows: self._journal_is(replica.failing))
            finally:
                aside.begin(replica.close)

    async def _opened(self, aside: Aside) -> Replica:
        """From the snapshot; what came after it is read in whole before anything is told."""
        while True:
            try:
                replica = await aside.opens(self._caught_up)
            except FileNotFoundError:  # no fleet has run here yet
                self._journal_is("there is none")
            except JournalUnwritable as error:  # the disk refuses for now
                self._journal_is(str(error))
            else:
                self._journal_is(None)
                return replica
            await asyncio.sleep(WAIT_S)

    def _journal_is(self, unread: str | None) -> None:
        """Say once that the journal cannot be read, and that it can be again."""
        if unread == self._unread:
            return
        self._unread = unread
        if unread is None:
            log.warning("the journal is read again")
        else:
            log.error("the journal cannot be read for now, nobody is told of anything new: %s", unread)

    def _caught_up(self) -> Replica:
        replica = Replica.from_snapshot(self._settings.journal_path)
        try:
            while replica.look():
                pass
        except BaseException:
            replica.close()
            raise
        return replica

    def _reaches_people(self) -> bool:
        """Whether the journal is read, and the last messages were not delivered to nobody."""
        read = self._replica
        return read is not None and read.failing is None and not delivery_fails(read.state.durable)

    async def _keep_rota(self) -> NoReturn:
        while True:
            await asyncio.to_thread(self._targets.keep)
            await asyncio.sleep(ROTA_S)

    def _deliver(self, person: str, method: str) -> Deliver:
        """Looked up anew with each message: the rota may be another by then."""

        def deliver(message: Message) -> None:
            self._targets.of(person, method).deliver(message, self._settings.send_s, walltime_s)

        return deliver

    async def _wait_for_the_end(self) -> NoReturn:
        """What is on its way is finished first, for as long as one message may take."""
        await self._end.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.send_s):
                await self._courier.idle.wait()
                await self._reports.idle.wait()
        raise _Ended


async def _show_life() -> NoReturn:
    while True:
        notify(os.environ, "WATCHDOG=1")
        await asyncio.sleep(LIFE_S)


def _links(settings: PagerSettings, key: bytes) -> LinkFor:
    """Where a message is answered; nowhere without an address that telephones can reach."""

    def link_for(page: PageDue) -> str | None:
        if settings.public_url is None:
            return None
        link = Link(
            page_id=page.page_id,
            alarm_id=page.alarm_id,
            person=page.person,
            ends_s=int(walltime_s()) + settings.link_ends_after_s,
            drill=page.drill,
        )
        return f"{settings.public_url}{PATH}/{link_token(key, link)}"

    return link_for
