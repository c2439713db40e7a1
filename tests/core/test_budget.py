"""What a budget may delay, and what it may not bring about."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import Event, EventKind, SettingChanged
from fleet.core import events, inputs
from fleet.core.budget import ROWS_PER_S, URGENT_AGAIN_S, URGENT_KINDS, spend
from fleet.core.budget_state import BURST_ROWS
from fleet.core.effects import SendReceipt
from fleet.core.turn import Turn
from tests.core.clinic import Clinic

SHA = "5" * 64
KINDS = (EventKind.SETTING_CHANGED, EventKind.LATCHED, EventKind.LATCH_RESET, EventKind.SESSION_ENDED)


def test_all_urgent_kinds_together_stay_below_the_rate() -> None:
    """Each of them, a birth and a boot, again and again: otherwise they alone would grow the journal faster."""
    assert (len(URGENT_KINDS) + 2) / URGENT_AGAIN_S < ROWS_PER_S


def told(clinic: Clinic, n: int, kind: EventKind) -> Event:
    """The event of a number is always the same."""
    detail = SettingChanged(1.0) if kind is EventKind.SETTING_CHANGED else None
    stim = clinic.stims["stim-12"]
    return replace(stim.event(kind, None, detail), n=n, event_id=f"{n:032x}", kind=kind)


# How much is left, then what is told after how long: an event, one that cannot be read, or a birth.
steps = st.lists(
    st.tuples(
        st.sampled_from(("event", "event", "event", "unreadable", "birth", "restart")),
        st.integers(1, 40),
        st.sampled_from((0.0, 0.0, 0.0, 0.05, 0.3, 2.5)),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 20), steps)
def test_h21_what_is_receipted_is_in_the_journal_exactly_once(left_n: int, sequence: list[tuple[Any, ...]]) -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    clinic.state.fleeting.budgets["stim-12"].rows = float(left_n)
    receipted_n = 0
    for what, n, after_s in sequence:
        clinic.now_s += after_s
        clinic.wall_s += after_s
        heard: inputs.Input
        if what == "restart":
            clinic.restarts()
            continue
        if what == "event":
            heard = inputs.Received("stim-12", told(clinic, n, KINDS[n % 4]), clinic.now_s, clinic.wall_s)
        elif what == "unreadable":
            heard = inputs.Unreadable("stim-12", stim.spool_id, n, SHA, clinic.now_s, clinic.wall_s)
        else:
            heard = inputs.Received("stim-12", stim.birth(), clinic.now_s, clinic.wall_s)
        for effect in clinic.decides(heard).after_commit:
            if isinstance(effect, SendReceipt):
                receipted_n = max(receipted_n, effect.message.upto)
        counted = in_the_journal(clinic)
        assert all(counted[n] == 1 for n in range(1, receipted_n + 1))
        assert max(counted.values(), default=1) == 1
    # Told again from the oldest, as agents do, all of it is receipted in the end.
    for _ in range(60):
        clinic.now_s += 5.0
        for n in range(receipted_n + 1, 41):
            heard = inputs.Received("stim-12", told(clinic, n, KINDS[n % 4]), clinic.now_s, clinic.wall_s)
            for effect in clinic.decides(heard).after_commit:
                if isinstance(effect, SendReceipt):
                    receipted_n = max(receipted_n, effect.message.upto)
    assert receipted_n >= 40
    counted = in_the_journal(clinic)
    assert [counted[n] for n in range(1, 41)] == [1] * 40


def in_the_journal(clinic: Clinic) -> Counter[int]:
    found: Counter[int] = Counter()
    for one in clinic.journal:
        if isinstance(one, events.DeviceReported):
            found[one.event.n] += 1
        elif isinstance(one, events.EventUnreadable):
            found[one.n] += 1
    return found


def test_an_unreadable_event_above_the_budget_is_not_listed_and_comes_again() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    unreadable = inputs.Unreadable("stim-12", None, 1, SHA, clinic.now_s, clinic.wall_s)
    clinic.state.fleeting.budgets["stim-12"].rows = 0.0
    assert clinic.hears(unreadable) == [
        "SecurityNoticed unreadable",
        "SecurityNoticed too_many",
        "! count unreadable",
        "! count too_many",
    ]
    clinic.after(5.0)
    again = replace(unreadable, received_s=clinic.now_s, wall_s=clinic.wall_s)
    assert clinic.hears(again) == ["EventUnreadable", "! count unreadable", "> receipt stim-12 1"]


def test_an_end_of_an_open_session_of_its_own_is_always_taken() -> None:
    clinic = Clinic()
    other = clinic.running("stim-7", client="c-4712", request_id="request-2")
    clinic.running("stim-12")
    stim = clinic.stims["stim-12"]
    for end in (stim.ended(Cause.PATIENT_STOP, other.session_id), stim.ended(Cause.PATIENT_STOP)):
        clinic.state.fleeting.budgets["stim-12"].rows = -BURST_ROWS
        clinic.state.fleeting.budgets["stim-12"].urgent_s[EventKind.SESSION_ENDED.value] = clinic.now_s
        said = clinic.says("stim-12", end)
        assert (said[0] == "DeviceReported session_ended") == (end.session_id != other.session_id)
    assert clinic.session_on("stim-7").open
    assert not clinic.session_on("stim-12").open


def test_a_debt_is_never_larger_than_a_burst_and_is_paid_back_by_time() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    turn = Turn(clinic.state, clinic.now_s, clinic.wall_s)
    spend(turn, "stim-12", 10 * int(BURST_ROWS))
    budget = clinic.state.fleeting.budgets["stim-12"]
    assert budget.rows == -BURST_ROWS
    spend(Turn(clinic.state, clinic.now_s + 10.0, clinic.wall_s), "stim-12", 0)
    assert budget.rows == -BURST_ROWS + 10.0 * ROWS_PER_S
    spend(Turn(clinic.state, clinic.now_s + 1e6, clinic.wall_s), "stim-12", 0)
    assert budget.rows == BURST_ROWS


def test_names_that_nobody_registered_get_no_budget() -> None:
    clinic = Clinic()
    clinic.hears(inputs.Received("stim-99", clinic.stims["stim-12"].sample(), clinic.now_s, clinic.wall_s))
    assert "stim-99" not in clinic.state.fleeting.budgets
