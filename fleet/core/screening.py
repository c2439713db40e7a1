"""The screening of a client before a session, and what blocks it (domain.md "Screening").

The findings are used to decide and are in no event: the fleet keeps the outcome, the rule set and the time.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract.shapes import OperatorId, RuleSet, Strict

SCREENING_VALID_S = 24 * 3600.0


class Contraindication(StrEnum):
    """What speaks against stimulation. The first group blocks whatever anybody says."""

    IMPLANTED_DEVICE = "implanted_device"
    PREGNANCY = "pregnancy"
    MALIGNANCY_AT_SITE = "malignancy_at_site"
    DEEP_VEIN_THROMBOSIS = "deep_vein_thrombosis"
    HIGH_FREQUENCY_NEARBY = "high_frequency_nearby"

    MENTAL_IMPAIRMENT = "mental_impairment"
    EPILEPSY = "epilepsy"
    CARDIAC_CONDITION = "cardiac_condition"
    IMPAIRED_SENSATION = "impaired_sensation"
    BLEEDING_TENDENCY = "bleeding_tendency"
    RECENT_SURGERY_OR_FRACTURE = "recent_surgery_or_fracture"
    HERNIA = "hernia"
    UNDIAGNOSED_PAIN = "undiagnosed_pain"
    MALIGNANCY_ELSEWHERE = "malignancy_elsewhere"


ABSOLUTE = frozenset(
    {
        Contraindication.IMPLANTED_DEVICE,
        Contraindication.PREGNANCY,
        Contraindication.MALIGNANCY_AT_SITE,
        Contraindication.DEEP_VEIN_THROMBOSIS,
        Contraindication.HIGH_FREQUENCY_NEARBY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening(Strict):
    """What a screening found, when (Unix seconds), by which rules, and which clinician overrides it, if any."""

    rule_set: RuleSet
    at_wall_s: float
    findings: tuple[Contraindication, ...] = ()
    override_by: OperatorId | None = None


class ScreeningOutcome(StrEnum):
    """All of a screening that is kept."""

    PASSED = "passed"
    PASSED_BY_OVERRIDE = "passed_by_override"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened(Strict):
    """A screening as it is journaled: never its answers."""

    outcome: ScreeningOutcome
    rule_set: RuleSet
    at_wall_s: float
    override_by: OperatorId | None
