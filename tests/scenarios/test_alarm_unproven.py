"""A12 for what is known against the ways to people: nothing is delivered at all, or one way of several is in doubt."""

from fleet.core.events import DigestDue
from tests.core.clinic import HOUR_S
from tests.core.on_call import OnCall
from tests.scenarios.test_alarm_rungs import of, on_call, over_limit

DAY_S = 24 * HOUR_S
PEOPLE = ("anna", "ben", "cleo")


def everything_arrives(clinic: OnCall, seconds: float) -> None:
    """Minute by minute, and nobody answers."""
    for _ in range(round(seconds / 60.0)):
        for name in PEOPLE:
            clinic.delivered(name)
        clinic.after(60.0)


def drilled_but_for(clinic: OnCall, *away: str) -> None:
    """Everybody answers but those who are away."""
    clinic.drills()
    for page_id, drill in list(clinic.state.durable.drills.items()):
        if drill.person not in away:
            clinic.answers(page_id)
    for name in PEOPLE:
        clinic.delivered(name)
    clinic.during(602.0, 2.0)


def a12_of(clinic: OnCall) -> tuple[str, str | None, str]:
    alarm = clinic.state.durable.alarms["A12/all"]
    return alarm.priority.value, alarm.why.quantity, alarm.signal.state.value


# --- nothing is delivered ---------------------------------------------------------------------------------------------


def test_h19_a12_every_message_fails() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.failed("anna", "the rota cannot be read")
    clinic.failed("ben", "the rota cannot be read")
    assert of(clinic.during(1.0), "A12") == [], "two telephones may be off: the third person is being told"
    clinic.failed("cleo", "the rota cannot be read")
    assert of(clinic.during(1.0), "A12") == [(1.0, "AlarmRaised A12 medium site on")]
    assert a12_of(clinic) == ("medium", "delivery_failed", "on")
    # It stays while that goes on, and is over once somebody is reached.
    for _ in range(600):
        for name in PEOPLE:
            clinic.failed(name, "the rota cannot be read")
        assert of([(0.0, line) for line in clinic.after(1.0)], "AlarmCleared A12") == []
    clinic.during(60.0)
    clinic.delivered("cleo")
    assert of(clinic.during(12.0), "A12 medium") == [(11.0, "AlarmCleared A12 medium site off")]


def test_one_telephone_that_is_off_is_no_failure_of_the_delivery() -> None:
    clinic = on_call()
    over_limit(clinic)
    for _ in range(5):
        clinic.failed("anna")
        clinic.delivered("ben")
        clinic.acknowledges("A02")
        clinic.after(600.0)
    assert "A12/all" not in clinic.state.durable.alarms


def test_h19_a_restart_forgets_no_failure_of_the_delivery() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.failed("anna")
    clinic.failed("ben")
    clinic.restarts()
    clinic.failed("cleo")
    clinic.during(2.0)
    assert a12_of(clinic) == ("medium", "delivery_failed", "on")


# --- one way of several -----------------------------------------------------------------------------------------------


def test_somebody_on_leave_who_answers_no_test_is_a_line_of_a_digest_and_calls_nobody() -> None:
    clinic = OnCall()
    clinic.ready()
    drilled_but_for(clinic, "ben")
    assert a12_of(clinic) == ("low", "drill_failed", "digest")
    everything_arrives(clinic, DAY_S)
    assert clinic.triggers("A12") == []
    digests = [event for event in clinic.journal if isinstance(event, DigestDue)]
    assert sum(line.code == "A12" for digest in digests for line in digest.alarms) == 1
    # Back, he answers the next test.
    clinic.drills("ben")
    for page_id in clinic.pages("ben"):
        clinic.answers(page_id)
    assert of(clinic.during(12.0), "A12") == [(11.0, "AlarmCleared A12 low site digest")]


def test_where_no_way_is_proven_somebody_is_called() -> None:
    clinic = OnCall()
    clinic.ready()
    drilled_but_for(clinic, *PEOPLE)
    assert a12_of(clinic) == ("medium", "drill_failed", "on")


def test_what_is_left_when_the_graver_reason_is_gone_calls_nobody_any_more() -> None:
    clinic = OnCall()
    clinic.ready()
    drilled_but_for(clinic, "ben")
    clinic.pager = False
    for _ in range(182):
        clinic.after(1.0)
    assert a12_of(clinic) == ("medium", "pager_silent", "on")
    for _ in range(130):
        clinic.after(1.0)
    called = clinic.triggers("A12")
    assert [page.person for page in called] == ["anna"]
    clinic.pager = True
    clinic.alive()
    clinic.delivered("anna")
    clinic.during(12.0)
    assert a12_of(clinic) == ("low", "drill_failed", "digest")
    everything_arrives(clinic, HOUR_S)
    assert clinic.triggers("A12") == called


def test_what_somebody_has_taken_stays_silent_when_it_is_less_grave() -> None:
    clinic = OnCall()
    clinic.ready()
    drilled_but_for(clinic, "ben")
    clinic.pager = False
    for _ in range(182):
        clinic.after(1.0)
    clinic.acknowledges("A12")
    clinic.pager = True
    clinic.alive()
    clinic.during(12.0)
    assert a12_of(clinic) == ("low", "drill_failed", "acknowledged")
