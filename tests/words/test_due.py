"""What is due, in words: refused, in the list of devices."""

from typing import Any

import pytest

from fleet.words.due import row_words
from fleet.words.events import refusal_words


def refusal(quantity: str, value: float | None = None, limit: float | None = None) -> dict[str, Any]:
    return {"rule": "device_due", "layer": "model", "quantity": quantity, "value": value, "limit": limit}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("calibration_days_overdue", 12.0), "the calibration is 12 days overdue"),
        (("certificate_days_overdue", 1.0), "the certificate is 1 day overdue"),
        (("certificate_days_overdue", 0.0), "the certificate is overdue"),
        (("wall_s", 1_795_348_800.0, 1_795_348_800.0), "the certificate is overdue"),  # before there were checks
        (("safety_hours", 500.25, 500.0), "the safety check is due after 500 hours of use and has 500.2"),
        (("firmware_sessions", 2001.0, 2000.0), "the firmware check is due after 2000 sessions and has 2001"),
        (("safety_never_recorded",), "the safety check is needed, and was never recorded"),
        (("firmware_version_1.0_below_2.1",), "the firmware is version 1.0 below 2.1"),
        (("firmware_version_days_overdue", 3.0), "the firmware is 3 days overdue"),
    ],
)
def test_a_refusal_names_the_check_its_number_and_the_layer(said: tuple[Any, ...], words: str) -> None:
    assert refusal_words(refusal(*said)) == f"{words} [model]"


def row(check: str, **changes: Any) -> dict[str, Any]:
    plain = {"days_left": None, "hours_left": None, "sessions_left": None, "overdue": False, "found": None}
    return {"check": check, **plain, **changes}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (row("safety", days_left=12.0), "safety check due in 12 days"),
        (row("calibration", days_left=1.0, hours_left=9.5), "calibration due in 1 day or 9.5 hours"),
        (row("firmware", sessions_left=1.0), "firmware check due in 1 session"),
        (row("calibration", days_left=40.0, sessions_left=-1.0, overdue=True), "calibration OVERDUE"),
        (row("safety", overdue=True, found="never_recorded"), "safety check never recorded"),
        (row("firmware_version", overdue=True, found="1.0_below_2.1"), "firmware 1.0 below 2.1"),
    ],
)
def test_a_row_in_the_list_of_devices(given: dict[str, Any], words: str) -> None:
    assert row_words(given) == words
