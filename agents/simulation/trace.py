"""The true output, recorded by the stimulator itself: the judge of every safety test, whatever the agent says."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_WORTH_NOTING_MA = 0.005
_ROWS_MAX = 1_000_000  # in memory: hours of ramps


@dataclass(frozen=True, slots=True)
class TrueOutput:
    """From `at_s` (boot time) pulses had this amplitude, until the next row. Zero: no pulse."""

    at_s: float
    true_ma: float


class Trace:
    """Rows in order of time, in memory and, where a path is given, as CSV `boottime_s,true_ma`, row by row.

    The stimulator's 0.5 mA test pulses, too weak to feel, are no output and not in here.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.rows: list[TrueOutput] = []
        self._file: TextIO | None = None
        if path is not None:
            self._file = path.open("a", encoding="ascii", buffering=1)  # whole lines, also for who reads along

    def note(self, at_s: float, true_ma: float) -> None:
        last_ma = self.rows[-1].true_ma if self.rows else None
        changed = last_ma is None or abs(true_ma - last_ma) > _WORTH_NOTING_MA or (true_ma == 0.0 != last_ma)
        if not changed:
            return
        if len(self.rows) >= _ROWS_MAX:
            del self.rows[: _ROWS_MAX // 2]
        self.rows.append(TrueOutput(at_s, true_ma))
        if self._file is not None:
            self._file.write(f"{at_s:.6f},{true_ma:.3f}\n")

    def at(self, at_s: float) -> float:
        """The true output at a boot time; zero before the first row."""
        index = bisect_right(self.rows, at_s, key=lambda row: row.at_s)
        return self.rows[index - 1].true_ma if index else 0.0

    def peak(self, from_s: float, to_s: float) -> float:
        """The highest true output in a span of time, both ends included."""
        return max((self.at(from_s), *(row.true_ma for row in self.rows if from_s < row.at_s <= to_s)))

    def zero_since(self) -> float | None:
        """The boot time since which nothing flows; None while something does. Minus infinity: nothing ever did."""
        since_s = None
        for row in reversed(self.rows):
            if row.true_ma > 0.0:
                return since_s
            since_s = row.at_s
        return float("-inf")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_trace(path: Path) -> Trace:
    """A trace from its CSV file, as far as it is written; a line that is just being written is left out."""
    trace = Trace()
    trace.rows.extend(_rows(path.read_text(encoding="ascii")))
    return trace


def _rows(text: str) -> Iterator[TrueOutput]:
    for line in text.split("\n")[:-1]:
        at_s, true_ma = line.split(",")
        yield TrueOutput(float(at_s), float(true_ma))
