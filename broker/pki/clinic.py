"""What a clinic chooses for its site, within the contract's bounds: those of the messages that carry the values."""

from dataclasses import dataclass
from typing import Any, get_type_hints

from broker.contract.limits import LIMIT_NAMES, Layer, Limit, Limits
from broker.contract.messages import Authorisation, Settings
from broker.contract.shapes import Between


@dataclass(frozen=True, slots=True)
class ClinicSettings:
    """How often devices report, how long they wait, and how long a lease lasts. Defaults are the contract's."""

    idle_period_s: float = 5.0
    live_period_s: float = 0.5
    start_within_s: float = 120.0
    pause_total_s: float = 600.0
    lease_ttl_ms: int = 5_000


_CARRIED_BY: dict[str, type[Any]] = {
    "idle_period_s": Settings,
    "live_period_s": Settings,
    "start_within_s": Authorisation,
    "pause_total_s": Authorisation,
    "lease_ttl_ms": Authorisation,
}


def bounds(name: str) -> Between:
    """What a setting of the clinic may be on the wire."""
    annotated = get_type_hints(_CARRIED_BY[name], include_extras=True)[name]
    (between,) = annotated.__metadata__
    assert isinstance(between, Between)
    return between


def out_of_bounds(name: str, value: float) -> str | None:
    """Why a setting of the clinic cannot be `value`; None when it can."""
    between = bounds(name)
    if not between.low <= value <= between.high:
        return f"which is not from {between.low:g} to {between.high:g}"
    if name.endswith("_ms") and type(value) is not int:
        return "which is no whole number"
    return None


def loosened(outer: Limits, layer: Layer, name: str, value: float) -> Limit | None:
    """The limit of an outer layer that `value` would loosen, and that would win; None where it is kept."""
    before: Limit = getattr(outer, name)
    after: Limit = getattr(outer.tightened_by(layer, **{name: value}), name)
    return before if after == before and value != before.value else None


def contradiction(limits: Limits) -> str | None:
    """A floor above its ceiling, under which nothing could be treated, in words; None when there is none."""
    for name in LIMIT_NAMES:
        quantity = name.removesuffix("_min")
        ceiling = f"{quantity}_max"
        if name.endswith("_min") and ceiling in LIMIT_NAMES:
            low, high = getattr(limits, name).value, getattr(limits, ceiling).value
            if low > high:
                return f"{name} {low:g} is above {ceiling} {high:g}"
    return None
