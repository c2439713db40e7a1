"""How often: the dose ledger as clients and therapists meet it (H06), in the clinic's own dates."""

from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter

from broker.contract.causes import Cause
from broker.contract.messages import Phase
from broker.contract.plan import Plan
from fleet.core import inputs
from fleet.core.effects import SendAuthorisation
from fleet.core.evolve import evolve
from fleet.core.refusals import Refusal
from fleet.core.state import Durable, State
from tests.core.clinic import PLAN
from tests.core.practice import WHOLE_BODY, Practice, lasting


def said(refusals: tuple[Refusal, ...]) -> list[tuple[Any, ...]]:
    """What a person is told of each: rule, layer, quantity, value, limit, and from which date on."""
    return [(r.rule.value, r.layer.value, r.quantity, r.value, r.limit, r.again_on) for r in refusals]


# --- the week and the rest ------------------------------------------------------------------------------------------


def test_h06_three_sessions_a_week_with_a_rest_day_between() -> None:
    clinic = Practice()  # Sunday, 22 November 2026
    clinic.treats()
    for days, rules in ((1, ["dose_rest"]), (1, []), (1, ["dose_rest"]), (1, [])):
        clinic.days_later(days)
        assert clinic.why() == rules
        if not rules:
            clinic.treats()
    # Saturday: three in the seven days that end today, and two since the last.
    clinic.days_later(2)
    assert said(clinic.asked()) == [("dose_week", "domain", "sessions_in_7_days", 3.0, 3.0, date(2026, 11, 29))]
    clinic.days_later(1)
    assert clinic.why() == []


def test_both_rules_refuse_in_one_answer_and_name_the_day_that_holds_for_both() -> None:
    clinic = Practice()
    for _ in range(3):
        clinic.treats()
        clinic.days_later(2)
    clinic.days_later(-1)  # Friday, the day after the third
    assert said(clinic.asked()) == [
        ("dose_week", "domain", "sessions_in_7_days", 3.0, 3.0, date(2026, 11, 29)),
        ("dose_rest", "domain", "days_since_nmes", 1.0, 2.0, date(2026, 11, 29)),
    ]


def test_h06_it_is_counted_per_client_across_all_devices_and_rooms() -> None:
    clinic = Practice()
    clinic.treats(name="stim-12")
    clinic.days_later(1)
    assert clinic.why(name="stim-7") == ["dose_rest"]
    assert clinic.why("c-4712", name="stim-7") == []
    clinic.days_later(1)
    clinic.treats(name="stim-7")
    clinic.days_later(2)
    clinic.treats(name="stim-12")
    clinic.days_later(2)
    assert clinic.why(name="stim-7") == ["dose_week"]


def test_h06_whole_body_once_in_seven_days() -> None:
    clinic = Practice()
    clinic.treats(plan=WHOLE_BODY)
    clinic.days_later(6)
    assert said(clinic.asked(plan=WHOLE_BODY)) == [
        ("dose_week", "domain", "sessions_in_7_days", 1.0, 1.0, date(2026, 11, 29)),
    ]
    clinic.days_later(1)
    assert clinic.why(plan=WHOLE_BODY) == []


@pytest.mark.parametrize(("first", "second"), [(PLAN, WHOLE_BODY), (WHOLE_BODY, PLAN)])
def test_h06_the_rest_after_another_modality_is_the_longer_of_both(first: Plan, second: Plan) -> None:
    """Four whole days lie between: the same muscles."""
    clinic = Practice()
    clinic.treats(plan=first)
    clinic.days_later(4)
    (refusal,) = said(clinic.asked(plan=second))
    assert refusal == ("dose_rest", "domain", f"days_since_{first.modality}", 4.0, 5.0, date(2026, 11, 27))
    clinic.days_later(1)
    assert clinic.why(plan=second) == []


def test_the_week_is_counted_per_modality() -> None:
    clinic = Practice()
    for _ in range(2):
        clinic.treats()
        clinic.days_later(2)
    clinic.days_later(3)
    clinic.treats(plan=WHOLE_BODY)  # two local ones in the same seven days are no matter of its count
    clinic.days_later(5)
    assert clinic.why() == []


def test_h06_whatever_else_refuses_is_told_in_the_same_answer() -> None:
    clinic = Practice()
    clinic.treats()
    clinic.shows("stim-12", battery_pct=3.0)
    rules = [refusal.rule.value for refusal in clinic.asked(ready=False)]
    assert rules == ["dose_rest", "device_battery"]


def test_the_journal_has_the_refusal_with_its_numbers_and_its_date() -> None:
    clinic = Practice()
    clinic.treats()
    clinic.asked()
    (refusal,) = clinic.journal[-1].refusals  # type: ignore[union-attr] # a session refused
    assert said((refusal,)) == [("dose_rest", "domain", "days_since_nmes", 0.0, 2.0, date(2026, 11, 24))]


# --- the clinic's own rules -----------------------------------------------------------------------------------------


def test_a_clinic_s_tighter_rules_are_named_as_the_clinic_s() -> None:
    clinic = Practice(nmes={"sessions_per_7_days_max": 2, "rest_days_min": 2, "duration_s_max": 900.0})
    clinic.treats(plan=lasting(900.0))
    clinic.days_later(2)
    assert said(clinic.asked(plan=lasting(900.1))) == [
        ("dose_rest", "clinic", "days_since_nmes", 2.0, 3.0, date(2026, 11, 25)),
        ("duration", "clinic", "duration_s", 900.1, 900.0, None),
    ]
    clinic.days_later(1)
    clinic.treats(plan=lasting(900.0))
    clinic.days_later(3)
    assert said(clinic.asked(plan=lasting(900.0))) == [
        ("dose_week", "clinic", "sessions_in_7_days", 2.0, 2.0, date(2026, 11, 29)),
    ]


def test_a_rule_that_becomes_tighter_counts_what_has_been() -> None:
    clinic = Practice()
    clinic.treats()
    clinic.days_later(2)
    tighter = Practice(nmes={"rest_days_min": 13}).registry.clinic
    clinic.changes_registry(clinic=tighter)
    assert [refusal.again_on for refusal in clinic.asked()] == [date(2026, 12, 6)]


# --- reserved, given back, counted ----------------------------------------------------------------------------------


def test_h06_two_requests_for_one_client_on_two_devices_at_the_same_moment() -> None:
    clinic = Practice()
    clinic.ready("stim-12", "stim-7")
    both = [
        clinic.decides(clinic.request(request_id=f"r-{name}", device=name, room=clinic.registry.devices[name].room))
        for name in ("stim-7", "stim-12")
    ]
    sent = [effect.device for decision in both for effect in decision.after_commit if type(effect) is SendAuthorisation]
    assert sent == ["stim-7"]
    assert [dose.device for dose in clinic.held()] == ["stim-7"]


def test_the_full_duration_is_reserved_until_the_session_is_over() -> None:
    clinic = Practice()
    session_id = clinic.begins()
    assert [(dose.reserved_s, dose.settled, dose.counts) for dose in clinic.held()] == [(1200.0, False, True)]
    assert [refusal.rule.value for refusal in clinic.asked(name="stim-7")] == ["client_in_session", "dose_rest"]
    clinic.ran(session_id, 12.0)
    assert clinic.standing() == ["no"]
    assert clinic.why(name="stim-7") == []


@pytest.mark.parametrize("over", ["cancelled", "expired", "declined", "booted", "withdrawn by a stop"])
def test_what_never_ran_is_given_back(over: str) -> None:
    clinic = Practice()
    assert clinic.asked() == ()
    assert clinic.standing() == ["reserved"]
    match over:
        case "cancelled":
            clinic.cancels()
        case "expired":
            clinic.after(125.0)
        case "declined":
            clinic.declines()
        case "booted":
            clinic.boots()
        case _:
            clinic.pushes_stop()
    assert clinic.state.durable.doses == {}
    assert clinic.why(name="stim-7") == []


def test_a_session_that_was_started_before_its_cancel_came_is_reserved_again() -> None:
    clinic = Practice()
    assert clinic.asked() == ()
    clinic.cancels()
    assert clinic.standing() == []
    clinic.had_started()
    assert clinic.standing() == ["reserved"]
    assert clinic.held()[0].started
    clinic.ran(clinic.session_on().session_id, 300.0)
    assert clinic.standing() == ["counts"]


@pytest.mark.parametrize(("on_time_s", "counts"), [(0.0, False), (59.9, False), (60.0, True), (400.0, True)])
def test_it_counts_once_current_has_flowed_for_60_s_by_the_device(on_time_s: float, counts: bool) -> None:
    clinic = Practice()
    clinic.treats(on_time_s=on_time_s)
    assert clinic.standing() == ["counts" if counts else "no"]
    clinic.days_later(1)
    assert clinic.why() == (["dose_rest"] if counts else [])


# --- the fold -------------------------------------------------------------------------------------------------------


def test_the_ledger_is_the_fold_of_the_journal_and_survives_a_snapshot() -> None:
    clinic = Practice(time_zone="Europe/Vienna")
    for days in range(0, 30, 3):
        clinic.treats(plan=PLAN if days % 2 else WHOLE_BODY, client=f"c-{4711 + days % 4}", on_time_s=30.0 + 20 * days)
        clinic.days_later(3)
    folded = State()
    for event in clinic.journal:
        evolve(folded, event)
    assert folded.durable == clinic.state.durable
    assert folded.durable.doses
    adapter = TypeAdapter(Durable)
    assert adapter.validate_json(adapter.dump_json(folded.durable), strict=True) == folded.durable


def test_a_session_that_ends_by_a_stop_counts_as_any_other() -> None:
    clinic = Practice()
    session_id = clinic.begins()
    clinic.pushes_stop()
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    clinic.shows("stim-12")
    assert clinic.standing() == ["reserved"]
    clinic.ran(session_id, 61.0, cause=Cause.EMERGENCY_STOP)
    assert clinic.standing() == ["counts"]


def test_draining_and_dose_are_told_together() -> None:
    clinic = Practice()
    clinic.treats()
    clinic.hears(inputs.Drain(request_id="r", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s))
    clinic.stims["stim-12"].phase = Phase.IDLE
    assert [refusal.rule.value for refusal in clinic.asked()] == ["dose_rest", "draining"]
