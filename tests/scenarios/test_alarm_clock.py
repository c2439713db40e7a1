"""A host that boots with its wall clock a year ahead, and has it right a second later: rota, tests, digests and shelves
go by the clock as it is.
"""

from dataclasses import replace

from fleet.core.attention_state import SHELVED_S_MAX
from fleet.core.events import DigestDue, DrillOrdered
from tests.core.clinic import HOUR_S
from tests.core.on_call import LOW, ROTA, OnCall
from tests.scenarios.test_alarm_path import refuses_beyond_a_limit
from tests.scenarios.test_alarm_people import loses_its_lease, signal
from tests.scenarios.test_alarm_rungs import over_limit

DAY_S = 24 * HOUR_S
YEAR_S = 366 * DAY_S
WEEKLY = replace(ROTA, rotations={"on-call": replace(ROTA.rotations["on-call"], people=("anna", "ben"))})


def boots_a_year_ahead(clinic: OnCall) -> None:
    clinic.wall_s += YEAR_S
    clinic.restarts("host-boot-2")
    clinic.alive()


def ahead_for_a_second(clinic: OnCall) -> None:
    """Time passes meanwhile, and things happen: tests that are due by that clock, a digest, an answer."""
    boots_a_year_ahead(clinic)
    clinic.drills("anna")
    clinic.answers(clinic.pages("anna")[0])
    clinic.after(61.0)
    clinic.after(1.0)
    clinic.wall_s -= YEAR_S
    for name in ("anna", "ben", "cleo"):
        clinic.delivered(name)


def of_the_journal(clinic: OnCall, event: type, since: int) -> int:
    return sum(isinstance(one, event) for one in clinic.journal[since:])


def test_h19_whoever_is_on_call_is_told_whatever_the_clock_has_said_before() -> None:
    clinic = OnCall(WEEKLY)
    clinic.ready()
    boots_a_year_ahead(clinic)
    clinic.drills("cleo")
    clinic.wall_s -= YEAR_S
    over_limit(clinic)
    assert [page.person for page in clinic.triggers("A02")] == ["anna"]
    clinic.wall_s += 7 * DAY_S
    clinic.now_s += 7 * DAY_S
    over_limit(clinic, "stim-7")
    assert [page.person for page in clinic.triggers("A02") if page.device == "stim-7"][:1] == ["ben"], "a week later"


def test_tests_go_on_every_seven_days() -> None:
    clinic = OnCall()
    clinic.ready()
    ahead_for_a_second(clinic)
    since = len(clinic.journal)
    clinic.after(61.0)
    assert of_the_journal(clinic, DrillOrdered, since) == 1, "that of the wrong second counts for nothing"
    weeks = []
    for _ in range(4):
        since = len(clinic.journal)
        for _ in range(7):
            clinic.after(DAY_S)
        weeks.append(of_the_journal(clinic, DrillOrdered, since))
    assert weeks == [1, 1, 1, 1]


def test_digests_go_on() -> None:
    clinic = OnCall()
    clinic.ready()
    refuses_beyond_a_limit(clinic, "stim-7")
    ahead_for_a_second(clinic)
    assert clinic.state.durable.digested_wall_s[LOW] > clinic.wall_s + DAY_S, "one was due by that clock"
    since = len(clinic.journal)
    refuses_beyond_a_limit(clinic)
    clinic.after(61.0)
    assert of_the_journal(clinic, DigestDue, since) == 1
    refuses_beyond_a_limit(clinic)
    clinic.during(1800.0, 60.0)
    assert of_the_journal(clinic, DigestDue, since) == 1, "and no more than one an hour"


def test_a_proof_of_that_second_proves_nothing() -> None:
    clinic = OnCall()
    clinic.ready()
    ahead_for_a_second(clinic)
    proof = clinic.state.durable.proofs["anna/phone"]
    assert (proof.proven_wall_s or 0.0) > clinic.wall_s + DAY_S
    clinic.during(2.0)
    alarm = clinic.state.durable.alarms["A12/all"]
    assert (alarm.why.quantity, alarm.priority) == ("not_proven_for_days", "low")


def test_a_shelf_ends_by_the_clock_as_it_is() -> None:
    clinic = OnCall()
    clinic.ready()
    boots_a_year_ahead(clinic)
    clinic.drills("cleo")
    clinic.wall_s -= YEAR_S
    loses_its_lease(clinic, "stim-12")
    assert clinic.shelves("A04", SHELVED_S_MAX + 1.0) == ["> refused shelf_end"]
    assert clinic.shelves("A04", HOUR_S) == ["anna shelves A04", "> ordered"]
    clinic.after(HOUR_S - 0.5)
    assert signal(clinic, "A04/stim-12") == "shelved"
    assert "A04 sounds again: shelf_over" in clinic.after(0.5)
