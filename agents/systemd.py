"""What systemd wants to hear (sd_notify): ready, alive, stopping. Without systemd nobody listens, and that is fine."""

import os
import socket
from collections.abc import Mapping


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send e.g. `READY=1`, `WATCHDOG=1` or `STOPPING=1` to the supervisor, if there is one.

    Raises:
        OSError: there is one and it cannot be reached.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.sendto(state.encode(), address)


def watchdog_period_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often to say `WATCHDOG=1`: half of what systemd allows. None: it does not ask."""
    allowed_us = environment.get("WATCHDOG_USEC", "")
    return int(allowed_us) / 2e6 if allowed_us.isdigit() else None
