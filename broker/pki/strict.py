"""JSON read strictly: each reader is given where a value stands and the value, and makes of it what it is.

What is not exactly as it should be is `Wrong`, with one clause that names the place.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from broker.contract.shapes import COUNT_MAX

Read = Callable[[str, Any], Any]


class Wrong(ValueError):
    """What is wrong, and where."""


def check_object(where: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{where} is no object")


def string(pattern: str, where: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise Wrong(f"{where} is {value!r}, which does not match {pattern}")
    return value


def day_said(where: str, value: Any) -> date:
    try:
        day = date.fromisoformat(string(r"\d{4}-\d\d-\d\d", where, value))
    except ValueError as error:
        raise Wrong(f"{where} is {value!r}, which is no day like 2027-01-31") from error
    if not 2000 <= day.year <= 2999:  # the day after 9999-12-31 is none, and would end whoever reckons with it
        raise Wrong(f"{where} is {value!r}, which is not from 2000 to 2999")
    return day


def ordinal(where: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= COUNT_MAX:
        raise Wrong(f"{where} is {value!r}, which does not count from 1")
    return value


def flag(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{where} is {value!r}, which is neither true nor false")
    return value


def list_of(read: Read, where: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Wrong(f"{where} is no list")
    return tuple(read(f"{where}[{n}]", item) for n, item in enumerate(value))


def or_none(read: Read, where: str, value: Any) -> Any:
    return None if value is None else read(where, value)


def fields(where: str, value: Any, readers: Mapping[str, Read]) -> dict[str, Any]:
    check_object(where, value)
    for name in value.keys() - readers.keys():
        raise Wrong(f"{where} has {name!r}, which is unknown")
    for name in readers.keys() - value.keys():
        raise Wrong(f"{where} has no {name!r}")
    return {name: read(f"{where}.{name}", value[name]) for name, read in readers.items()}
