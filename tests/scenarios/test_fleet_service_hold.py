"""A device is taken out of service while something is on there: it ends, whatever the device makes of it (rule 7)."""

from dataclasses import replace
from typing import Any

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import Ack, AckStatus, CommandRefusal, Phase
from fleet.core.events import RegistryAdopted
from fleet.core.evolve import evolve
from fleet.core.withdrawals import SERVICE_GRACE_S
from tests.core.clinic import WALL, Clinic

ADOPTED = ["RegistryAdopted", "SettingsIssued"]
STOPPED = ["StopOrdered stim-12 rule_stop", "SessionWithheld stop", "! stop stim-12 rule_stop hold"]


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def takes_out_of_service(clinic: Clinic) -> list[str]:
    """The clinic's word; the device names the settings with it from now on, whatever else it does."""
    decided = clinic.changes_device("stim-12", service_hold=True)
    clinic.stims["stim-12"].settings_version = clinic.settings_of("stim-12").version
    return decided


def lease(clinic: Clinic) -> list[str]:
    return [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]


@pytest.mark.parametrize("phase", [Phase.ARMED, Phase.RUNNING, Phase.PAUSED])
def test_h20_a_device_that_goes_on_out_of_service_is_stopped_after_the_settings_grace(
    clinic: Clinic, phase: Phase
) -> None:
    start = clinic.armed if phase is Phase.ARMED else clinic.running
    start()
    zero: dict[str, Any] = {} if phase is Phase.RUNNING else {"setting_ma": 0.0, "amplitude_ma": 0.1}
    clinic.stims["stim-12"].phase = phase
    clinic.shows("stim-12", **zero)
    assert takes_out_of_service(clinic) == [*ADOPTED, "> settings stim-12 2"]
    for _ in range(int(SERVICE_GRACE_S / 0.5) - 1):
        assert clinic.shows("stim-12", **zero) == lease(clinic)
    assert clinic.shows("stim-12", **zero) == STOPPED
    assert [stop.stop.cause for stop in clinic.state.durable.stops.values()] == [Cause.RULE_STOP]
    assert "lease" not in " ".join(clinic.shows("stim-12", **zero))


def test_h20_it_is_stopped_when_no_sample_is_good_enough_for_a_lease_either(clinic: Clinic) -> None:
    clinic.running()
    clinic.changes_device("stim-12", service_hold=True)
    assert clinic.after(SERVICE_GRACE_S - 0.1) == []
    assert clinic.after(0.1) == STOPPED
    assert clinic.after(0.1) == []


def test_h20_one_that_obeys_has_latched_by_then_and_is_not_stopped(clinic: Clinic) -> None:
    clinic.running()
    takes_out_of_service(clinic)
    stim = clinic.stims["stim-12"]
    ended = stim.ended(Cause.RULE_STOP)
    clinic.latches(cause=Cause.RULE_STOP)
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping"]
    clinic.after(SERVICE_GRACE_S)
    assert "SessionEnded stopped_latched rule_stop" in clinic.says("stim-12", ended)
    clinic.after(SERVICE_GRACE_S)
    assert clinic.state.durable.stops == {}


def test_h20_a_fleet_that_was_restarted_stops_it_with_the_first_sample_that_shows_it(clinic: Clinic) -> None:
    clinic.running()
    takes_out_of_service(clinic)
    clinic.now_s += SERVICE_GRACE_S
    clinic.restarts()
    assert clinic.after(0.1) == [], "it may have latched meanwhile"
    assert clinic.shows("stim-12") == STOPPED


def test_h20_after_a_start_of_the_host_the_grace_begins_anew_and_ends(clinic: Clinic) -> None:
    clinic.running()
    takes_out_of_service(clinic)
    clinic.now_s = 20.0
    clinic.restarts("host-boot-2")
    assert clinic.shows("stim-12") == lease(clinic)
    clinic.now_s += SERVICE_GRACE_S
    assert clinic.shows("stim-12") == STOPPED


def test_h20_a_device_that_cannot_be_told_is_stopped_at_once(clinic: Clinic) -> None:
    clinic.running()
    clinic.says("stim-12", clinic.stims["stim-12"].birth(settings_version=9_000_000))
    assert set(STOPPED) <= set(clinic.changes_device("stim-12", service_hold=True))


def test_h20_what_was_not_started_yet_is_withdrawn_at_once(clinic: Clinic) -> None:
    clinic.authorised()
    assert takes_out_of_service(clinic) == [
        *ADOPTED,
        "SessionCancelled",
        "! cancel stim-12",
        "> settings stim-12 2",
    ]
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.ARMED
    assert clinic.shows("stim-12") == ["! cancel stim-12"]
    stim.phase = Phase.RUNNING
    assert clinic.shows("stim-12", setting_ma=1.0) == []
    clinic.now_s += 2.0
    assert "StopOrdered stim-12 rule_stop" in clinic.shows("stim-12", setting_ma=1.0)


def test_h20_a_person_who_started_it_meanwhile_gets_no_more_than_the_grace(clinic: Clinic) -> None:
    clinic.authorised()
    takes_out_of_service(clinic)
    cancel_id = clinic.session_on().cancel_id
    assert cancel_id is not None
    overtaken = Ack(7, cancel_id, AckStatus.REFUSED, CommandRefusal.ALREADY_RUNNING, None, WALL)
    assert clinic.says("stim-12", overtaken) == ["CancelOvertaken"]
    clinic.stims["stim-12"].phase = Phase.RUNNING
    clinic.shows("stim-12")
    clinic.now_s += SERVICE_GRACE_S
    assert clinic.shows("stim-12") == STOPPED


def test_h20_a_list_that_was_adopted_before_there_was_this_rule_counts_with_the_next_tick(clinic: Clinic) -> None:
    clinic.authorised()
    device = replace(clinic.registry.devices["stim-12"], service_hold=True)
    registry = replace(clinic.registry, devices={**clinic.registry.devices, "stim-12": device})
    adopted = RegistryAdopted(now_s=clinic.now_s, wall_s=clinic.wall_s, registry=registry)
    clinic.journal.append(adopted)
    evolve(clinic.state, adopted)
    clinic.restarts()
    assert clinic.after(0.1) == ["SessionCancelled", "! cancel stim-12"]
