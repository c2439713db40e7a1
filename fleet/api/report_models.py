"""What the API answers with about weeks: usage, health, the record of a session. Days are the clinic's."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fleet.api.models import Day, Due, Ended, Row

Simulated = Annotated[Day | None, Field(description="everything up to that day never happened; null: all of it did")]


class UsageRow(Row):
    """Under one key (also by the name of what it is: `day`, `room` ...). Times in seconds, charge in microcoulombs."""

    key: str
    authorised: int
    refused: int
    started: int
    completed: int
    stopped: int
    aborted: int
    not_started: int
    open: int
    by_device: Annotated[int, Field(description="sessions whose numbers are the device's own")]
    session_s: float
    current_s: float
    charge_uc: float
    with_gaps: int
    by_fleet: Annotated[int, Field(description="sessions of which only the fleet's own time is known")]
    fleet_session_s: float
    reconnects: int
    faults: dict[str, int]
    causes: dict[str, int]
    opening_s: Annotated[float | None, Field(description="of the devices that there were")]
    utilisation: Annotated[float | None, Field(description="a share of the opening hours; null: nothing was open")]


class Usage(BaseModel):
    """Usage of some days, both included."""

    model_config = ConfigDict(populate_by_name=True)

    by: Literal["day", "room", "device", "cause"]
    first: Annotated[Day, Field(alias="from")]
    to: Day
    time_zone: str
    simulated_until: Simulated
    rows: list[UsageRow]
    total: UsageRow


class HealthRow(Row):
    """One device on one day. What nothing was heard of is null."""

    day: Day
    device: str
    room: str
    sessions: int
    session_s: float
    faults: dict[str, int]
    battery_lows: int
    battery_pct_min: float | None
    battery_pct_mean: float | None
    impedance_ohm: Annotated[float | None, Field(description="mean of the sessions' baselines")]
    impedance_drift: Annotated[float | None, Field(description="a share of the device's own first baselines")]
    impedance_drift_pct: float | None
    losses: int
    reconnects: int
    boots: int
    lease_margin_s_min: float | None
    lease_margin_s_mean: float | None
    samples: int | None
    samples_missed: int | None
    gaps: Annotated[int | None, Field(description="samples that never came, the same as samples_missed")]
    events_missing: Annotated[int, Field(description="of the device's own record")]


class Health(BaseModel):
    """A device over some days, both included."""

    model_config = ConfigDict(populate_by_name=True)

    device: str
    first: Annotated[Day, Field(alias="from")]
    to: Day
    simulated_until: Simulated
    rows: list[HealthRow]
    due: list[Due]
    note: Annotated[str | None, Field(description="why something is missing")]


class LimitInForce(BaseModel):
    """A limit that the session had, and who set it."""

    name: str
    value: float
    layer: str
    since: Annotated[str | None, Field(description="null: from the authorisation on")]


class LeaseGap(BaseModel):
    """Between these times no lease went out."""

    since: str
    until: str | None
    why: str


class StopTimes(BaseModel):
    """A stop that concerned the session."""

    command_id: str
    at: str
    cause: str
    reason: str
    issued_by: str
    confirmed_by: str | None
    amplitude_ma: float | None
    cause_to_sent_s: float | None
    sent_to_received_s: float | None
    sent_to_zero_s: float | None
    unconfirmed: bool


class RecordedEvent(Row):
    """One row of the journal. `at` and `now_s` are the fleet's clocks, `device_at` and `boottime_s` the device's."""

    position: int
    hash: str
    at: str
    now_s: float
    name: str
    of_session: Annotated[bool, Field(description="else of its device or of the house, in its time")]
    device_at: str | None
    boottime_s: float | None
    boot_n: int | None
    n: int | None
    kind: str | None
    cause: str | None
    who: str | None
    body: dict[str, Any]
    words: Annotated[str | None, Field(description="null: the machinery's own business")]


class Record(BaseModel):
    """Everything that the journal has of a session."""

    session_id: str
    device: str
    room: str
    client: str
    operator: str
    plan: dict[str, Any]
    authorised_at: str
    ended_by: str | None
    ended: Ended | None
    baseline_ohm: float | None
    limits: list[LimitInForce]
    gaps: list[LeaseGap]
    stops: list[StopTimes]
    events: list[RecordedEvent]
