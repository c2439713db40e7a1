"""Durable events of the house, its devices and their spools."""

from dataclasses import dataclass

from broker.contract import messages
from broker.contract.messages import EventKind
from broker.contract.topics import Channel
from fleet.core.happened import Happened
from fleet.core.registry import Registry

# What a device says that ended output because something was wrong.
FAULTS = frozenset(
    {
        EventKind.ELECTRODE_OPEN,
        EventKind.ELECTRODE_SHORT,
        EventKind.ELECTRODE_DEGRADED,
        EventKind.OVER_LIMIT,
        EventKind.OVER_TEMPERATURE,
        EventKind.BATTERY_EMPTY,
        EventKind.SENSOR_FROZEN,
        EventKind.OUTPUT_STUCK,
        EventKind.WATCHDOG_TRIPPED,
        EventKind.LEASE_LOST,
        EventKind.SELF_TEST_FAILED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTookOver(Happened):
    """An instance began to lead. With another `host_boot` than before, boot times started anew."""

    fleet_n: int
    host_boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetNumberRaised(Happened):
    """A device had seen a higher number than this fleet's (a journal restored from a backup)."""

    fleet_n: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOrdered(Happened):
    """Nothing new is authorised until `DrainLifted`, whichever instance leads."""

    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLifted(Happened):
    """Sessions are authorised again."""

    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAdopted(Happened):
    """The clinic's list, as a whole."""

    version = 3
    registry: Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityNoticed(Happened):
    """Bad input, once per burst of one (device, channel, reason). `device` None: none that is known."""

    device: str | None
    channel: Channel | None
    reason: str


# --- devices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnrolled(Happened):
    """A device was put on the list, or enrolled anew: its boots and spools count from the start."""

    device: str
    enrolment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBooted(Happened):
    """A higher boot number was heard in live telemetry or birth."""

    device: str
    boot_n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBorn(Happened):
    """A device said what it is."""

    device: str
    birth: messages.Birth


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLost(Happened):
    """Nothing heard for as long as CHANNELS allows."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReturned(Happened):
    """A lost device was heard again."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsIssued(Happened):
    """A new version of what the clinic sets on a device."""

    device: str
    settings: messages.Settings


# --- the devices' own events ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReported(Happened):
    """An event of a device's spool was accepted."""

    device: str
    event: messages.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventUnreadable(Happened):
    """An event with a valid MAC had no valid content; receipts list it."""

    device: str
    spool_id: str
    n: int
    payload_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConflicted(Happened):
    """The n of an accepted event came again with another event id. The second is kept here and nowhere else."""

    device: str
    event: messages.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolGapFound(Happened):
    """Events that the device no longer has, by the `oldest_n` of its birth: lost, and named."""

    device: str
    spool_id: str
    from_n: int
    to_n: int
