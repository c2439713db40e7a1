"""Who says what when in a run, built beforehand: each device at its own moment of each period, as if by chance."""

import copy
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker.contract.messages import Phase
from tests.bench.crowd import at
from tests.bench.device import VIOLATING_MA, Device

SLICE_S = 0.001  # what is written at once: the samples of a millisecond
EDGE = 0.05  # of the run, at its beginning and end, in which nothing violates


@dataclass(slots=True)
class Slice:
    """What is written at one moment, `due_s` after the start: whose samples (with their seq), and which violate."""

    due_s: float
    octets: bytes
    speaks: tuple[tuple[Device, int], ...]
    violating: tuple[str, ...]


@dataclass(slots=True)
class Schedule:
    """The whole run. `leased` is how many samples deserve a lease."""

    slices: list[Slice] = field(default_factory=list)
    samples: int = 0
    leased: int = 0
    built_s: float = 0.0


@dataclass(slots=True)
class _Voice:
    """A device, and the copy of it that speaks in advance, at its own moment of each period."""

    due_s: float
    device: Device
    ghost: Device


def build(
    devices: Sequence[Device], rate: float, seconds: float, violating: Sequence[str], chance: random.Random
) -> Schedule:
    """`rate` samples a second of each device for so long; `violating` break a limit once, and are latched from then."""
    began_s = time.monotonic()
    schedule, period_s = Schedule(), 1.0 / rate
    periods = round(seconds * rate)
    first, last = int(periods * EDGE), max(int(periods * (1 - EDGE)) - 1, int(periods * EDGE))
    breaks = {name: chance.randint(first, last) for name in violating}
    voices = [_Voice(chance.random() * period_s, device, copy.copy(device)) for device in devices]
    voices.sort(key=lambda voice: voice.due_s)
    spoken_at = at()
    for n in range(periods):
        for together in _together(voices):
            due_s = n * period_s + together[0].due_s
            breaking = tuple(voice.device.name for voice in together if breaks.get(voice.device.name) == n)
            schedule.slices.append(_slice(schedule, due_s, together, breaking, spoken_at))
        for voice in voices:
            voice.ghost.elapsed_s += period_s
    for voice in voices:
        voice.device.seq = voice.ghost.seq  # the devices themselves go on when the run is over
    schedule.built_s = time.monotonic() - began_s
    return schedule


def _together(voices: Sequence[_Voice]) -> Iterator[list[_Voice]]:
    """Whoever speaks within the same millisecond."""
    together: list[_Voice] = []
    for voice in voices:
        if together and voice.due_s - together[0].due_s >= SLICE_S:
            yield together
            together = []
        together.append(voice)
    if together:
        yield together


def _slice(
    schedule: Schedule, due_s: float, together: Sequence[_Voice], breaking: tuple[str, ...], spoken_at: str
) -> Slice:
    frames = []
    for voice in together:
        ghost, breaks = voice.ghost, voice.device.name in breaking
        frames.append(ghost.sample(spoken_at, VIOLATING_MA if breaks else None))
        schedule.samples += 1
        schedule.leased += ghost.phase is Phase.RUNNING and not breaks
        if breaks:
            ghost.phase, ghost.session_id = Phase.LATCHED, None
    return Slice(due_s, b"".join(frames), tuple((voice.device, voice.ghost.seq) for voice in together), breaking)
