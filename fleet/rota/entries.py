"""What stands in `rota.json`, entry by entry. Read and written by `file`, judged as a whole by `whole`."""

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated

from broker.contract.shapes import NAME_PATTERN, AtMost, Between, Label, Matching, Strict, Text
from fleet.core.alarm_events import Priority

WITH_PASSWORD = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*:[^/?#@]*@", re.IGNORECASE)
A_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


KEY_CHARS_MIN = 16  # of what signs a webhook


class Kind(StrEnum):
    """How a message goes out. Where to is a URL: of Apprise's kind, of an Alertmanager, or of a webhook."""

    APPRISE = "apprise"
    ALERTMANAGER = "alertmanager"
    WEBHOOK = "webhook"


Name = Annotated[str, Matching(NAME_PATTERN)]
LocalTime = Annotated[str, Matching(r"([01][0-9]|2[0-3]):[0-5][0-9]")]
LocalMoment = Annotated[str, Matching(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9]")]
Names = Annotated[list[Name], AtMost(50)]
Rungs = dict[Priority, Annotated[list[Names], AtMost(10)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEntry(Strict):
    """`url` where it holds nothing secret, else `secret`: the name of a file that holds it."""

    id: Name
    kind: Kind
    url: Annotated[str, Text(500)] | None = None
    secret: Name | None = None
    priorities: list[Priority] = field(default_factory=lambda: [Priority.HIGH, Priority.MEDIUM])


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEntry(Strict):
    id: Name
    name: Label
    methods: Annotated[list[MethodEntry], AtMost(8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideEntry(Strict):
    """`person` null: nobody. Local times, as the clinic's clocks show them."""

    person: Name | None
    begin: LocalMoment
    end: LocalMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationEntry(Strict):
    """A week each, in this order; handed over on the weekday of `first_day`, at `hand_over`."""

    id: Name
    people: Names
    first_day: date
    hand_over: LocalTime
    last_day: date | None = None
    overrides: Annotated[list[OverrideEntry], AtMost(400)] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietEntry(Strict):
    """Nothing of low priority from `begin` to `end`; high and medium know no quiet hours."""

    begin: LocalTime
    end: LocalTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillEntry(Strict):
    every_days: Annotated[int, Between(1, 90)] = 7
    at: LocalTime = "10:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaFile(Strict):
    """`engineer_rungs`: of alarms that an engineer has to see to, where those are other people."""

    people: Annotated[list[PersonEntry], AtMost(200)]
    rungs: Rungs
    rotations: Annotated[list[RotationEntry], AtMost(20)] = field(default_factory=list)
    engineer_rungs: Rungs = field(default_factory=dict)
    quiet_hours: QuietEntry | None = None
    digest_at: LocalTime = "07:30"
    drill: DrillEntry = field(default_factory=DrillEntry)
    proven_within_days: Annotated[int, Between(1, 365)] = 30
