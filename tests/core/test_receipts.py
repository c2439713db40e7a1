"""Each event of a device is accepted once, and receipted when it is in the journal (contract.md, rule 6)."""

from dataclasses import replace

from broker.contract.messages import Event, EventKind, Receipt, SpoolDropped
from broker.contract.messages import Unreadable as Listed
from fleet.core import inputs
from fleet.core.effects import SendReceipt
from fleet.core.events import DeviceReported, EventConflicted, SpoolGapFound
from fleet.core.fold_devices import RECENT_KEPT, SPOOLS_KEPT, UNREADABLE_KEPT
from fleet.core.receipts import RANGES_MAX
from tests.core.clinic import Clinic

SHA = "5" * 64


def event(clinic: Clinic, n: int, event_id: str | None = None) -> Event:
    made = clinic.stims["stim-12"].event(EventKind.LATCHED)
    return replace(made, n=n, event_id=event_id or f"{n:032x}")


def report(clinic: Clinic, n: int, event_id: str | None = None) -> list[str]:
    return clinic.says("stim-12", event(clinic, n, event_id))


def unreadable(clinic: Clinic, n: int | None, spool_id: str | None = None) -> inputs.Unreadable:
    return inputs.Unreadable("stim-12", spool_id, n, SHA, clinic.now_s, clinic.wall_s)


def test_events_in_order_are_receipted_one_by_one() -> None:
    clinic = Clinic()
    for n in (1, 2, 3):
        assert report(clinic, n) == ["DeviceReported latched", f"> receipt stim-12 {n}"]


def test_a_repetition_is_receipted_again_and_journaled_once() -> None:
    clinic = Clinic()
    report(clinic, 1)
    assert report(clinic, 1) == ["> receipt stim-12 1"]


def test_the_same_number_with_another_id_is_a_conflict_and_nothing_of_it_is_lost() -> None:
    clinic = Clinic()
    report(clinic, 1)
    other = event(clinic, 1, "f" * 32)
    assert clinic.says("stim-12", other) == [
        "EventConflicted",
        "SecurityNoticed event_conflict",
        "! count event_conflict",
        "> receipt stim-12 1",
    ]
    (conflict,) = [happened for happened in clinic.journal if isinstance(happened, EventConflicted)]
    assert conflict.event == other


def test_ahead_of_a_gap_events_are_kept_and_the_receipt_waits() -> None:
    clinic = Clinic()
    assert report(clinic, 3) == ["DeviceReported latched", "> receipt stim-12 0"]
    assert report(clinic, 5) == ["DeviceReported latched", "> receipt stim-12 0"]
    assert report(clinic, 4) == ["DeviceReported latched", "> receipt stim-12 0"]
    assert report(clinic, 4) == ["> receipt stim-12 0"]
    assert report(clinic, 1) == ["DeviceReported latched", "> receipt stim-12 1"]
    assert report(clinic, 2) == ["DeviceReported latched", "> receipt stim-12 5"]


def test_what_lies_too_far_ahead_is_not_hoarded_and_comes_again() -> None:
    clinic = Clinic()
    for n in range(RANGES_MAX):
        report(clinic, 3 + 2 * n)
    assert report(clinic, 1001) == ["! count too_far_ahead"]
    assert report(clinic, 1) == ["DeviceReported latched", "> receipt stim-12 1"]
    assert report(clinic, 2) == ["DeviceReported latched", "> receipt stim-12 3"]


def test_a_restored_disk_that_is_enrolled_again_tells_nothing_twice() -> None:
    """Its spool is known: what it told is receipted, another event under an old number is recorded as that, no gap."""
    clinic = Clinic()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    told = [stim.event(EventKind.LATCHED) for _ in range(5)]
    for one in told:
        clinic.says("stim-12", one)
    clinic.changes_device("stim-12", enrolment="second")
    journaled = len(clinic.journal)
    clinic.says("stim-12", replace(stim.birth(), oldest_n=4))
    assert clinic.says("stim-12", told[3]) == ["> receipt stim-12 5"]
    another = replace(told[4], event_id="f" * 32)
    said = clinic.says("stim-12", another)
    assert (said[0], said[-1]) == ("EventConflicted", "> receipt stim-12 5")
    assert not [event for event in clinic.journal[journaled:] if isinstance(event, SpoolGapFound | DeviceReported)]


def test_what_the_agent_had_to_drop_is_covered_by_its_saying_so() -> None:
    clinic = Clinic()
    report(clinic, 1)
    dropped = replace(event(clinic, 10), kind=EventKind.SPOOL_DROPPED, detail=SpoolDropped(2, 9))
    assert clinic.says("stim-12", dropped) == ["DeviceReported spool_dropped", "> receipt stim-12 10"]


def test_what_is_still_to_come_cannot_have_been_dropped() -> None:
    clinic = Clinic()
    dropped = replace(event(clinic, 1), kind=EventKind.SPOOL_DROPPED, detail=SpoolDropped(1, 2**53 - 1))
    assert clinic.says("stim-12", dropped) == ["DeviceReported spool_dropped", "> receipt stim-12 1"]
    assert report(clinic, 2) == ["DeviceReported latched", "> receipt stim-12 2"]


def test_an_unreadable_event_is_named_in_the_receipt_until_it_is_quarantined() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    decision = clinic.decides(unreadable(clinic, 1))
    names = [type(happened).__name__ for happened in decision.events]
    assert names == ["SecurityNoticed", "EventUnreadable", "AlarmRaised"]
    (receipt,) = decision.after_commit
    spool_id = clinic.stims["stim-12"].spool_id
    assert receipt == SendReceipt("stim-12", Receipt(spool_id, 1, (Listed(1, SHA),)))
    # Again: noticed already, covered already, receipted again.
    assert clinic.hears(unreadable(clinic, 1, spool_id)) == ["! count unreadable", "> receipt stim-12 1"]
    # The agent reports it as dropped: it is not listed any more.
    dropped = replace(event(clinic, 2), kind=EventKind.SPOOL_DROPPED, detail=SpoolDropped(1, 1))
    decision = clinic.decides(inputs.Received("stim-12", dropped, clinic.now_s, clinic.wall_s))
    assert decision.after_commit == (SendReceipt("stim-12", Receipt(spool_id, 2, ())),)


def test_an_unreadable_event_without_a_number_cannot_be_receipted() -> None:
    clinic = Clinic()
    assert clinic.hears(unreadable(clinic, 4)) == ["SecurityNoticed unreadable", "! count unreadable"]
    clinic.ready("stim-12")
    assert clinic.hears(unreadable(clinic, None)) == ["! count unreadable"]


def listed(clinic: Clinic) -> tuple[int, list[int]]:
    """What a receipt says now: `upto`, and the numbers that it lists."""
    spool = clinic.state.device("stim-12").spools[clinic.stims["stim-12"].spool_id]
    return spool.upto, [unread.n for unread in spool.unreadable]


def test_no_receipt_covers_an_unreadable_event_that_it_does_not_list() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    for n in range(1, UNREADABLE_KEPT + 1):
        clinic.hears(unreadable(clinic, n))
    full = (UNREADABLE_KEPT, list(range(1, UNREADABLE_KEPT + 1)))
    assert listed(clinic) == full
    # The list is full: what comes next waits, and the receipt stays below it.
    later = UNREADABLE_KEPT + 1
    assert clinic.hears(unreadable(clinic, later)) == ["! count unreadable", f"> receipt stim-12 {UNREADABLE_KEPT}"]
    clinic.now_s += 1.9
    clinic.hears(unreadable(clinic, later))
    assert listed(clinic) == full
    # An agent that begins with the first again has not heard of them yet.
    clinic.hears(unreadable(clinic, 1))
    clinic.now_s += 1.9
    clinic.hears(unreadable(clinic, later))
    assert listed(clinic) == full
    # One that goes on with the next one has set those aside.
    clinic.now_s += 0.1
    assert "EventUnreadable" in clinic.hears(unreadable(clinic, later))
    assert listed(clinic) == (later, [later])
    assert "EventUnreadable" in clinic.hears(unreadable(clinic, later + 1))
    assert listed(clinic) == (later + 1, [later, later + 1])


def test_what_is_listed_ahead_of_a_gap_stays_listed_until_a_receipt_covers_it() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    for n in range(2, UNREADABLE_KEPT + 2):
        clinic.hears(unreadable(clinic, n))
    ahead = list(range(2, UNREADABLE_KEPT + 2))
    for _ in range(3):
        clinic.now_s += 5.0
        clinic.hears(unreadable(clinic, 50))
    assert listed(clinic) == (0, ahead)
    report(clinic, 1)
    assert listed(clinic) == (UNREADABLE_KEPT + 1, ahead)


def test_unreadable_events_far_ahead_are_not_hoarded_either() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    for n in range(RANGES_MAX):
        report(clinic, 3 + 2 * n)
    assert clinic.hears(unreadable(clinic, 1001)) == [
        "SecurityNoticed unreadable",
        "! count unreadable",
        "! count too_far_ahead",
    ]


def test_a_conflict_that_is_repeated_is_journaled_once_a_minute() -> None:
    clinic = Clinic()
    report(clinic, 1)
    report(clinic, 2)
    began_s = clinic.now_s
    for n in range(1000):
        report(clinic, 1, f"{n + 5000:032x}")
    report(clinic, 2, "f" * 32)
    clinic.now_s = began_s + 59.9
    report(clinic, 1, "f" * 32)
    assert conflicts(clinic) == [1, 2]
    clinic.now_s = began_s + 60.0
    report(clinic, 1, "f" * 32)
    assert conflicts(clinic) == [1, 2, 1]


def conflicts(clinic: Clinic) -> list[int]:
    return [happened.event.n for happened in clinic.journal if isinstance(happened, EventConflicted)]


def test_a_birth_names_what_its_device_has_no_more() -> None:
    clinic = Clinic()
    report(clinic, 1)
    report(clinic, 4)
    stim = clinic.stims["stim-12"]
    stim.oldest_n = 4
    assert "SpoolGapFound" in clinic.says("stim-12", stim.birth())
    (gap,) = [happened for happened in clinic.journal if isinstance(happened, SpoolGapFound)]
    assert (gap.from_n, gap.to_n) == (2, 3)
    assert report(clinic, 4) == ["> receipt stim-12 4"]
    assert "SpoolGapFound" not in clinic.says("stim-12", stim.birth())


def test_a_conflict_is_known_among_the_newest_events_only() -> None:
    clinic = Clinic()
    for n in range(1, RECENT_KEPT + 3):
        report(clinic, n)
    newest = RECENT_KEPT + 2
    assert report(clinic, 2, "f" * 32) == [f"> receipt stim-12 {newest}"]
    assert report(clinic, 3, "f" * 32)[0] == "EventConflicted"


def test_the_newest_spools_of_a_device_are_remembered() -> None:
    clinic = Clinic()
    spool_ids = [f"{n:032x}" for n in range(SPOOLS_KEPT + 1)]
    for spool_id in spool_ids:
        assert clinic.says("stim-12", replace(event(clinic, 1), spool_id=spool_id))[-1] == "> receipt stim-12 1"
    assert list(clinic.state.device("stim-12").spools) == spool_ids[1:]


def test_spooled_events_never_signal_boots() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.says("stim-12", replace(event(clinic, 1), boot_n=99))
    assert clinic.state.device("stim-12").boot_n == 7


def test_a_retained_event_is_refused() -> None:
    clinic = Clinic()
    assert clinic.says("stim-12", event(clinic, 1), retained=True) == ["SecurityNoticed retained", "! count retained"]
