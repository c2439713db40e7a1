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
import socket
import ssl
import sys
import time
from contextlib import closing, suppress
from importlib import metadata
from typing import NoReturn
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from broker.pki.opening import OpeningHours
from broker.pki.registry import BadRegistry, Registry
from broker.pki.registry_file import load_registry
from broker.wire import codec
from fleet.adapters.history.port import HistoryReader
from fleet.adapters.history.settings import load_recorder_settings, open_history_reader
from fleet.api.application import application, shielded
from fleet.api.control import StopLine
from fleet.api.following import ask_for_status, follow_journal, follow_samples
from fleet.api.links import link_desk, link_routes
from fleet.api.passwords import Passwords
from fleet.api.people import Unusable
from fleet.api.pulse import Pulse
from fleet.api.reception import Reception
from fleet.api.reports import CHECKPOINT, Reports
from fleet.api.rota import wrong_codes
from fleet.api.serving import Bounds, listen, serve
from fleet.api.settings import WebSettings
from fleet.api.sight import Sight
from fleet.api.sign_in import Site
from fleet.api.store import FILE_NAME as USERS
from fleet.api.store import Store
from fleet.api.stream import Studio
from fleet.api.window import Window

log = logging.getLogger(__name__)
EXIT_ENDED = 0
READ_WITHIN_S = 5.0
SWITCH_S = 0.001  # for how long a report may keep the interpreter from the loop; 5 ms by default
EXIT_REFUSED = 78  # settings or site cannot be used


def boottime_s() -> float:
    """CLOCK_BOOTTIME: the fleet's samples carry it, and both are on one host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def walltime_s() -> float:
    """Unix time, for people and calendars."""
    return time.time()


class _Ended(Exception):
    """Somebody asked the process to end."""


class CannotServe(Exception):
    """The web server cannot be set up as its settings say; the text is one sentence for people."""


def run_web(settings: WebSettings) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    try:
        registry = load_registry(settings.site_dir)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        tls = _tls(settings)
        history = open_history_reader(
            load_recorder_settings(settings.site_dir, settings.data_dir), ZoneInfo(registry.time_zone)
        )
        listening = _listening(settings)
    except (BadRegistry, CannotServe, OSError, ValueError) as bad:  # SettingsRefused is a ValueError
        log.error("the web server cannot be set up: %s", bad)
        return EXIT_REFUSED
    codec.warm_up()
    sys.setswitchinterval(SWITCH_S)
    with listening:
        try:
            with closing(Store(settings.data_dir / USERS)) as store:
                return asyncio.run(_Web(settings, registry, history, store).run(listening, tls))
        except Unusable as unusable:
            log.error("%s", unusable)
            return EXIT_REFUSED


def _listening(settings: WebSettings) -> socket.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        raise CannotServe(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}") from error


def _tls(settings: WebSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer by the settings' certificate; None where there is none."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise CannotServe(f"tls_certificate and tls_key cannot be used: {error}") from error
    return context


class _Web:
    """The parts of one running web server."""

    def __init__(self, settings: WebSettings, registry: Registry, history: HistoryReader, store: Store) -> None:
        self._settings = settings
        self._registry = registry
        self._end = asyncio.Event()
        window = Window(settings.window_min)
        self._sight = Sight(registry.site, settings.simulated, boottime_s, walltime_s, window, started_s=boottime_s())
        self._studio = Studio(Pulse(self._sight, secrets.token_hex(4)), settings.streams_max)
        self._sight.on_sample = self._studio.sample
        self._stop_line = StopLine(settings.control_path)
        self._reports = Reports(
            settings.journal_path,
            settings.data_dir / CHECKPOINT,
            history,
            OpeningHours.of(registry.opening_hours),
            ZoneInfo(registry.time_zone),
            walltime_s,
        )
        self._reception = Reception(store, Passwords(), walltime=walltime_s, over_tls=settings.over_tls)

    async def run(self, listening: socket.socket, tls: ssl.SSLContext | None) -> int:
        """Until it is ended; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        host, port = listening.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        log.info("the live page is at %s://%s:%d", "http" if tls is None else "https", name, port)
        try:
            await self._serve(listening, tls)
        except* _Ended:
            log.info("ended")
        finally:
            self._stop_line.close()
            await self._reports.history.close()
        return EXIT_ENDED

    async def _serve(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        sight, settings = self._sight, self._settings
        async with asyncio.TaskGroup() as group:
            group.create_task(follow_journal(sight, settings), name="journal")
            group.create_task(follow_samples(sight, settings), name="feed")
            group.create_task(ask_for_status(sight, settings, self._stop_line), name="status")
            group.create_task(self._studio.run(), name="pulse")
            group.create_task(self._reception.run(), name="reception")
            group.create_task(self._reports.run(), name="reports")
            group.create_task(self._answer(listening, tls), name="http")
            group.create_task(self._wait_for_the_end(), name="end")

    async def _answer(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Once the journal has been read, or could not be: whoever asks before that waits, and is not told that there
        is nothing.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_WITHIN_S):
                await self._sight.looked.wait()
        await serve(
            shielded(self._application(), self._settings, self._reception),
            listening,
            tls=tls,
            trusted_proxies=self._settings.trusted_proxies,
            bounds=Bounds(connections_max=self._settings.connections_max),
        )

    def _application(self) -> FastAPI:
        sight, settings = self._sight, self._settings
        app = application(
            metadata.version("stimfleet"),
            settings=settings,
            sight=sight,
            stop_line=self._stop_line,
            studio=self._studio,
            reception=self._reception,
            reports=self._reports,
            wrong_codes=wrong_codes(boottime_s),
            site=Site(
                sight.site,
                self._registry.time_zone,
                settings.language,
                settings.simulated,
                lambda: sight.state.durable.registry.operators,
            ),
        )
        desk = link_desk(settings.data_dir, settings.control_path, lambda: sight.state, boottime_s, walltime_s)
        app.router.routes[:0] = link_routes(desk)  # no part of the API: whoever holds a link needs no login
        return app

    async def _wait_for_the_end(self) -> NoReturn:
        await self._end.wait()
        self._studio.end_all()
        raise _Ended
