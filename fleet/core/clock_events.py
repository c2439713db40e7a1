"""Durable events of the fleet host's own wall clock, and what the state keeps of it."""

from dataclasses import dataclass

from broker.contract.shapes import Strict
from fleet.core.happened import Happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady(Strict):
    """The clinic's time by the host's boot time: Unix time is boot time and `offset_s`. `as_of_s`: the boot time of the
    newest event that it follows from.
    """

    as_of_s: float
    offset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetClockStepped(Happened):
    """The host's wall clock is ahead of where its boot time has it, by `step_s`. From now on it is in doubt: the
    clinic's time goes on by boot time, and nothing new is authorised.
    """

    step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetClockAgreed(Happened):
    """The host's wall clock goes along with its boot time again, for a minute by now: it is in doubt no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetClockAccepted(Happened):
    """A person says that the host's wall clock is right as it is. `before_wall_s`: the clinic's time until then;
    `after_wall_s`: what the host's clock said. The clinic's time goes on from there, or waits for it.
    """

    issued_by: str
    reason: str
    before_wall_s: float
    after_wall_s: float
