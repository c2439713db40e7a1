"""The driver of a stimulator on the bench: a client of its Unix socket (`stimfleet stimulators`)."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from agents.drivers import bench_lines
from agents.drivers.port import Drive, DriverLost, Identity, Reading

# Shorter than the stimulator's watchdog, so that a lost driver is noticed before output has ended by itself; longer
# than a busy two-core machine holds up a process.
TIMEOUT_S: Final = 0.25

T = TypeVar("T")


class BenchStimulator:
    """One connection, made anew after every failure: a late answer can never be taken for that of a later question."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._read = bytearray()

    def identify(self) -> Identity:
        return self._ask(bench_lines.line(do="identify"), bench_lines.identity_from)

    def self_test(self) -> str | None:
        return self._ask(bench_lines.line(do="self_test"), bench_lines.self_test_from)

    def exchange(self, drive: Drive) -> Reading:
        return self._ask(bench_lines.drive_line(drive), bench_lines.reading_from)

    def close(self) -> None:
        self._read.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- what only tests, demos and benches do ----------------------------------------------------------------------

    def tell(self, **said: object) -> dict[str, Any]:
        """Say anything of `bench_lines`: faults, the truth.

        Raises:
            DriverLost: no answer, or an error.
        """
        return self._ask(bench_lines.line(**said), lambda answer: answer)

    def _ask(self, question: bytes, parse: Callable[[dict[str, Any]], T]) -> T:
        """One question, its answer, and one deadline for both.

        Raises:
            DriverLost: no answer in time, one that is none, or a refusal.
        """
        until_s = time.monotonic() + self._timeout_s
        try:
            connection = self._connection(until_s)
            connection.settimeout(_left_s(until_s))
            connection.sendall(question)
            answer = bench_lines.parsed(self._line(connection, until_s))
            if "error" not in answer:
                return parse(answer)
        except (OSError, bench_lines.BadLine) as error:
            self.close()
            raise DriverLost(f"the stimulator at {self._path} does not answer: {error}") from error
        raise DriverLost(f"the stimulator at {self._path} refused: {str(answer['error'])[:80]!a}")

    def _connection(self, until_s: float) -> socket.socket:
        if self._socket is not None:
            return self._socket
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh.settimeout(_left_s(until_s))
            fresh.connect(str(self._path))
        except OSError:
            fresh.close()
            raise
        self._socket = fresh
        return fresh

    def _line(self, connection: socket.socket, until_s: float) -> bytes:
        while (end := self._read.find(b"\n")) < 0:
            connection.settimeout(_left_s(until_s))
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionResetError("it hung up")
            self._read += chunk
            if len(self._read) > bench_lines.LINE_BYTES_MAX:
                raise bench_lines.BadLine("line too long")
        whole = bytes(self._read[:end])
        del self._read[: end + 1]
        if self._read:
            raise bench_lines.BadLine("it said more than it was asked")
        return whole


def _left_s(until_s: float) -> float:
    """Raises: TimeoutError: nothing is left."""
    left_s = until_s - time.monotonic()
    if left_s <= 0.0:
        raise TimeoutError("timed out")
    return left_s
