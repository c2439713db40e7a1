"""The durable record through power cuts at every system call, kill -9, and damage of every kind."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents.drivers.port import ZERO
from agents.latch import DAMAGED, FORMAT, MISSING, UNREADABLE, LatchFile, decoded, encoded
from agents.session import begin
from agents.state import is_latched
from agents.steps import Durable, Emit, OverLimit, Press
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import EventKind, Holds
from tests.agents.clinic import SESSION, SETTINGS, Clinic
from tests.agents.power import CutDisk, File, PowerCut

PATH = Path("/var/lib/agent/latch")
NEW = Path("/var/lib/agent/latch.new")
NEW_DEVICE = Durable(boot_n=0)
FULL = Durable(
    boot_n=41,
    latch=Cause.OVER_LIMIT,
    reset_by=ResetBy.ENGINEER,
    live_session_id=SESSION,
    holds=Holds.of(("0a" * 8, "0b" * 8), ("0c" * 8,), service=True, more=True),
    fleet_n=7,
    settings=replace(SETTINGS, capabilities=("late_samples",), limits=GENERIC_PROFILE),
    over_limits=(OverLimit(40, 9_000.125), OverLimit(41, None)),
)
# The life of a device: booted, session live, latched with a hold, released, reset, live again, latched.
LIFE = (
    Durable(boot_n=1),
    Durable(boot_n=1, live_session_id=SESSION),
    Durable(boot_n=1, latch=Cause.EMERGENCY_STOP, reset_by=ResetBy.THERAPIST, holds=Holds.of(device=("0a" * 8,))),
    Durable(boot_n=1, latch=Cause.EMERGENCY_STOP, reset_by=ResetBy.THERAPIST),
    Durable(boot_n=1),
    Durable(boot_n=2, live_session_id=SESSION, fleet_n=9),
    FULL,
)


Save = Callable[[CutDisk, Durable], None]

# --- power ------------------------------------------------------------------------------------------------------------


def prove(save: Save) -> int:
    """Cut at every call of every save: what is found is the record last saved, or the one being saved.

    And again during the first save after that, from everything that may have been found. Returns how many disks.
    """
    disks = 0
    for cut_at in range(1, 200):
        disk, saved, saving = CutDisk(cut_at=cut_at), NEW_DEVICE, NEW_DEVICE
        try:
            for saving in LIFE:
                save(disk, saving)
                saved = saving
        except PowerCut:
            pass
        else:
            assert disks > 100, "the proof has looked at something"
            return disks
        for found in disk.after_the_cut():
            disks += 1 + _prove_second_cut(save, found, allowed=(saved, saving))
    raise AssertionError("a save has no end")


def _prove_second_cut(save: Save, found: CutDisk, allowed: tuple[Durable, Durable]) -> int:
    record = _load(found)
    assert record in allowed, f"{record} was neither saved nor being saved"
    disks, booted = 0, replace(record, boot_n=record.boot_n + 1)
    for cut_at in range(1, 20):
        again = CutDisk(cut_at=cut_at, names=_copied(found), safe_names={})
        again.safe_names = dict(again.names)
        try:
            save(again, booted)
        except PowerCut:
            for twice in again.after_the_cut():
                disks += 1
                assert _load(twice) in (record, booted)
            continue
        return disks
    raise AssertionError("a save has no end")


def _copied(disk: CutDisk) -> dict[Path, File]:
    return {path: File(file.content, file.synced) for path, file in disk.names.items()}


def _load(disk: CutDisk) -> Durable:
    record, damage = LatchFile(PATH, disk).load()
    assert damage is None, damage
    return record


def save_as_the_agent_does(disk: CutDisk, durable: Durable) -> None:
    LatchFile(PATH, disk).save(durable)


def test_a_power_cut_at_any_call_leaves_the_old_record_or_the_new_one() -> None:
    assert prove(save_as_the_agent_does) > 1000


def prove_lasting(save: Save) -> None:
    """Cut right after each save returned: exactly that record is found, whatever the file system does."""
    for count in range(1, len(LIFE) + 1):
        disk = CutDisk()
        for durable in LIFE[:count]:
            save(disk, durable)
        found = [_load(each) for each in disk.after_the_cut()]
        assert found
        assert set(found) == {LIFE[count - 1]}


def test_a_record_that_was_saved_is_never_lost() -> None:
    prove_lasting(save_as_the_agent_does)


def in_place(disk: CutDisk, durable: Durable) -> None:
    disk.write(PATH, encoded(durable))
    disk.sync(PATH)
    disk.sync_folder(PATH.parent)


def without_sync_of_the_file(disk: CutDisk, durable: Durable) -> None:
    disk.write(NEW, encoded(durable))
    disk.rename(NEW, PATH)
    disk.sync_folder(PATH.parent)


def synced_after_the_rename(disk: CutDisk, durable: Durable) -> None:
    disk.write(NEW, encoded(durable))
    disk.rename(NEW, PATH)
    disk.sync(PATH)
    disk.sync_folder(PATH.parent)


def without_sync_of_the_folder(disk: CutDisk, durable: Durable) -> None:
    disk.write(NEW, encoded(durable))
    disk.sync(NEW)
    disk.rename(NEW, PATH)


@pytest.mark.parametrize("careless", [in_place, without_sync_of_the_file, synced_after_the_rename])
def test_the_proof_finds_what_may_tear(careless: Save) -> None:
    """The proof itself is proven: it refuses three usual ways of getting this wrong."""
    with pytest.raises(AssertionError):
        prove(careless)


def test_the_proof_finds_what_may_be_lost() -> None:
    with pytest.raises(AssertionError):
        prove_lasting(without_sync_of_the_folder)


def live(clinic: Clinic) -> None:
    """Armed, running, stopped by the fleet, released, reset, armed and running again, stopped by the patient."""
    clinic.until_running(6.0)
    clinic.stop_from_fleet()
    clinic.run(0.5)
    clinic.release("ab" * 8)
    clinic.run(3.5)
    assert clinic.press(Press.RESET).accepted
    clinic.until_running(4.0)
    clinic.press(Press.PAUSE)
    clinic.press(Press.STOP_BUTTON)
    clinic.run(0.5)


def test_power_cut_at_every_write_of_the_agents_life() -> None:
    """Power goes at every call: the agent comes up latched where current had flowed or a latch was told."""
    cuts = latched = 0
    for cut_at in range(1, 200):
        disk = CutDisk(cut_at=cut_at)
        clinic = Clinic(durable=Durable(boot_n=0, settings=SETTINGS), store=LatchFile(PATH, disk), switched_on=False)
        try:
            clinic.switch_on_agent(clinic.durable)
            live(clinic)
        except PowerCut:
            cuts += 1
        else:
            break
        flowed = clinic.true_peak_ma(0.0) > 0.0 and not _has_ended(clinic)
        for found in disk.after_the_cut():
            record, damage = LatchFile(PATH, found).load()
            assert damage is None
            state, outcome = begin(record, clinic.state.identity, None, 10.0, 1)
            assert outcome.drive == ZERO
            if flowed or _told_latched(clinic):
                latched += 1
                assert is_latched(state)
    assert cuts > 30
    assert latched > 30


def _has_ended(clinic: Clinic) -> bool:
    """Whether the session that was started last was told to have ended."""
    told = [each.kind for each in clinic.told if isinstance(each, Emit)]
    marks = [kind for kind in told if kind in {EventKind.SESSION_STARTED, EventKind.SESSION_ENDED}]
    return bool(marks) and marks[-1] is EventKind.SESSION_ENDED


def _told_latched(clinic: Clinic) -> bool:
    told = [each.kind for each in clinic.told if isinstance(each, Emit)]
    marks = [kind for kind in told if kind in {EventKind.LATCHED, EventKind.LATCH_RESET}]
    return bool(marks) and marks[-1] is EventKind.LATCHED and not _resetting(clinic)


def _resetting(clinic: Clinic) -> bool:
    """A reset was decided, and is on its way to the disk: it may be found or not."""
    return not is_latched(clinic.state)


# --- kill -9 ----------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from agents.latch import LatchFile
from agents.steps import Durable

file = LatchFile(Path(sys.argv[1]))
record, damage = file.load()
assert damage is None, damage
boot_n = record.boot_n
while True:
    boot_n += 1
    file.save(Durable(boot_n, live_session_id="5e" * 16))
    sys.stdout.write(f"{boot_n}\\n")
    sys.stdout.flush()
"""


def test_kill_9_of_a_writing_process(tmp_path: Path) -> None:
    """What it said was saved is there, whole, after each of eight kills."""
    path = tmp_path / "latch"
    for kill in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(0.003 * kill)  # another moment of its work each time
            writer.send_signal(signal.SIGKILL)
            said = [first, *writer.stdout.read().splitlines()]
        last = max(int(line) for line in said if line.strip())
        record, damage = LatchFile(path).load()
        assert damage is None
        assert record.boot_n in {last, last + 1}
        assert record.live_session_id == "5e" * 16


# --- damage -----------------------------------------------------------------------------------------------------------


def assert_comes_up_latched(file: LatchFile, words: str) -> None:
    record, damage = file.load()
    assert damage is not None
    assert words in damage
    assert record.latch is Cause.SELF_TEST_FAILED
    assert record.reset_by is ResetBy.ENGINEER


def test_a_new_device_has_a_new_record(tmp_path: Path) -> None:
    assert LatchFile(tmp_path / "latch").load() == (Durable(boot_n=0), None)


@pytest.mark.parametrize("durable", [Durable(boot_n=1), FULL])
def test_what_is_saved_is_read_back(tmp_path: Path, durable: Durable) -> None:
    LatchFile(tmp_path / "latch").save(durable)
    assert LatchFile(tmp_path / "latch").load() == (durable, None)
    assert (tmp_path / "latch").stat().st_mode & 0o777 == 0o600


def test_every_flipped_byte_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    LatchFile(path).save(FULL)
    content = path.read_bytes()
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 0x01]) + content[index + 1 :])
        assert_comes_up_latched(LatchFile(path), DAMAGED)
        path.write_bytes(content[:index])
        assert_comes_up_latched(LatchFile(path), DAMAGED)


def test_a_record_that_vanished_is_not_a_new_device(tmp_path: Path) -> None:
    LatchFile(tmp_path / "latch").save(Durable(boot_n=3))
    (tmp_path / "latch").unlink()
    assert_comes_up_latched(LatchFile(tmp_path / "latch"), MISSING)


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latch").mkdir()
    assert_comes_up_latched(LatchFile(tmp_path / "latch"), UNREADABLE)


def signed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"not json",
        encoded(FULL).partition(b"\n")[2].replace(b'"format": 2', b'"format": 3'),
        encoded(FULL).partition(b"\n")[2].replace(b'"boot_n"', b'"boots"'),
        encoded(FULL).partition(b"\n")[2].replace(b'"peak_ma_max"', b'"peak"'),
        encoded(FULL).partition(b"\n")[2].replace(b'"latch": "over_limit"', b'"latch": "no_such_cause"'),
    ],
)
def test_a_record_that_says_something_else_is_damaged(tmp_path: Path, body: bytes) -> None:
    """Its digest is right; what it says is not a record of this format."""
    if body == encoded(FULL).partition(b"\n")[2]:
        raise AssertionError("nothing was changed")
    (tmp_path / "latch").write_bytes(signed(body))
    assert_comes_up_latched(LatchFile(tmp_path / "latch"), DAMAGED)


def test_the_format_is_the_one_that_is_written() -> None:
    assert FORMAT == 2
    assert decoded(encoded(FULL)) == FULL


def test_a_record_of_format_1_is_read_and_its_over_limits_count() -> None:
    """Its wall times say nothing that is trusted; that there were two is kept."""
    fields = json.loads(encoded(FULL).partition(b"\n")[2])
    del fields["over_limits"]
    old = {**fields, "format": 1, "over_limit_wall_s": [1.79e9, 1.79e9 + 0.125]}
    assert decoded(signed(json.dumps(old).encode())) == replace(FULL, over_limits=2 * (OverLimit(0, None),))


SHORT_WRITER = """
import resource, sys
from pathlib import Path
from agents.latch import LatchFile
from agents.steps import Durable

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    LatchFile(Path(sys.argv[1])).save(Durable(boot_n=6))
except OSError as error:
    print(error)
"""


def test_a_write_that_was_cut_short_is_an_error(tmp_path: Path) -> None:
    LatchFile(tmp_path / "latch").save(Durable(boot_n=5))
    script = [sys.executable, "-c", SHORT_WRITER, str(tmp_path / "latch")]
    said = subprocess.run(script, capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert "short write" in said.stdout
    assert LatchFile(tmp_path / "latch").load() == (Durable(boot_n=5), None)


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    """The save fails loudly, the record before it stays."""
    full = Path("/dev/full")
    if not full.exists():
        raise AssertionError("this test needs Linux")
    file = LatchFile(tmp_path / "latch")
    file.save(Durable(boot_n=5))
    (tmp_path / "latch.new").unlink(missing_ok=True)
    (tmp_path / "latch.new").symlink_to(full)
    with pytest.raises(OSError, match="No space left"):
        file.save(Durable(boot_n=6))
    assert file.load() == (Durable(boot_n=5), None)
