"""How a demo is told at the terminal: what people do, what the journal says as it comes, how it stands now and then."""

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from demo.clinic import Clinic
from fleet.adapters.journal.reading import JournalReader, Told
from fleet.words.events import event_words

READS_S: Final = 0.1
TELLS_S: Final = 5.0
# What devices report that a person would want to hear of; the rest is in the journal.
_TOLD_KINDS: Final = frozenset(
    {
        "session_started",
        "session_resumed",
        "electrode_open",
        "electrode_short",
        "electrode_degraded",
        "over_limit",
        "output_stuck",
        "over_temperature",
        "sensor_frozen",
        "battery_empty",
        "lease_lost",
        "latched",
        "stop_pressed",
        "watchdog_tripped",
        "self_test_failed",
        "latch_reset",
    }
)
# What is told by the one who does it, or as a part of something else.
_UNTOLD: Final = frozenset(
    {"DeviceReturned", "SessionAdvanced", "SessionAuthorised", "SessionRefused", "HoldLifted", "SessionCleared"}
)


class Voice:
    """Says sentences with the time since the beginning in front; from any thread."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._saying = threading.Lock()

    def act(self, words: str) -> None:
        """Something begins."""
        self.say(f"\n{words}")

    def say(self, words: str) -> None:
        lead, words = ("\n", words[1:]) if words.startswith("\n") else ("", words)
        with self._saying:
            sys.stdout.write(f"{lead}{self._monotonic_s() - self._began_s:6.1f} s  {words}\n")
            sys.stdout.flush()


class Narrator:
    """Reads along in the journal. `confirmed` holds what was said of each stop, by command and device; `authorised`
    hears of each session: its operator, device and id.
    """

    def __init__(self, clinic: Clinic, voice: Voice, authorised: Callable[[str, str, str], None]) -> None:
        self.confirmed: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._clinic = clinic
        self._voice = voice
        self._authorised = authorised
        self._reader = JournalReader(clinic.fleet_dir / "journal.db")
        self._reader.skip()
        self._running: set[str] = set()
        self._ended: set[str] = set()
        self._device_of: dict[str, str] = {}

    async def narrate(self, over: asyncio.Event) -> None:
        """Say what comes into the journal, until it is over."""
        try:
            while True:
                is_last = over.is_set()
                for told in self._reader.new():
                    self._hear(told)
                if is_last:
                    return
                await _wait(over, READS_S)
        finally:
            self._reader.close()

    async def tell_how_it_stands(self, over: asyncio.Event) -> None:
        """Every few seconds: how many sessions run, and what truly flows."""
        while not over.is_set():
            await _wait(over, TELLS_S)
            if not over.is_set():
                flowing_ma = await asyncio.to_thread(self._flowing_ma)
                flows, running = sum(1 for ma in flowing_ma if ma > 0.0), len(self._running)
                self._voice.say(
                    f"... {running} {'session runs' if running == 1 else 'sessions run'}; right now "
                    f"{sum(flowing_ma):.0f} mA flow at {flows} of {len(flowing_ma)} stimulators"
                )

    def _flowing_ma(self) -> list[float]:
        return [float(self._clinic.truth(device)["true_ma"]) for device in self._clinic.devices]

    def _hear(self, told: Told) -> None:
        body, is_told = told.body, _is_told(told)
        where = ""
        if told.name == "StopConfirmed":
            self.confirmed[body["command_id"], body["device"]] = body
        elif told.name == "SessionAuthorised":
            session_id, operator = body["authorisation"]["session_id"], body["authorisation"]["operator"]
            self._device_of[session_id] = body["device"]
            self._authorised(operator, body["device"], session_id)
        elif told.name == "SessionAdvanced":
            (self._running.add if body["to"] in {"running", "paused"} else self._running.discard)(body["session_id"])
        elif told.name == "SessionEnded":
            self._running.discard(body["session_id"])
            where = f"{self._device_of.get(body['session_id'], 'somewhere')}: "
            is_told = body["session_id"] not in self._ended  # its numbers may come later
            self._ended.add(body["session_id"])
        if is_told and (words := event_words(told.name, body)):
            self._voice.say(f"    {where}{words}")


def _is_told(told: Told) -> bool:
    if told.name == "DeviceReported":
        return told.body["event"]["kind"] in _TOLD_KINDS
    return told.name not in _UNTOLD


async def _wait(over: asyncio.Event, for_s: float) -> None:
    try:
        async with asyncio.timeout(for_s):
            await over.wait()
    except TimeoutError:
        pass  # the time is over, it is not
