"""Who is there: fresh, stale, lost; boots; and which sample of a device is its newest.

Only live telemetry says that a device is there. A will or a `presence` message is a hint and decides nothing. A sample
that is late, overtaken, repeated, of another boot or of a second device with the same name is never the newest.
"""

from enum import StrEnum

from broker.contract.messages import Birth, Telemetry
from broker.contract.topics import CHANNELS, Channel
from fleet.core import budget, sessions
from fleet.core.effects import Count
from fleet.core.events import DeviceBooted, DeviceBorn, DeviceLost, DeviceReturned, FleetNumberRaised
from fleet.core.state import NO_BOOT, Device, Seen, State
from fleet.core.turn import Turn

_TELEMETRY = CHANNELS[Channel.TELEMETRY]
assert _TELEMETRY.stale_after_s is not None
assert _TELEMETRY.lost_after_s is not None
STALE_AFTER_S: float = _TELEMETRY.stale_after_s
LOST_AFTER_S: float = _TELEMETRY.lost_after_s
LOOK_PERIOD_S = 1.0

# `seq` starts at a random 48-bit number: two devices of one name and boot are this far apart almost surely, and one
# device is not within half a day of silence at 50 ms.
SEQ_JUMP_MAX = 1_000_000
# A device cannot have seen so many fleets that this one has not: it is wrong, and must not use the numbers up.
RISE_MAX = 1_000_000


class Liveness(StrEnum):
    """How recently a device was heard, by CHANNELS' figures."""

    FRESH = "fresh"
    STALE = "stale"
    LOST = "lost"


class Standing(StrEnum):
    """What a sample is among the samples of its device."""

    NEWEST = "newest"
    OVERTAKEN = "overtaken"  # or repeated
    LATE = "late"  # sent after the link came back
    REFUSED = "refused"


def liveness(state: State, device: str, now_s: float) -> Liveness:
    """From the newest live sample; a device not heard since this instance took over is lost."""
    seen = state.newest(device)
    silent_s = float("inf") if seen is None else now_s - seen.received_s
    if silent_s < STALE_AFTER_S:
        return Liveness.FRESH
    return Liveness.STALE if silent_s < LOST_AFTER_S else Liveness.LOST


def known(turn: Turn, name: str, channel: Channel) -> Device | None:
    """The record of a device that is, or was, on the list; None, and noticed, for any other."""
    device = turn.state.durable.devices.get(name)
    if device is None and turn.state.registered(name) is None:
        turn.refused(name, channel, "unregistered")
        return None
    return device or Device(device=name)


def place(turn: Turn, device: Device, sample: Telemetry) -> Standing:
    """Fold a live sample into what is seen, and say what it is. Notices boots, returns and doubles."""
    name = device.device
    if sample.late:
        return Standing.LATE if sample.boot_n == device.boot_n else Standing.REFUSED
    if sample.boot_n != device.boot_n and not _boot(turn, device, sample.boot_n, Channel.TELEMETRY):
        return Standing.REFUSED
    seen = turn.state.fleeting.seen.get(name)
    missed = 0
    if seen is None and sample.boot_n == device.boot_n and sample.seq <= device.seq_floor:
        return Standing.OVERTAKEN
    if seen is not None:
        ahead = sample.seq - seen.sample.seq
        if not -SEQ_JUMP_MAX <= ahead <= SEQ_JUMP_MAX:
            turn.refused(name, Channel.TELEMETRY, "duplicate_identity")
            return Standing.REFUSED
        if ahead <= 0:
            return Standing.OVERTAKEN
        missed = seen.missed + ahead - 1
    turn.state.fleeting.seen[name] = Seen(sample, turn.now_s, missed)
    if device.lost:
        turn.happened(DeviceReturned(**turn.at, device=name))
    return Standing.NEWEST


def _boot(turn: Turn, device: Device, boot_n: int, channel: Channel, *, retained: bool = False) -> bool:
    """A boot number that is not the present one: a higher one is a new boot, a lower one is refused. One above the
    budget is not believed yet: there is no session then, and what speaks under it is answered by nothing.
    """
    name = device.device
    if boot_n < device.boot_n and retained:
        # A broker that was killed may keep an old birth until the device writes the next: no sign of a second disk.
        turn.at_once(Count(name, channel, "old_birth"))
        return False
    if boot_n < device.boot_n:
        turn.refused(name, channel, "boot_n_went_back")
        return False
    if not budget.admits_boot(turn, device, channel):
        return False
    turn.state.fleeting.seen.pop(name, None)
    turn.happened(DeviceBooted(**turn.at, device=name, boot_n=boot_n))
    if device.boot_n != NO_BOOT:
        sessions.boot_ended(turn, name)
    return True


def born(turn: Turn, device: Device, birth: Birth, *, retained: bool) -> bool:
    """Take in a birth; False where it is refused, older than the one that is known, or waits for the budget."""
    name = device.device
    if birth.boot_n != device.boot_n and not _boot(turn, device, birth.boot_n, Channel.BIRTH, retained=retained):
        if birth.boot_n > device.boot_n:
            budget.keep_birth(turn, device, birth, retained=retained)
        return False
    known_birth = device.birth
    if known_birth is not None and known_birth.boot_n == birth.boot_n:
        if birth.serial != known_birth.serial:
            turn.refused(name, Channel.BIRTH, "duplicate_identity")
            return False
        if birth.seq < known_birth.seq:
            return False
    if birth != known_birth:
        if not budget.admits(turn, name, Channel.BIRTH, budget.BIRTH):
            budget.keep_birth(turn, device, birth, retained=retained)
            return False
        turn.happened(DeviceBorn(**turn.at, device=name, birth=birth))
    _outnumber(turn, name, birth.fleet_n)
    return True


def _outnumber(turn: Turn, device: str, fleet_n: int) -> None:
    """Agents drop what has a lower number than the highest they have seen: this fleet's has to be above it."""
    ours = turn.state.durable.fleet_n
    if fleet_n <= ours:
        return
    if fleet_n - ours > RISE_MAX:
        turn.refused(device, Channel.BIRTH, "fleet_n_implausible")
        return
    turn.happened(FleetNumberRaised(**turn.at, device=device, fleet_n=fleet_n + 1))


def look(turn: Turn) -> None:
    """Find, once a second, the devices that are lost. Devices not heard yet count from the take-over."""
    fleeting = turn.state.fleeting
    if turn.now_s - fleeting.looked_s < LOOK_PERIOD_S:
        return
    fleeting.looked_s = turn.now_s
    durable = turn.state.durable
    for name, device in list(durable.devices.items()):
        seen = fleeting.seen.get(name)
        heard_s = durable.took_over_s if seen is None else seen.received_s
        if not device.lost and turn.now_s - heard_s >= LOST_AFTER_S:
            turn.happened(DeviceLost(**turn.at, device=name))
            sessions.device_lost(turn, name)
