"""Asking the fleet service, from the loop of the web server. A stop has a line of its own, past everything else.

An ordinary request opens a connection, asks once and waits `within_s`. A stop is asked on a connection that is kept
open; while the fleet restarts it is tried again until its time is up: the same stop twice is one stop.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = dict[str, Any]

ANSWER_S = 10.0  # the fleet itself gives up after 5
STOP_ANSWER_S = 2.0  # then a person should be on the way to the device, not waiting here
RETRY_S = 0.05
LINE_BYTES_MAX = 4 * 1024 * 1024


class FleetAbsent(Exception):
    """The fleet service does not answer: it is not there, or hangs."""


@dataclass(slots=True)
class _Line:
    """One connection to the control socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, path: Path) -> "_Line":
        return cls(*await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX))

    @property
    def open_still(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    async def ask(self, request: Document) -> Document:
        """Raises: OSError, ValueError (no answer, or no JSON)."""
        self.writer.write(json.dumps(request).encode() + b"\n")
        await self.writer.drain()
        answer = json.loads(await self.reader.readline())
        if not isinstance(answer, dict):
            raise TypeError("the answer is no object")
        return answer

    def close(self) -> None:
        self.writer.transport.abort()


async def ask(path: Path, request: Document, within_s: float = ANSWER_S) -> Document:
    """Ask once, on a connection of its own: `ok`, and either what was asked or `error` and `text`.

    Raises:
        FleetAbsent: nobody answers in time, or not with an answer.
    """
    try:
        async with asyncio.timeout(within_s):
            line = await _Line.open(path)
            try:
                return await line.ask(request)
            finally:
                line.close()
    except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
        raise FleetAbsent("The fleet service cannot be reached.") from error


@dataclass(slots=True)
class StopLine:
    """Where stops are asked for. `kept` is the line that is kept open between two of them."""

    path: Path
    kept: _Line | None = field(default=None)

    async def ask(self, request: Document, within_s: float = STOP_ANSWER_S) -> Document:
        """Ask for a stop, again and again until the fleet answers or the time is up.

        Raises:
            FleetAbsent
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        return await self._once(request)
                    except (ConnectionError, FileNotFoundError, ValueError, TypeError):
                        await asyncio.sleep(RETRY_S)  # it is being started again
        except OSError as error:
            raise FleetAbsent("The fleet service cannot be reached.") from error

    async def _once(self, request: Document) -> Document:
        line, self.kept = self.kept, None  # another stop meanwhile opens a line of its own
        if line is None or not line.open_still:
            line = await _Line.open(self.path)
        try:
            answer = await line.ask(request)
        except BaseException:
            line.close()
            raise
        self._keep(line)
        return answer

    def _keep(self, line: _Line) -> None:
        if self.kept is None and line.open_still:
            self.kept = line
        else:
            line.close()

    async def warm(self) -> None:
        """Open the line beforehand, where there is none.

        Raises:
            OSError: the fleet is not there.
        """
        if self.kept is None or not self.kept.open_still:
            self.kept = await _Line.open(self.path)

    def close(self) -> None:
        if self.kept is not None:
            self.kept.close()
            self.kept = None
