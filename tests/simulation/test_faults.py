"""Watchdog and faults: each acts as its words say, on the true output and on what the host reads."""

import json
from pathlib import Path

import pytest

from agents.drivers.in_process import InProcessStimulator
from agents.drivers.port import ZERO, Drive, DriverLost
from agents.simulation.faults import BadFault, Fault, FaultKind, fault, fault_from, faults_from_file
from agents.simulation.stimulator import SimulatedStimulator
from tests.simulation.test_stimulator import AT_200_US_OHM, STILL_SKIN, SWITCHED_ON_S, Host, output

RELAY_OPEN = Drive(False, 0.0, None, test_pulse=False, feed_watchdog=False, relay_open=True)


def host_with(*faults: Fault) -> Host:
    return Host(SimulatedStimulator("sn-1", start_s=SWITCHED_ON_S, skin=STILL_SKIN, faults=faults))


# --- the host watchdog ----------------------------------------------------------------------------------------------


def test_output_ends_half_a_second_after_the_last_feeding_and_is_told_once() -> None:
    host = host_with()
    host.drive(output(60.0), 2.0)
    last_fed_s = host.now_s - 0.05
    host.stimulator.advance(last_fed_s + 0.49)
    assert host.stimulator.trace.at(last_fed_s + 0.49) == 60.0
    host.stimulator.advance(last_fed_s + 5.0)
    assert host.stimulator.trace.zero_since() == pytest.approx(last_fed_s + 0.5, abs=1e-6)
    host.now_s = last_fed_s + 5.0
    assert [reading.watchdog_tripped for reading in host.drive(ZERO, 0.15)] == [True, False, False]


def test_a_host_that_speaks_but_does_not_feed_loses_output_too() -> None:
    host = host_with()
    host.drive(output(60.0), 1.0)
    unfed = Drive(True, 60.0, output(60.0).pattern, test_pulse=False, feed_watchdog=False)
    host.drive(unfed, 1.0)
    assert host.stimulator.trace.at(host.now_s) == 0.0


def test_a_host_that_wakes_up_cannot_go_on_where_it_was_until_it_has_ordered_zero() -> None:
    host = host_with()
    host.drive(output(60.0), 1.0)
    host.now_s += 3.0
    host.drive(output(60.0), 2.0)
    assert host.stimulator.trace.at(host.now_s) == 0.0
    host.drive(ZERO, 0.05)
    host.drive(output(10.0), 0.2)
    assert host.stimulator.trace.at(host.now_s - 0.01) == 10.0


def test_an_idle_host_never_trips_it() -> None:
    host = host_with()
    host.drive(output(20.0), 1.0)
    host.drive(ZERO, 5.0)
    host.now_s += 60.0
    assert not host.drive(ZERO, 0.05)[0].watchdog_tripped


# --- output ---------------------------------------------------------------------------------------------------------


def test_a_stuck_output_ignores_zero_until_the_relay_opens() -> None:
    host = host_with(fault(FaultKind.OUTPUT_STUCK, at_s=1.0))
    host.drive(output(30.0), 2.0)
    read = host.drive(ZERO, 0.3)[-1]
    assert host.stimulator.trace.at(host.now_s - 0.01) == 30.0
    assert read.amplitude_ma == pytest.approx(30.0, abs=1.0), "it is measured"
    assert read.setting_ma == 0.0, "and the stimulator believes that it is off"
    opened_s = host.now_s
    assert not host.drive(RELAY_OPEN, 0.05)[0].relay_closed
    assert host.stimulator.trace.zero_since() == pytest.approx(opened_s)


def test_the_watchdog_cuts_a_stuck_output_when_the_host_has_died() -> None:
    host = host_with(fault(FaultKind.OUTPUT_STUCK, at_s=1.0))
    host.drive(output(30.0), 2.0)
    died_s = host.now_s
    host.stimulator.advance(died_s + 10.0)
    assert host.stimulator.trace.zero_since() == pytest.approx(died_s - 0.05 + 0.5, abs=1e-6)
    host.now_s = died_s + 10.0
    host.drive(ZERO, 2.0)
    assert host.stimulator.trace.at(host.now_s) == 0.0, "the relay stays open while nothing is asked for"


def test_output_that_begins_by_itself_is_cut_by_the_watchdog() -> None:
    host = host_with(fault(FaultKind.OUTPUT_STUCK, at_s=1.0, size=12.0))
    readings = host.drive(ZERO, 3.0)
    truth = host.stimulator.trace
    assert truth.at(SWITCHED_ON_S + 1.2) == 12.0
    assert truth.peak(SWITCHED_ON_S + 1.6, host.now_s) == 0.0
    assert sum(reading.watchdog_tripped for reading in readings) == 1


def test_an_output_above_its_setting_flows_and_is_read() -> None:
    host = host_with(fault(FaultKind.OUTPUT_ABOVE, at_s=1.0, for_s=1.0, size=1.4))
    reading = host.drive(output(50.0), 1.5)[-1]
    assert host.stimulator.trace.at(SWITCHED_ON_S + 0.9) == 50.0
    assert host.stimulator.trace.at(SWITCHED_ON_S + 1.4) == 70.0
    assert reading.amplitude_ma == pytest.approx(70.0, abs=1.0)
    host.drive(output(50.0), 1.0)
    assert host.stimulator.trace.at(host.now_s) == 50.0


# --- electrodes -----------------------------------------------------------------------------------------------------


def test_a_lifted_electrode_has_no_impedance_and_lets_next_to_nothing_flow() -> None:
    host = host_with(fault(FaultKind.ELECTRODE_LIFTS, at_s=1.0, for_s=1.0))
    lifted = host.drive(output(40.0), 1.5)[-1]
    assert lifted.impedance_ohm is None
    assert host.stimulator.trace.at(SWITCHED_ON_S + 1.4) == pytest.approx(0.075)  # 150 V through 2 megaohm
    back = host.drive(output(40.0), 1.0)[-1]
    assert back.impedance_ohm == pytest.approx(AT_200_US_OHM, rel=0.05)


def test_half_a_pad_has_twice_the_impedance() -> None:
    host = host_with(fault(FaultKind.ELECTRODE_LIFTS, size=0.5))
    assert host.drive(output(40.0), 1.0)[-1].impedance_ohm == pytest.approx(2 * AT_200_US_OHM, rel=0.05)


def test_pads_that_touch_have_next_to_none() -> None:
    host = host_with(fault(FaultKind.ELECTRODE_SHORTS))
    assert host.drive(output(40.0), 1.0)[-1].impedance_ohm == pytest.approx(40.0, rel=0.05)


def test_a_pad_dries_gradually_and_stays_dry() -> None:
    host = host_with(fault(FaultKind.PAD_DRIES, at_s=1.0, for_s=4.0, size=3.0))
    readings = host.drive(output(20.0), 10.0)
    for at_s, factor in [(0.5, 1.0), (3.0, 2.0), (5.0, 3.0), (9.5, 3.0)]:
        impedance_ohm = readings[round(at_s / 0.05)].impedance_ohm
        assert impedance_ohm == pytest.approx(factor * AT_200_US_OHM, rel=0.05), f"at {at_s} s"


# --- sensors and the rest -------------------------------------------------------------------------------------------


def test_a_frozen_sensor_repeats_itself_whatever_flows() -> None:
    host = host_with(fault(FaultKind.SENSOR_FROZEN, at_s=1.0))
    host.drive(output(30.0), 1.05)
    readings = host.drive(output(60.0), 1.0)
    assert len({reading.raw_amplitude for reading in readings}) == 1
    assert readings[-1].amplitude_ma == pytest.approx(30.0, abs=1.0)
    assert host.stimulator.trace.at(host.now_s - 0.01) == 60.0
    assert readings[-1].raw_n > readings[0].raw_n


def test_a_lost_sensor_reads_nothing_not_zero() -> None:
    reading = host_with(fault(FaultKind.SENSOR_LOST)).drive(output(30.0), 0.5)[-1]
    assert (reading.amplitude_ma, reading.raw_amplitude, reading.impedance_ohm) == (None, None, None)


def test_a_dead_battery_gives_no_current() -> None:
    host = host_with(fault(FaultKind.BATTERY_DIES, at_s=1.0, size=0.0))
    reading = host.drive(output(30.0), 2.0)[-1]
    assert reading.battery_pct == 0.0
    assert host.stimulator.trace.at(host.now_s) == 0.0
    assert host.stimulator.self_test(host.now_s) == "battery"


@pytest.mark.parametrize(
    ("kind", "what_is_seen"),
    [
        (FaultKind.OVERHEATS, lambda reading: reading.temperature_c > 85.0),
        (FaultKind.HAND_SWITCH, lambda reading: reading.hand_switch_pressed),
    ],
)
def test_heat_and_the_hand_switch_are_read(kind: FaultKind, what_is_seen: object) -> None:
    assert callable(what_is_seen)
    host = host_with(fault(kind, at_s=0.975, for_s=1.0))  # between two readings
    seen = [what_is_seen(reading) for reading in host.drive(ZERO, 3.0)]
    assert seen == [False] * 20 + [True] * 20 + [False] * 20


def test_a_failing_self_test_names_its_check() -> None:
    assert host_with(fault(FaultKind.SELF_TEST_FAILS)).stimulator.self_test(SWITCHED_ON_S) == "output_stage"
    assert host_with().stimulator.self_test(SWITCHED_ON_S) is None


def test_a_silent_driver_is_lost_to_its_host_and_the_watchdog_ends_output() -> None:
    now_s = SWITCHED_ON_S
    silent = SimulatedStimulator("sn-1", start_s=now_s, faults=[fault(FaultKind.DRIVER_SILENT, at_s=1.0, for_s=1.0)])
    driver = InProcessStimulator(silent, lambda: now_s)
    for _ in range(20):
        driver.exchange(output(30.0))
        now_s += 0.05
    for _ in range(12):
        now_s += 0.05
        with pytest.raises(DriverLost, match="silent"):
            driver.exchange(output(30.0))
    assert silent.trace.at(now_s) == 0.0
    now_s += 1.0
    assert driver.exchange(ZERO).watchdog_tripped


# --- faults as data -------------------------------------------------------------------------------------------------


def test_faults_are_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(
        json.dumps(
            {
                "stim-01": [{"kind": "electrode_lifts", "at_s": 12, "for_s": 5}, {"kind": "output_above"}],
                "stim-02": [{"kind": "clock_stepped", "size": -3600}],
            }
        )
    )
    assert faults_from_file(path) == {
        "stim-01": (
            Fault(FaultKind.ELECTRODE_LIFTS, 12.0, 5.0, 0.0),
            Fault(FaultKind.OUTPUT_ABOVE, 0.0, float("inf"), 1.5),
        ),
        "stim-02": (Fault(FaultKind.CLOCK_STEPPED, 0.0, float("inf"), -3600.0),),
    }


@pytest.mark.parametrize(
    ("described", "why"),
    [
        ([], "an object with a kind"),
        ({}, "an object with a kind"),
        ({"kind": "catches_fire"}, "unknown kind"),
        ({"kind": "overheats", "when": 1}, "has no when"),
        ({"kind": "overheats", "at_s": -1}, "at_s must be"),
        ({"kind": "overheats", "at_s": "12"}, "at_s must be"),
        ({"kind": "overheats", "for_s": True}, "for_s must be"),
        ({"kind": "overheats", "size": float("nan")}, "size must be"),
        ({"kind": "output_above", "size": 0.5}, "factor of at least 1"),
    ],
)
def test_a_fault_that_cannot_be_acted_out_is_refused(described: object, why: str) -> None:
    with pytest.raises(BadFault, match=why):
        fault_from(described)


@pytest.mark.parametrize("text", ["{", "[]", '{"stim-01": {}}', '{"stim-01": [{"kind": 7}]}'])
def test_a_file_that_holds_no_faults_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(BadFault):
        faults_from_file(path)
