"""Zero after a fault that a device found by itself, or where a device was struck off in a session: measured by its
later samples, or seen by a person standing there.

A stop of the fleet's is followed by `stops`; this is about what a device stopped on its own.
"""

from broker.contract.limits import ZERO_MA
from broker.contract.messages import LIVE_PHASES
from fleet.core.alarm_state import NO_SIGNS, Signs
from fleet.core.events import ConfirmedBy, ZeroConfirmed
from fleet.core.turn import Turn

AFTER_S = 1.0  # a sample and an event that overtake each other arrive closer together than that


def look(turn: Turn) -> None:
    """See whether the newest samples show zero, where it is waited for."""
    for name, signs in list(turn.state.durable.signs.items()):
        since_s = _awaited_since_s(signs)
        if since_s is None:
            continue
        seen = turn.state.newest(name)
        if seen is None or seen.received_s - since_s < AFTER_S:
            continue
        amplitude_ma = seen.sample.amplitude_ma
        if seen.sample.phase not in LIVE_PHASES and amplitude_ma is not None and amplitude_ma < ZERO_MA:
            turn.happened(ZeroConfirmed(**turn.at, device=name, by=ConfirmedBy.TELEMETRY, amplitude_ma=amplitude_ma))


def _awaited_since_s(signs: Signs) -> float | None:
    """Since when zero is waited for; None: it is not."""
    return max((since_s for since_s in (signs.unzeroed_s, signs.struck_off_s) if since_s is not None), default=None)


def seen_by_person(turn: Turn, name: str) -> bool:
    """A person says that the device is off; True where a zero was waited for there."""
    if _awaited_since_s(turn.state.durable.signs.get(name, NO_SIGNS)) is None:
        return False
    turn.happened(ZeroConfirmed(**turn.at, device=name, by=ConfirmedBy.PERSON, amplitude_ma=None))
    return True
