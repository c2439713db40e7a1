"""The tasks that keep the sight up: journal, feed, the fleet's word about itself. Each survives the fleet's absence."""

import asyncio
import logging
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from broker.contract.messages import Telemetry
from broker.contract.topics import Channel
from broker.wire import codec
from fleet.adapters.feed.frames import BadFrame, Missed, Sample
from fleet.adapters.feed.reader import FeedLost, follow_feed
from fleet.adapters.journal.errors import JournalError
from fleet.adapters.journal.rows import open_database, reading, rows_after
from fleet.api.control import FleetAbsent, StopLine, ask
from fleet.api.settings import WebSettings
from fleet.api.sight import NO_JOURNAL, Sight
from fleet.api.stop_book import READS, StopBook
from fleet.aside import Aside
from fleet.core.state import State
from fleet.replica import Replica
from fleet.stored import FOLD

log = logging.getLogger(__name__)
STATUS_PERIOD_S = 1.0
STATUS_S_MAX = 2.0
AGAIN_S = 1.0
ROWS_BACK = 200_000  # of the journal, in which the newest stops are looked for at the start: a second's work


async def follow_journal(sight: Sight, settings: WebSettings) -> NoReturn:
    """Read along for ever. Another journal, or one that cannot be read, is begun anew, and until then said.

    The disk has a thread of its own: whatever it does, this loop answers, and stops.
    """
    told: str | None = None
    with closing(Aside("journal")) as aside:
        while True:
            try:
                replica = await aside.opens(partial(Replica.from_snapshot, settings.journal_path))
            except (FileNotFoundError, JournalError) as error:
                sight.looked.set()
                told = _troubled(sight, error, told)
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                upto = replica.tip.position
                sight.book = await aside.does(partial(_book_up_to, settings.journal_path, upto, replica.state))
                replica.heard.append(sight.book.hear)
                _keep_samples(sight, replica)
                sight.replica, sight.journal_trouble, told = replica, None, None
                sight.read_along()
                sight.looked.set()
                await replica.follow(aside, partial(_looked, sight, replica))
            except JournalError as error:
                told = _troubled(sight, error, told)
                await asyncio.sleep(AGAIN_S)
            finally:
                aside.begin(replica.close)


def _looked(sight: Sight, replica: Replica, _rows: int) -> None:
    if replica.failing is None:
        sight.read_along()
    elif sight.journal_failing != replica.failing:
        log.error("the journal cannot be followed for now: %s", replica.failing)
    sight.journal_failing = replica.failing


def _keep_samples(sight: Sight, replica: Replica) -> None:
    """What was heard before is still the newest, where it is of the device's present boot."""
    for device, seen in sight.state.fleeting.seen.items():
        if replica.state.device(device).boot_n == seen.sample.boot_n:
            replica.state.fleeting.seen[device] = seen


def _troubled(sight: Sight, error: Exception, told: str | None) -> str | None:
    """Each reason is told once in a row; what was told last. That there is no journal yet is no trouble to tell."""
    sight.journal_trouble = NO_JOURNAL
    if isinstance(error, FileNotFoundError):
        return told
    if str(error) != told:
        log.error("the journal cannot be followed: %s", error)
    return str(error)


def _book_up_to(path: Path, position: int, state: State) -> StopBook:
    """The stops of the journal's newest rows up to `position`. Rooms are those of now.

    Raises:
        JournalError
    """
    book = StopBook(from_position=max(0, position - ROWS_BACK))
    engine = open_database(path, create=False)
    try:
        with reading(engine) as connection:
            for row in rows_after(connection, book.from_position):
                if row.position > position:
                    break
                if row.name in READS:
                    book.hear(row.position, FOLD.forms.load(row.position, row.name, row.version, row.body), state)
    finally:
        engine.dispose()
    return book


async def follow_samples(sight: Sight, settings: WebSettings) -> NoReturn:
    """Take in every sample that the fleet hands on."""
    while True:
        try:
            async for frame in follow_feed(settings.feed_path):
                sight.feed_is_up = not isinstance(frame, FeedLost)
                match frame:
                    case Sample(device, received_s, wall_s, payload):
                        _sample(sight, device, payload, received_s, wall_s)
                    case Missed(samples):
                        sight.feed_missed(samples)
        except BadFrame as error:
            log.error("the feed cannot be read: %s", error)
        sight.feed_is_up = False
        await asyncio.sleep(AGAIN_S)


def _sample(sight: Sight, device: str, payload: bytes, received_s: float, wall_s: float) -> None:
    try:
        sample = codec.decode(Channel.TELEMETRY, payload)
    except codec.MalformedMessage as error:  # of a fleet that knows a newer wire: its number is missing, a gap
        log.warning("a sample of %s cannot be read: %s", device, error)
        return
    assert isinstance(sample, Telemetry)  # the channel's
    sight.sample(device, sample, received_s, wall_s)


async def ask_for_status(sight: Sight, settings: WebSettings, line: StopLine) -> NoReturn:
    """Ask the fleet once a second whether it is there, and have the line for stops open."""
    while True:
        with suppress(FleetAbsent):
            answer = await ask(settings.control_path, {"op": "status"}, STATUS_S_MAX)
            if answer["ok"]:
                sight.heard_status(answer)
        with suppress(OSError):
            await line.warm()
        await asyncio.sleep(STATUS_PERIOD_S)
