"""Zero after a fault that a device found by itself: measured by its later samples, or seen by a person standing there.

A stop of the fleet's is followed by `stops`; this is about what a device stopped on its own.
"""

from broker.contract.limits import ZERO_MA
from broker.contract.messages import LIVE_PHASES
from fleet.core.alarm_state import NO_SIGNS
from fleet.core.events import ConfirmedBy, ZeroConfirmed
from fleet.core.turn import Turn

AFTER_S = 1.0  # a sample and an event that overtake each other arrive closer together than that


def look(turn: Turn) -> None:
    """See whether the newest samples show zero, where it is waited for."""
    for name, signs in list(turn.state.durable.signs.items()):
        if signs.unzeroed_s is None:
            continue
        seen = turn.state.newest(name)
        if seen is None or seen.received_s - signs.unzeroed_s < AFTER_S:
            continue
        amplitude_ma = seen.sample.amplitude_ma
        if seen.sample.phase not in LIVE_PHASES and amplitude_ma is not None and amplitude_ma < ZERO_MA:
            turn.happened(ZeroConfirmed(**turn.at, device=name, by=ConfirmedBy.TELEMETRY, amplitude_ma=amplitude_ma))


def seen_by_person(turn: Turn, name: str) -> bool:
    """A person says that the device is off; True where a zero was waited for there."""
    if turn.state.durable.signs.get(name, NO_SIGNS).unzeroed_s is None:
        return False
    turn.happened(ZeroConfirmed(**turn.at, device=name, by=ConfirmedBy.PERSON, amplitude_ma=None))
    return True
