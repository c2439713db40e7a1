"""A clinic day as data: who is treated where and when, what the therapist's hand does, and what goes wrong.

Pure: the same devices, length and seed give the same day. It is made up here (`a_day`) or read from a file
(`demo.script`). Times are seconds; `at_s` counts from the beginning of the day, `after_s` is a person's pause.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

from broker.contract.plan import BodySite, Modality, Plan
from broker.contract.shapes import AtMost, Between, ClientToken, DeviceId, Strict
from fleet.core.screening import Contraindication

DAY_S_MAX: Final = 86_400.0

# A usual local plan (domain.md "Dose rules"): quadriceps after surgery, 35 Hz, 300 us, well inside every limit.
USUAL: Final = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=50.0,
    frequency_hz=35.0,
    pulse_width_us=300.0,
    setting_ma_max=40.0,
    duration_s=1200.0,
    on_s=6.0,
    off_s=12.0,
    ramp_up_s=1.0,
    ramp_down_s=1.0,
)
# Much too strong for a small pad: 2.6 mA/cm2.
TOO_DENSE: Final = replace(
    USUAL, setting_ma_max=120.0, pulse_width_us=500.0, frequency_hz=120.0, electrode_area_cm2=16.0
)


class Button(StrEnum):
    """What a therapist presses at a device's panel, in the panel's own words."""

    ARM = "arm"
    START = "start"
    RAISE = "raise"
    LOWER = "lower"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    STOP_BUTTON = "stop_button"


Moment = Annotated[float, Between(0.0, DAY_S_MAX)]
Pause = Annotated[float, Between(0.0, 3600.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Strict):
    """A pause, then a press. `by_ma` is for raise and lower."""

    after_s: Pause
    press: Button
    by_ma: Annotated[float, Between(0.1, 2.0)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Strict):
    """A client comes. Where the fleet refuses, nothing of `steps` is done; the session ends by them, or by time."""

    at_s: Moment
    device: DeviceId
    client: ClientToken
    plan: Plan = USUAL
    findings: Annotated[tuple[Contraindication, ...], AtMost(32)] = ()
    steps: Annotated[tuple[Step, ...], AtMost(1000)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedStop(Strict):
    """Somebody at a screen pushes a stop; it is released after a while, and reset at the device."""

    at_s: Moment
    device: DeviceId
    released_after_s: Pause = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Strict):
    """Visits of one device follow each other: a later one waits until the earlier one is over."""

    visits: Annotated[tuple[Visit, ...], AtMost(20_000)]
    stops: Annotated[tuple[PushedStop, ...], AtMost(1000)] = ()

    @property
    def devices(self) -> frozenset[str]:
        return frozenset(visit.device for visit in self.visits) | frozenset(stop.device for stop in self.stops)

    def of(self, device: str) -> tuple[Visit, ...]:
        """The visits of one device, in order."""
        return tuple(sorted((visit for visit in self.visits if visit.device == device), key=lambda visit: visit.at_s))


def a_day(devices: Sequence[str], seconds: float, seed: int) -> Day:
    """A day of `seconds` on these devices. What happens on one of them does not depend on the others."""
    visits: list[Visit] = []
    stops: list[PushedStop] = []
    for device in devices:
        chance = random.Random(f"{seed}/{device}")
        for visit in _visits(device, seconds, chance):
            visits.append(visit)
            if chance.random() < 0.03:
                at_s = min(DAY_S_MAX, visit.at_s + chance.uniform(20.0, 240.0))
                stops.append(PushedStop(at_s=_tenth(at_s), device=device))
    return Day(
        visits=tuple(sorted(visits, key=lambda visit: (visit.at_s, visit.device))),
        stops=tuple(stop for stop in sorted(stops, key=lambda stop: (stop.at_s, stop.device)) if stop.at_s < seconds),
    )


def a_client(chance: random.Random) -> str:
    """A random token; a person has another one for every session here, so nobody comes too often."""
    return f"client-{chance.getrandbits(40):010x}"


def raised(to_ma: float, chance: random.Random) -> Iterator[Step]:
    """The setting brought up from 0 in the largest steps allowed: 2 mA below 20 mA, 1 mA from there."""
    setting_ma = 0.0
    while setting_ma < to_ma:
        by_ma = min(2.0 if setting_ma < 20.0 else 1.0, to_ma - setting_ma)
        setting_ma += by_ma
        yield Step(after_s=_tenth(chance.uniform(0.5, 1.5)), press=Button.RAISE, by_ma=by_ma)


# --- the insides ----------------------------------------------------------------------------------------------------


def _visits(device: str, seconds: float, chance: random.Random) -> Iterator[Visit]:
    at_s = chance.uniform(0.0, min(20.0, seconds / 4.0))
    while at_s < seconds:
        visit = _visit(device, _tenth(at_s), chance)
        yield visit
        at_s += _length_s(visit) + chance.uniform(20.0, 60.0)


def _visit(device: str, at_s: float, chance: random.Random) -> Visit:
    findings: tuple[Contraindication, ...] = ()
    plan = replace(
        USUAL,
        duration_s=60.0 * chance.choice((5, 10, 15, 20)),
        on_s=float(chance.randint(6, 10)),
        off_s=float(chance.randint(12, 20)),
    )
    kind = chance.random()
    if kind < 0.04:
        findings = (chance.choice(tuple(Contraindication)),)
    elif kind < 0.08:
        plan = TOO_DENSE
    steps = () if kind < 0.08 else tuple(_steps(plan, chance))
    return Visit(at_s=at_s, device=device, client=a_client(chance), plan=plan, findings=findings, steps=steps)


def _steps(plan: Plan, chance: random.Random) -> Iterator[Step]:
    yield Step(after_s=_tenth(chance.uniform(1.0, 3.0)), press=Button.ARM)
    yield Step(after_s=_tenth(chance.uniform(1.0, 2.5)), press=Button.START)
    to_ma = float(chance.randint(8, 22))
    yield from raised(to_ma, chance)
    left_s = chance.uniform(60.0, plan.duration_s - 40.0) if chance.random() < 0.3 else plan.duration_s
    ends_by_hand = left_s < plan.duration_s
    while left_s > 120.0:
        after_s = chance.uniform(25.0, 80.0)
        left_s -= after_s
        yield from _adjusted(after_s, to_ma, chance)
    if ends_by_hand:
        yield Step(after_s=_tenth(left_s), press=Button.STOP)


def _adjusted(after_s: float, to_ma: float, chance: random.Random) -> Iterable[Step]:
    """Too strong, too weak, a sip of water: what therapist and client do in the middle of a session."""
    what = chance.random()
    if what < 0.5:
        by_ma = float(chance.randint(1, 2))
        yield Step(after_s=_tenth(after_s), press=Button.LOWER, by_ma=by_ma)
        for _ in range(int(by_ma)):
            yield Step(after_s=_tenth(chance.uniform(3.0, 9.0)), press=Button.RAISE, by_ma=1.0)
    elif what < 0.6:
        yield Step(after_s=_tenth(after_s), press=Button.PAUSE)
        yield Step(after_s=_tenth(chance.uniform(3.0, 12.0)), press=Button.RESUME)
        yield from raised(to_ma, chance)
    else:
        yield Step(after_s=_tenth(after_s), press=Button.RAISE, by_ma=0.5)


def _length_s(visit: Visit) -> float:
    """About how long it takes: refused at once, else by its steps or its time, whichever is longer."""
    pressed_s = sum(step.after_s for step in visit.steps)
    ends_by_hand = bool(visit.steps) and visit.steps[-1].press is Button.STOP
    return pressed_s if ends_by_hand or not visit.steps else max(pressed_s, visit.plan.duration_s)


def _tenth(seconds: float) -> float:
    return round(seconds, 1)
