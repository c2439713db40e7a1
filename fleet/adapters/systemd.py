"""What systemd is told: the service is ready, it lives, it ends (sd_notify(3), without its library)."""

import socket
from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"


def notify(environment: Mapping[str, str], *said: str) -> bool:
    """Tell systemd, e.g. `notify(os.environ, "READY=1")`; False where nobody listens."""
    address = environment.get(VARIABLE)
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        try:
            to.sendto("\n".join(said).encode(), address)
        except OSError:  # a systemd that went away, or listens no longer, must not end the service
            return False
    return True
