"""Asking at a Unix socket, one JSON line each way: the fleet's control socket, a panel, a stimulator on the bench."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
WITHIN_S: Final = 10.0


class Unanswered(Exception):
    """Nobody answered in time, or not in sense; the text is a part of a sentence."""


class Line:
    """A connection that is kept, and made anew after a failure: one person at one panel. One question at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, within_s: float = WITHIN_S, **request: Any) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            Unanswered: nobody is there, or the answer is none.
        """
        try:
            async with asyncio.timeout(within_s):
                if self._streams is None:
                    self._streams = await asyncio.open_unix_connection(self._path, limit=ANSWER_BYTES_MAX)
                reader, writer = self._streams
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
        except (OSError, ValueError, TimeoutError) as error:
            self.hang_up()
            raise Unanswered(f"{self._path.name} does not answer ({error or 'too slow'})") from error
        except BaseException:
            self.hang_up()  # its answer would be taken for that to the next question
            raise
        if not isinstance(answer, dict):
            raise Unanswered(f"{self._path.name} gave no answer")
        return answer

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask(path: Path, within_s: float = WITHIN_S, **request: Any) -> dict[str, Any]:
    """One request and its answer, on a connection of its own. Raises: Unanswered: as above."""
    line = Line(path)
    try:
        return await line.ask(within_s, **request)
    finally:
        line.hang_up()
