"""The table of causes against domain.md's, written out by hand: ramp, ending, latch, hold, alarm, who resets."""

import pytest

from broker.contract.causes import CONSEQUENCES, Cause, Ending, ResetBy

# cause: longest ramp in s, latches, alarm, reset by; domain.md "Session"
TABLE: dict[str, tuple[float, bool, str | None, str]] = {
    "completed": (1.0, False, None, "nobody"),
    "therapist_stop": (1.0, False, None, "nobody"),
    "pause_timeout": (1.0, False, None, "nobody"),
    "battery_empty": (1.0, False, "A08", "nobody"),
    "cancelled": (1.0, False, None, "nobody"),
    "patient_stop": (0.0, True, "A03", "therapist"),
    "emergency_stop": (0.0, True, "A03", "therapist"),
    "rule_stop": (0.0, True, "A02", "therapist"),
    "session_cap": (1.0, True, "A02", "therapist"),
    "lease_lost": (1.0, True, "A04", "therapist"),
    "over_limit": (0.0, True, "A02", "therapist"),
    "output_stuck": (0.0, True, "A01", "engineer"),
    "electrode_open": (0.0, False, "A05", "nobody"),
    "electrode_short": (0.0, False, "A05", "nobody"),
    "electrode_degraded": (0.0, False, "A05", "nobody"),
    "sensor_frozen": (0.0, True, "A02", "engineer"),
    "over_temperature": (0.0, True, "A02", "engineer"),
    "self_test_failed": (0.0, True, "A02", "engineer"),
    "watchdog_tripped": (0.0, True, "A04", "therapist"),
    "reboot": (0.0, True, "A04", "therapist"),
}


@pytest.mark.parametrize("cause", TABLE)
def test_each_cause_has_the_consequences_of_the_table(cause: str) -> None:
    ramp_s, latches, alarm, reset_by = TABLE[cause]
    consequence = CONSEQUENCES[Cause(cause)]
    assert (consequence.ramp_s, consequence.latches, consequence.reset_by.value) == (ramp_s, latches, reset_by)
    assert (consequence.alarm and consequence.alarm.value) == alarm


def test_no_cause_is_without_a_row() -> None:
    assert set(CONSEQUENCES) == set(Cause) == {Cause(cause) for cause in TABLE}


def test_only_completion_completes_and_only_electrodes_pause() -> None:
    endings = {cause.value: consequence.ending for cause, consequence in CONSEQUENCES.items()}
    assert [cause for cause, ending in endings.items() if ending is Ending.COMPLETES] == ["completed"]
    assert [cause for cause, ending in endings.items() if ending is Ending.PAUSES] == [
        "electrode_open",
        "electrode_short",
        "electrode_degraded",
    ]


def test_only_what_the_fleet_pushes_holds() -> None:
    assert {cause.value for cause, consequence in CONSEQUENCES.items() if consequence.holds} == {
        "emergency_stop",
        "rule_stop",
    }


def test_the_second_over_limit_within_a_day_takes_an_engineer() -> None:
    escalating = {
        cause.value: consequence.engineer_from_nth_in_24_h
        for cause, consequence in CONSEQUENCES.items()
        if consequence.engineer_from_nth_in_24_h is not None
    }
    assert escalating == {"over_limit": 2}


def test_every_latch_has_somebody_who_resets_it_and_nothing_else_needs_one() -> None:
    for consequence in CONSEQUENCES.values():
        assert consequence.latches == (consequence.reset_by is not ResetBy.NOBODY)
