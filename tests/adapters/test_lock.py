"""One fleet for one folder, also where somebody removes the lock's file under the one that holds it."""

import errno
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet.adapters.lock import Held, Lost, not_running, one_instance


def test_a_lock_whose_file_was_removed_is_taken_again_where_nobody_else_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with one_instance(path, lambda: None) as lock:
        lock.look()
        path.unlink()
        lock.look()
        with pytest.raises(Held, match="fleet service, process"), not_running(path, "restore"):
            raise AssertionError("a second one is in")


def test_a_lock_that_somebody_else_has_by_now_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with one_instance(path, lambda: None) as lock:
        path.unlink()
        with not_running(path, "restore"), pytest.raises(Lost, match=r"restore, process \d+ holds .*lock"):
            lock.look()


def test_a_full_disk_keeps_nobody_from_leading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "lock"
    with one_instance(path, lambda: None) as lock:
        path.unlink()
        monkeypatch.setattr(os, "pwrite", full)  # who holds it is for people only
        lock.look()
        with pytest.raises(Held), not_running(path, "restore"):
            raise AssertionError("a second one is in")


def test_whoever_waited_for_a_file_that_is_removed_waits_for_the_one_that_has_the_name(tmp_path: Path) -> None:
    """The one that ends first held a file without a name: behind it nobody is alone."""
    path = tmp_path / "lock"
    with ExitStack() as unnamed, ExitStack() as named:
        unnamed.enter_context(not_running(path, "first"))

        def meanwhile() -> None:
            path.unlink()
            named.enter_context(not_running(path, "second"))
            unnamed.close()

        with one_instance(path, meanwhile, named.close) as lock:
            lock.look()
            with pytest.raises(Held), not_running(path, "third"):
                raise AssertionError("a second one is in")
