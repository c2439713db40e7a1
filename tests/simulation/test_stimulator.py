"""The simulated stimulator against values worked out by hand: current, charge, heat, battery, skin, converter."""

import math

import pytest

from agents.drivers.port import ZERO, Drive, Pattern, Reading
from agents.simulation.faults import FaultKind, fault
from agents.simulation.skin import Skin
from agents.simulation.stimulator import HOST_WATCHDOG_S, Hardware, SimulatedStimulator

SWITCHED_ON_S = 1000.0
STEADY = Pattern(200.0, 50.0, on_s=10.0, off_s=0.0, ramp_up_s=0.0, ramp_down_s=0.0)
# Nothing soaks, dries or drifts: 300 ohm of tissue and 1 kiloohm beside 0.2 microfarad.
STILL_SKIN = Skin(300.0, 1000.0, 1000.0, 0.2e-6, drying_s=math.inf, drift_share=0.0)
AT_200_US_OHM = 932.12  # 300 + 1000 * (1 - exp(-1))


class Host:
    """Speaks to a stimulator every 50 ms, as an agent does."""

    def __init__(self, stimulator: SimulatedStimulator) -> None:
        self.stimulator = stimulator
        self.now_s = SWITCHED_ON_S

    def drive(self, drive: Drive, for_s: float) -> list[Reading]:
        readings = []
        for _ in range(round(for_s / 0.05)):
            readings.append(self.stimulator.exchange(drive, self.now_s))
            self.now_s += 0.05
        return readings


def output(setting_ma: float, pattern: Pattern = STEADY) -> Drive:
    return Drive(True, setting_ma, pattern, test_pulse=False, feed_watchdog=True)


def stimulator(skin: Skin = STILL_SKIN, *, hardware: Hardware | None = None, seed: int = 0) -> SimulatedStimulator:
    return SimulatedStimulator("sn-1", start_s=SWITCHED_ON_S, skin=skin, hardware=hardware, seed=seed)


def test_what_is_set_flows_and_is_read_back_within_the_noise() -> None:
    host = Host(stimulator())
    readings = host.drive(output(40.0), 5.0)[4:]
    assert host.stimulator.trace.at(host.now_s) == 40.0
    read = [reading.amplitude_ma for reading in readings]
    # A peak hold over five pulses with 0.15 mA of noise shows some 0.2 mA more than flows.
    assert all(value is not None and 39.5 < value < 41.0 for value in read)
    assert all(reading.in_on_phase and reading.setting_ma == 40.0 for reading in readings)
    assert len({reading.raw_amplitude for reading in readings}) > 3, "noise shows in the raw counts"


def test_each_pulse_is_counted_and_its_charge_is_width_times_current() -> None:
    host = Host(stimulator())
    first = host.drive(output(30.0), 1.0)[-1]
    last = host.drive(output(30.0), 2.0)[-1]
    assert last.raw_n - first.raw_n == 100, "50 pulses a second for two seconds"
    # 30 mA for 200 us are 6 uC a phase; 147.5 pulse periods had begun when the last reading was taken.
    assert host.stimulator.charge_uc == pytest.approx(6.0 * last.raw_n)


@pytest.mark.parametrize(
    ("width_us", "expected_ohm"),
    [(50.0, 521.2), (200.0, AT_200_US_OHM), (500.0, 1217.9)],  # 300 + 1000 * (1 - exp(-w / 200 us))
)
def test_impedance_is_that_of_a_resistance_beside_a_capacitance(width_us: float, expected_ohm: float) -> None:
    host = Host(stimulator())
    pattern = Pattern(width_us, 50.0, on_s=10.0, off_s=0.0, ramp_up_s=0.0, ramp_down_s=0.0)
    readings = host.drive(output(20.0, pattern), 3.0)[4:]
    read = [reading.impedance_ohm for reading in readings if reading.impedance_ohm is not None]
    assert len(read) == len(readings)
    assert sum(read) / len(read) == pytest.approx(expected_ohm, rel=0.01)


def test_skin_soaks_in_the_first_minutes_and_pads_dry_over_hours() -> None:
    skin = Skin(drift_share=0.0)
    fresh, soaked = skin.impedance_ohm(0.0, 300.0), skin.impedance_ohm(300.0, 300.0)
    # 250 + 2500 * (1 - exp(-0.3 / 0.75)) and, after 2.5 time constants, 939.5 ohm beside 0.3 uF, 1.39 % dried.
    assert fresh == pytest.approx(1074.2, abs=0.1)
    assert soaked == pytest.approx(
        (250.0 + 939.5 * (1 - math.exp(-300 / (939.5 * 0.3)))) * (1 + 300 / 21_600), rel=1e-3
    )
    assert soaked < 0.85 * fresh
    assert skin.impedance_ohm(6 * 3600.0, 300.0) == pytest.approx(
        2.0 * (250.0 + 800.0 * (1 - math.exp(-1.25))), rel=1e-3
    )


def test_the_compliance_voltage_limits_the_current_at_high_impedance() -> None:
    skin = Skin(3000.0, 1.0, 1.0, 1e-9, drying_s=math.inf, drift_share=0.0)
    host = Host(stimulator(skin))
    host.drive(output(120.0), 1.0)
    assert host.stimulator.trace.at(host.now_s) == pytest.approx(150.0 / 3001.0 * 1000.0)  # 49.98 mA of 120


def test_a_cycle_ramps_up_holds_ramps_down_and_rests() -> None:
    host = Host(stimulator())
    cycle = Pattern(200.0, 100.0, on_s=2.0, off_s=3.0, ramp_up_s=1.0, ramp_down_s=0.5)
    readings = host.drive(output(40.0, cycle), 8.0)
    truth = host.stimulator.trace
    for at_s, expected_ma in [
        (0.25, 10.0),
        (0.5, 20.0),
        (1.5, 40.0),
        (2.9, 40.0),
        (3.25, 20.0),
        (5.0, 0.0),
        (6.4, 0.0),
    ]:
        # A pulse every 10 ms; the ramps change by 0.4 and 0.8 mA in that time.
        assert truth.at(SWITCHED_ON_S + at_s) == pytest.approx(expected_ma, abs=0.81), f"at {at_s} s"
    assert truth.at(SWITCHED_ON_S + 6.75) == pytest.approx(10.0, abs=0.81), "and again from zero"
    on_phase = [reading.taken_s - SWITCHED_ON_S for reading in readings[:130] if reading.in_on_phase]
    assert [min(on_phase), max(on_phase)] == pytest.approx([1.0, 2.95], abs=0.051)


@pytest.mark.parametrize("lifted", [False, True])
def test_the_level_is_what_setting_and_cycle_order_whatever_flows(lifted: bool) -> None:
    """Ramp up 1 s, 2 s on, ramp down 0.5 s, off: the strongest order of the last 100 ms, with the pads off as well."""
    host = Host(stimulator())
    if lifted:
        host.stimulator.suffer(fault(FaultKind.ELECTRODE_LIFTS, size=0.0))
    readings = host.drive(output(40.0, Pattern(200.0, 100.0, on_s=2.0, off_s=3.0, ramp_up_s=1.0, ramp_down_s=0.5)), 5.0)
    level = {round(reading.taken_s - SWITCHED_ON_S, 2): reading.level_ma for reading in readings}
    # Up: the newest pulse is the strongest; down: the one that is just 100 ms old. A pulse more or less is 0.8 mA.
    for at_s, expected_ma in [
        (0.25, 10.0),
        (0.5, 20.0),
        (1.0, 40.0),
        (2.9, 40.0),
        (3.3, 24.0),
        (3.5, 8.0),
        (3.65, 0.0),
    ]:
        assert level[at_s] == pytest.approx(expected_ma, abs=0.81), f"at {at_s} s"
    assert host.drive(ZERO, 0.5)[-1].level_ma == 0.0
    # The ramps' true output is another matter:
    assert host.stimulator.trace.peak(SWITCHED_ON_S, host.now_s) == pytest.approx(0.075 if lifted else 40.0, abs=0.01)


def test_every_start_begins_its_cycle_anew_from_zero() -> None:
    host = Host(stimulator())
    cycle = Pattern(200.0, 100.0, on_s=5.0, off_s=5.0, ramp_up_s=1.0, ramp_down_s=1.0)
    host.drive(output(40.0, cycle), 3.0)
    host.drive(ZERO, 0.5)
    host.drive(output(40.0, cycle), 0.2)
    host.stimulator.advance(host.now_s)
    assert host.stimulator.trace.at(host.now_s) == pytest.approx(8.0, abs=0.41), "0.2 s of a 1 s ramp to 40 mA"


def test_at_one_hertz_the_peak_of_the_last_second_is_read() -> None:
    host = Host(stimulator())
    slow = Pattern(200.0, 1.0, on_s=10.0, off_s=0.0, ramp_up_s=0.0, ramp_down_s=0.0)
    readings = host.drive(output(25.0, slow), 3.5)[1:]  # the first order has no pulse behind it yet
    assert all(reading.amplitude_ma == pytest.approx(25.0, abs=1.0) for reading in readings)
    assert readings[-1].raw_n == 4, "one pulse a second"
    after = host.drive(ZERO, 1.5)
    assert after[5].amplitude_ma == pytest.approx(25.0, abs=1.0), "the last pulse was three quarters of a second ago"
    last = after[-1].amplitude_ma
    assert last is not None
    assert last < 1.0


def test_zero_reads_as_noise_below_one_milliampere() -> None:
    readings = Host(stimulator()).drive(ZERO, 200.0)
    assert all(reading.amplitude_ma is not None and reading.amplitude_ma < 1.0 for reading in readings)
    assert {reading.impedance_ohm for reading in readings} == {None}, "nothing flows: there is no reading"


def test_test_pulses_measure_the_pads_and_are_no_output() -> None:
    host = Host(stimulator())
    armed = Drive(False, 0.0, None, test_pulse=True, feed_watchdog=False)
    readings = host.drive(armed, 1.0)
    # At 300 us: 300 + 1000 * (1 - exp(-1.5))
    assert all(reading.impedance_ohm == pytest.approx(1076.9, rel=0.05) for reading in readings)
    assert host.stimulator.trace.peak(SWITCHED_ON_S, host.now_s) == 0.0


def test_the_battery_gives_what_the_skin_gets_and_the_rest_is_heat() -> None:
    hardware = Hardware(battery_wh=1.0, idle_w=0.0, efficiency=0.5)
    host = Host(
        SimulatedStimulator("sn-1", start_s=SWITCHED_ON_S, skin=STILL_SKIN, hardware=hardware, battery_pct=100.0)
    )
    last = host.drive(output(50.0), 600.0)[-1]
    # I * I * Z * 2w * f = 0.05^2 * 932.12 * 400e-6 * 50 = 46.6 mW to the skin, 93.2 mW from the battery.
    assert last.battery_pct == pytest.approx(100.0 - 0.0932 * 600.0 / 3600.0 * 100.0, abs=0.1)
    # 46.6 mW of heat and 8 K/W settle at 0.373 K; the other part of the first heat, 0 K, is gone by 1 - 1/e.
    warm = [reading.temperature_c for reading in host.drive(output(50.0), 5.0)]
    assert sum(value for value in warm if value is not None) / len(warm) == pytest.approx(
        24.0 + 0.373 * 0.634, abs=0.05
    )


def test_the_same_seed_and_drives_give_the_same_readings() -> None:
    def run(seed: int) -> list[Reading]:
        host = Host(SimulatedStimulator("sn-1", start_s=SWITCHED_ON_S, seed=seed))
        return [*host.drive(output(35.0), 3.0), *host.drive(ZERO, 1.0)]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_however_late_it_is_called_the_same_has_flowed() -> None:
    """A bench that was held up catches up exactly: pulses and watchdog are events in time, not in calls."""
    often, late = stimulator(), stimulator()
    for one in (often, late):
        one.exchange(output(40.0), SWITCHED_ON_S)
    for step in range(1, 301):
        often.advance(SWITCHED_ON_S + step * 0.01)
    late.advance(SWITCHED_ON_S + 3.0)
    assert late.charge_uc == often.charge_uc
    assert late.trace.rows == often.trace.rows
    assert late.trace.zero_since() == pytest.approx(SWITCHED_ON_S + HOST_WATCHDOG_S)


def test_the_current_never_exceeds_what_was_ordered() -> None:
    host = Host(SimulatedStimulator("sn-2", start_s=SWITCHED_ON_S, seed=3))
    for setting_ma in (5.0, 80.0, 120.0, 1.0):
        began_s = host.now_s
        host.drive(output(setting_ma), 2.0)
        assert host.stimulator.trace.peak(began_s + 0.03, host.now_s) <= setting_ma
