"""Who may stimulate: every rule that refuses, alone and all at once."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE, Layer
from broker.contract.messages import Holds, Phase
from broker.contract.plan import BodySite, Modality
from fleet.core.effects import Answer, Granted, Refused
from fleet.core.events import SessionAuthorised, SessionRefused
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.screening import Contraindication, Screened, Screening, ScreeningOutcome
from tests.core.clinic import HOUR_S, PLAN, SUNDAY_NOON_WALL_S, Clinic

DAY_S = 24 * HOUR_S

ABSOLUTE = {
    "implanted_device",
    "pregnancy",
    "malignancy_at_site",
    "deep_vein_thrombosis",
    "high_frequency_nearby",
}
RELATIVE = {
    "mental_impairment",
    "epilepsy",
    "cardiac_condition",
    "impaired_sensation",
    "bleeding_tendency",
    "recent_surgery_or_fracture",
    "hernia",
    "undiagnosed_pain",
    "malignancy_elsewhere",
}
FORBIDDEN_SITES = {
    "eyes",
    "face_sinuses",
    "mouth",
    "front_of_neck",
    "across_head",
    "across_heart",
    "reproductive_organs",
    "wound_or_damaged_skin",
}


def refused(clinic: Clinic, **changes: Any) -> tuple[Refusal, ...]:
    """What the therapist is told; empty when the session was granted."""
    decision = clinic.decides(clinic.request(**changes))
    (answer,) = [effect for effect in decision.after_commit if isinstance(effect, Answer)]
    if isinstance(answer.reply, Granted):
        return ()
    assert isinstance(answer.reply, Refused)
    return answer.reply.refusals


def rules(clinic: Clinic, **changes: Any) -> list[str]:
    return [refusal.rule.value for refusal in refused(clinic, **changes)]


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.ready("stim-7", "stim-12")
    return clinic


def screening(clinic: Clinic, **changes: Any) -> Screening:
    return replace(Screening(rule_set="rules-1", at_wall_s=clinic.wall_s), **changes)


# --- screening (H08) ------------------------------------------------------------------------------------------------


def test_every_contraindication_of_the_domain_is_known() -> None:
    assert {finding.value for finding in Contraindication} == ABSOLUTE | RELATIVE


@pytest.mark.parametrize("override_by", [None, "dr-noor", "ada", "nobody"])
@pytest.mark.parametrize("finding", Contraindication)
def test_h08_every_code_with_every_override(clinic: Clinic, finding: Contraindication, override_by: str | None) -> None:
    found = rules(clinic, screening=screening(clinic, findings=(finding,), override_by=override_by))
    expected = [] if override_by in {None, "dr-noor"} else ["screening_override"]
    if finding.value in ABSOLUTE:
        expected.append("screening_absolute")
    elif override_by != "dr-noor":
        expected.append("screening_relative")
    assert found == expected


def test_each_finding_is_named_to_the_therapist_and_none_is_journaled(clinic: Clinic) -> None:
    findings = (Contraindication.PREGNANCY, Contraindication.EPILEPSY)
    decision = clinic.decides(clinic.request(screening=screening(clinic, findings=findings)))
    (event,) = decision.events
    assert isinstance(event, SessionRefused)
    assert [refusal.rule for refusal in event.refusals] == [Rule.SCREENING]
    assert event.screened.outcome is ScreeningOutcome.REFUSED
    assert "pregnancy" not in repr(event)
    assert "epilepsy" not in repr(event)
    (answer,) = decision.after_commit
    assert isinstance(answer, Answer)
    assert isinstance(answer.reply, Refused)
    assert [(refusal.rule.value, refusal.quantity) for refusal in answer.reply.refusals] == [
        ("screening_absolute", "pregnancy"),
        ("screening_relative", "epilepsy"),
    ]


@pytest.mark.parametrize(
    ("findings", "override_by", "outcome"),
    [
        ((), None, "passed"),
        ((), "dr-noor", "passed"),
        ((Contraindication.HERNIA,), "dr-noor", "passed_by_override"),
    ],
)
def test_what_is_kept_of_a_screening(
    clinic: Clinic, findings: tuple[Contraindication, ...], override_by: str | None, outcome: str
) -> None:
    asked = screening(clinic, findings=findings, override_by=override_by)
    (event,) = clinic.decides(clinic.request(screening=asked)).events
    assert isinstance(event, SessionAuthorised)
    kept = event.screened
    assert (kept.outcome.value, kept.rule_set, kept.at_wall_s, kept.override_by) == (
        outcome,
        "rules-1",
        clinic.wall_s,
        override_by,
    )
    assert "hernia" not in repr(event)


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(DAY_S, []), (DAY_S + 1.0, ["screening_age"]), (-60.0, []), (-61.0, ["screening_age"])],
)
def test_a_screening_is_valid_for_24_hours(clinic: Clinic, age_s: float, expected: list[str]) -> None:
    assert rules(clinic, screening=screening(clinic, at_wall_s=clinic.wall_s - age_s)) == expected


# --- plan -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body_site", BodySite)
def test_h09_forbidden_sites_have_no_override(clinic: Clinic, body_site: BodySite) -> None:
    plan = replace(PLAN, body_site=body_site)
    found = rules(clinic, plan=plan, screening=screening(clinic, override_by="dr-noor"))
    assert found == (["placement"] if body_site.value in FORBIDDEN_SITES else [])


@pytest.mark.parametrize(
    ("modality", "minutes", "expected"),
    [
        (Modality.NMES, 4.99, [("limit", "envelope", 300.0), ("duration", "domain", 300.0)]),
        (Modality.NMES, 5.0, []),
        (Modality.NMES, 30.0, []),
        (Modality.NMES, 30.01, [("limit", "envelope", 1800.0), ("duration", "domain", 1800.0)]),
        (Modality.WB_EMS, 4.99, [("limit", "envelope", 300.0)]),
        (Modality.WB_EMS, 12.0, []),
        (Modality.WB_EMS, 20.0, [("dose_first", "domain", 720.0)]),
        (Modality.WB_EMS, 20.01, [("duration", "domain", 1200.0), ("dose_first", "domain", 720.0)]),
    ],
)
def test_a_session_is_as_long_as_its_modality_allows(
    clinic: Clinic, modality: Modality, minutes: float, expected: list[tuple[str, str, float]]
) -> None:
    plan = replace(PLAN, modality=modality, duration_s=minutes * 60.0)
    found = {(refusal.rule.value, refusal.layer.value, refusal.limit) for refusal in refused(clinic, plan=plan)}
    assert found == set(expected)


def test_the_boundary_of_the_domain_is_allowed_and_one_percent_more_is_not() -> None:
    # 120 mA, 500 us, 120 Hz: 120 * sqrt(0.12) = 41.569 mA rms, so on 20.7846 cm2 exactly 2.0 mA/cm2.
    clinic = Clinic()
    clinic.changes_registry(clinic=replace(clinic.registry.clinic, limits=ENVELOPE))
    clinic.ready()
    exact_cm2 = 120.0 * 0.12**0.5 / 2.0
    strong = replace(PLAN, setting_ma_max=120.0, pulse_width_us=500.0, frequency_hz=120.0, electrode_area_cm2=exact_cm2)
    (refusal,) = refused(clinic, plan=replace(strong, electrode_area_cm2=exact_cm2 * 0.99))
    assert (refusal.rule, refusal.layer, refusal.quantity) == (Rule.LIMIT, RuleLayer.ENVELOPE, "density_ma_cm2")
    assert refusal.value == pytest.approx(2.0 / 0.99)
    assert refusal.limit == 2.0
    assert rules(clinic, plan=strong) == []


def test_120_ma_on_16_cm2_fails_on_density_while_energy_is_fine(clinic: Clinic) -> None:
    plan = replace(PLAN, setting_ma_max=100.0, pulse_width_us=500.0, frequency_hz=120.0, electrode_area_cm2=16.0)
    (refusal,) = refused(clinic, plan=plan)
    assert (refusal.quantity, refusal.layer.value) == ("density_ma_cm2", "envelope")
    assert refusal.value == pytest.approx(100.0 * 0.12**0.5 / 16.0)


def test_every_layer_that_refuses_is_named_with_its_number() -> None:
    clinic = Clinic()
    clinic.changes_device(
        "stim-12",
        limits=ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=50.0),
        profile=ENVELOPE.tightened_by(Layer.MODEL, peak_ma_max=110.0),
    )
    clinic.ready()
    plan = replace(PLAN, setting_ma_max=140.0, pulse_width_us=100.0, frequency_hz=10.0)
    found = [(refusal.layer.value, refusal.quantity, refusal.limit) for refusal in refused(clinic, plan=plan)]
    assert found == [
        ("envelope", "peak_ma", 130.0),
        ("model", "peak_ma", 120.0),  # what the device says of itself
        ("model", "peak_ma", 110.0),  # what the clinic believes of the model
        ("clinic", "peak_ma", 100.0),
        ("settings", "peak_ma", 50.0),
    ]


def test_what_is_authorised_has_the_strictest_of_every_layer() -> None:
    clinic = Clinic()
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, session_s_max=1500.0))
    clinic.ready()
    assert rules(clinic) == []
    limits = clinic.session_on().authorisation.limits
    named = {
        name: (getattr(limits, name).value, getattr(limits, name).layer.value)
        for name in ("peak_ma_max", "pulse_width_us_min", "frequency_hz_max", "session_s_max")
    }
    assert named == {
        "peak_ma_max": (100.0, "clinic"),
        "pulse_width_us_min": (50.0, "model"),
        "frequency_hz_max": (120.0, "envelope"),
        "session_s_max": (1500.0, "settings"),
    }


def test_h20_a_device_that_claims_more_than_the_envelope_gets_the_envelope() -> None:
    clinic = Clinic()
    clinic.changes_registry(clinic=replace(clinic.registry.clinic, limits=ENVELOPE))
    clinic.stims["stim-12"].profile = replace(
        ENVELOPE, peak_ma_max=replace(ENVELOPE.peak_ma_max, value=500.0, layer=Layer.MODEL)
    )
    clinic.ready()
    assert rules(clinic, plan=replace(PLAN, setting_ma_max=131.0, pulse_width_us=50.0)) == ["limit"]


# --- operator -------------------------------------------------------------------------------------------------------


def test_the_operator_is_known_and_instructed_on_that_model(clinic: Clinic) -> None:
    assert rules(clinic, operator="nobody") == ["operator_unknown"]
    assert rules(clinic, operator="dr-noor") == ["operator_instruction"]


def test_an_instruction_runs_out_at_its_moment(clinic: Clinic) -> None:
    until_s = SUNDAY_NOON_WALL_S + 300 * DAY_S
    clinic.goes_to(until_s - 0.5)
    clinic.ready("stim-12")  # half a second
    assert rules(clinic) == ["operator_instruction"]
    early = Clinic()
    early.goes_to(until_s - 1.5)
    early.ready("stim-12")
    assert rules(early) == []


def test_the_wall_clock_does_not_go_back_before_the_journal(clinic: Clinic) -> None:
    clinic.goes_to(SUNDAY_NOON_WALL_S + 300 * DAY_S)
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    clinic.wall_s = SUNDAY_NOON_WALL_S  # somebody has set the clock back
    assert "operator_instruction" in rules(clinic)


# --- device ---------------------------------------------------------------------------------------------------------


def registered(**changes: Any) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        clinic.changes_device("stim-12", **changes)

    return change


def shown(**changes: Any) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        clinic.shows("stim-12", **changes)

    return change


def born(**changes: Any) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        clinic.says("stim-12", clinic.stims["stim-12"].birth(**changes))

    return change


def silent(seconds: float) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        clinic.now_s += seconds

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (registered(struck_off=True), ["device_struck_off"]),
        (registered(due_wall_s=SUNDAY_NOON_WALL_S), ["device_due"]),
        (registered(due_wall_s=SUNDAY_NOON_WALL_S + DAY_S), []),
        (registered(serial="SN-13", enrolment="first"), ["device_identity"]),
        (registered(model="sim-2"), ["operator_instruction", "device_identity"]),
        (registered(room="room-5"), ["room", "device_settings"]),
        (silent(11.9), []),
        (silent(12.0), ["device_not_fresh"]),
        (shown(phase=Phase.FAULT), ["device_not_idle"]),
        (shown(phase=Phase.AUTHORISED), ["device_not_idle"]),
        (shown(battery_pct=20.0), []),
        (shown(battery_pct=19.9), ["device_battery"]),
        (shown(battery_pct=None), ["device_battery"]),
        (shown(settings_version=0), ["device_settings"]),
        (born(latched=Cause.PATIENT_STOP), ["device_latched"]),
        (born(holds=Holds.of(service=True)), ["device_held"]),
        (shown(boot_n=8), ["device_not_fresh"]),
    ],
)
def test_the_device_is_ready(clinic: Clinic, change: Callable[[Clinic], None], expected: list[str]) -> None:
    change(clinic)
    assert rules(clinic) == expected


def test_an_unknown_device_and_one_never_heard_of(clinic: Clinic) -> None:
    assert rules(clinic, device="stim-99") == ["device_unknown", "device_not_fresh"]
    silent_clinic = Clinic()
    assert rules(silent_clinic) == ["device_not_fresh"]


def test_a_device_that_has_only_shown_itself_has_no_settings_yet() -> None:
    clinic = Clinic()
    clinic.shows("stim-12")
    assert rules(clinic) == ["device_not_fresh", "device_settings"]


def test_h14_the_room_is_the_one_where_the_device_stands(clinic: Clinic) -> None:
    (refusal,) = refused(clinic, room="room-1")
    assert (refusal.rule, refusal.quantity) == (Rule.ROOM, "room-4")


def test_h14_one_live_session_a_device_and_a_client(clinic: Clinic) -> None:
    assert rules(clinic) == []
    assert rules(clinic, request_id="r2", client="c-4712") == ["device_in_session"]
    assert rules(clinic, request_id="r3", device="stim-7", room="room-1") == ["client_in_session", "dose_rest"]


def test_a_refusal_names_every_rule_at_once(clinic: Clinic) -> None:
    clinic.shows("stim-12", battery_pct=3.0, phase=Phase.LATCHED)
    plan = replace(PLAN, body_site=BodySite.EYES, setting_ma_max=120.0)
    findings = (Contraindication.PREGNANCY, Contraindication.HERNIA)
    found = rules(
        clinic,
        plan=plan,
        operator="nobody",
        room="room-1",
        screening=screening(clinic, findings=findings, at_wall_s=0.0),
    )
    assert found == [
        "screening_absolute",
        "screening_relative",
        "screening_age",
        "placement",
        "limit",
        "operator_unknown",
        "room",
        "device_not_idle",
        "device_battery",
    ]


@pytest.mark.parametrize(
    "said",
    [{"rule_set": "Rules No. 1"}, {"rule_set": "r" * 33}, {"override_by": "Dr. Noor"}, {"override_by": "n" * 65}],
)
def test_a_screening_names_its_rules_and_its_clinician_as_the_contract_writes_ids(said: dict[str, str]) -> None:
    asked = {"rule_set": "rules-1", "at_wall_s": 1.0, "findings": [], "override_by": "dr-noor"}
    kept = {"outcome": "passed", "rule_set": "rules-1", "at_wall_s": 1.0, "override_by": "dr-noor"}
    adapter: TypeAdapter[Any]
    for adapter, plain in ((TypeAdapter(Screening), asked), (TypeAdapter(Screened), kept)):
        assert adapter.validate_json(json.dumps(plain)).override_by == "dr-noor"
        with pytest.raises(ValidationError):
            adapter.validate_json(json.dumps({**plain, **said}))
