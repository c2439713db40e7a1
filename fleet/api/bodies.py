"""What may be asked, as strictly as on the control socket: an unknown key or a wrong type is an error with its field.

FastAPI hands over what JSON has become; the types of the contract are strict about JSON itself (a list is no tuple, a
word is no member of an enumeration). So a value of theirs goes through JSON once more, by its own adapter.
"""

import json
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from broker.contract.plan import Plan
from broker.contract.shapes import ClientToken, DeviceId, HexId, Label, RoomId
from fleet.adapters.control.alarm_requests import Comment
from fleet.core.screening import Screening
from fleet.words.fields import misfit_words

_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"


class Asked(BaseModel):
    """One request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _by_json(kind: Any) -> BeforeValidator:
    def read(value: Any) -> Any:
        try:
            return _adapter(kind).validate_json(json.dumps(value, allow_nan=False), strict=True)
        except ValidationError as refused:
            error = refused.errors(include_url=False, include_input=False)[0]
            raise ValueError(misfit_words(error, error["loc"])) from None

    return BeforeValidator(read)


class SessionBody(Asked):
    """What a therapist asks for. The operator is whoever is signed in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client": "client-9d20",
                    "device": "stim-01",
                    "room": "room-1",
                    "plan": {
                        "modality": "nmes",
                        "body_site": "thigh",
                        "electrode_area_cm2": 50.0,
                        "frequency_hz": 35.0,
                        "pulse_width_us": 300.0,
                        "setting_ma_max": 40.0,
                        "duration_s": 1200.0,
                        "on_s": 6.0,
                        "off_s": 12.0,
                        "ramp_up_s": 1.0,
                        "ramp_down_s": 1.0,
                    },
                    "screening": {"rule_set": "ems-2026-1", "at_wall_s": 1795000000.0, "findings": []},
                }
            ]
        }
    )

    request_id: Annotated[HexId | None, Field(description="the same again is the same request; none: a new one")] = None
    client: Annotated[ClientToken, Field(description="the client's random token: never a name")]
    device: DeviceId
    room: Annotated[RoomId, Field(description="where the device stands, as the therapist sees it")]
    plan: Annotated[Plan, _by_json(Plan)]
    screening: Annotated[Screening, _by_json(Screening), Field(description="`at_wall_s`: when, in Unix seconds")]


class StopBody(Asked):
    """Emergency stop. `name` is the device's or the room's; of the whole site there is none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scope": "device", "name": "stim-01", "reason": "patient asked"}]}
    )

    scope: Literal["device", "room", "site"]
    name: DeviceId | None = None
    reason: Annotated[Label, Field(description="a few words, no client data")] = "pushed"


class ReleaseBody(Asked):
    """Lift a hold. It starts nothing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"device": "stim-01"}]})

    device: Annotated[DeviceId, Field(description="or `all`: the hold of the whole site")]
    scope: Annotated[
        Literal["device", "all", "service"] | None,
        Field(description="none: what follows from `device`; `service`: put back one that was out of service"),
    ] = None


class ReasonBody(Asked):
    """Why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "pads are on their way"}]})

    reason: Label


class ShelveBody(Asked):
    """Silence an alarm that is known, with a reason and an end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "charger ordered", "until": "2026-11-26T08:00:00.000Z"}]}
    )

    reason: Label
    until: Annotated[str, Field(pattern=_MOMENT, description="a time, with its offset")]


class CommentBody(Asked):
    """A note on an alarm."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "pads changed"}]})

    text: Annotated[Comment, Field(description="no client data")]
