"""How often and how long a client may be treated, per modality: the outermost rules (domain.md "Dose rules").

A clinic may set tighter ones, in its registry. A rule that ends in `_min` or `_days` is tighter when it is larger,
every other one when it is smaller.
"""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, get_type_hints

from broker.contract.plan import Modality
from broker.contract.shapes import Between, Strict

WEEK_DAYS = 7
REST_DAYS_MAX = 13  # the ledger keeps two weeks: fleet/core/dose.py
DURATION_S_LEAST = 300.0  # the envelope's shortest session
CONDITIONING_DAYS_MAX = 182


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseRules(Strict):
    """Of one modality. Days are local dates of the clinic; `rest_days_min` are the whole ones between two sessions.

    Conditioning counts from a client's first session of the modality.
    """

    sessions_per_7_days_max: Annotated[int, Between(1, 7)]
    rest_days_min: Annotated[int, Between(0, REST_DAYS_MAX)]
    duration_s_max: Annotated[float, Between(DURATION_S_LEAST, 1800.0)]
    first_duration_s_max: Annotated[float, Between(DURATION_S_LEAST, 1800.0)]
    conditioning_days: Annotated[int, Between(0, CONDITIONING_DAYS_MAX)]
    conditioning_duration_s_max: Annotated[float, Between(DURATION_S_LEAST, 1800.0)]


DOSE_RULE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(DoseRules))
_HINTS: dict[str, Any] = get_type_hints(DoseRules, include_extras=True)

# "At least 4 days between" are 4 whole ones, as "one rest day between" is one: domain.md, both columns.
DOSE_RULES: dict[Modality, DoseRules] = {
    Modality.NMES: DoseRules(
        sessions_per_7_days_max=3,
        rest_days_min=1,
        duration_s_max=1800.0,
        first_duration_s_max=1800.0,
        conditioning_days=0,
        conditioning_duration_s_max=1800.0,
    ),
    Modality.WB_EMS: DoseRules(
        sessions_per_7_days_max=1,
        rest_days_min=4,
        duration_s_max=1200.0,
        first_duration_s_max=720.0,
        conditioning_days=70,  # 8 to 10 weeks: the longer
        conditioning_duration_s_max=1200.0,
    ),
}


class DoseRefused(ValueError):
    """Rules that a clinic may not set; the text names the rule."""


def dose_rules(modality: Modality, /, **tighter: float) -> DoseRules:
    """The domain's rules of a modality with a clinic's `tighter` ones.

    Raises:
        DoseRefused: one is unknown, no such number, or looser than the domain's.
    """
    outer = DOSE_RULES[modality]
    changes: dict[str, Any] = {name: _tighter(outer, name, value) for name, value in tighter.items()}
    return replace(outer, **changes)


def _tighter(outer: DoseRules, name: str, value: float) -> int | float:
    if name not in DOSE_RULE_NAMES:
        raise DoseRefused(f"{name!r} is no dose rule")
    hint = _HINTS[name]
    number: type[int] | type[float] = hint.__origin__
    between: Between = hint.__metadata__[0]
    if type(value) not in (int, float) or not between.low <= value <= between.high or number(value) != value:
        kind = "whole number" if number is int else "number"
        raise DoseRefused(f"{name} is {value!r}, which is no {kind} from {between.low:g} to {between.high:g}")
    limit = getattr(outer, name)
    looser = value < limit if name.endswith(("_min", "_days")) else value > limit
    if looser:
        raise DoseRefused(f"{name} is {value!r}, looser than the domain's {limit:g}")
    return number(value)
