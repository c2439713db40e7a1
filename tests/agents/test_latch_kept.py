"""A record that cannot be read at this moment is not lost, and the device is not taken for a new one meanwhile."""

import errno
from pathlib import Path

import pytest

from agents.latch import MISSING, UNREADABLE, LatchFile, PosixDisk
from agents.steps import Durable
from broker.contract.causes import Cause, ResetBy
from tests.agents.test_latch import FULL, assert_comes_up_latched


class Unreadable(PosixDisk):
    """The disk whose reads fail while it is `broken`; it remembers which folders were synced."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.synced: list[Path] = []

    def read(self, path: Path) -> bytes | None:
        if path.name in self.broken:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(path)

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.synced.append(folder)


def test_a_record_that_cannot_be_read_now_is_kept(tmp_path: Path) -> None:
    """A cable that is loose for a moment must not cost the record: latched, and the good one is set aside."""
    path = tmp_path / "latch"
    LatchFile(path).save(FULL)
    file = LatchFile(path, Unreadable("latch"))
    assert_comes_up_latched(file, UNREADABLE)
    file.save(Durable(boot_n=1, latch=Cause.SELF_TEST_FAILED, reset_by=ResetBy.ENGINEER))
    assert LatchFile(tmp_path / "latch.unreadable").load() == (FULL, None)
    assert LatchFile(path).load()[0].latch is Cause.SELF_TEST_FAILED


@pytest.mark.parametrize("was_saved", [True, False])
def test_power_lost_after_it_was_set_aside_is_no_new_device(tmp_path: Path, was_saved: bool) -> None:
    path = tmp_path / "latch"
    if was_saved:
        LatchFile(path).save(FULL)
        (tmp_path / "latch.born").unlink()
    assert_comes_up_latched(LatchFile(path, Unreadable("latch", "latch.born")), UNREADABLE)
    assert_comes_up_latched(LatchFile(path), MISSING)


def test_a_word_that_cannot_be_read_harms_no_record_that_can(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    LatchFile(path).save(FULL)
    assert LatchFile(path, Unreadable("latch.born")).load() == (FULL, None)
    path.unlink()
    assert_comes_up_latched(LatchFile(path, Unreadable("latch.born")), UNREADABLE)


def test_the_first_record_of_a_new_folder_survives_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    disk = Unreadable()
    LatchFile(folder / "latch", disk).save(FULL)
    assert disk.synced[-1] == tmp_path
    assert disk.synced.count(folder) >= 1
