"""What a therapist asks for: modality, placement, pulse and timing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from broker.contract.shapes import Between, SquareCentimetres, Strict


class Modality(StrEnum):
    """Local neuromuscular stimulation, or a whole-body suit."""

    NMES = "nmes"
    WB_EMS = "wb_ems"


class BodySite(StrEnum):
    """Where the pads go. The second group is excluded without override (domain.md "Screening")."""

    THIGH = "thigh"
    CALF = "calf"
    GLUTEAL = "gluteal"
    LOWER_BACK = "lower_back"
    ABDOMEN = "abdomen"
    SHOULDER = "shoulder"
    UPPER_ARM = "upper_arm"
    FOREARM = "forearm"
    HAND = "hand"
    FOOT = "foot"
    WHOLE_BODY = "whole_body"

    EYES = "eyes"
    FACE_SINUSES = "face_sinuses"
    MOUTH = "mouth"
    FRONT_OF_NECK = "front_of_neck"
    ACROSS_HEAD = "across_head"
    ACROSS_HEART = "across_heart"
    REPRODUCTIVE_ORGANS = "reproductive_organs"
    WOUND_OR_DAMAGED_SKIN = "wound_or_damaged_skin"


EXCLUDED_SITES = frozenset(
    {
        BodySite.EYES,
        BodySite.FACE_SINUSES,
        BodySite.MOUTH,
        BodySite.FRONT_OF_NECK,
        BodySite.ACROSS_HEAD,
        BodySite.ACROSS_HEART,
        BodySite.REPRODUCTIVE_ORGANS,
        BodySite.WOUND_OR_DAMAGED_SKIN,
    }
)


@dataclass(frozen=True, slots=True)
class Plan(Strict):
    """What a therapist asks for. `electrode_area_cm2` is the smallest pad; `pulse_width_us` is per phase."""

    modality: Modality
    body_site: BodySite
    electrode_area_cm2: SquareCentimetres
    frequency_hz: Annotated[float, Between(0.1, 10_000.0)]
    pulse_width_us: Annotated[float, Between(1.0, 10_000.0)]
    setting_ma_max: Annotated[float, Between(0.1, 1000.0)]
    duration_s: Annotated[float, Between(1.0, 86_400.0)]
    on_s: Annotated[float, Between(0.1, 3600.0)]
    off_s: Annotated[float, Between(0.0, 3600.0)]
    ramp_up_s: Annotated[float, Between(0.0, 60.0)]
    ramp_down_s: Annotated[float, Between(0.0, 60.0)]
