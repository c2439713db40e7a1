"""What has happened: the durable events, whose fold is the state.

Each is frozen, versioned, past tense and has one meaning. `now_s` is the fleet host's boot time at which it was
decided, `wall_s` Unix time, never before that of an earlier event. The journal stores the class's name, `version` and
the fields. A change of an event's fields is a new version; an old one is read by an upcaster, never forgotten.
"""

from fleet.core.alarm_events import AlarmChanged, AlarmCleared, AlarmRaised, ZeroConfirmed
from fleet.core.attention_events import (
    AlarmAccepted,
    AlarmAcknowledged,
    AlarmCommented,
    AlarmRejected,
    AlarmShelved,
    AlarmSounded,
    AlarmUnshelved,
    ChannelProven,
    DigestDue,
    DrillOrdered,
    DrillUnanswered,
    PageArrived,
    PageDue,
    PageMissed,
    RotaAdopted,
    RungReached,
)
from fleet.core.clock_events import FleetClockAccepted, FleetClockAgreed, FleetClockStepped
from fleet.core.device_events import (
    DeviceBooted,
    DeviceBorn,
    DeviceEnrolled,
    DeviceLost,
    DeviceReported,
    DeviceReturned,
    DrainLifted,
    DrainOrdered,
    EventConflicted,
    EventUnreadable,
    FleetNumberRaised,
    FleetTookOver,
    RegistryAdopted,
    SecurityNoticed,
    SettingsIssued,
    SpoolGapFound,
)
from fleet.core.session_events import (
    AuthorisationAccepted,
    BaselineMeasured,
    CancelOvertaken,
    LimitExceeded,
    OutputUnpermitted,
    SensorFlatlined,
    SessionAdvanced,
    SessionAuthorised,
    SessionCancelled,
    SessionCleared,
    SessionDeclined,
    SessionEnded,
    SessionExpired,
    SessionLost,
    SessionRefused,
    SessionState,
    SessionWithheld,
    WithheldFor,
)
from fleet.core.stop_events import (
    ConfirmedBy,
    HoldCleared,
    HoldLifted,
    HoldReleased,
    StopConfirmed,
    StopFoundLive,
    StopOrdered,
    StopPublished,
    StopPushedAgain,
    StopReceived,
    StopTarget,
    StopUnconfirmed,
)
from fleet.core.store_events import RecorderEnded, StoreFailed, StoreTook

__all__ = [
    "AlarmAccepted",
    "AlarmAcknowledged",
    "AlarmChanged",
    "AlarmCleared",
    "AlarmCommented",
    "AlarmRaised",
    "AlarmRejected",
    "AlarmShelved",
    "AlarmSounded",
    "AlarmUnshelved",
    "AuthorisationAccepted",
    "BaselineMeasured",
    "CancelOvertaken",
    "ChannelProven",
    "ConfirmedBy",
    "DeviceBooted",
    "DeviceBorn",
    "DeviceEnrolled",
    "DeviceLost",
    "DeviceReported",
    "DeviceReturned",
    "DigestDue",
    "DrainLifted",
    "DrainOrdered",
    "DrillOrdered",
    "DrillUnanswered",
    "Event",
    "EventConflicted",
    "EventUnreadable",
    "FleetClockAccepted",
    "FleetClockAgreed",
    "FleetClockStepped",
    "FleetNumberRaised",
    "FleetTookOver",
    "HoldCleared",
    "HoldLifted",
    "HoldReleased",
    "LimitExceeded",
    "OutputUnpermitted",
    "PageArrived",
    "PageDue",
    "PageMissed",
    "RecorderEnded",
    "RegistryAdopted",
    "RotaAdopted",
    "RungReached",
    "SecurityNoticed",
    "SensorFlatlined",
    "SessionAdvanced",
    "SessionAuthorised",
    "SessionCancelled",
    "SessionCleared",
    "SessionDeclined",
    "SessionEnded",
    "SessionExpired",
    "SessionLost",
    "SessionRefused",
    "SessionState",
    "SessionWithheld",
    "SettingsIssued",
    "SpoolGapFound",
    "StopConfirmed",
    "StopFoundLive",
    "StopOrdered",
    "StopPublished",
    "StopPushedAgain",
    "StopReceived",
    "StopTarget",
    "StopUnconfirmed",
    "StoreFailed",
    "StoreTook",
    "WithheldFor",
    "ZeroConfirmed",
]

Event = (
    FleetTookOver
    | FleetNumberRaised
    | DrainOrdered
    | DrainLifted
    | RegistryAdopted
    | SecurityNoticed
    | DeviceEnrolled
    | DeviceBooted
    | DeviceBorn
    | DeviceLost
    | DeviceReturned
    | SettingsIssued
    | DeviceReported
    | EventUnreadable
    | EventConflicted
    | SpoolGapFound
    | SessionRefused
    | SessionAuthorised
    | AuthorisationAccepted
    | SessionDeclined
    | SessionExpired
    | SessionCancelled
    | CancelOvertaken
    | SessionAdvanced
    | BaselineMeasured
    | LimitExceeded
    | SensorFlatlined
    | SessionWithheld
    | OutputUnpermitted
    | SessionEnded
    | SessionLost
    | SessionCleared
    | StopOrdered
    | StopPushedAgain
    | StopPublished
    | StopReceived
    | StopFoundLive
    | StopConfirmed
    | StopUnconfirmed
    | HoldReleased
    | HoldCleared
    | HoldLifted
    | AlarmRaised
    | AlarmChanged
    | AlarmCleared
    | ZeroConfirmed
    | AlarmAcknowledged
    | AlarmAccepted
    | AlarmRejected
    | AlarmShelved
    | AlarmUnshelved
    | AlarmCommented
    | AlarmSounded
    | RungReached
    | PageDue
    | DigestDue
    | PageArrived
    | PageMissed
    | RotaAdopted
    | DrillOrdered
    | ChannelProven
    | DrillUnanswered
    | StoreFailed
    | StoreTook
    | RecorderEnded
    | FleetClockStepped
    | FleetClockAgreed
    | FleetClockAccepted
)
