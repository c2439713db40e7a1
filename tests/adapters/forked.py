"""`python -c PROGRAM WORDS`, forked from a process that has already imported the fleet service, like a real worker.

To import the service takes half a second of a processor, here once for all the programs of a run. Their environment
is that process's: what it was at the first fork. How the command starts from nothing is shown by tests/faults,
tests/deploy and tests/test_readme.py.
"""

import multiprocessing
import sys
from multiprocessing.context import ForkServerProcess

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.adapters.warm"])


def forked(program: str, *words: str) -> ForkServerProcess:
    """Start `program`, with `words` behind its name in `sys.argv`."""
    process = _CONTEXT.Process(target=_run, args=(program, words), daemon=True)
    process.start()
    return process


def _run(program: str, words: tuple[str, ...]) -> None:
    sys.argv[1:] = words
    exec(program, {"__name__": "__main__"})  # noqa: S102 # a test's own
