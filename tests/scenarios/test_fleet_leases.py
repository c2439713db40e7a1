"""What gets a lease and what does not: the fleet's verdict on each sample, hazard by hazard."""

from dataclasses import replace
from typing import Any

import pytest

from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE, Layer, Limit
from broker.contract.messages import Phase
from fleet.core.events import LimitExceeded, SensorFlatlined, SessionState
from tests.core.clinic import PLAN, Clinic

STOPPED = ["SessionWithheld limit", "StopOrdered stim-12 rule_stop", "! stop stim-12 rule_stop hold"]


def lease(clinic: Clinic) -> str:
    """The lease that answers the newest sample of stim-12."""
    return f"! lease stim-12 {clinic.stims['stim-12'].seq}"


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.running()
    return clinic


# --- H01: over-output -----------------------------------------------------------------------------------------------


def test_h01_measured_over_the_limit_is_a_rule_stop_and_the_session_stays_withheld(clinic: Clinic) -> None:
    # The plan allows 40 mA: read-back noise is up to 1.1 * 40 + 1 = 45 mA.
    assert clinic.shows("stim-12", amplitude_ma=45.0) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=45.01) == ["LimitExceeded amplitude_ma", *STOPPED]
    (event,) = [event for event in clinic.journal if isinstance(event, LimitExceeded)]
    assert (event.value, event.limit.layer, event.device) == (45.01, Layer.PLAN, "stim-12")
    assert event.limit.value == pytest.approx(45.0)
    # Good samples do not bring the lease back, and another bad one is no second stop.
    assert clinic.shows("stim-12") == []
    assert clinic.shows("stim-12", amplitude_ma=60.0) == []
    # Nor does a restart of the fleet.
    clinic.restarts()
    assert clinic.shows("stim-12") == []


@pytest.mark.parametrize(
    ("shown", "quantity", "limit"),
    [
        ({"setting_ma": 40.01}, "setting_ma", Limit(40.0, Layer.PLAN)),
        ({"pulse_width_us": 301.0}, "pulse_width_us", Limit(300.0, Layer.PLAN)),
        ({"pulse_width_us": 501.0}, "pulse_width_us", Limit(500.0, Layer.ENVELOPE)),
        ({"pulse_width_us": 49.0}, "pulse_width_us", Limit(50.0, Layer.MODEL)),
        ({"frequency_hz": 40.1}, "frequency_hz", Limit(40.0, Layer.PLAN)),
        ({"frequency_hz": 121.0}, "frequency_hz", Limit(120.0, Layer.ENVELOPE)),
        ({"frequency_hz": 0.9}, "frequency_hz", Limit(1.0, Layer.ENVELOPE)),
        ({"frequency_hz": 0.0}, "frequency_hz", Limit(1.0, Layer.ENVELOPE)),
        ({"temperature_c": 60.1}, "temperature_c", Limit(60.0, Layer.ENVELOPE)),
    ],
)
def test_h01_every_limit_of_a_sample(clinic: Clinic, shown: dict[str, Any], quantity: str, limit: Limit) -> None:
    assert clinic.shows("stim-12", **shown) == [f"LimitExceeded {quantity}", *STOPPED]
    (event,) = [event for event in clinic.journal if isinstance(event, LimitExceeded)]
    assert event.limit == limit


@pytest.mark.parametrize(
    "shown", [{"setting_ma": 40.0, "elapsed_s": 8.0}, {"temperature_c": 60.0}, {"frequency_hz": 40.0 * (1 + 1e-10)}]
)
def test_h01_at_a_limit_is_inside_it(clinic: Clinic, shown: dict[str, Any]) -> None:
    assert clinic.shows("stim-12", **shown) == [lease(clinic)]


def test_h01_a_weaker_pulse_than_the_plan_s_is_inside_while_no_current_flows(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", pulse_width_us=0.0, frequency_hz=0.0, amplitude_ma=0.2) == [lease(clinic)]


def test_h01_density_bounds_the_measured_peak_by_the_pad() -> None:
    # 16 cm2, 500 us, 120 Hz: 2.0 mA/cm2 are 92.38 mA of peak. The plan asks for 92 mA and the device gives 103.
    clinic = Clinic()
    plan = replace(PLAN, electrode_area_cm2=16.0, pulse_width_us=500.0, frequency_hz=120.0, setting_ma_max=92.0)
    clinic.running(plan=plan)
    clinic.stims["stim-12"].shown.update(pulse_width_us=500.0, frequency_hz=120.0)
    assert clinic.shows("stim-12", amplitude_ma=102.0) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=102.3) == ["LimitExceeded amplitude_ma", *STOPPED]


@pytest.mark.parametrize("shown", [{"pulse_width_us": 1e-320}, {"frequency_hz": 1e-320}, {"frequency_hz": 5e-324}])
@pytest.mark.parametrize("amplitude_ma", [0.2, 29.5])
def test_h01_a_pulse_of_almost_nothing_is_too_weak_and_harms_nobody(
    clinic: Clinic, shown: dict[str, Any], amplitude_ma: float
) -> None:
    (quantity,) = shown
    expected = [f"LimitExceeded {quantity}", *STOPPED] if amplitude_ma > 1.0 else [lease_after(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=amplitude_ma, **shown) == expected


def test_h01_a_very_weak_pulse_does_not_raise_the_limit_of_what_is_measured(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", frequency_hz=1e-3, amplitude_ma=1000.0)[0] == "LimitExceeded amplitude_ma"


def test_h01_settings_that_became_tighter_hold_for_the_samples_that_name_them(clinic: Clinic) -> None:
    tighter = ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=20.0)
    assert clinic.changes_device("stim-12", limits=tighter)[-1] == "> settings stim-12 2"
    # The device has not taken them over yet: it is judged by those that it names, for 5 s.
    assert clinic.shows("stim-12") == [lease(clinic)]
    clinic.now_s += 4.0
    assert clinic.shows("stim-12") == ["! count settings_old", "> settings stim-12 2"]
    # It has, and lowered itself; what was measured in the second before still shows.
    clinic.stims["stim-12"].settings_version = 2
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=29.6) == [lease(clinic)]
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0) == [lease(clinic)]
    # From then on 30 mA are too many.
    clinic.now_s += 0.5
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=23.1) == ["LimitExceeded amplitude_ma", *STOPPED]


def test_h01_a_setting_above_settings_that_became_tighter_has_no_time_at_all(clinic: Clinic) -> None:
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=20.0))
    clinic.stims["stim-12"].settings_version = 2
    assert clinic.shows("stim-12", setting_ma=20.1, amplitude_ma=20.0) == ["LimitExceeded setting_ma", *STOPPED]


def test_h20_settings_that_became_looser_do_not_loosen_a_session(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", amplitude_ma=40.0) == [lease(clinic)]
    clinic.changes_registry(clinic=replace(clinic.registry.clinic, limits=ENVELOPE))
    clinic.stims["stim-12"].settings_version = 2
    assert clinic.session_on().authorisation.limits.peak_ma_max.value == 100.0
    assert clinic.shows("stim-12", amplitude_ma=46.0)[0] == "LimitExceeded amplitude_ma"


def test_settings_that_the_fleet_never_gave_are_unknown_and_unknown_means_no_lease(clinic: Clinic) -> None:
    # A device says that it has version 9: the fleet's next is one above.
    assert clinic.shows("stim-12", settings_version=9) == [
        "SettingsIssued",
        "! count settings_unknown",
        "> settings stim-12 10",
    ]


# --- H10, H17: electrodes and sensors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("impedance_ohm", "reason"),
    [
        (149.9, "electrode_short"),
        (150.0, None),
        (1200.0, None),  # the baseline is 800.0: half as much again
        (1600.9, None),  # degraded, and told
        (1610.0, "electrode_beyond_degraded"),  # twice the baseline
        (10_001.0, "electrode_open"),
        (None, "electrode_open"),
    ],
)
def test_h10_a_bad_electrode_gets_no_lease_while_current_flows(
    clinic: Clinic, impedance_ohm: float | None, reason: str | None
) -> None:
    assert clinic.session_on().baseline_ohm == pytest.approx(800.3, abs=0.4)
    expected = [lease_after(clinic)] if reason is None else [f"! count {reason}"]
    assert clinic.shows("stim-12", impedance_ohm=impedance_ohm) == expected
    # Between the ON phases nothing is measured, and it is no fault of this one sample.
    assert clinic.shows("stim-12", impedance_ohm=impedance_ohm, amplitude_ma=0.2) == [lease(clinic)]


def lease_after(clinic: Clinic) -> str:
    return f"! lease stim-12 {clinic.stims['stim-12'].seq + 1}"


def test_h10_drying_pads_are_told_by_the_baseline_after_a_restart_too(clinic: Clinic) -> None:
    clinic.restarts()
    assert clinic.shows("stim-12", impedance_ohm=1700.0) == ["! count electrode_beyond_degraded"]


def test_h10_armed_with_bad_contact_gets_no_lease_so_it_cannot_start() -> None:
    clinic = Clinic()
    clinic.armed()
    assert clinic.shows("stim-12", impedance_ohm=None) == ["! count electrode_open"]
    assert clinic.shows("stim-12", impedance_ohm=3001.0) == [lease(clinic)]
    assert clinic.session_on().baseline_ohm is None


def test_h10_without_a_good_first_impedance_the_fixed_bounds_hold() -> None:
    clinic = Clinic()
    clinic.armed()
    clinic.stims["stim-12"].phase = Phase.RUNNING
    shown: dict[str, Any] = {"setting_ma": 20.0, "amplitude_ma": 19.0, "elapsed_s": 4.0}
    assert clinic.shows("stim-12", impedance_ohm=4000.0, **shown) == ["SessionAdvanced running", lease(clinic)]
    assert clinic.shows("stim-12", impedance_ohm=5001.0, **shown) == ["! count electrode_beyond_degraded"]


@pytest.mark.parametrize("missing", ["amplitude_ma", "battery_pct", "temperature_c"])
def test_h17_a_missing_reading_is_not_a_good_one(clinic: Clinic, missing: str) -> None:
    assert clinic.shows("stim-12", **{missing: None}) == ["! count reading_missing"]
    assert clinic.shows("stim-12") == [lease(clinic)]


def test_h17_ten_identical_readings_under_current_are_no_measurement(clinic: Clinic) -> None:
    frozen = {"amplitude_ma": 29.0, "impedance_ohm": 801.0}
    for reading in range(9):
        assert clinic.shows("stim-12", **frozen) == [lease(clinic)]
        if reading == 4:
            # An OFF phase between does not begin the count anew.
            assert clinic.shows("stim-12", amplitude_ma=0.0, impedance_ohm=801.0) == [lease(clinic)]
    assert clinic.shows("stim-12", **frozen) == [
        "SensorFlatlined",
        "SessionWithheld flat_line",
        "StopOrdered stim-12 rule_stop",
        "! stop stim-12 rule_stop hold",
    ]
    (event,) = [event for event in clinic.journal if isinstance(event, SensorFlatlined)]
    assert (event.amplitude_ma, event.readings) == (29.0, 10)
    assert clinic.shows("stim-12") == []


def test_h17_nine_identical_readings_and_another_are_noise(clinic: Clinic) -> None:
    for turn in range(3):
        for _ in range(9):
            assert clinic.shows("stim-12", amplitude_ma=29.0, impedance_ohm=801.0 + turn) == [lease(clinic)]


def test_a_battery_below_5_percent_gets_no_lease(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", battery_pct=5.0) == [lease(clinic)]
    assert clinic.shows("stim-12", battery_pct=4.9) == ["! count battery_empty"]


# --- H11, H13, H14: late, repeated, foreign -------------------------------------------------------------------------


def test_h13_repeated_and_overtaken_samples_are_never_answered(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    first, second = stim.sample(), stim.sample()
    assert clinic.says("stim-12", second) == [f"! lease stim-12 {second.seq}"]
    assert clinic.says("stim-12", first) == ["! count overtaken"]
    assert clinic.says("stim-12", second) == ["! count overtaken"]


def test_h13_late_samples_are_judged_all_the_same(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", late=True) == []
    assert clinic.shows("stim-12", late=True, amplitude_ma=50.0) == ["LimitExceeded amplitude_ma", *STOPPED]
    assert clinic.shows("stim-12", late=True, amplitude_ma=50.0) == []


def test_late_samples_of_another_time_are_nothing_to_this_session(clinic: Clinic) -> None:
    over: dict[str, Any] = {"late": True, "amplitude_ma": 50.0}
    assert clinic.shows("stim-12", **over, session_id="a" * 32) == []
    assert clinic.shows("stim-12", **over, boot_n=6) == []
    assert clinic.shows("stim-12", **over, settings_version=99) == []
    assert clinic.says("stim-7", clinic.stims["stim-7"].sample(late=True, boot_n=6)) == []
    clinic.ready("stim-7")
    assert clinic.shows("stim-7", **over) == []
    assert clinic.session_on().state is SessionState.RUNNING


def test_h13_retained_samples_are_refused(clinic: Clinic) -> None:
    sample = clinic.stims["stim-12"].sample()
    assert clinic.says("stim-12", sample, retained=True) == ["SecurityNoticed retained", "! count retained"]
    assert clinic.says("stim-12", sample) == [f"! lease stim-12 {sample.seq}"]


def test_h14_another_session_than_the_authorised_one_gets_nothing_and_is_stopped(clinic: Clinic) -> None:
    clinic.stims["stim-12"].session_id = "b" * 32
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping"]
    assert clinic.shows("stim-12") == []
    clinic.now_s += 1.0
    assert clinic.shows("stim-12") == [
        "OutputUnpermitted",
        "StopOrdered stim-12 rule_stop",
        "SessionWithheld stop",
        "! stop stim-12 rule_stop hold",
    ]
    clinic.now_s += 9.0
    assert clinic.shows("stim-12") == []


def test_h02_current_at_an_idle_device_is_output_without_permission() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.shows("stim-12", amplitude_ma=1.0) == []
    clinic.now_s += 1.0
    assert clinic.shows("stim-12", amplitude_ma=0.9) == []  # a ramp down: over
    assert clinic.shows("stim-12", amplitude_ma=12.0) == []
    clinic.now_s += 1.5
    assert clinic.shows("stim-12", amplitude_ma=1.0) == [
        "OutputUnpermitted",
        "StopOrdered stim-12 rule_stop",
        "! stop stim-12 rule_stop hold",
    ]


def test_the_ramp_down_after_an_end_is_no_breach(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.ended(Cause.THERAPIST_STOP))
    assert clinic.shows("stim-12") == []
    assert clinic.shows("stim-12", amplitude_ma=10.0) == []
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    assert clinic.shows("stim-12") == []
    assert clinic.state.fleeting.unpermitted_s == {}


def test_h24_a_device_struck_off_loses_its_lease_at_once(clinic: Clinic) -> None:
    assert clinic.changes_device("stim-12", struck_off=True) == ["RegistryAdopted", "SessionWithheld struck_off"]
    assert clinic.shows("stim-12") == []
    assert clinic.changes_registry(devices={}) == ["RegistryAdopted"]
    assert clinic.shows("stim-12") == []


def test_a_withheld_session_is_not_stopped_by_the_timer_again(clinic: Clinic) -> None:
    clinic.changes_device("stim-12", struck_off=True)
    clinic.now_s += 5000.0
    assert clinic.after(0.0) == ["DeviceLost stim-12", "SessionLost"]


def test_while_a_stop_for_the_device_is_open_there_is_no_lease() -> None:
    # A stop pushed to the idle device is not confirmed yet; a session that it somehow has gets nothing.
    clinic = Clinic()
    clinic.authorised()
    session = clinic.session_on()
    clinic.pushes_stop()
    assert clinic.session_on().state is SessionState.CANCELLED
    clinic.stims["stim-12"].phase = Phase.ARMED
    assert clinic.shows("stim-12") == ["StopFoundLive", "! cancel stim-12"]
    assert session.session_id == clinic.session_on().session_id


def test_each_session_is_judged_by_its_own_plan(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.ended(Cause.COMPLETED))
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    clinic.running(client="c-4712", plan=replace(PLAN, setting_ma_max=30.0), request_id="r2")
    clinic.now_s += 2.0
    assert clinic.shows("stim-12", amplitude_ma=34.0) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=34.01) == ["LimitExceeded amplitude_ma", *STOPPED]


@pytest.mark.parametrize("shown", [{"pulse_width_us": 0.0}, {"frequency_hz": 0.0}])
def test_a_pulse_that_is_none_is_judged_while_current_flows_from_1_ma_on(clinic: Clinic, shown: dict[str, Any]) -> None:
    assert clinic.shows("stim-12", amplitude_ma=0.99, **shown) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=1.0, **shown)[0].startswith("LimitExceeded")


def test_current_flows_from_1_ma_on_for_the_electrode_and_for_the_sensor(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", amplitude_ma=0.99, impedance_ohm=None) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=1.0, impedance_ohm=None) == ["! count electrode_open"]
    for _ in range(9):
        assert clinic.shows("stim-12", amplitude_ma=1.0, impedance_ohm=700.0) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=1.0, impedance_ohm=700.0)[0] == "SensorFlatlined"
