"""Where an agent's panel answers, and how long the path of a Unix socket may be: a limit of the kernel that nobody
expects of a folder's name.
"""

import os
from pathlib import Path
from typing import Final

PANEL_SOCKET: Final = "panel.sock"  # in the agent's data folder
PATH_BYTES_MAX: Final = 107  # linux/un.h: 108 with the zero at the end


def overlong(path: Path) -> str | None:
    """Why no socket can be at `path`, as part of a sentence; None when one can."""
    length = len(os.fsencode(path))
    if length <= PATH_BYTES_MAX:
        return None
    return f"the path {path} of its socket has {length} bytes, {PATH_BYTES_MAX} are possible: take a shorter folder"
