"""What the API answers with, field by field. Units are the last part of a name; times are UTC, to the millisecond.

Rows that `fleet.views` makes may come to have further fields: they are passed on, and a test has them described here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from broker.contract import messages
from broker.contract.limits import Limits

Time = Annotated[str, Field(description="UTC", examples=["2026-11-25T18:02:11.480Z"])]
Day = Annotated[str, Field(description="a day of the clinic", examples=["2026-11-25"])]
Priority = Literal["high", "medium", "low", "info"]


class Row(BaseModel):
    """A row of `fleet.views`."""

    model_config = ConfigDict(extra="allow")


class Refusal(Row):
    """One rule that refused, with its numbers where it has any, and all of it in words."""

    rule: Annotated[str, Field(examples=["dose_rest"])]
    layer: Annotated[str, Field(description="who made the rule", examples=["domain"])]
    quantity: Annotated[str | None, Field(description="with its unit, or what was found")]
    value: float | None
    limit: float | None
    again_on: Annotated[Day | None, Field(description="the first day on which no calendar rule would refuse")]
    words: Annotated[str, Field(examples=["too soon after the client's last session (days since: 1, at least 2)"])]


class Refused(BaseModel):
    """It is refused, with every reason."""

    error: Annotated[str, Field(examples=["refused"])]
    text: str
    refusals: list[Refusal] = []


class Fleet(BaseModel):
    """The fleet service itself, and whether what is shown is of now."""

    site: Annotated[str, Field(examples=["north"])]
    time_zone: Annotated[str, Field(description="IANA: calendar rules go by it", examples=["Europe/Zurich"])]
    simulated: bool
    reachable: Annotated[bool, Field(description="the fleet service answers")]
    connected: Annotated[bool, Field(description="it is connected to its broker: without, nobody is leased")]
    journal_refusing: Annotated[bool, Field(description="its disk refuses: nothing is authorised")]
    draining: bool
    fleet_n: int
    stale: Annotated[bool, Field(description="what is shown may be old; `words` says why")]
    words: str | None


class AlarmMark(BaseModel):
    """An open alarm that concerns a device."""

    alarm_id: str
    code: Annotated[str, Field(examples=["A04"])]
    priority: Priority


class OpenSession(BaseModel):
    """The session at a device that is not over."""

    session_id: str
    state: Annotated[str, Field(examples=["running"])]
    withheld: Annotated[str | None, Field(description="why it gets no lease any more")]
    elapsed_s: Annotated[float, Field(description="pauses left out")]
    duration_s: Annotated[float, Field(description="planned")]
    setting_ma: float | None
    setting_ma_max: Annotated[float, Field(description="planned")]
    lease_margin_s: Annotated[float | None, Field(description="what was left of the permission at the newest sample")]


class Due(Row):
    """What is left of a check, by whatever counts; below zero: overdue, and nothing is started there."""

    check: Annotated[str, Field(examples=["safety_check"])]
    due_on: Annotated[Day | None, Field(description="the last day that is still good")]
    days_left: float | None
    hours_left: Annotated[float | None, Field(description="of use")]
    sessions_left: float | None
    overdue: bool
    soon: Annotated[bool, Field(description="it is warned of")]
    found: Annotated[str | None, Field(description="what was found where nothing counts down: the firmware")]
    layer: str


class Device(Row):
    """One device. `amplitude_ma`, `phase` and `battery_pct` are of its newest sample, which came at `heard_at`."""

    device: Annotated[str, Field(examples=["stim-01"])]
    room: Annotated[str, Field(examples=["room-1"])]
    model: str
    struck_off: bool
    presence: Annotated[Literal["fresh", "stale", "lost"], Field(description="how recently it was heard")]
    silent_s: Annotated[float | None, Field(description="when this row was made; changes alone bring about no delta")]
    silent: Annotated[bool, Field(description="what it was last heard doing is over by now")]
    heard_at: Time | None
    boot_n: int
    phase: messages.Phase | None
    has_its_settings: bool
    settings_version: int | None
    names_version: Annotated[int | None, Field(description="the settings that its newest sample names")]
    service_hold: bool
    held_for_service: bool
    amplitude_ma: Annotated[float | None, Field(description="measured peak; none is no zero")]
    latched: Annotated[str | None, Field(description="the cause for which it waits for a person's reset")]
    holds: list[str]
    session_id: Annotated[str | None, Field(description="the newest authorised there, over or not")]
    stop_unconfirmed: bool
    due: list[Due]
    alarms: list[AlarmMark]
    session: OpenSession | None


class Room(BaseModel):
    """One room with its devices."""

    room: Annotated[str, Field(examples=["room-1"])]
    devices: list[Device]


class AlarmCounts(BaseModel):
    """Open alarms by priority."""

    high: int
    medium: int
    low: int
    info: int


class Overview(BaseModel):
    """The whole clinic; also what the stream's snapshot holds."""

    as_of: Time
    fleet: Fleet
    rooms: list[Room]
    alarms: AlarmCounts


class Devices(BaseModel):
    """Every device."""

    as_of: Time
    devices: list[Device]


class Why(Row):
    """What an alarm was raised for."""

    cause: str | None
    quantity: str | None
    value: float | None
    limit: float | None


class Comment(BaseModel):
    """A note on an alarm."""

    at: Time
    by: str
    text: str


class Alarm(Row):
    """One alarm. `since`: when its condition began; `cleared`: when it was over."""

    alarm_id: str
    code: Annotated[str, Field(examples=["A04"])]
    priority: Priority
    device: str | None
    room: str | None
    members: Annotated[list[str], Field(description="of a group: the devices it is about")]
    since: Time
    cleared: Time | None
    signal: Annotated[str, Field(examples=["on"])]
    responsible: Annotated[str, Field(description="who is to act", examples=["therapist"])]
    session_id: str | None
    why: Why
    responsibility: Annotated[str, Field(examples=["accepted"])]
    by: Annotated[str | None, Field(description="who has accepted, acknowledged or shelved it")]
    reason: str | None
    silent_until: Time | None
    rung: Annotated[int, Field(description="of the escalation: which was told last")]
    comments: list[Comment]
    words: Annotated[
        str,
        Field(examples=["MEDIUM Room room-1, stim-01: emergency stop (pushed). See to the patient; then release it."]),
    ]


class Alarms(BaseModel):
    """Alarms, gravest first."""

    as_of: Time
    alarms: list[Alarm]


class Ended(BaseModel):
    """The device's own numbers of a session."""

    elapsed_s: float
    on_time_s: float
    peak_ma: float
    charge_uc: float
    gaps: Annotated[int, Field(description="gaps in its own record")]


class Session(Row):
    """One session. `client` and `operator` are null for who may not see them."""

    session_id: str
    device: str
    room: str
    client: str | None
    operator: str | None
    state: Annotated[str, Field(examples=["running"])]
    accepted: Annotated[bool, Field(description="the device has accepted it")]
    withheld: str | None
    cause: Annotated[str | None, Field(description="why it ended", examples=["completed"])]
    authorised_at: Time
    elapsed_s: float


class Sessions(BaseModel):
    """Sessions, newest first. `next`: the `before` with which the list goes on; null at its end."""

    sessions: list[Session]
    next: Time | None


class InForce(BaseModel):
    """What a session's curves are held against now: its authorisation's limits, tightened by every setting since."""

    setting_ma_max: float
    peak_ma_max: Annotated[float, Field(description="for the plan's pulse: by peak, rms, density, energy and plan")]
    lease_ttl_s: Annotated[float, Field(description="a lease's life: where its margin begins")]
    baseline_ohm: Annotated[float | None, Field(description="null: not measured yet")]
    short_ohm: Annotated[float, Field(description="below it")]
    degraded_ohm: Annotated[float, Field(description="above it: told")]
    beyond_ohm: Annotated[float, Field(description="above it: zero, pause")]
    open_ohm: Annotated[float, Field(description="above it, or without a reading")]


class SessionDetails(Session):
    """One session with its plan, the limits that it has, its numbers, and the newest sample of its device."""

    plan: Annotated[dict[str, Any], Field(description="modality, body_site, setting_ma_max, duration_s, on_s, ...")]
    limits: Annotated[Limits, Field(description="the strictest of every layer, each with the layer that set it")]
    in_force: InForce
    ended: Ended | None
    sample: dict[str, Any] | None


class Hold(BaseModel):
    """A retained stop that keeps devices from being started."""

    hold_id: str | None
    scope: Literal["device", "all"]
    command_id: str
    cause: str
    issued_by: str
    issued_at: Time


class PendingRelease(BaseModel):
    """A release of which the device has not shown yet that it has lifted its hold."""

    command_id: str
    scope: str
    issued_by: str


class DeviceDetails(BaseModel):
    """Everything about one device."""

    as_of: Time
    fleet: Fleet
    device: Device
    birth: messages.Birth | None
    settings: Annotated[messages.Settings | None, Field(description="the newest issued; each limit with its layer")]
    holds: list[Hold]
    releases: list[PendingRelease]
    due: list[Due]
    alarms: list[Alarm]
    sessions: Annotated[list[Session], Field(description="its newest")]


class Columns(BaseModel):
    """Arrays of one length. None: no reading, which is no zero."""

    at: list[Time]
    phase: list[str]
    setting_ma: list[float]
    amplitude_ma: list[float | None]
    impedance_ohm: list[float | None]
    lease_margin_s: list[float | None]
    battery_pct: list[float | None]
    temperature_c: list[float | None]
    late: Annotated[list[bool], Field(description="sent after the link came back; `at` is the device's own time")]


class Samples(BaseModel):
    """What a device sent. `gaps`: from when to when nothing is known."""

    device: str
    columns: Columns
    gaps: list[tuple[Time, Time]]
    source: Annotated[
        Literal["memory", "history", "both"], Field(description="where they were read; memory reaches back minutes")
    ]
    note: Annotated[str | None, Field(description="why there may be more than is shown")]
    in_force: Annotated[InForce | None, Field(description="of the session that is open there; null: there is none")]


class Trace(Samples):
    """What a device sent in one session, with the limits to draw."""

    session_id: str
    limits: dict[str, float]
    in_force: InForce


class Explained(BaseModel):
    """Everything that would speak against it now; nothing: it would be authorised."""

    refusals: list[Refusal]


class Authorised(BaseModel):
    """Arm and start it at the device, in its time."""

    session_id: str
    request_id: str


class Done(BaseModel):
    """It is in the record."""

    command_id: str


class ClientDoses(Row):
    """What the dose ledger holds of a client."""

    client: str
    today: Day
    time_zone: str
    sessions: list[dict[str, Any]]
    modalities: dict[str, dict[str, Any]]
