"""Which broker of a site runs on this machine: the one whose process holds the lock in the site's broker folder.

The lock is an open file that Mosquitto inherits, so it ends with Mosquitto, however that ends, and nobody else can
drop it. The file holds the process id, for people and for the signal that reloads. Mosquitto's own pid file would not
do: a second Mosquitto that finds the port taken removes it.
"""

import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.mosquitto.configuration import broker_folder, write_acl
from broker.pki.durable import SECRET_MODE, make_folder, only_one
from broker.pki.registry_file import load_registry

LOCK = "running.pid"
READY_S_MAX = 10.0  # between taking the lock and obeying a reload
_ASK_EVERY_S = 0.02
_TRIES = 5


class BrokerFailed(RuntimeError):
    """The broker is not installed, does not come up or runs already; the text is a sentence that says so."""


@contextmanager
def lone_broker(site_dir: Path) -> Iterator[int]:
    """Hold the site's lock: the descriptor, which a child or an exec may inherit and so keep locked.

    Raises:
        BrokerFailed: a broker of this site runs. Nothing was written.
    """
    path = broker_folder(site_dir) / LOCK
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
    try:
        if not any(_locks(descriptor) for _ in range(_TRIES)):
            raise BrokerFailed(
                f"A broker of the site in {site_dir} runs already on this machine, as process {_said_pid(path)}."
            )
        os.truncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_ASK_EVERY_S)  # somebody may just be asking whether there is a broker
        return False
    return True


def note_pid(descriptor: int, pid: int) -> None:
    """Say in the locked file who the broker is."""
    os.pwrite(descriptor, f"{pid}\n".encode(), 0)


def reload_broker(site_dir: Path, clock: Callable[[], float]) -> bool:
    """Write the ACL anew and tell the site's broker to obey it. Whether it runs on this machine and was told.

    One that is still coming up has perhaps read the old list already, and would die of the signal: it is told as soon
    as it listens to it.
    """
    path = broker_folder(site_dir) / LOCK
    give_up = clock() + READY_S_MAX
    while clock() < give_up and _is_locked(path):
        pid = _said_pid(path)
        if pid is not None and _has_open(pid, path) and _catches_reload(pid):
            _write_acl_alone(site_dir)  # only now: one that comes up writes its own, perhaps of an older registry
            try:
                os.kill(pid, signal.SIGHUP)
            except (ProcessLookupError, PermissionError):  # it ended just now, or runs for somebody else
                return False
            return True
        time.sleep(_ASK_EVERY_S)
    _write_acl_alone(site_dir)
    return False


def _write_acl_alone(site_dir: Path) -> None:
    with only_one(site_dir):
        write_acl(site_dir, load_registry(site_dir))


def refuse_taken_port(bind: str, port: int) -> None:
    """Mosquitto ends without a word on stderr where it cannot have its port, so it is tried before.

    Raises:
        BrokerFailed: nobody can listen there now.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Mosquitto does
            probe.bind(address)
            probe.listen()
    except socket.gaierror as error:
        raise BrokerFailed(f"There is no address {bind} to listen on; choose another with --bind.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BrokerFailed(f"Port {port} is taken by another program; choose another with --port.") from error
        raise BrokerFailed(f"Nobody can listen on port {port} of {bind}: {error.strerror}.") from error


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _said_pid(path: Path) -> int | None:
    """None while whoever has the lock has not yet said who it is."""
    text = path.read_text(encoding="ascii", errors="replace").strip()
    return int(text) if text.isdecimal() else None


def _has_open(pid: int, path: Path) -> bool:
    """Whether the process has the lock file open: a process id that is left from before may be anybody's."""
    wanted = path.stat()
    try:
        return any(_is_same(opened, wanted) for opened in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it ended, or is somebody else's: not ours to signal
        return False


def _is_same(opened: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(opened.stat(), wanted)
    except FileNotFoundError:  # closed meanwhile
        return False


def _catches_reload(pid: int) -> bool:
    """Whether the process catches SIGHUP, which it would otherwise die of: the `SigCgt` mask of proc(5)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))
