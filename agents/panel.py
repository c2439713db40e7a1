"""The therapist's hand at the device: a local socket behind `stimfleet device ...`, JSON lines, plain words.

    {"do": "status"}                                              {"accepted": true, "words": "..."}
    {"do": "raise", "step_ma": 1.0}                               {"accepted": false, "words": "why, and what to do"}
    {"do": "reset", "engineer_pin": "..."}

The socket is 0600 in the agent's data folder: who may use it is who may use the agent's account. Who is let in, and
who has to make room, is `agents.callers`: a press gets through, however slow, silent, oversized or many the others are.
"""

import asyncio
import contextlib
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from agents.callers import Callers
from agents.control import Snapshot
from agents.engineer import PIN_CHARS_MAX, PinRefused, is_pin
from agents.panel_words import Place, status_words
from agents.presses import STEP_MA_MIN
from agents.socket_path import PANEL_SOCKET
from agents.steps import Press, Reply
from broker.contract.causes import ResetBy
from broker.unique_keys import KeyTwice, unique

LINE_BYTES_MAX: Final = 4 * 1024
ANSWER_S: Final = 3.0  # the control loop answers within a tick and a disk write
_WRONG_PINS_MAX: Final = 5  # until the agent starts again
_STEPS: Final = frozenset({Press.RAISE, Press.LOWER})
STEP_MA_MAX: Final = 1000.0  # far above any limit: whoever says more has mistyped


class Presses(Protocol):
    """The control loop's buttons; see `agents.control.Control`."""

    def press(self, press_id: int, press: Press, step_ma: float = 1.0, who: ResetBy = ResetBy.THERAPIST) -> bool: ...


class BadRequest(ValueError):
    """The text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class _Answer:
    accepted: bool
    words: str

    def line(self) -> bytes:
        return json.dumps({"accepted": self.accepted, "words": self.words}).encode() + b"\n"


_TOO_LONG: Final = _Answer(False, f"A request has at most {LINE_BYTES_MAX} bytes.")


@dataclass(frozen=True, slots=True)
class _Request:
    press: Press | None  # None: status
    step_ma: float
    engineer_pin: str | None


class Panel:
    """One device's panel. `reply` may be called from any thread, everything else from the event loop's."""

    def __init__(
        self,
        data_dir: Path,
        control: Presses,
        snapshot: Callable[[], Snapshot],
        is_connected: Callable[[], bool],
        device: str,
        room: str,
    ) -> None:
        self._data_dir = data_dir
        self._place = Place(device, room, data_dir)
        self._control = control
        self._snapshot = snapshot
        self._is_connected = is_connected
        self._loop = asyncio.get_running_loop()
        self._press_ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._wrong_pins = 0
        self._callers = Callers(self.path, self._line, LINE_BYTES_MAX, _TOO_LONG.line())
        self._serving: asyncio.Task[Any] | None = None

    @property
    def path(self) -> Path:
        return self._data_dir / PANEL_SOCKET

    def reply(self, reply: Reply) -> None:
        """The control loop's answer to a press."""
        self._loop.call_soon_threadsafe(self._resolve, reply)

    def open(self) -> None:
        """Listen; whoever comes is answered once it is served.

        Raises:
            OSError: there can be no socket in the data folder.
        """
        self._callers.open()

    async def serve(self) -> None:
        """Let in and answer, until `close`. Raises what no panel should raise."""
        self._serving = asyncio.current_task()
        await self._callers.serve()

    async def close(self) -> None:
        """Hang up; returns when every client's conversation is over."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
        self._callers.close()

    # --- what is said -----------------------------------------------------------------------------------------------

    async def _line(self, raw: bytes) -> bytes:
        return (await self._answer(raw)).line()

    async def _answer(self, raw: bytes) -> _Answer:
        try:
            request = _request_from(raw)
            who = await self._who(request)
        except (BadRequest, PinRefused) as refused:
            return _Answer(False, str(refused))
        if request.press is None:
            return _Answer(True, status_words(self._snapshot(), self._place, connected=self._is_connected()))
        return await self._press(request.press, request.step_ma, who)

    async def _press(self, press: Press, step_ma: float, who: ResetBy) -> _Answer:
        press_id = next(self._press_ids)
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[press_id] = answer
        try:
            if not self._control.press(press_id, press, step_ma, who):
                return _Answer(False, "The device is too busy to take this; stop and the red button still work.")
            async with asyncio.timeout(ANSWER_S):
                reply = await answer
            return _Answer(reply.accepted, reply.words)
        except TimeoutError:
            return _Answer(
                False,
                f"The device has not answered within {ANSWER_S:.0f} s. If current may flow, press the stop button "
                "on the stimulator or switch it off at the wall.",
            )
        finally:
            del self._waiting[press_id]

    def _resolve(self, reply: Reply) -> None:
        answer = self._waiting.get(reply.press_id)
        if answer is not None and not answer.done():
            answer.set_result(reply)

    async def _who(self, request: _Request) -> ResetBy:
        """Raises: PinRefused: a PIN that is wrong, or not to be tried any more."""
        if request.engineer_pin is None:
            return ResetBy.THERAPIST
        if self._wrong_pins >= _WRONG_PINS_MAX:
            raise PinRefused("Too many wrong PINs; restart the agent to try again.")
        self._wrong_pins += 1  # before the check: several at once must not get more tries
        try:
            is_right = await asyncio.to_thread(is_pin, self._data_dir, request.engineer_pin)
        except PinRefused:
            self._wrong_pins = max(0, self._wrong_pins - 1)  # there is no PIN: nobody has guessed at one
            raise
        if not is_right:
            raise PinRefused("That is not the engineer's PIN.")
        self._wrong_pins = 0
        return ResetBy.ENGINEER


def _request_from(raw: bytes) -> _Request:
    """Raises: BadRequest: anything that is not a request."""
    try:
        said = json.loads(raw, object_pairs_hook=unique)
    except KeyTwice as twice:
        raise BadRequest(f"A request says each thing once: {twice}.") from twice
    except (ValueError, RecursionError) as error:
        raise BadRequest("A request is one JSON object on one line.") from error
    if not isinstance(said, dict):
        raise BadRequest("A request is one JSON object on one line.")
    if unknown := set(said) - {"do", "step_ma", "engineer_pin"}:
        raise BadRequest(f"A request has no {', '.join(sorted(unknown))[:80]}.")
    press, pin = _press_from(said.get("do")), said.get("engineer_pin")
    step_ma = _step_ma_from(press, said.get("step_ma", 1.0)) if press in _STEPS else 1.0
    # JSON can say half a character ("\\ud800"), which no bytes stand for.
    if pin is not None and not (isinstance(pin, str) and len(pin) <= PIN_CHARS_MAX and pin.isprintable()):
        raise BadRequest(f"engineer_pin is printable text of at most {PIN_CHARS_MAX} characters.")
    return _Request(press, step_ma, pin)


def _step_ma_from(press: Press | None, said: object) -> float:
    """Less is always free: whatever is above 0 and ends somewhere lowers, to 0 where it is more than there is.

    Raises: BadRequest: no number, or not one to step by.
    """
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise BadRequest("step_ma is a number, in mA.")
    if press is Press.LOWER and not 0 < said < math.inf:
        raise BadRequest("Lower by more than 0 mA: --by MA.")
    if press is Press.RAISE and not STEP_MA_MIN <= said <= STEP_MA_MAX:
        raise BadRequest(f"Raise by {STEP_MA_MIN:g} to {STEP_MA_MAX:g} mA: --by MA.")
    return float(min(said, STEP_MA_MAX))


def _press_from(wanted: object) -> Press | None:
    if wanted == "status":
        return None
    with contextlib.suppress(ValueError):
        return Press(wanted) if isinstance(wanted, str) else Press("")
    raise BadRequest(f"The panel knows status, {', '.join(Press)}; not {str(wanted)[:40]!r}.")
