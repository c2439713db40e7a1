"""Asking at a Unix socket, one JSON line each way: the fleet's control socket, a panel, a stimulator on the bench."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class Unanswered(Exception):
    """Nobody answered in time, or not in sense; the text is a part of a sentence."""


async def ask(path: Path, within_s: float = 10.0, **request: Any) -> dict[str, Any]:
    """One request and its answer.

    Raises:
        Unanswered: nobody is there, or the answer is none.
    """
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_BYTES_MAX)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
    except (OSError, ValueError, TimeoutError) as error:
        raise Unanswered(f"{path.name} does not answer ({error or 'too slow'})") from error
    if not isinstance(answer, dict):
        raise Unanswered(f"{path.name} gave no answer")
    return answer
