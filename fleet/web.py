"""The web server of one site: the composition root. It reads the clocks, makes the parts, starts the tasks.

    journal, feed, status -> sight -> pulse -> every browser
                                 \\-> routes -> control socket -> the fleet decides

It is a process beside the fleet, at a lower priority, and may be killed at any time. Without a fleet it goes on: what
is shown is shown as stale, and a stop is answered with what else to do.
"""

import asyncio
import logging
import secrets
import signal
import time
from importlib import metadata
from typing import NoReturn

from broker.pki.registry import BadRegistry, load_registry
from broker.wire import codec
from fleet.api.application import application
from fleet.api.control import StopLine
from fleet.api.following import ask_for_status, follow_journal, follow_samples
from fleet.api.pulse import Pulse
from fleet.api.server import CannotListen, listening
from fleet.api.settings import WebSettings
from fleet.api.sight import Sight
from fleet.api.stream import Studio
from fleet.api.window import Window

log = logging.getLogger(__name__)
EXIT_ENDED = 0
EXIT_REFUSED = 78  # settings or site cannot be used


def boottime_s() -> float:
    """CLOCK_BOOTTIME: the fleet's samples carry it, and both are on one host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def walltime_s() -> float:
    """Unix time, for people and calendars."""
    return time.time()


class _Ended(Exception):
    """Somebody asked the process to end."""


def run_web(settings: WebSettings) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    try:
        site = load_registry(settings.site_dir).site
    except (BadRegistry, OSError, ValueError) as bad:
        log.error("the site cannot be used: %s", bad)
        return EXIT_REFUSED
    codec.warm_up()
    try:
        return asyncio.run(_Web(settings, site).run())
    except CannotListen as refused:
        log.error("%s", refused)
        return EXIT_REFUSED


class _Web:
    """The parts of one running web server."""

    def __init__(self, settings: WebSettings, site: str) -> None:
        self._settings = settings
        self._end = asyncio.Event()
        window = Window(settings.window_min)
        self._sight = Sight(site, settings.simulated, boottime_s, walltime_s, window, started_s=boottime_s())
        self._studio = Studio(Pulse(self._sight, secrets.token_hex(4)), settings.streams_max)
        self._sight.on_sample = self._studio.sample
        self._stop_line = StopLine(settings.control_path)

    async def run(self) -> int:
        """Raises: CannotListen."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        try:
            await self._serve()
        except* _Ended:
            log.info("ended")
        except* CannotListen as refused:
            raise refused.exceptions[0] from None
        finally:
            self._stop_line.close()
        return EXIT_ENDED

    async def _serve(self) -> None:
        sight, settings = self._sight, self._settings
        async with asyncio.TaskGroup() as group:
            group.create_task(follow_journal(sight, settings), name="journal")
            group.create_task(follow_samples(sight, settings), name="feed")
            group.create_task(ask_for_status(sight, settings, self._stop_line), name="status")
            group.create_task(self._studio.run(), name="pulse")
            group.create_task(self._answer(), name="http")

    async def _answer(self) -> NoReturn:
        app = application(
            self._settings,
            (),
            metadata.version("stimfleet"),
            sight=self._sight,
            stop_line=self._stop_line,
            studio=self._studio,
        )
        async with listening(app, self._settings) as url:
            log.info("the live page is at %s", url)
            await self._end.wait()
            self._studio.end_all()
        raise _Ended
