"""Ask a running fleet service something, from a process that has other things to do meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

ANSWER_S_MAX = 8.0
ANSWER_BYTES_MAX = 1 << 20
# The fleet could not take it in just now.
LATER = frozenset({"busy", "no_answer", "journal_unwritable"})

Document = dict[str, Any]


class FleetAway(Exception):
    """Nobody answers at the control socket."""


async def ask(path: Path, request: Document, within_s: float = ANSWER_S_MAX) -> Document:
    """Ask the fleet once.

    Raises:
        FleetAway
    """
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_BYTES_MAX)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
            finally:
                writer.transport.abort()
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise FleetAway from error
    if not isinstance(answer, dict):
        raise FleetAway
    return answer
