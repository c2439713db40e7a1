"""Ask a running fleet service something, from another process of the same account."""

import json
import socket
from pathlib import Path
from typing import Any

ANSWER_BYTES_MAX = 4 * 1024 * 1024


class FleetUnreachable(Exception):
    """No fleet service answers at this socket; the text is one sentence for people."""


def ask(path: Path, request: dict[str, Any], *, within_s: float = 10.0) -> dict[str, Any]:
    """Send one request and return its answer: `ok`, and either what was asked or `error` and `text`.

    Raises:
        FleetUnreachable: nobody answers in time, or not with an answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(within_s)
            client.connect(str(path))
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as incoming:
                line = incoming.readline(ANSWER_BYTES_MAX)
        answer = json.loads(line)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it gave no answer"
        raise FleetUnreachable(f"The fleet service does not answer at {path}: {reason}.") from error
    if not isinstance(answer, dict):
        raise FleetUnreachable(f"The fleet service does not answer at {path}: it gave no answer.")
    return answer
