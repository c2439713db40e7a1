"""The history of all samples: what goes in, what comes back, and what every store behind it promises.

A row is one sample of a device; its identity is (device, boot_n, seq), and it is kept once, however often and in
whatever order it comes. Readings are kept to the thousandth of their unit, the ones that a device could not take are
None. What did not come is a gap: counted and shown, never filled in but by the sample itself, when it comes late.

*Taken* is a sample whose `write` has returned: it is on a disk, and the death of the writing process or a power cut
does not lose it. Whatever has not been taken is the caller's.

    HistoryError
        HistoryRefuses      the store cannot take or give anything now; the text says why
        TooManySamples      more than one answer may hold: ask for less, or for rollups
        NoSuchName          no name of the wire: it was not asked for, and nothing was written
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from broker.contract.messages import Phase, Telemetry
from broker.contract.shapes import NAME_PATTERN

# A device's clock is believed so far from this host's; a sample that comes late was taken at most so long before (an
# agent keeps 7,200 of them: an hour in a session, ten hours at rest).
CLOCK_OFF_S_MAX = 60.0
LATE_S_MAX = 86_400.0
ROWS_MAX = 250_000  # of one answer
ROLLUPS_MAX = 50_000  # of one answer: a month of minutes, five years of hours
_DEVICE = re.compile(NAME_PATTERN)
_SESSION = re.compile(r"[0-9a-f]{32}")


class HistoryError(Exception):
    """The history could not do it; the text is one sentence for people."""


class HistoryRefuses(HistoryError):
    """The store cannot take or give anything now."""


class TooManySamples(HistoryError):
    """More samples than one answer may hold."""


class NoSuchName(HistoryError, ValueError):
    """A device or a session that the wire could not name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. `at_s` by the device's wall clock (None: it said no time), `wall_s` by this host's, both Unix time;
    `received_s` in boot time of this host. `late`: taken while the link was down.
    """

    device: str
    boot_n: int
    seq: int
    session_id: str | None
    phase: Phase
    at_s: float | None
    wall_s: float
    received_s: float
    elapsed_s: float
    setting_ma: float
    amplitude_ma: float | None
    pulse_width_us: float
    frequency_hz: float
    impedance_ohm: float | None
    battery_pct: float | None
    temperature_c: float | None
    lease_margin_s: float | None
    late: bool

    @property
    def time_s(self) -> float:
        """When it was taken: what the device says, unless its clock cannot be right; then, when it came."""
        if self.at_s is None:
            return self.wall_s
        back_s = LATE_S_MAX if self.late else CLOCK_OFF_S_MAX
        return self.at_s if -back_s <= self.at_s - self.wall_s <= CLOCK_OFF_S_MAX else self.wall_s


def sample_of(device: str, said: Telemetry, received_s: float, wall_s: float) -> Sample:
    """A telemetry message as a row."""
    return Sample(
        device,
        said.boot_n,
        said.seq,
        said.session_id,
        said.phase,
        _unix(said.at),
        wall_s,
        received_s,
        said.elapsed_s,
        said.setting_ma,
        said.amplitude_ma,
        said.pulse_width_us,
        said.frequency_hz,
        said.impedance_ohm,
        said.battery_pct,
        said.temperature_c,
        said.lease_margin_s,
        said.late,
    )


def _unix(at: str) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:  # 30 February has the form of a time
        return None


COLUMNS = ("time_s", *(name for name in Sample.__dataclass_fields__ if name != "device"))
QUANTITIES = ("setting_ma", "amplitude_ma", "impedance_ohm", "battery_pct", "temperature_c", "lease_margin_s")
"""What rollups are made of."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples of one boot that are not there: `missing` of them between `from_s` and `to_s`, when its neighbours were
    taken.
    """

    boot_n: int
    first_seq: int
    missing: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Samples of one device, oldest first, as columns of one length (`COLUMNS`), and the gaps between them."""

    device: str
    columns: Mapping[str, Sequence[Any]]
    gaps: tuple[Gap, ...]

    def __len__(self) -> int:
        return len(self.columns["seq"])

    def samples(self) -> Iterator[Sample]:
        """The same, row by row."""
        for row in zip(*(self.columns[name] for name in COLUMNS[1:]), strict=True):
            yield Sample(self.device, *row)


class Resolution(StrEnum):
    """How long a rollup is. Days are the clinic's; the hours of a day are counted from its beginning, so that a day
    on which the clocks change has 23 or 25 of them.
    """

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the `count` samples that had the reading. The mean is the exact one, rounded once."""

    least: float
    mean: float
    most: float
    count: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """What a device's samples were from `begin_s` until `end_s` (Unix time). `missing` samples should have been there:
    of a gap, all of them count where it ends. A quantity that was never read has no spread.
    """

    begin_s: float
    end_s: float
    count: int
    late: int
    missing: int
    spreads: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class Status:
    """How the store does. Numbers are of samples, since this process began, but for `spilled`.

    `taken` were confirmed; `written` came to the store, `doubles` were there already, `expired` are older than what is
    kept. `spilled` wait on disk for the store, the oldest since `oldest_waiting_s` (Unix time); `dead_lettered` were
    refused by it and lie in a file. `refusing`: why nothing is taken, or written, now.
    """

    taken: int = 0
    written: int = 0
    doubles: int = 0
    expired: int = 0
    spilled: int = 0
    dead_lettered: int = 0
    oldest_waiting_s: float | None = None
    refusing: str | None = None


class HistoryReader(Protocol):
    """What may be asked, from any process of this host.

    Raises:
        HistoryRefuses: the store cannot be read.
        NoSuchName: there can be no such device or session.
        TooManySamples: an answer would have more than `ROWS_MAX` samples, or `ROLLUPS_MAX` rollups.
    """

    async def trace(self, device: str, session_id: str) -> Trace:
        """All samples of a session at its device; none where nothing is kept of it."""

    async def samples(self, device: str, from_s: float, to_s: float) -> Trace:
        """A device's samples that were taken between two moments of Unix time, the second left out."""

    async def rollups(self, device: str, from_s: float, to_s: float, by: Resolution) -> tuple[Rollup, ...]:
        """A device's rollups, oldest first, all that touch the time between the two; those without a sample are left
        out.
        """

    async def close(self) -> None:
        """Let go of everything."""


class History(HistoryReader, Protocol):
    """What the one writing process has. `run` is a task of it, and ends only when it is cancelled."""

    async def write(self, samples: Sequence[Sample]) -> None:
        """Take samples. Where the store refuses, that takes until it does not, and `status` says so meanwhile.

        Raises:
            NoSuchName: nothing of it was taken.
            HistoryRefuses: the store was closed before it could take them.
        """

    async def flush(self) -> None:
        """Until everything that was taken can be read back."""

    async def run(self) -> None:
        """Do what is due: send what waits, roll up, drop what is too old."""

    def status(self) -> Status:
        """How the store does, now."""


def device_name(name: str) -> str:
    """The same name.

    Raises:
        NoSuchName: it is no device id. That is all that keeps names from being read as line protocol or as a query:
            the pattern has no space, quote, comma, backslash or line end.
    """
    if _DEVICE.fullmatch(name) is None:
        raise NoSuchName("There is no device of that name: it must match " + NAME_PATTERN)
    return name


def session_name(name: str) -> str:
    """The same id.

    Raises:
        NoSuchName: it is no session id.
    """
    if _SESSION.fullmatch(name) is None:
        raise NoSuchName("There is no session of that id: it has 32 hexadecimal digits.")
    return name


def checked(samples: Sequence[Sample]) -> None:
    """Whether all of `samples` may be written.

    Raises:
        NoSuchName: one may not.
    """
    for name in {sample.device for sample in samples}:
        device_name(name)
    for session in {sample.session_id for sample in samples}:
        if session is not None:
            session_name(session)


def gaps_between(boots: Sequence[int], seqs: Sequence[int], times_s: Sequence[float]) -> tuple[Gap, ...]:
    """What is missing between samples, whatever their order; the gaps in order of time."""
    gaps = []
    last: tuple[int, int, float] | None = None
    for boot_n, seq, time_s in sorted(zip(boots, seqs, times_s, strict=True)):
        if last is not None and last[0] == boot_n and seq > last[1] + 1:
            # A clock that was set back meanwhile makes no gap of negative length.
            from_s, to_s = sorted((last[2], time_s))
            gaps.append(Gap(boot_n, last[1] + 1, seq - last[1] - 1, from_s, to_s))
        last = (boot_n, seq, time_s)
    return tuple(sorted(gaps, key=lambda gap: (gap.from_s, gap.boot_n, gap.first_seq)))
