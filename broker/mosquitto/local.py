"""A Mosquitto of our own: for the demo, for tests, and for a clinic that runs everything on one machine.

with LocalMosquitto(site_dir) as mosquitto:
    mosquitto.host, mosquitto.port
    mosquitto.reload()         after the registry changed: the ACL anew, SIGHUP
    mosquitto.kill()           SIGKILL, as a crash
    mosquitto.start()          again, on the same port
"""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from broker.contract.topics import FLEET_INTAKE
from broker.mosquitto.configuration import LOG, broker_folder, write_configuration
from broker.mosquitto.running import BrokerFailed, lone_broker, note_pid, reload_broker
from broker.pki.registry_file import load_registry
from broker.pki.site import SERVICES_FOLDER
from broker.ports import free_port
from broker.scheduling import ask_for_turns

HOST = "127.0.0.1"
START_S_MAX = 10.0
STOP_S_MAX = 5.0
STARTS_MAX = 5  # a port that was free may be taken before the broker has it
_ASK_EVERY_S = 0.02


def mosquitto_path() -> str:
    """Where Mosquitto is. Debian puts it where an ordinary account does not look.

    Raises:
        BrokerFailed: it is not installed.
    """
    found = shutil.which(
        "mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    )
    if found is None:
        raise BrokerFailed("Mosquitto is not installed; on Debian and Ubuntu it is the package `mosquitto`.")
    return found


class LocalMosquitto:
    """One Mosquitto process that serves a site folder on 127.0.0.1.

    `port` None picks a free one, which stays the same through `kill` and `start`. `clock` is boot or monotonic time.
    """

    def __init__(self, site_dir: Path, *, port: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.site_dir = site_dir
        self.host = HOST
        self.log = broker_folder(site_dir) / LOG
        self._picks_port = port is None
        self._port = port
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        if self._port is None:
            raise BrokerFailed("The broker has no port before its first start.")
        return self._port

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BrokerFailed("The broker does not run.")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it completes a TLS handshake.

        Raises:
            BrokerFailed: it does not within 10 s.
        """
        for _ in range(STARTS_MAX):
            if self._port is None:
                self._port = free_port()
            if self._started():
                self._picks_port = False  # from now on it is this port: clients come back to it
                return
            if not self._picks_port:
                break
            self._port = None
        raise BrokerFailed(f"Mosquitto does not come up: {self._last_words()}")

    def kill(self) -> None:
        """SIGKILL: a crash. What is on disk stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; it may be started again."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def reload(self) -> None:
        """Write the ACL from the registry and have it obeyed."""
        if not reload_broker(self.site_dir, self._clock):
            raise BrokerFailed("The broker does not run.")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _started(self) -> bool:
        assert self._process is None, "started twice"
        with lone_broker(self.site_dir) as lock, self.log.open("ab") as log:
            configuration = write_configuration(self.site_dir, load_registry(self.site_dir), port=self.port)
            said_before = log.tell()
            self._process = subprocess.Popen(
                [mosquitto_path(), "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,  # a Ctrl-C at the terminal is the demo's to pass on, in its order
            )
            note_pid(lock, self._process.pid)
            ask_for_turns(pid=self._process.pid)
        give_up = self._clock() + START_S_MAX
        while self._clock() < give_up and self._process.poll() is None:
            if self._says_running(said_before) and self._accepts():
                return True
            time.sleep(_ASK_EVERY_S)
        self.kill()
        return False

    def _accepts(self) -> bool:
        """Whether a TLS handshake against the site's CA completes."""
        context = ssl.create_default_context(cafile=str(self.site_dir / "ca.crt"))
        services = self.site_dir / SERVICES_FOLDER
        context.load_cert_chain(services / f"{FLEET_INTAKE}.crt", services / f"{FLEET_INTAKE}.key")
        try:
            with (
                socket.create_connection((HOST, self.port), timeout=1.0) as raw,
                context.wrap_socket(raw, server_hostname=HOST),
            ):
                return True
        except OSError:  # not yet
            return False

    def _says_running(self, said_before: int) -> bool:
        """Whether our process has its port: somebody else may answer there."""
        with self.log.open("rb") as log:
            log.seek(said_before)
            return b" running\n" in log.read()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
