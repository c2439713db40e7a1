"""The driver of a stimulator on the bench: a client of its Unix socket (`stimfleet stimulators`)."""

import socket
from pathlib import Path
from typing import Any, Final

from agents.drivers import bench_lines
from agents.drivers.port import Drive, DriverLost, Identity, Reading

# Shorter than the stimulator's watchdog, so that a lost driver is noticed before output has ended by itself; longer
# than a busy two-core machine holds up a process.
TIMEOUT_S: Final = 0.25


class BenchStimulator:
    """One connection, made anew after every failure: a late answer can never be taken for that of a later question."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._read = bytearray()

    def identify(self) -> Identity:
        return bench_lines.identity_from(self._ask(bench_lines.line(do="identify"))["identity"])

    def self_test(self) -> str | None:
        failed = self._ask(bench_lines.line(do="self_test"))["failed"]
        return None if failed is None else str(failed)

    def exchange(self, drive: Drive) -> Reading:
        return bench_lines.reading_from(self._ask(bench_lines.drive_line(drive))["reading"])

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
        return self._ask(bench_lines.line(**said))

    def _ask(self, question: bytes) -> dict[str, Any]:
        try:
            if self._socket is None:
                self._connect()
            assert self._socket is not None
            self._socket.sendall(question)
            answer = bench_lines.parsed(self._line(self._socket))
        except (OSError, bench_lines.BadLine) as error:
            self.close()
            raise DriverLost(f"the stimulator at {self._path} does not answer: {error or 'in time'}") from error
        if "error" in answer:
            raise DriverLost(f"the stimulator at {self._path} refused: {answer['error']}")
        return answer

    def _connect(self) -> None:
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh.settimeout(self._timeout_s)
            fresh.connect(str(self._path))
        except OSError:
            fresh.close()
            raise
        self._socket = fresh

    def _line(self, connection: socket.socket) -> bytes:
        while (end := self._read.find(b"\n")) < 0:
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionResetError("it hung up")
            self._read += chunk
            if len(self._read) > bench_lines.LINE_BYTES_MAX:
                raise bench_lines.BadLine("line too long")
        whole = bytes(self._read[:end])
        del self._read[: end + 1]
        return whole
