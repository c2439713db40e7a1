"""What a field that does not fit should be, in words for whoever filled it in: never in those of the validator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from broker.contract.shapes import NAME_PATTERN

_BEGIN = "beginning with a letter or digit"
_NAME = f"1 to 32 of a-z, 0-9 and '-', {_BEGIN}"
_CLIENT = f"4 to 64 of a-z, 0-9 and '-', {_BEGIN}"
_DOTTED = "of a-z, 0-9, '.' and '-'"
_HEX = "32 of 0-9 and a-f"
_DAY = "a day like 2026-11-25"
_MOMENT = "a time with its time zone, like 2026-11-25T16:00:00Z"
_PRINTABLE = "one line of printable characters"

# By the pattern that the text does not match: what it must be. A test holds it against all that may be missed.
PATTERNS: dict[str, str] = {
    f"^(?:{NAME_PATTERN})$": _NAME,
    f"^{NAME_PATTERN}$": _NAME,
    "^(?:[a-z0-9][a-z0-9-]{3,63})$": _CLIENT,
    "^[a-z0-9][a-z0-9-]{3,63}$": _CLIENT,
    "^(?:[a-z0-9][a-z0-9.-]{0,63})$": f"1 to 64 {_DOTTED}, {_BEGIN}",
    "^[a-z0-9][a-z0-9.-]{0,63}$": f"1 to 64 {_DOTTED}, {_BEGIN}",
    "^(?:[a-z0-9][a-z0-9.-]{0,31})$": f"1 to 32 {_DOTTED}, {_BEGIN}",
    "^(?:[a-z][a-z0-9_]{0,31})$": "1 to 32 of a-z, 0-9 and '_', beginning with a letter",
    "^(?:[0-9a-f]{32})$": _HEX,
    "^[0-9a-f]{32}$": _HEX,
    "^(?:[0-9a-f]{16})$": "16 of 0-9 and a-f",
    "^[0-9a-f]{8}$": "8 of 0-9 and a-f",
    "^[0-9a-f]{8,32}$": "8 to 32 of 0-9 and a-f",
    "^[a-z0-9,-]*$": "devices, with commas between them",
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$": _PRINTABLE,
    r"^[^\x00-\x1f\x7f]{1,64}$": f"{_PRINTABLE}, 1 to 64 of them",
    r"^\d{4}-\d{2}-\d{2}$": _DAY,
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$": _MOMENT,
    r"^(?:[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z)$": "like 2026-11-25T16:00:00.000Z",
}

_Limits = Mapping[str, Any]


def _short(limits: _Limits) -> str:
    least = limits["min_length"]
    return "must not be empty" if least == 1 else f"must be at least {least} characters long"


_WHOLE, _NUMBER, _FLAG, _TEXT = (f"must be {what}" for what in ("a whole number", "a number", "true or false", "text"))
# By the kind of error: what follows the field's name.
_KINDS: dict[str, str | Callable[[_Limits], str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "unexpected_keyword_argument": "is not known here",
    "string_type": _TEXT,
    "string_pattern_mismatch": lambda limits: f"must be {PATTERNS.get(limits['pattern'], 'written in another way')}",
    "string_too_short": _short,
    "string_too_long": lambda limits: f"must be at most {limits['max_length']} characters long",
    "too_long": lambda limits: f"must have at most {limits['max_length']} entries",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "greater_than": lambda limits: f"must be more than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']:g}",
    "less_than": lambda limits: f"must be less than {limits['lt']:g}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']:g}",
    "enum": lambda limits: f"must be {limits['expected']}",
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "dataclass_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "is not JSON",
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), f"must be {_DAY}"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"), f"must be {_MOMENT}"
    ),
}


def misfit_words(error: Mapping[str, Any], place: Sequence[str | int], else_named: str = "") -> str:
    """A field that does not fit, by one of the validator's errors, without repeating what was sent.

    `place` is where in what was sent; `else_named` names the whole of it.
    """
    field = ".".join(str(part) for part in place) or else_named
    says = _KINDS.get(error["type"])
    if says is None:  # one of our own checks, which says it in words itself
        return f"{field}: {str(error['msg']).removeprefix('Value error, ')}".removeprefix(": ")
    return f"{field} {says if isinstance(says, str) else says(error['ctx'])}".lstrip()
