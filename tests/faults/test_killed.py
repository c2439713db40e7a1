"""Whatever is killed, output ends; what should go on, goes on (H05, H11, H12, H16, H22, H23)."""

import os
import signal

import pytest

from demo.processes import await_that
from tests.faults.conftest import LEASE_S, RAMP_S, TICK_S, Ward, boottime_s

WATCHDOG_S = 0.5  # of the simulated stimulator
LIVE_PERIOD_S = 0.5


def test_with_everything_killed_but_the_agent_output_ends_with_the_lease(ward: Ward) -> None:
    session = ward.treat("stim-01")

    heard_s = ward.newest_sample_sent_s(session)
    ward.clinic.fleet.kill()
    ward.clinic.broker.kill()
    killed_s = boottime_s()
    assert killed_s - heard_s < LIVE_PERIOD_S + 0.5, "samples came until then"
    zero_s = ward.await_zero("stim-01", within_s=LEASE_S + 5.0)

    # The fleet may have answered one more sample after the one that it showed, never one sent after it was killed.
    last_good_sample_s = min(killed_s, heard_s + LIVE_PERIOD_S + TICK_S)
    assert zero_s <= last_good_sample_s + LEASE_S + TICK_S + RAMP_S
    assert ward.truth("stim-01").at(heard_s + LEASE_S - 0.2) > 0.0, "the lease bridges a restart: not before its time"

    for process in (ward.clinic.broker, ward.clinic.fleet):
        process.start()
    ward.clinic.await_phase("stim-01", "latched", within_s=20.0)
    ward.await_record(session, ("stopped_latched", "lease_lost"))
    ward.reset("stim-01")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_with_its_agent_gone_the_stimulator_ends_output_by_itself(ward: Ward, how: signal.Signals) -> None:
    session = ward.treat("stim-01")
    agent = ward.clinic.agents["stim-01"]

    agent.send(how)
    gone_s = boottime_s()
    zero_s = ward.await_zero("stim-01", within_s=3.0)
    assert zero_s <= gone_s + TICK_S + WATCHDOG_S

    if how is signal.SIGKILL:
        agent.kill()
        agent.start()
        cause = "reboot"
    else:
        agent.send(signal.SIGCONT)
        cause = "watchdog_tripped"
    ward.clinic.await_phase("stim-01", "latched", within_s=20.0)
    assert ward.true_ma("stim-01") == 0.0
    ward.await_record(session, ("stopped_latched", cause))
    ward.reset("stim-01")


def test_a_fleet_that_is_killed_leases_again_before_the_session_ends(ward: Ward) -> None:
    session = ward.treat("stim-01")
    again_s = []
    for _ in range(3):
        before_s = ward.permission_until_s("stim-01")
        assert before_s is not None
        worker = int(ward.clinic.ask(op="status")["pid"])
        killed_s = boottime_s()
        os.kill(worker, signal.SIGKILL)

        def leased_after(killed_s: float = killed_s) -> bool:
            until_s = ward.permission_until_s("stim-01")
            return until_s is not None and until_s - LEASE_S > killed_s + 0.1

        await_that("the fleet leases again", leased_after, 5.0)
        again_s.append(boottime_s() - killed_s)
        await_that("the new worker answers", ward.clinic.answers, 10.0)

    assert max(again_s) < 3.5
    assert ward.state_of(session)[0] == "running", "no session is lost"
    assert ward.true_ma("stim-01") > 0.0
    ward.end("stim-01")
