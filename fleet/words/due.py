"""Plain words for what is due: in a refusal, in an alarm, in the list of devices. Tables, no decisions.

A quantity names the check and what is counted, as the core does: `calibration_days_overdue`, `safety_hours`,
`firmware_version_days_left`, `calibration_never_recorded`, `instruction_days_left:ada:sim-1`.
"""

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]

_NAMES: dict[str, str] = {
    "certificate": "certificate",
    "calibration": "calibration",
    "safety": "safety check",
    "firmware_version": "firmware",
    "firmware": "firmware check",
    "instruction": "instruction",
}
_TO_DO: dict[str, str] = {
    "certificate": "Renew it: overdue, no session is started there.",
    "calibration": "Have it calibrated: overdue, no session is started there.",
    "safety": "Have it checked: overdue, no session is started there.",
    "firmware_version": "Update it: overdue, no session is started there.",
    "firmware": "Look for a newer firmware: overdue, no session is started there.",
    "instruction": "Renew it: overdue, this operator starts no session on that model.",
}


def check_of(quantity: str) -> str:
    """The check that a quantity is about: the longest name that it begins with."""
    return next((name for name in sorted(_NAMES, key=len, reverse=True) if quantity.startswith(name)), "certificate")


def refused_words(quantity: str, value: float | None, limit: float | None) -> str:
    """`the calibration is 12 days overdue`; a refusal from before there were checks had the certificate's moment."""
    check = check_of(quantity)
    return f"the {_NAMES[check]} is {_overdue(quantity.removeprefix(f'{check}_'), value, limit)}"


def _overdue(counted: str, value: float | None, limit: float | None) -> str:
    if value is None:
        return f"version {counted.replace('_', ' ')}" if "below" in counted else "needed, and was never recorded"
    if counted == "days_overdue" and value >= 1.0:
        return f"{_counted(value, 'day')} overdue"
    if counted == "sessions":
        return f"due after {limit:.10g} sessions and has {value:.10g}"
    return f"due after {limit:.10g} hours of use and has {value:.1f}" if counted == "hours" else "overdue"


def alarm_words(why: Body) -> tuple[str, str]:
    """What is due and when, and what to do."""
    quantity, value = str(why["quantity"]), why["value"]
    check = check_of(quantity)
    named = _NAMES[check]
    if check == "instruction":
        _, operator, model = quantity.split(":", 2)
        named = f"instruction of {operator} on {model}"
    return f"{named} {_when(quantity, check, value)}", _TO_DO[check]


def _when(quantity: str, check: str, value: float | None) -> str:
    if value is None:
        found = quantity.removeprefix(f"{check}_").replace("_", " ")
        return f"version {found}" if "below" in found else "never recorded"
    if quantity == "due_in_s":  # as it was written before there were checks
        value, quantity = value // 86_400.0, "days_left"
    if "days" in quantity:
        return _by_day(value)
    unit = "hour" if quantity.endswith("hours_left") else "session"
    return f"due in {_counted(value, unit)} of use" if value > 0.0 else f"overdue by its {unit}s of use"


def _by_day(left: float) -> str:
    if left < 0.0:
        return f"{_counted(-left, 'day')} overdue"
    return "due today" if left == 0.0 else f"due in {_counted(left, 'day')}"


def _counted(value: float, unit: str) -> str:
    number = f"{value:.0f}" if unit != "hour" else f"{value:.1f}"
    return f"{number} {unit}" + ("" if number == "1" else "s")


def row_words(row: Body) -> str:
    """One row of a device's `due`, where it is overdue or soon."""
    named = _NAMES[row["check"]]
    if row["found"] is not None:
        found = str(row["found"]).replace("_", " ")
        return f"{named} {found}"
    if row["overdue"]:
        return f"{named} OVERDUE"
    left = [(row[f"{unit}s_left"], unit) for unit in ("day", "hour", "session")]
    return f"{named} due in {' or '.join(_counted(value, unit) for value, unit in left if value is not None)}"
