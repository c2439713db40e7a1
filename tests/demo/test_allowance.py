"""What may begin, and until when it may flow: output that got past the observer once, and its lawful neighbour."""

from dataclasses import replace
from typing import Any

import pytest

from agents.simulation.trace import TrueOutput
from demo.evidence import CutOff, Gone, Pushed, Released, Suffered
from demo.observer import Violation, observe
from demo.people import Pressed
from fleet.adapters.journal.reading import Told
from tests.demo.hand_made import (
    DEVICE,
    authorised,
    by_hand,
    evidence,
    pressed,
    proper,
    pulses,
    raised,
    reported,
    told,
)

STOPPED = (pressed("stop", 130.0), reported("session_ended", 131.0, "therapist_stop"))


def seen(rows: list[TrueOutput], *journal: Told, **changes: Any) -> list[Violation]:
    return list(observe(evidence(rows, *journal, **changes)))


def when(violation: Violation) -> tuple[str, float]:
    return violation.rule, round(violation.at_s, 6)


def for_ever(from_s: float = 130.0) -> list[TrueOutput]:
    """12 mA that no row ends."""
    return [*(row for row in proper() if row.at_s < from_s), TrueOutput(from_s, 12.0)]


def again(at_s: float = 200.0) -> list[TrueOutput]:
    """The session, and later 2 mA for four seconds, brought up slowly enough."""
    rows = [*pulses(at_s + 0.4, at_s + 0.8, 0.0, 2.0), *pulses(at_s + 0.8, at_s + 4.8, 2.0)]
    return [*proper(), *rows, TrueOutput(at_s + 4.8, 0.0)]


def by_2_ma(button: str, at_s: float = 200.0) -> tuple[Pressed, ...]:
    """Start or resume, one raise, and stop."""
    return (
        pressed(button, at_s),
        pressed("raise", at_s + 0.39, by_ma=2.0),
        pressed("stop", at_s + 4.8),
    )


TO_2_MA = reported("setting_changed", 200.4, setting_ma=2.0)


# --- output without an end ------------------------------------------------------------------------------------------


def test_output_that_never_ends_lasts_as_long_as_anybody_looked() -> None:
    """12 mA for ever after stop and session_ended, looked at until 500."""
    stop, ended = STOPPED
    (violation,) = seen(for_ever(), ended, presses=by_hand(stop))
    assert when(violation) == ("end", 131.05)
    assert violation.for_s == pytest.approx(500.0 - 131.05)


def test_output_that_never_ends_is_judged_by_what_was_lowered_meanwhile() -> None:
    """Lowered by 6 mA at 110 while 12 mA flow without change: what the person pressed shows 0.3 s later."""
    lower = pressed("lower", 110.0, by_ma=6.0)
    (violation,) = seen(for_ever(104.8), presses=by_hand(lower), until_s=120.0)
    assert when(violation) == ("setting", 110.300001)
    assert violation.for_s == pytest.approx(120.0 - 110.3)
    assert seen(for_ever(104.8), presses=by_hand(), until_s=120.0) == []


# --- what may begin -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["start", "resume"])
def test_a_session_is_used_once_and_over_with_its_end(button: str) -> None:
    stop, ended = STOPPED
    (violation,) = seen(again(), ended, TO_2_MA, presses=by_hand(stop, *by_2_ma(button)))
    assert when(violation)[0] == "start"
    assert 200.4 <= violation.at_s < 200.43
    assert violation.for_s > 4.3


def test_a_session_that_ended_before_it_was_started_is_over() -> None:
    ended = reported("session_ended", 101.0, "cancelled")
    assert [each.rule for each in seen(proper(), ended)] == ["start"]


def test_a_start_without_an_answer_may_have_used_the_session_and_its_end_is_its_end() -> None:
    unanswered = replace(pressed("start", 102.0), accepted=None)
    stop, ended = STOPPED
    presses = (unanswered, *by_hand(stop)[1:], *by_2_ma("start"))
    assert [each.rule for each in seen(again(), ended, TO_2_MA, presses=presses)] == ["start"]


def test_a_new_authorisation_is_another_session() -> None:
    stop, ended = STOPPED
    new = authorised(190.0, "6f" * 16)
    assert seen(again(), ended, new, TO_2_MA, presses=by_hand(stop, *by_2_ma("start"))) == []
    (violation,) = seen(again(), ended, new, TO_2_MA, presses=by_hand(stop, *by_2_ma("resume")))
    assert violation.rule == "start", "it has to be started, not resumed"


@pytest.mark.parametrize("button", ["start", "resume"])
@pytest.mark.parametrize(
    ("pressed_later", "released", "is_lawful"),
    [
        ((), (), False),
        ((pressed("reset", 150.0),), (), False),
        ((), (Released(DEVICE, 150.0),), False),
        ((pressed("reset", 149.0),), (Released(DEVICE, 150.0),), False),
        ((pressed("reset", 151.0),), (Released("stim-02", 150.0),), False),
        ((pressed("reset", 151.0, accepted=False),), (Released(None, 150.0),), False),
        ((pressed("reset", 151.0),), (Released(None, 150.0),), True),
    ],
)
def test_after_a_pushed_stop_nothing_begins_until_released_and_then_reset(
    button: str, pressed_later: tuple[Pressed, ...], released: tuple[Released, ...], is_lawful: bool
) -> None:
    """Latched and held since 131. The fleet has authorised a new session: it is the device that must not begin it."""
    presses = by_hand(pressed("stop", 130.0), *pressed_later, *by_2_ma(button))
    latched, new = reported("latched", 131.0, "emergency_stop"), authorised(190.0, "6f" * 16)
    pushed = (Pushed(DEVICE, 130.95),)
    found = seen(again(), latched, new, TO_2_MA, presses=presses, pushed=pushed, released=released)
    assert [each.rule for each in found] == ([] if is_lawful and button == "start" else ["start"])


@pytest.mark.parametrize("cause", ["over_limit", "lease_lost", "reboot"])
def test_a_latch_bars_a_start_until_reset_and_its_session_for_good(cause: str) -> None:
    latched, new = reported("latched", 130.0, cause), authorised(190.0, "6f" * 16)
    off = [row for row in again() if not 130.0 <= row.at_s < 200.0] + [TrueOutput(130.0, 0.0)]
    reset = pressed("reset", 150.0)
    assert [each.rule for each in seen(off, latched, new, TO_2_MA, presses=by_hand(*by_2_ma("start")))] == ["start"]
    assert seen(off, latched, new, TO_2_MA, presses=by_hand(reset, *by_2_ma("start"))) == []
    found = seen(off, latched, TO_2_MA, presses=by_hand(reset, *by_2_ma("resume")))
    assert [each.rule for each in found] == ["start"]


def test_the_red_button_bars_a_resume_by_the_person_s_own_record() -> None:
    presses = by_hand(pressed("stop_button", 130.9), *by_2_ma("resume"))
    assert [each.rule for each in seen(again(), TO_2_MA, presses=presses)] == ["start"]
    paused = by_hand(pressed("pause", 130.9), *by_2_ma("resume"))
    assert seen(again(), TO_2_MA, presses=paused) == []


def test_a_stop_pushed_just_before_start_is_pressed_is_obeyed_all_the_same() -> None:
    """Pushed at 101.9: one pulse period and a second later, at 102.925, nothing may flow."""
    (violation,) = seen(proper(), pushed=(Pushed(DEVICE, 101.9),))
    assert violation.rule == "stop"
    assert violation.at_s == pytest.approx(102.925)
    assert violation.for_s > 27.0


def test_what_ran_when_its_agent_was_gone_is_latched_whatever_the_agent_says() -> None:
    off = [row for row in again() if not 110.0 <= row.at_s < 200.0] + [TrueOutput(110.0, 0.0)]
    gone, new = (Gone(DEVICE, 109.9),), authorised(190.0, "6f" * 16)
    assert [each.rule for each in seen(off, new, TO_2_MA, presses=by_hand(*by_2_ma("start")), gone=gone)] == ["start"]
    presses = by_hand(pressed("reset", 150.0), *by_2_ma("start"))
    assert seen(off, new, TO_2_MA, presses=presses, gone=gone) == []


# --- cuts -----------------------------------------------------------------------------------------------------------


def cuts(between_s: float) -> tuple[CutOff, ...]:
    """Four cuts of 4.95 s from 106 on."""
    return tuple(
        CutOff(DEVICE, 106.0 + n * (4.95 + between_s), 106.0 + n * (4.95 + between_s) + 4.95) for n in range(4)
    )


def test_cuts_between_which_nothing_is_answered_are_one() -> None:
    """The last answered sample is of 106.0: with 50 ms in between, permission is over at 112.05."""
    (violation,) = seen(proper(), cut_off=cuts(between_s=0.05))
    assert when(violation) == ("permission", 112.05)
    assert seen(proper(), cut_off=cuts(between_s=0.6)) == [], "long enough for a sample and its answer"


def test_a_stop_that_is_pushed_in_a_short_cut_is_obeyed_when_permission_runs_out_at_the_latest() -> None:
    """A cut of a second from 110.0; a session that is stopped is leased no more: 116.05."""
    cut = (CutOff(DEVICE, 110.0, 111.0),)
    (violation,) = seen(proper(), cut_off=cut, pushed=(Pushed(DEVICE, 110.5),))
    assert when(violation) == ("permission", 116.05)
    assert violation.what == "output after a stop was pushed"
    in_time = [row for row in proper() if row.at_s < 116.0] + [TrueOutput(116.0, 0.0)]
    assert seen(in_time, cut_off=cut, pushed=(Pushed(DEVICE, 110.5),), presses=by_hand()) == []


def test_with_a_long_lease_it_is_obeyed_once_the_device_is_back() -> None:
    """A cut from 110.0 to 110.2, back within 10 s, then the stop's own 1.025 s: 121.225."""
    long_lease = authorised()
    message = {**long_lease.body["authorisation"], "lease_ttl_ms": 15_000}
    journal = (told("SessionAuthorised", **{**long_lease.body, "authorisation": message}), *raised())
    cut, pushed = (CutOff(DEVICE, 110.0, 110.2),), (Pushed(None, 110.1),)
    (violation,) = seen(proper(), journal=journal, cut_off=cut, pushed=pushed)
    assert when(violation) == ("stop", 121.225)


# --- the panel, and what was set ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("button", "by_s"), [("pause", 120.325), ("stop_button", 120.325), ("stop", 121.325)])
def test_a_late_answer_puts_nothing_off_and_is_a_breach_itself(button: str, by_s: float) -> None:
    late = replace(pressed(button, 120.0), answered_s=123.0)
    answer, output = seen(proper(), presses=by_hand(late))
    assert (answer.rule, answer.at_s, answer.for_s) == ("answer", 120.0, 3.0)
    assert answer.what == f"{button} was answered after 3.0 s"
    assert output.rule == ("end" if button == "stop" else "pause")
    assert output.at_s == pytest.approx(by_s)


def test_no_answer_is_a_breach_as_well_unless_the_agent_was_gone() -> None:
    unanswered = replace(pressed("stop", 129.0), accepted=None, answered_s=132.0)
    presses = by_hand(unanswered, pressed("stop", 130.0))
    (violation,) = seen(proper(), presses=presses)
    assert (violation.rule, violation.what) == ("answer", "stop was not answered within 3.0 s")
    off = [row for row in proper() if row.at_s < 129.0] + [TrueOutput(129.0, 0.0)]
    assert seen(off, presses=presses, gone=(Gone(DEVICE, 128.9),)) == []


def test_a_late_answer_to_what_may_wait_is_none() -> None:
    presses = by_hand(pressed("stop", 130.0))
    late = replace(presses[1], answered_s=presses[1].sent_s + 0.35)
    assert seen(proper(), presses=(presses[0], late, *presses[2:])) == []


def test_a_setting_that_nobody_raised_allows_nothing() -> None:
    """The device says 12 mA, people have pressed for 4: more than 1.1 x 4 + 1 mA is too much."""
    presses = (*by_hand()[:3], pressed("stop", 130.0))
    (violation,) = seen(proper(), presses=presses)
    assert (violation.rule, violation.what) == ("setting", "more than the 4.0 mA that were set")
    refused = [replace(press, accepted=False) for press in by_hand()[3:]]
    assert [each.rule for each in seen(proper(), presses=(*presses, *refused))] == ["setting"]
    unanswered = [replace(press, accepted=None) for press in by_hand()[3:]]
    assert seen(proper(), presses=(*presses, *unanswered)) == [], "they may have been taken"


def test_a_resume_counts_raises_from_zero() -> None:
    """What was raised before the pause is nothing after it, whatever the device says."""
    rows = [*proper(), *pulses(200.4, 204.0, 2.0, 12.0), TrueOutput(204.0, 0.0)]
    paused = by_hand(pressed("pause", 130.9), pressed("resume", 200.0), pressed("stop", 204.0))
    stuck = (Suffered(DEVICE, "output_stuck", 131.0),)
    found = seen(rows, reported("setting_changed", 200.4, setting_ma=12.0), presses=paused, suffered=stuck)
    assert {each.rule for each in found} == {"setting", "rise"}
