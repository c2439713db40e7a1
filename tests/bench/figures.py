"""Figures and the targets beside them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its target: `at_most`, or, for counts that must agree, `exactly`."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    exactly: float | None = None

    @property
    def holds(self) -> bool:
        return (
            (self.at_most is None or self.value <= self.at_most)
            and (self.at_least is None or self.value >= self.at_least)
            and (self.exactly is None or self.value == self.exactly)
        )

    def document(self) -> dict[str, Any]:
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return {**said, "holds": self.holds}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Count, median, 90th, 99th percentile and largest."""
    named = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {"n": len(values), **{name: round(quantile(values, share), digits) for name, share in named.items()}}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line through `points` with the least squares: units of the second by units of the first."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread_x = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread_x if spread_x else 0.0
