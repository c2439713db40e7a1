"""`stimfleet demo`: half a minute of a clinic, told in plain words as it happens.

A session is refused, another runs; an electrode lifts and is put back; a stop is pushed and followed until zero is
measured at the stimulator itself; the device is released and reset by hand. Then everything ends.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.clinic import Clinic, Refused
from demo.processes import DidNotHappen, await_that
from fleet.adapters.journal.reading import JournalReader
from fleet.words import event_words, milliseconds, refusal_words

DEVICES = {"stim-01": "room-1", "stim-02": "room-1", "stim-03": "room-2"}
BROUGHT_TO_MA = 12.0
STEP_MA = 2.0


SOCKET_PATH_BYTES_MAX = 107  # of a Unix socket, by Linux


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; its exit status."""
    kept = arguments.data is not None
    folder = arguments.data if kept else Path(tempfile.mkdtemp(prefix="stimfleet-demo-"))
    refused = _unusable(folder)
    if refused is not None:
        sys.stderr.write(f"{refused}; name another folder with --data.\n")
        return 1
    # Told to end by whoever runs us is told to end by Ctrl-C: everything is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = _Story(folder, arguments.seed)
    try:
        status = story.tell()
    except (DidNotHappen, Refused) as failed:
        sys.stderr.write(f"The demo failed: {failed}\nLogs: {folder / 'logs'}\n")
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        _forget(folder, kept)
        raise
    _forget(folder, kept)
    return status


def _unusable(folder: Path) -> str | None:
    """Why the clinic cannot live in a folder; None when it can."""
    longest = max((str(folder.absolute() / "agents" / device / "panel.sock") for device in DEVICES), key=len)
    if len(os.fsencode(longest)) > SOCKET_PATH_BYTES_MAX:
        return f"{folder} is too long a path for the sockets in it"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return f"{folder} is not empty"
        (folder / "logs").mkdir()
    except OSError as error:
        return f"{folder} cannot be used ({error.strerror})"
    return None


def _forget(folder: Path, kept: bool) -> None:
    """Keys and logs of a demo that nobody wanted to keep."""
    if not kept:
        shutil.rmtree(folder)


class _Story:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._clinic = Clinic(folder, DEVICES, port=_free_port(), seed=seed)
        self._began_s = time.monotonic()
        self._saying = threading.Lock()
        self._not_yet = ""

    def tell(self) -> int:
        self._say("Making keys and certificates for a site with three stimulators in two rooms.")
        self._clinic.provision()
        with self._clinic as clinic:
            try:
                self._say("Starting Mosquitto, the fleet service, the stimulators and an agent beside each.")
                clinic.open()
                with self._narrated():
                    self._refusal()
                    self._session()
                    self._stop()
                    self._release_and_reset()
            except KeyboardInterrupt:
                self._say("Interrupted: ending everything.")
                clinic.close()
                raise
            self._say("Ending everything.")
            complaints = clinic.close()
        for complaint in complaints:
            self._say(complaint)
        self._say("All processes ended cleanly." if not complaints else "Not everything ended cleanly.")
        return 1 if complaints else 0

    # --- the acts ---------------------------------------------------------------------------------------------------

    def _refusal(self) -> None:
        self._act("A therapist asks for stim-02, for a client with a pacemaker, much too strong for a small pad.")
        answer = self._clinic.request(
            "stim-02",
            client="client-4c1f",
            findings=["implanted_device"],
            setting_ma_max=120.0,
            pulse_width_us=500.0,
            frequency_hz=120.0,
            electrode_area_cm2=16.0,
        )
        for refusal in answer["refusals"]:
            self._say(f"    refused: {refusal_words(refusal)}")

    def _session(self) -> None:
        clinic = self._clinic
        self._act("She asks for stim-01, for another client: 20 minutes, thigh, at most 40 mA.")
        answer = clinic.request("stim-01", client="client-9d20")
        if not answer["ok"]:
            raise Refused(answer["text"])
        self._say("At stim-01 she puts the pads on, arms, starts, and raises the strength in small steps.")
        clinic.await_phase("stim-01", "authorised")
        clinic.press("stim-01", "arm")
        self._press_when_taken("stim-01", "start")
        clinic.await_phase("stim-01", "running")
        self._raise("stim-01", BROUGHT_TO_MA)
        flows = await_that("current flows", lambda: self._flows(1.0), 20.0)
        self._say(f"    true output of stim-01: {flows:.1f} mA; every half second the fleet renews its permission")

        self._act("An electrode lifts.")
        clinic.suffer("stim-01", kind="electrode_lifts")
        clinic.await_phase("stim-01", "paused")
        self._say(
            f"    true output: {clinic.truth('stim-01')['true_ma']:.1f} mA. She presses the pad on and resumes at 0 mA."
        )
        clinic.heal("stim-01", "electrode_lifts")
        self._press_when_taken("stim-01", "resume")
        clinic.await_phase("stim-01", "running")
        self._raise("stim-01", BROUGHT_TO_MA)
        await_that("current flows again", lambda: self._flows(1.0), 40.0)

    def _stop(self) -> None:
        self._act("Somebody at a screen sees something wrong and pushes a stop for stim-01.")
        pushed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        answer = self._clinic.ask(op="stop", device="stim-01", issued_by="front-desk", reason="patient called")
        await_that("zero current at the stimulator itself", lambda: not self._flows(0.0), 5.0)
        zero_s = self._clinic.truth("stim-01")["zero_since_s"]
        confirmed = await_that(
            "the stop is confirmed", lambda: self._seen.get(("StopConfirmed", answer["command_id"])), 10.0
        )
        self._say(
            f"    confirmed at measured zero {milliseconds(confirmed['sent_to_zero_s'])} after sending; the true "
            f"output was zero {milliseconds(zero_s - pushed_s)} after the push"
        )

    def _release_and_reset(self) -> None:
        self._act("The hold is released. That starts nothing: the latch waits for a person at the device.")
        self._clinic.ask(op="release", device="stim-01", issued_by="front-desk")
        await_that("stim-01 has lifted its hold", lambda: not self._clinic.device("stim-01")["holds"], 10.0)
        self._press_when_taken("stim-01", "reset")
        self._clinic.await_phase("stim-01", "idle")
        self._say("    stim-01 is idle again; a new session needs a new authorisation")

    # --- how it is told ---------------------------------------------------------------------------------------------

    def _flows(self, above_ma: float) -> float | None:
        true_ma = float(self._clinic.truth("stim-01")["true_ma"])
        return true_ma if true_ma > above_ma else None

    def _press_when_taken(self, device: str, button: str, step_ma: float | None = None) -> None:
        """A person presses again while the device says "not yet"."""

        def press() -> bool:
            try:
                self._clinic.press(device, button, step_ma)
            except Refused as refused:
                self._not_yet = str(refused)
                return False
            return True

        await_that(f"{device} takes {button}", press, 15.0, lambda: self._not_yet)

    def _raise(self, device: str, to_ma: float) -> None:
        for _ in range(round(to_ma / STEP_MA)):
            self._press_when_taken(device, "raise", STEP_MA)

    @contextlib.contextmanager
    def _narrated(self) -> Iterator[None]:
        """Says what comes into the journal, as it comes."""
        self._seen: dict[tuple[str, str], dict[str, Any]] = {}
        done = threading.Event()
        reader = JournalReader(self._clinic.fleet_dir / "journal.db")

        def narrate() -> None:
            with contextlib.suppress(BrokenPipeError):  # nobody listens: the story itself notices
                while True:
                    last = done.is_set()
                    for told in reader.new():
                        if "command_id" in told.body:
                            self._seen[told.name, told.body["command_id"]] = dict(told.body)
                        if words := event_words(told.name, told.body):
                            self._say(f"    {words}")
                    if last:
                        return
                    done.wait(0.05)

        narrator = threading.Thread(target=narrate, name="narrator")
        narrator.start()
        try:
            yield
        finally:
            done.set()
            narrator.join()
            reader.close()

    def _act(self, words: str) -> None:
        self._say(f"\n{words}")

    def _say(self, words: str) -> None:
        lead, words = ("\n", words[1:]) if words.startswith("\n") else ("", words)
        with self._saying:
            sys.stdout.write(f"{lead}{time.monotonic() - self._began_s:6.1f} s  {words}\n")
            sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
