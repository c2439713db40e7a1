"""The rota over HTTP, field by field: what stands in `rota.json`, but never where a message truly goes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fleet.api.answers import Problem
from fleet.api.models import Priority, Time

Word = Annotated[str, Field(max_length=64)]
Words = Annotated[list[Word], Field(max_length=50)]
Rungs = dict[str, Annotated[list[Words], Field(max_length=10)]]


class Entry(BaseModel):
    """An entry of the rota. What its words must be is judged with the whole, as by `stimfleet rota import`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class MethodEntry(Entry):
    """One way to somebody. Where it leads is typed in once, and never shown again."""

    id: Word
    kind: Annotated[str, Field(examples=["apprise"], max_length=64)]
    priorities: Annotated[list[Word], Field(max_length=4)]
    secret: Annotated[Word | None, Field(description="the name of the file that holds where it leads")] = None
    destination: Annotated[
        str | None,
        Field(max_length=2_000, description="asked only, never shown: a URL; of a webhook its key in a second line"),
    ] = None
    to: Annotated[
        str | None,
        Field(max_length=300, description="shown only: the service or host that it leads to", examples=["ntfy"]),
    ] = None


class PersonEntry(Entry):
    """Somebody who is told. The name is for people."""

    id: Word
    name: Annotated[str, Field(max_length=128)]
    methods: Annotated[list[MethodEntry], Field(max_length=8)]


class OverrideEntry(Entry):
    """Instead of whose week it is; `person` null: nobody. Times as the clinic's clocks show them."""

    person: Word | None
    begin: Annotated[str, Field(examples=["2026-12-24T08:00"], max_length=64)]
    end: Annotated[str, Field(examples=["2026-12-27T08:00"], max_length=64)]


class RotationEntry(Entry):
    """A week each, in this order, from `first_day` on; handed over on its weekday."""

    id: Word
    people: Words
    first_day: Annotated[str, Field(examples=["2026-11-23"], max_length=64)]
    hand_over: Annotated[str, Field(examples=["08:00"], max_length=64)]
    last_day: Annotated[str | None, Field(max_length=64)] = None
    overrides: Annotated[list[OverrideEntry], Field(max_length=400)] = []


class QuietEntry(Entry):
    """Nothing of low priority from `begin` to `end`."""

    begin: Annotated[str, Field(examples=["22:00"], max_length=64)]
    end: Annotated[str, Field(examples=["06:00"], max_length=64)]


class DrillEntry(Entry):
    """The scheduled test alarm."""

    every_days: int
    at: Annotated[str, Field(examples=["10:00"], max_length=64)]


class RotaEntries(Entry):
    """The whole rota, as it is shown and as it is put."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "people": [
                        {
                            "id": "anna",
                            "name": "Anna",
                            "methods": [
                                {"id": "phone", "kind": "apprise", "priorities": ["high"], "destination": "ntfy://host"}
                            ],
                        }
                    ],
                    "rotations": [
                        {"id": "on-call", "people": ["anna"], "first_day": "2026-11-23", "hand_over": "08:00"}
                    ],
                    "rungs": {"high": [["on-call"], ["everyone"]], "medium": [["everyone"]]},
                }
            ]
        }
    )

    people: Annotated[list[PersonEntry], Field(max_length=200)]
    rungs: Annotated[Rungs, Field(description="by priority, lowest first: people, rotations, `everyone`")]
    rotations: Annotated[list[RotationEntry], Field(max_length=20)] = []
    engineer_rungs: Annotated[Rungs, Field(description="of what an engineer has to see to, if they are others")] = {}
    quiet_hours: QuietEntry | None = None
    digest_at: Annotated[str, Field(max_length=64)] = "07:30"
    drill: DrillEntry = DrillEntry(every_days=7, at="10:00")
    proven_within_days: int = 30


class Named(BaseModel):
    """Somebody on the rota."""

    person: str
    name: str


class NextOnRung(BaseModel):
    """Who a rung reaches from then on."""

    at: Time
    people: list[Named]


class RungNow(BaseModel):
    """Who a rung reaches now; nobody is a gap."""

    priority: Priority
    engineers: Annotated[bool, Field(description="of what an engineer has to see to")]
    rung: Annotated[int, Field(description="from 1: who is told first")]
    names: list[str]
    people: list[Named]
    next: Annotated[NextOnRung | None, Field(description="null: nobody else in the span that is shown")]


class RotationTurn(BaseModel):
    """Who has a rotation from when to when; `person` null: nobody."""

    rotation: str
    person: str | None
    from_at: Time
    until_at: Time
    override: bool


class CoverGap(BaseModel):
    """When the first rung reaches nobody."""

    priority: Literal["high", "medium"]
    engineers: bool
    from_at: Time
    until_at: Time


class RotaProblemAt(BaseModel):
    """One error, and where it is: `people/anna/phone`, `rotations/on-call`, `rungs/high/1`; empty: of the whole."""

    place: str
    text: str


class RotaShown(BaseModel):
    """The rota, and what follows from it."""

    as_of: Time
    time_zone: str
    version: Annotated[str, Field(description="for `If-Match` (also the `ETag`); `none`: there is no rota yet")]
    rota: RotaEntries | None
    errors: Annotated[
        list[RotaProblemAt], Field(description="why the file cannot be used; the fleet goes on as before")
    ]
    in_use: Annotated[bool, Field(description="the fleet has taken up this very rota")]
    quiet: Annotated[bool, Field(description="what is of low priority waits now")]
    rungs: list[RungNow]
    turns: list[RotationTurn]
    gaps: list[CoverGap]


class BadRotaProblem(Problem):
    """It cannot be used as it is: every error, and its place."""

    errors: Annotated[list[RotaProblemAt], Field(default_factory=list)]


class Way(BaseModel):
    """One way to somebody, and the proof of it."""

    method: str
    kind: str
    to: Annotated[str | None, Field(description="the service or host; null: it cannot be read")]
    priorities: list[Priority]
    last_proven_at: Annotated[Time | None, Field(description="when they last answered a test alarm that came this way")]
    failed: Annotated[str | None, Field(description="what is known against it")]
    proven_until: Annotated[Time | None, Field(description="from then on it is unproven, and an alarm")]
    drill: Annotated[
        Literal["sending", "waiting"] | None, Field(description="a test alarm is on its way, or waits for its answer")
    ]
    drill_until: Time | None


class OnRota(BaseModel):
    """Somebody on the rota, with every way to them."""

    person: str
    name: str
    methods: list[Way]


class People(BaseModel):
    """Everybody on the rota that the fleet has taken up."""

    as_of: Time
    proven_within_days: int | None
    people: list[OnRota]


class DrillBody(BaseModel):
    """A test alarm, to everybody on the rota or to one."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"person": "anna"}, {}]})

    person: Annotated[str | None, Field(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] = None


class DrillOrdered(BaseModel):
    """It is on its way; `/people` says what came of it."""

    drill_id: str


class DrillAnswer(BaseModel):
    """What stands in the message of a test alarm."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"code": "5f0c4a1b"}]})

    code: Annotated[str, Field(pattern="^[0-9a-f]{8,32}$", description="8 or more of 0-9 and a-f, out of the message")]


class DrillAnswered(BaseModel):
    """That way to that person is proven."""

    person: str
    method: str
