"""Stands for a worker of a run: the worker itself is forked, and has this one's standard streams (tests/forking.py).

python -m tests.worker -u -c PROGRAM     as execnet begins an interpreter
"""

import os
import sys
from signal import SIGINT, signal

from tests.forked import WORKERS, Asked, Forked


def main() -> None:
    asked = Asked((), program=sys.argv[-1], streams=True, environment=dict(os.environ))
    worker = Forked(asked, WORKERS)
    signal(SIGINT, lambda *_: worker.send_signal(SIGINT))
    for stream in (0, 1):  # they end with the worker
        os.close(stream)
    os._exit(worker.wait() & 0xFF)
