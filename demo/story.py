"""`stimfleet demo`: a clinic of real processes for a minute or more, told in plain words as it happens.

doors open -> therapists treat, incidents happen -> closing time: what runs is stopped by hand -> spools drain
-> devices end, fleet and broker end -> an observer looks at what truly flowed -> report
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.ports import free_port
from demo import collecting, papers
from demo.acts import Acts, Record
from demo.bookkeeping import unexpected
from demo.clinic import AT_A_SCREEN, OPERATOR, Clinic, Refused, boottime_s
from demo.ending import status, summary
from demo.evidence import Evidence
from demo.incidents import Demo, a_demo, practised
from demo.logins import Logins, make_logins
from demo.observer import observe
from demo.people import House, Therapist
from demo.processes import DidNotHappen, await_that
from demo.report import Sources, report
from demo.telephone import Telephone
from demo.telling import Narrator, Voice
from demo.upkeep import keep_up
from fleet.adapters.control.client import FleetUnreachable
from fleet.api.passwords import one_time_password

SOCKET_PATH_BYTES_MAX = 107  # of a Unix socket, by Linux
DRAINS_WITHIN_S = 15.0
LOOKS_S = 1.0
LOOKS_FOR_PAGE_S = 0.1
PAGE_WITHIN_S = 120.0  # it comes after everybody else's work: 24 s beside twelve busy processes on two cores
USUAL_S = 75.0
AFTERWARDS_S = 12 * 3600.0  # where nobody says how long, it is open for a day


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; its exit status."""
    kept = arguments.data is not None
    folder = arguments.data if kept else Path(tempfile.mkdtemp(prefix="stimfleet-demo-"))
    devices = papers.names(arguments.devices)
    refused = _unusable(folder, devices) or _unwritable(arguments.report)
    if refused is not None:
        sys.stderr.write(f"{refused}.\n")
        _forget(folder, kept)
        return 1
    # Told to end by whoever runs us is told to end by Ctrl-C: everything is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = _Story(folder, arguments, papers.rooms_of(devices, arguments.rooms)).tell()
    except (DidNotHappen, Refused) as failed:
        sys.stderr.write(f"The demo failed: {failed}\nLogs: {folder / 'logs'}\n")
        return 1  # the logs are wanted
    except BaseException:
        _forget(folder, kept)
        raise
    _forget(folder, kept)
    return status


def _unusable(folder: Path, devices: tuple[str, ...]) -> str | None:
    """Why the clinic cannot live in a folder; None when it can."""
    longest = max((str(folder.absolute() / "agents" / device / "panel.sock") for device in devices), key=len)
    if len(os.fsencode(longest)) > SOCKET_PATH_BYTES_MAX:
        return f"{folder} is too long a path for the sockets in it; name another folder with --data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return f"{folder} is not empty; name another folder with --data"
        (folder / "logs").mkdir()
    except OSError as error:
        return f"{folder} cannot be used ({error.strerror}); name another folder with --data"
    return None


def _unwritable(path: Path | None) -> str | None:
    """Why there can be no report: better known before than after a minute."""
    if path is None:
        return None
    try:
        with path.open("a", encoding="utf-8"):
            return None
    except OSError as error:
        return f"The report {path} cannot be written ({error.strerror}); name another file with --report"


def _forget(folder: Path, kept: bool) -> None:
    """Keys and logs of a demo that nobody wanted to keep."""
    if not kept:
        shutil.rmtree(folder)


class _Story:
    def __init__(self, folder: Path, arguments: argparse.Namespace, rooms: dict[str, str]) -> None:
        self._folder = folder
        self._arguments = arguments
        self._rooms = rooms
        self._open_end = arguments.seconds is None and sys.stdin.isatty()
        eventful_s = arguments.seconds or USUAL_S
        self._open_s = eventful_s + (AFTERWARDS_S if self._open_end else 0.0)
        self._page = _taken_port(arguments.page)
        self._demo = a_demo(tuple(rooms), eventful_s, arguments.seed, self._open_s - eventful_s)
        self._clinic = Clinic(
            folder,
            rooms,
            port=free_port(),
            web_port=_port_of(self._page) if arguments.page else None,
            seed=arguments.seed,
            alone=self._demo.alone,
        )
        self._voice = Voice(time.monotonic)
        self._telephone = Telephone(self._voice.say)
        self._fleet_counts = collecting.FleetCounts(self._clinic)
        self._lived_s = 0.0
        self._missing: list[str] = []

    def tell(self) -> int:
        """The whole story; the exit status."""
        say, count = self._voice.say, len(self._rooms)
        say(f"Making keys and certificates for a site with {_some(count, 'stimulator')} in {_rooms(self._rooms)}.")
        self._clinic.provision()
        if self._clinic.web_port is not None:
            self._telephone.put_on_call(self._clinic.site_dir, self._clinic.web_port)
        keep_up(self._clinic.site_dir, tuple(self._rooms), datetime.now(UTC).date())
        if self._arguments.past:
            self._remember(self._arguments.past)
        logins = make_logins(self._clinic.fleet_dir, one_time_password(), time.time())
        with self._telephone, self._clinic as clinic:
            try:
                say("Starting Mosquitto, the fleet service, the stimulators and an agent beside each.")
                self._page.close()  # for the web process
                clinic.open()
                record, house = asyncio.run(self._live(logins))
                say("Waiting until every event is in the journal.")
                self._drain()
            except (KeyboardInterrupt, asyncio.CancelledError):
                say("Interrupted: ending everything.")
                clinic.close()
                raise KeyboardInterrupt from None
            say("Ending everything.")
            complaints = [*self._missing, *clinic.close(before_fleet=self._count_once_more)]
        for complaint in complaints:
            say(complaint)
        say("All processes ended cleanly." if not complaints else "Not everything went as it should.")
        return status(self._report(house, record), complaints)

    def _remember(self, weeks: int) -> None:
        self._voice.say(f"Simulating a past of {_some(weeks, 'week')}, marked as such, to look back on.")
        past = self._clinic.remember(weeks, self._arguments.seed)
        sessions = _some(len(past.told.sessions), "session")
        self._voice.say(f"{past.first} to {past.last}: {sessions}, {past.rows} events that the fleet's core decided.")

    # --- while the clinic is open -----------------------------------------------------------------------------------

    async def _live(self, logins: Logins) -> tuple[Record, House]:
        began_s, closing, over = boottime_s(), asyncio.Event(), asyncio.Event()
        clinic, demo = self._clinic, self._demo
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        loop.add_signal_handler(signal.SIGTERM, _cancel, task)
        house = House(
            clinic.fleet_dir / "control.sock", OPERATOR, boottime_s, time.time, self._voice.say, closing, clinic.presses
        )
        if self._open_end:  # Ctrl-C is closing time; once more, and everything is ended at once
            loop.add_signal_handler(signal.SIGINT, self._close_or_cancel, house, task)
        therapists = {
            device: Therapist(house, device, room, clinic.data(device) / "panel.sock")
            for device, room in self._rooms.items()
        }
        people = asyncio.TaskGroup()

        def authorised(operator: str, device: str, session_id: str) -> None:
            """Whoever asks at a screen finds somebody at the device who arms and starts it."""
            if operator == AT_A_SCREEN and not closing.is_set():
                treats = therapists[device].treat_for(session_id, practised(random.Random(session_id)))
                people.create_task(treats, name=f"demo: therapist at {device}, asked at a screen")

        narrator = Narrator(clinic, self._voice, authorised)
        acts = Acts(clinic, house, therapists, self._voice, narrator, began_s + self._open_s)
        self._open_doors(demo)
        async with asyncio.TaskGroup() as telling:
            telling.create_task(narrator.narrate(over), name="demo: narrator")
            telling.create_task(narrator.tell_how_it_stands(closing), name="demo: how it stands")
            telling.create_task(self._count(closing), name="demo: counts")
            telling.create_task(self._invite(logins, closing), name="demo: the live page")
            async with people:
                people.create_task(self._close_doors(house, began_s), name="demo: closing time")
                for device, therapist in therapists.items():
                    people.create_task(therapist.work(demo.of(device), began_s), name=f"demo: therapist at {device}")
                for incident in demo.incidents:
                    people.create_task(acts.act(incident, began_s), name=f"demo: {incident.kind}")
            self._lived_s = boottime_s() - began_s
            over.set()
        return acts.record, house

    def _open_doors(self, demo: Demo) -> None:
        until = "until you press Ctrl-C" if self._open_end else f"for {self._open_s:g} s"
        self._voice.say(f"The clinic is open {until}: {_some(len(self._rooms), 'device')}, all at rest.")
        self._voice.say(f"Look in from another terminal: stimfleet devices --data-dir {self._clinic.fleet_dir}")
        for sentence in demo.left_out:
            self._voice.say(sentence)

    async def _invite(self, logins: Logins, closing: asyncio.Event) -> None:
        """Where to look, and as whom, as soon as there is something to see. Until closing time nothing waits for it."""
        if self._clinic.web_port is None:
            return
        give_up_s, waits = time.monotonic() + PAGE_WITHIN_S, False
        try:
            while not self._clinic.has_page():
                if time.monotonic() > give_up_s:
                    self._missing.append(f"There was no live page within {PAGE_WITHIN_S:g} s.")
                    raise DidNotHappen(self._clinic.web.last_words())
                if closing.is_set() and not waits:
                    self._voice.say("Waiting for the live page, which has not come up yet.")
                    waits = True
                await asyncio.sleep(LOOKS_FOR_PAGE_S)  # in the words of another process: it can only be looked for
        except DidNotHappen as never:
            self._voice.say(f"There is no live page: {never}")
            return
        if not closing.is_set():
            self._voice.say(f"\nThe live page: http://127.0.0.1:{self._clinic.web_port}")
            self._voice.say(f"    {logins.words}")

    async def _close_doors(self, house: House, began_s: float) -> None:
        await house.pause(began_s + self._open_s - boottime_s())
        self._voice.act("Closing time: whatever still runs is stopped by hand, at the device.")
        house.closing.set()

    def _close_or_cancel(self, house: House, task: "asyncio.Task[Any] | None") -> None:
        if house.closing.is_set():
            _cancel(task)
        house.closing.set()

    async def _count(self, closing: asyncio.Event) -> None:
        """What the fleet has counted, every second: an instance that dies takes its numbers along."""
        while not closing.is_set():
            with contextlib.suppress(FleetUnreachable):  # it is being started again; its last numbers are kept
                await asyncio.to_thread(self._fleet_counts.look)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_S):
                    await closing.wait()

    # --- the end ----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Until the fleet has confirmed every event that a device keeps."""

        def kept() -> list[str]:
            return [each.device for each in collecting.spooled(self._clinic) if each.kept]

        try:
            await_that("every event is confirmed", lambda: not kept(), DRAINS_WITHIN_S)
        except DidNotHappen:
            self._voice.say(f"Not confirmed in {DRAINS_WITHIN_S:.0f} s: events of {', '.join(kept())}.")

    def _count_once_more(self) -> None:
        """The devices have ended: what is on its way to the fleet arrives."""
        published = sum(each.telemetry_published for each in collecting.counted(self._clinic).values())
        try:
            before = self._fleet_counts.look()
            while before.telemetry < published and (after := self._look_again()) != before:
                before = after
        except FleetUnreachable as unreachable:
            self._voice.say(f"Its last counts are missing: {unreachable}")

    def _look_again(self) -> Any:
        time.sleep(0.5)  # what was sent half a second ago has arrived, or is lost
        return self._fleet_counts.look()

    def _report(self, house: House, record: Record) -> dict[str, Any]:
        clinic, journal = self._clinic, collecting.journal(self._clinic)
        evidence = Evidence(
            devices=tuple(self._rooms),
            traces=collecting.traces(clinic),
            journal=journal,
            presses=tuple(house.presses),
            suffered=tuple(record.suffered),
            cut_off=tuple(record.cut_off),
            gone=tuple(record.gone),
            pushed=tuple(record.pushed),
            released=tuple(record.released),
            until_s=boottime_s(),
        )
        written = report(
            Sources(
                seconds=self._lived_s,
                devices=len(self._rooms),
                journal=journal,
                counted=collecting.counted(clinic),
                spooled=collecting.spooled(clinic),
                heard=self._fleet_counts.all,
                violations=(*observe(evidence), *unexpected(evidence)),
            )
        )
        path: Path | None = self._arguments.report
        if path is not None:
            path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        data = None if self._arguments.data is None else self._folder
        for sentence in summary(written, record, path, data):
            self._voice.say(sentence)
        return written


def _cancel(task: "asyncio.Task[Any] | None") -> None:
    if task is not None:
        task.cancel()


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _rooms(rooms: dict[str, str]) -> str:
    return _some(len(set(rooms.values())), "room")


def _taken_port(wanted: int = 0) -> socket.socket:
    """Somebody who listens at the port that is wanted, or if it is taken, or none is, at any that is free: while a past
    is made, another demo takes another one.
    """
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", wanted or free_port()))
    except OSError:
        taken.bind(("127.0.0.1", free_port()))
    taken.listen(0)
    return taken


def _port_of(taken: socket.socket) -> int:
    port: int = taken.getsockname()[1]
    return port
