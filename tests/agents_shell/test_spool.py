"""H21: what is in the spool reaches the fleet or is told as lost; nothing is lost silently, whatever the disk does."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agents.spool import Happened, Receipted, Spool, SpoolFailed, Stamp, corrupt_spool, open_spool
from broker.contract.messages import Event, EventKind, Measured, Receipt, SpoolDropped, Unreadable
from broker.wire.codec import encode

AT = "2026-11-22T12:00:00.000Z"


def ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


NEW_ID = ids()


def happened(kind: EventKind = EventKind.SESSION_STARTED) -> Happened:
    return Happened(Stamp(3, AT, 77.5), NEW_ID(), kind)


def spool_in(folder: Path, events_max: int = 1000) -> Spool:
    spool, aside = open_spool(folder / "spool.db", NEW_ID, lambda: Stamp(3, AT, 78.0), events_max)
    assert aside is None
    _opened.append(spool)
    return spool


_opened: list[Spool] = []


@pytest.fixture(autouse=True)
def _all_are_closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def numbers(events: tuple[Event, ...]) -> list[int]:
    return [event.n for event in events]


def receipt(spool: Spool, upto: int, *unreadable: Unreadable) -> Receipt:
    return Receipt(spool.spool_id, upto, unreadable)


def sha256(event: Event) -> str:
    import hashlib

    return hashlib.sha256(encode(event)).hexdigest()


# --- numbers and receipts -------------------------------------------------------------------------------------------


def test_events_are_numbered_from_one_and_come_back_in_order(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    first = spool.append(happened())
    rest = spool.append(happened(), happened())
    assert numbers(first + rest) == [1, 2, 3]
    assert spool.pending(0, 10) == first + rest
    assert spool.pending(1, 1) == rest[:1]
    assert (spool.oldest_n, spool.next_n) == (1, 4)


def test_numbers_go_on_over_a_restart_and_over_receipts(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(happened(), happened())
    assert spool.take(receipt(spool, 2)) is Receipted.DELETED
    spool_id = spool.spool_id
    spool.close()
    again = spool_in(tmp_path)
    assert again.spool_id == spool_id
    assert numbers(again.append(happened())) == [3]
    assert again.oldest_n == 3


def test_only_a_receipt_deletes_and_it_is_cumulative(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(*(happened() for _ in range(5)))
    spool.pending(0, 10)
    assert numbers(spool.pending(0, 10)) == [1, 2, 3, 4, 5]
    spool.take(receipt(spool, 3))
    assert numbers(spool.pending(0, 10)) == [4, 5]
    spool.take(receipt(spool, 2))
    assert numbers(spool.pending(0, 10)) == [4, 5], "an older receipt says nothing new"
    spool.take(receipt(spool, 0))
    assert numbers(spool.pending(0, 10)) == [4, 5]


def test_a_receipt_for_another_spool_deletes_nothing(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(happened())
    assert spool.take(Receipt("f" * 32, 1, ())) is Receipted.OTHER_SPOOL
    assert numbers(spool.pending(0, 10)) == [1]


@pytest.mark.parametrize("upto", [4, 5, 1000])
def test_a_receipt_above_what_was_given_renumbers_and_deletes_nothing(tmp_path: Path, upto: int) -> None:
    """The disk went back in time: the fleet knows numbers that this spool has yet to give."""
    spool = spool_in(tmp_path)
    before = spool.append(*(happened() for _ in range(3)))
    spool.take(receipt(spool, 1))
    old_id = spool.spool_id
    assert spool.take(receipt(spool, upto)) is Receipted.RENUMBERED
    after = spool.pending(0, 10)
    assert spool.spool_id != old_id
    assert [event.event_id for event in after] == [event.event_id for event in before[1:]]
    assert numbers(after) == [1, 2]
    assert {event.spool_id for event in after} == {spool.spool_id}
    assert numbers(spool.append(happened())) == [3]
    spool.close()
    assert numbers(spool_in(tmp_path).pending(0, 10)) == [1, 2, 3]


def rot(path: Path, n: int) -> None:
    database = sqlite3.connect(path)
    database.execute(
        "update event set payload = replace(payload, 'session_paused', 'session_armed_') where n = ?", (n,)
    )
    database.commit()
    database.close()


# --- quarantine and dropping ----------------------------------------------------------------------------------------


def test_what_the_fleet_cannot_read_is_quarantined_and_told_as_dropped(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    events = spool.append(*(happened() for _ in range(5)))
    unreadable = [Unreadable(n, sha256(events[n - 1])) for n in (2, 3, 5)]
    spool.take(receipt(spool, 5, *unreadable))
    told = spool.pending(0, 10)
    assert [event.detail for event in told] == [SpoolDropped(2, 3), SpoolDropped(5, 5)]
    assert numbers(told) == [6, 7]
    assert spool.dropped_count == 3
    with closing(sqlite3.connect(tmp_path / "spool.db")) as database:
        rows = database.execute("select n, payload from quarantine order by n").fetchall()
    assert rows == [(n, encode(events[n - 1])) for n in (2, 3, 5)], "kept for whoever looks into it"
    spool.take(receipt(spool, 7, *unreadable))
    assert spool.pending(0, 10) == (), "saying it again tells nothing new"


def test_an_unreadable_that_is_none_of_ours_quarantines_and_deletes_nothing(tmp_path: Path) -> None:
    """The fleet got another payload under a number that is kept here: this disk went back, and gave it twice."""
    spool = spool_in(tmp_path)
    events = spool.append(*(happened() for _ in range(3)))
    old_id = spool.spool_id
    assert spool.take(receipt(spool, 3, Unreadable(2, "0" * 64))) is Receipted.RENUMBERED
    again = spool.pending(0, 10)
    assert [event.event_id for event in again] == [event.event_id for event in events], "told again, all of them"
    assert (numbers(again), spool.dropped_count) == ([1, 2, 3], 0)
    assert spool.spool_id != old_id
    assert spool.take(Receipt(old_id, 3, (Unreadable(2, "0" * 64),))) is Receipted.OTHER_SPOOL


def test_a_renumbered_spool_tells_what_has_rotted_in_it(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    events = spool.append(*(happened(EventKind.SESSION_PAUSED) for _ in range(4)))
    spool.close()
    rot(tmp_path / "spool.db", 2)
    spool = spool_in(tmp_path)
    spool.take(receipt(spool, 1))
    assert spool.take(receipt(spool, 1000)) is Receipted.RENUMBERED
    again = spool.pending(0, 10)
    assert [event.event_id for event in again[:2]] == [event.event_id for event in events[2:]]
    assert (numbers(again), again[2].detail) == ([2, 3, 4], SpoolDropped(1, 1))
    assert spool.dropped_count == 1
    assert (spool.oldest_n, spool.next_n) == (2, 5)
    with closing(sqlite3.connect(tmp_path / "spool.db")) as database:
        rows = database.execute("select spool_id, n, why from quarantine").fetchall()
    assert rows == [(spool.spool_id, 1, "rotten on disk")]


def test_a_full_spool_drops_the_oldest_and_says_which(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, events_max=100)
    for _ in range(101):
        spool.append(happened())
    kept = spool.pending(0, 1000)
    assert kept[0].n == 11
    assert (kept[-1].kind, kept[-1].detail) == (EventKind.SPOOL_DROPPED, SpoolDropped(1, 10))
    assert spool.dropped_count == 10
    for _ in range(50):
        spool.append(*(happened() for _ in range(20)))
    assert len(spool.pending(0, 1000)) <= 100
    assert spool.oldest_n > 1000 - 100


def test_every_number_is_kept_or_told_as_dropped_or_receipted(tmp_path: Path) -> None:
    """Random appends, receipts and restarts on a small spool: nobody may ask where a number went."""
    chance = random.Random(5)
    spool = spool_in(tmp_path, events_max=20)
    accounted: set[int] = set()
    for _ in range(400):
        match chance.randrange(8):
            case 0 if spool.next_n > 1:
                upto = chance.randrange(spool.next_n)
                accounted |= {event.n for event in spool.pending(0, 1000) if event.n <= upto}
                accounted |= dropped_in(spool.pending(0, 1000), upto)
                spool.take(receipt(spool, upto))
            case 1:
                spool.close()
                spool = spool_in(tmp_path, events_max=20)
            case _:
                spool.append(happened())
        kept = spool.pending(0, 1000)
        assert numbers(kept) == sorted(numbers(kept))
    left = spool.pending(0, 1000)
    accounted |= set(numbers(left)) | dropped_in(left, spool.next_n)
    missing = set(range(1, spool.next_n)) - accounted
    # A `spool_dropped` may itself be dropped: then it lies in the range that a later one names, and what it named lies
    # below `oldest_n`, which the contract counts as covered.
    assert all(n < spool.oldest_n for n in missing)


def dropped_in(events: tuple[Event, ...], upto: int) -> set[int]:
    spans = [event.detail for event in events if event.n <= upto]
    return {n for span in spans if isinstance(span, SpoolDropped) for n in range(span.from_n, span.to_n + 1)}


# --- the disk -------------------------------------------------------------------------------------------------------


def test_a_commit_is_synced(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    (level,) = spool._database.execute("pragma synchronous").fetchone()
    assert level == 2, "FULL"
    assert (tmp_path / "spool.db").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_raises_and_gives_no_number(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(happened())
    spool._database.execute("pragma max_page_count = 1")  # SQLite's own way to a full disk
    too_many = [happened() for _ in range(1000)]
    with pytest.raises(SpoolFailed, match="full"):
        spool.append(*too_many)
    assert spool.next_n == 2, "all or none"
    next_n = spool.next_n
    spool._database.execute("pragma max_page_count = 100000")
    assert numbers(spool.append(happened())) == [next_n]
    assert numbers(spool.pending(0, 10_000)) == list(range(1, next_n + 1)), "without a gap"


def test_a_disk_that_gives_no_spool_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "spool.db", tmp_path / "nowhere" / "spool.db", tmp_path / "file" / "spool.db"):
        with pytest.raises(SpoolFailed, match=f"cannot open the event spool {path}"):
            open_spool(path, NEW_ID, lambda: Stamp(4, AT, 1.0))


@pytest.mark.parametrize(
    "wreck",
    [
        lambda content: b"this is no database",
        lambda content: bytes(100),
        lambda content: b"\xff" * 4096 + content[4096:],  # the first page
        lambda content: content[:4096] + os.urandom(len(content) - 4096),  # all the others
    ],
    ids=["text", "zeros", "first page", "other pages"],
)
def test_a_corrupt_file_is_set_aside_and_a_new_spool_begins(tmp_path: Path, wreck: Callable[[bytes], bytes]) -> None:
    spool = spool_in(tmp_path)
    spool.append(*(happened() for _ in range(200)))
    old_id = spool.spool_id
    spool.close()
    path = tmp_path / "spool.db"
    wrecked = wreck(path.read_bytes())
    path.write_bytes(wrecked)
    fresh, aside = open_spool(path, NEW_ID, lambda: Stamp(4, AT, 1.0))
    assert aside == tmp_path / "spool.db.corrupt-1"
    assert aside.read_bytes() == wrecked, "kept as it was"
    assert fresh.spool_id != old_id
    assert numbers(fresh.append(happened())) == [1]
    assert "spool.db.corrupt-1" in corrupt_spool(aside).check
    fresh.close()


def test_a_second_corrupt_file_does_not_replace_the_first(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    for number in (1, 2):
        path.write_bytes(f"wreck {number}".encode())
        spool, aside = open_spool(path, NEW_ID, lambda: Stamp(4, AT, 1.0))
        spool.close()
        assert aside == tmp_path / f"spool.db.corrupt-{number}"
    assert (tmp_path / "spool.db.corrupt-1").read_bytes() == b"wreck 1"


def test_a_rotten_row_is_quarantined_and_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(*(happened(EventKind.SESSION_PAUSED) for _ in range(3)))
    spool.close()
    rot(tmp_path / "spool.db", 2)
    spool = spool_in(tmp_path)
    assert numbers(spool.pending(0, 10)) == [1, 3]
    assert [event.detail for event in spool.pending(3, 10)] == [SpoolDropped(2, 2)]


def test_a_torn_write_ahead_log_loses_at_most_what_was_never_told(tmp_path: Path) -> None:
    """A power cut leaves any prefix of the log, its last frame torn: a prefix of the events comes back, in order."""
    spool = spool_in(tmp_path)
    spool.append(*(happened() for _ in range(3)))
    for _ in range(10):
        spool.append(happened())
    main, log = (tmp_path / "spool.db").read_bytes(), (tmp_path / "spool.db-wal").read_bytes()
    chance = random.Random(11)
    for trial, length in enumerate([0, *(chance.randrange(len(log)) for _ in range(15)), len(log)]):
        folder = tmp_path / f"cut-{trial}"
        folder.mkdir()
        (folder / "spool.db").write_bytes(main)
        (folder / "spool.db-wal").write_bytes(log[:length])
        survivor, aside = open_spool(folder / "spool.db", NEW_ID, lambda: Stamp(3, AT, 1.0))
        assert aside is None
        back = numbers(survivor.pending(0, 100))
        assert back == list(range(1, len(back) + 1))
        assert survivor.next_n == len(back) + 1
        survivor.close()
    assert len(back) == 13, "with the whole log all are there"


WRITER = """
import itertools, sys
from pathlib import Path
from agents.spool import Happened, Stamp, open_spool
from broker.contract.messages import EventKind, Receipt
stamp = Stamp(3, "2026-11-22T12:00:00.000Z", 77.5)
numbers = itertools.count(int(sys.argv[2]))
new_id = lambda: f"{next(numbers):032x}"
spool, aside = open_spool(Path(sys.argv[1]), new_id, lambda: stamp)
assert aside is None, aside
for turn in itertools.count():
    event, = spool.append(Happened(stamp, new_id(), EventKind.SESSION_STARTED))
    print("told", event.n, event.event_id, flush=True)
    if turn % 7 == 6:
        print("receipting", event.n - 3, flush=True)
        spool.take(Receipt(spool.spool_id, event.n - 3, ()))
"""


def test_a_writer_killed_at_any_point_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """kill -9, eight times at random points, always on the same file: told is kept, receipted is gone."""
    path = tmp_path / "spool.db"
    chance = random.Random(3)
    told: dict[int, str] = {}
    receipted = 0
    for life in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str((life + 1) * 10**6)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 40)):
            receipted = note(writer.stdout.readline(), told, receipted)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            receipted = note(line, told, receipted)
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        spool = spool_in(tmp_path)
        kept = {event.n: event.event_id for event in spool.pending(0, 100_000)}
        assert {n: kept.get(n) for n in told if n > receipted} == {n: i for n, i in told.items() if n > receipted}
        assert all(kept[n] == told[n] for n in kept if n in told)
        assert set(range(spool.oldest_n, spool.next_n)) == set(kept), "no gaps"
        assert spool.next_n > max(told), "no number is given twice"
        spool.close()


def note(line: str, told: dict[int, str], receipted: int) -> int:
    match line.split():
        case ["told", n, event_id]:
            assert int(n) not in told, "given twice"
            told[int(n)] = event_id
        case ["receipting", upto]:
            return int(upto)
        case _:
            pass
    return receipted


def test_a_detail_survives_as_it_was(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    detail = Measured("impedance_ohm", None, 10_000.0)
    event = Happened(Stamp(3, AT, 77.5), NEW_ID(), EventKind.ELECTRODE_OPEN, "a" * 32, None, detail)
    (kept,) = spool.append(event)
    assert spool.pending(0, 1) == (kept,)
    assert (kept.detail, kept.session_id, kept.boottime_s, kept.at, kept.boot_n) == (detail, "a" * 32, 77.5, AT, 3)
