"""The therapist's hand at the device: a local socket behind `stimfleet device ...`, JSON lines, plain words.

    {"do": "status"}                                              {"accepted": true, "words": "..."}
    {"do": "raise", "step_ma": 1.0}                               {"accepted": false, "words": "why, and what to do"}
    {"do": "reset", "engineer_pin": "..."}

The socket is 0600 in the agent's data folder: who may use it is who may use the agent's account. A client that is
slow, silent, oversized or many holds up nobody but itself: a new one is always let in, the longest silent one goes.
"""

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from agents.control import Snapshot
from agents.engineer import PIN_CHARS_MAX, PinRefused, is_pin
from agents.panel_words import Place, status_words
from agents.steps import Press, Reply
from broker.contract.causes import ResetBy

_log = logging.getLogger(__name__)
SOCKET_NAME: Final = "panel.sock"
LINE_BYTES_MAX: Final = 4 * 1024
CLIENTS_MAX: Final = 8
SILENT_S: Final = 30.0
ANSWER_S: Final = 3.0  # the control loop answers within a tick and a disk write
_WRONG_PINS_MAX: Final = 5  # until the agent starts again


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
        self._clients: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}  # the longest silent first
        self._wrong_pins = 0
        self._server: asyncio.Server | None = None
        self._bug: asyncio.Future[None] = self._loop.create_future()

    @property
    def path(self) -> Path:
        return self._data_dir / SOCKET_NAME

    def reply(self, reply: Reply) -> None:
        """The control loop's answer to a press."""
        self._loop.call_soon_threadsafe(self._resolve, reply)

    async def open(self) -> None:
        """Listen."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LINE_BYTES_MAX)
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Hang up; returns when every client's conversation is over."""
        if self._server is not None:
            self._server.close()
        clients = dict(self._clients)
        for writer in clients.values():
            writer.transport.abort()
        if clients:
            await asyncio.wait(clients)

    async def failed(self) -> None:
        """Raises what no panel should raise; a client's connection has no task group that would."""
        await asyncio.shield(self._bug)

    # --- clients ----------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        while len(self._clients) >= CLIENTS_MAX:
            longest_silent = next(iter(self._clients))
            self._clients.pop(longest_silent).transport.abort()
        self._clients[task] = writer
        try:
            async with asyncio.timeout(None) as patience:
                await self._converse(task, reader, writer, patience)
        except (ConnectionError, TimeoutError) as error:
            _log.info("a panel client ended: %s", error or "silent")
        except Exception as bug:
            if not self._bug.done():
                self._bug.set_exception(bug)
            raise
        finally:
            self._clients.pop(task, None)
            writer.close()

    async def _converse(
        self,
        task: asyncio.Task[Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        patience: asyncio.Timeout,
    ) -> None:
        while True:
            patience.reschedule(self._loop.time() + SILENT_S)
            try:
                raw = await reader.readline()
            except ValueError:  # the reader's, for a line over its limit
                writer.write(_Answer(False, f"A request has at most {LINE_BYTES_MAX} bytes.").line())
                await writer.drain()
                return
            if not raw.endswith(b"\n"):
                return
            if task in self._clients:
                self._clients[task] = self._clients.pop(task)  # now the last to have spoken
            writer.write((await self._answer(raw)).line())
            await writer.drain()

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
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest("A request is one JSON object on one line.") from error
    if not isinstance(said, dict):
        raise BadRequest("A request is one JSON object on one line.")
    if unknown := set(said) - {"do", "step_ma", "engineer_pin"}:
        raise BadRequest(f"A request has no {', '.join(sorted(unknown))[:80]}.")
    step_ma, pin = said.get("step_ma", 1.0), said.get("engineer_pin")
    if isinstance(step_ma, bool) or not isinstance(step_ma, int | float) or not 0.0 < step_ma <= 1000.0:
        raise BadRequest("step_ma is a number above 0, in mA.")
    # JSON can say half a character ("\\ud800"), which no bytes stand for.
    if pin is not None and not (isinstance(pin, str) and len(pin) <= PIN_CHARS_MAX and pin.isprintable()):
        raise BadRequest(f"engineer_pin is printable text of at most {PIN_CHARS_MAX} characters.")
    return _Request(_press_from(said.get("do")), float(step_ma), pin)


def _press_from(wanted: object) -> Press | None:
    if wanted == "status":
        return None
    with contextlib.suppress(ValueError):
        return Press(wanted) if isinstance(wanted, str) else Press("")
    raise BadRequest(f"The panel knows status, {', '.join(Press)}; not {str(wanted)[:40]!r}.")
