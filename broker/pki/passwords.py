"""Passwords and tokens for the programs beside the fleet service (InfluxDB, Grafana): made once, never a default.

Each is a file of its own, so that it need not stand in any environment or command line. Whoever is in the group of its
owner may read it: the programs run as other accounts.
"""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from broker.pki.durable import write_shared
from broker.pki.folder import ProvisioningRefused

NAME = r"[a-z0-9][a-z0-9-]{0,63}"
PASSWORD_BYTES = 32
FOLDER_MODE = 0o750


def make_passwords(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Make each that is not there yet, random; which those are. One that is there stays as it is.

    Raises:
        ProvisioningRefused: a name is none. Nothing was made.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if re.fullmatch(NAME, name) is None:
            raise ProvisioningRefused(f"The password {name!r} must be named by 1 to 64 of a-z, 0-9 and '-'.")
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    missing = tuple(name for name in wanted if not (folder / name).exists())
    for name in missing:
        write_shared(folder / name, secrets.token_hex(PASSWORD_BYTES).encode())
    return missing
