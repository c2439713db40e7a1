"""The observer on a living clinic: a session that goes well shows nothing; what nobody declared is a violation."""

from dataclasses import replace

import pytest

from agents.simulation.trace import Trace, TrueOutput
from demo.evidence import Evidence, Suffered
from demo.observer import observe
from demo.processes import await_that
from fleet.adapters.journal.reading import JournalReader
from tests.faults.conftest import Ward, boottime_s

DEVICE = "stim-01"


def test_a_stimulator_whose_fault_nobody_declared_is_found_out(ward: Ward) -> None:
    """Its output stage gives twice what was ordered. The agent ends that within a tick or two, and yet it flowed."""
    ward.clinic.await_devices({DEVICE})
    journal = JournalReader(ward.clinic.fleet_dir / "journal.db")
    journal.skip()
    began_s, presses = boottime_s(), len(ward.clinic.presses)
    session = ward.treat(DEVICE)
    await_that("the setting is up", lambda: ward.true_ma(DEVICE) > 7.95, 10.0)
    fault_s = ward.clinic.suffer(DEVICE, kind="output_above", size=2.0)
    ward.await_zero(DEVICE, within_s=3.0)
    ward.clinic.heal(DEVICE, "output_above")
    ward.await_record(session, ("stopped_latched", "over_limit"))
    ward.reset(DEVICE)

    trace = Trace()
    trace.rows.append(TrueOutput(began_s, 0.0))
    trace.rows.extend(row for row in ward.truth(DEVICE).rows if row.at_s > began_s)
    evidence = Evidence((DEVICE,), {DEVICE: trace}, tuple(journal.new()), presses=tuple(ward.clinic.presses[presses:]))
    journal.close()

    found = {violation.rule: violation for violation in observe(evidence)}
    assert set(found) == {"setting", "rise"}
    assert found["setting"].what == "more than the 8.0 mA that were set"
    assert found["setting"].ma == pytest.approx(16.0, abs=0.1)
    assert fault_s <= found["setting"].at_s < fault_s + 0.2
    assert observe(replace(evidence, suffered=(Suffered(DEVICE, "output_above", fault_s),))) == ()
    nobody_pressed = observe(replace(evidence, presses=()))
    assert {violation.rule for violation in nobody_pressed} == {"start"}, "all of it, had nobody pressed start"
