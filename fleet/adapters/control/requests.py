"""What may be asked at the control socket, strictly: an unknown word or a wrong type is an error that names the field.

{"op": "stop", "device": "stim-12", "issued_by": "anna", "reason": "patient asked"}
{"ok": true, "request_id": "...", "command_id": "..."}
{"op": "stop", "room": "room-4", "issued_by": "anna"}
{"ok": true, "commands": [{"device": "stim-11", "command_id": "..."}, {"device": "stim-12", "command_id": "..."}]}
{"ok": false, "error": "refused", "text": "...", "refusals": [{"rule": "screening_age", ...}]}
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import AfterValidator, Discriminator, TypeAdapter, ValidationError

from broker.contract.messages import Scope
from broker.contract.plan import Plan
from broker.contract.shapes import ClientToken, DeviceId, HexId, Label, OperatorId, RoomId, Strict
from broker.contract.topics import ALL, RESERVED_IDS
from broker.unique_keys import KeyTwice, unique
from fleet.adapters.control import alarm_requests
from fleet.core.screening import Screening
from fleet.words.fields import misfit_words


def _one_device(device: str) -> str:
    if device in RESERVED_IDS:
        raise ValueError(f"{device} is no device")
    return device


def _device_or_all(device: str) -> str:
    return device if device == ALL else _one_device(device)


# The contract keeps some names for itself; in a topic they would mean something else, or nothing.
OneDevice = Annotated[DeviceId, AfterValidator(_one_device)]
DeviceOrAll = Annotated[DeviceId, AfterValidator(_device_or_all)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSession(Strict):
    """The same `request_id` again is the same request and gets the same answer; None: a new one. `issued_by`: the user
    who asks, where somebody is signed in.
    """

    op: Literal["session_request"]
    request_id: HexId | None = None
    client: ClientToken
    device: OneDevice
    room: RoomId
    plan: Plan
    screening: Screening
    operator: OperatorId
    issued_by: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCancel(Strict):
    op: Literal["session_cancel"]
    session_id: HexId
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskList(Strict):
    """Sessions, newest first; `open_only` leaves out those that are over."""

    op: Literal["session_list"]
    open_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskShow(Strict):
    op: Literal["session_show"]
    session_id: HexId


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStop(Strict):
    """`device` is a device's id or `all`; or a `room`, each of whose devices gets a stop of its own, all at once."""

    op: Literal["stop"]
    device: DeviceOrAll | None = None
    room: RoomId | None = None
    issued_by: Label
    reason: Label = "pushed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConfirmOff(Strict):
    """A person standing at a silent device has seen to it that it is off."""

    op: Literal["confirm_off"]
    device: OneDevice
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRelease(Strict):
    """`device` is a device's id or `all`; `scope` None: what follows from it."""

    op: Literal["release"]
    device: DeviceOrAll
    issued_by: Label
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDrain(Strict):
    op: Literal["drain"]
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskUndrain(Strict):
    """Authorise again after `drain`."""

    op: Literal["undrain"]
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskClockAccept(Strict):
    """The fleet host's clock has stepped ahead, and is right as it is now. `reason` is kept in the journal for good."""

    op: Literal["clock_accept"]
    issued_by: Label
    reason: alarm_requests.Comment


@dataclass(frozen=True, slots=True, kw_only=True)
class AskClock(Strict):
    """What the fleet host's clock says, and what the clinic's time is."""

    op: Literal["clock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDevices(Strict):
    op: Literal["devices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAlarms(Strict):
    """Those that are open, gravest first; `past` adds the newest of those that are over."""

    op: Literal["alarms"]
    past: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskClient(Strict):
    """What the dose ledger holds of a client."""

    op: Literal["client_show"]
    client: ClientToken


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus(Strict):
    op: Literal["status"]


# What the core decides, and what is only read.
Decided = (
    AskSession
    | AskCancel
    | AskStop
    | AskConfirmOff
    | AskRelease
    | AskDrain
    | AskUndrain
    | AskClockAccept
    | alarm_requests.OfAlarm
    | alarm_requests.OfPager
    | alarm_requests.OfRecorder
)
Request = Decided | AskList | AskShow | AskDevices | AskAlarms | AskClient | AskStatus | AskClock
OPS = ", ".join(get_args(get_type_hints(ask)["op"])[0] for ask in get_args(Request))


class BadRequest(ValueError):
    """A line that is no request; the text is one sentence for whoever sent it."""


_adapter: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Discriminator("op")])


def parse(line: bytes) -> Request:
    """The request that a line makes.

    Raises:
        BadRequest: says which field and why.
    """
    try:
        request = _adapter.validate_json(line, strict=True)
        json.loads(line, object_pairs_hook=unique)
        return _one_place(request)
    except KeyTwice as twice:
        raise BadRequest(f"The request says each thing once: {twice}.") from None
    except ValidationError as refused:
        error = refused.errors(include_url=False, include_input=False)[0]
    except RecursionError:
        raise BadRequest("The request is nested too deeply.") from None
    place = error["loc"][1:]
    match error["type"]:
        case "union_tag_not_found" | "union_tag_invalid":
            raise BadRequest(f"The request's op must be one of: {OPS}.")
        case _ if place:
            raise BadRequest(f"The request's {misfit_words(error, place)}.")
        case _:
            raise BadRequest("The request is not one JSON object.")


def _one_place(request: Request) -> Request:
    """Raises: BadRequest: a stop that names no place, or two."""
    if isinstance(request, AskStop) and (request.device is None) is (request.room is None):
        raise BadRequest("The request's device: a stop names a device, or all, or a room, and one of them only.")
    return request


def render(answer: dict[str, Any]) -> bytes:
    """An answer as one line."""
    return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode() + b"\n"
