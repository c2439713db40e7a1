"""The clinic's time by boot time: how far the host's wall clock may be believed (H06).

On one boot of a Linux host the wall clock and CLOCK_BOOTTIME differ by steps only: what NTP slews, it slews in both.
So a wall clock that is ahead of boot time has stepped. Rests, weekly counts and due dates go by the wall clock; each
second that it is ahead takes a second from a rest.

- `STEP_S`: what is put right in passing. A host whose NTP can correct it at all runs wrong by 500 ppm at most, and is
  stepped by 108 s after a silent weekend of 2.5 days; an ordinary crystal by 50 ppm, 11 s. Rules count dates: two
  minutes matter to a request in the last two minutes of a day, an hour to all who come late in the evening.
- `DRIFT`: where no NTP slews, somebody steps the clock again and again, as far as its crystal is off: 50 ppm, or twice
  that where it is hot. Without this, 4 s each day would be a doubt within the month.

Every event pulls the offset down to its own, at once, and up by `DRIFT` only. So whatever the clock does, from any
event on, in T seconds of boot time, the clinic's time goes on by at most T + STEP_S + DRIFT * T.
"""

from collections.abc import Callable
from typing import Any

from fleet.core import clock_events as c
from fleet.core.clock_events import Steady
from fleet.core.state import Durable

STEP_S = 120.0
DRIFT = 100e-6


def wall_s(durable: Durable, now_s: float, host_boot: str | None = None) -> float | None:
    """Where the host's boot time has the clinic's time; None: nobody knows, and the wall clock counts.

    `host_boot` names another boot than the state's, if it is one. How long the host was off nobody knows then. Its wall
    clock is taken as it is, but where it was in doubt: then the time stands until it is put right, or accepted.
    """
    if durable.steady is None:
        return None
    if host_boot is not None and host_boot != durable.host_boot:
        return None if durable.clock_step_s is None else durable.wall_s
    return now_s + durable.steady.offset_s


def anchor(durable: Durable, now_s: float, at_wall_s: float) -> None:
    """The clinic's time is `at_wall_s`, and goes on by boot time from here."""
    durable.steady = Steady(as_of_s=now_s, offset_s=at_wall_s - now_s)


def follow(durable: Durable, now_s: float) -> None:
    """An event was folded at `now_s`: at once down to the time that it left behind, and up by what a crystal drifts.

    The time that it left, and not its own stamp: what goes by the rota may be stamped earlier (`Turn.clock_s`).
    """
    steady = durable.steady
    if steady is not None:
        risen_s = steady.offset_s + DRIFT * max(0.0, now_s - steady.as_of_s)
        as_of_s = max(steady.as_of_s, now_s)  # inputs overtake one another by milliseconds
        durable.steady = Steady(as_of_s=as_of_s, offset_s=min(durable.wall_s - now_s, risen_s))


def stepped(durable: Durable, event: c.FleetClockStepped) -> None:
    durable.clock_step_s = event.step_s


def agreed(durable: Durable, event: c.FleetClockAgreed) -> None:
    durable.clock_step_s = None


def accepted(durable: Durable, event: c.FleetClockAccepted) -> None:
    durable.clock_step_s = None
    anchor(durable, event.now_s, event.wall_s)


FOLDS: dict[type[Any], Callable[[Durable, Any], None]] = {
    c.FleetClockStepped: stepped,
    c.FleetClockAgreed: agreed,
    c.FleetClockAccepted: accepted,
}
