"""Stands for a worker of a run: the worker itself is forked, and has this one's standard streams (tests/forking.py).

Called as execnet begins an interpreter, which is with its program as the last word. Where the tests cannot be collected
it becomes that worker itself, which says why.
"""

import os
import sys
from signal import SIG_BLOCK, SIG_UNBLOCK, SIGINT, pthread_sigmask, signal

from tests.forked import WORKERS, Asked, Forked


def main() -> None:
    asked = Asked((), program=sys.argv[-1], streams=True, environment=dict(os.environ))
    pthread_sigmask(SIG_BLOCK, {SIGINT})  # kept until there is somebody to hand it on to
    try:
        worker = Forked(asked, WORKERS)
    except (EOFError, OSError):
        pthread_sigmask(SIG_UNBLOCK, {SIGINT})
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 # as execnet has asked for
    signal(SIGINT, lambda *_: worker.send_signal(SIGINT))
    pthread_sigmask(SIG_UNBLOCK, {SIGINT})
    for stream in (0, 1):  # they end with the worker
        os.close(stream)
    os._exit(worker.wait() & 0xFF)
