"""A port for what runs on one machine: the demo, tests, and a broker that is to pick its own."""

import random
import socket
from pathlib import Path
from typing import Final

LOWEST: Final = 10_000
"""Below it are those that programs have by default."""
ENOUGH: Final = 1_000
"""With fewer to pick from, two that pick at once would often have the same."""
OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""[lowest, highest] The ports that the kernel gives to connections that go out: ip-sysctl of its documentation."""

_chance = random.SystemRandom()  # what has a seed, or was forked, would pick the same again


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody on this machine listens on at the moment, and that no connection that goes out is given.

    One that is given to those is somebody else's before it is listened on, and whoever asks on this machine whether it
    is, or comes back to a broker that was killed, may be connected to himself: then nobody can listen there.
    Where the kernel leaves hardly any others, it is one of those.
    """
    below = _lowest_of_outgoing()
    if below >= LOWEST + ENOUGH:
        for port in _chance.sample(range(LOWEST, below), ENOUGH):
            if _is_free(host, port):
                return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        given: int = probe.getsockname()[1]
        return given


def _lowest_of_outgoing() -> int:
    try:
        return int(OUTGOING.read_text().split()[0])
    except FileNotFoundError:  # not Linux
        return 0


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
