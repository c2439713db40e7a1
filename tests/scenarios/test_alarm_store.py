"""A13: samples are not kept. Somebody on the rota is told, and nobody is treated otherwise for it."""

from fleet.core import inputs
from fleet.core.alarm_events import Priority
from fleet.core.events import DigestDue, RecorderEnded, StoreFailed, StoreTook
from fleet.core.rota import Quiet
from fleet.core.state import State, restored, snapshot
from fleet.core.store_events import StoreTrouble
from tests.core.on_call import MEDIUM, OnCall
from tests.scenarios.test_alarm_rungs import of, on_call

REFUSES, DROPS, WAITS = StoreTrouble


def recording() -> OnCall:
    """A clinic in which a recorder keeps what comes."""
    clinic = on_call()
    assert clinic.store_says(None) == ["StoreTook", "> ordered"]
    return clinic


def a13(clinic: OnCall) -> tuple[str, str | None] | None:
    """Its priority and what it was raised for; None where it is not open."""
    alarm = clinic.state.durable.alarms.get("A13/all")
    return None if alarm is None else (alarm.priority, alarm.why.quantity)


def minute(clinic: OnCall, trouble: StoreTrouble | None, minutes: int = 1) -> list[tuple[float, str]]:
    """Minutes pass, each with the recorder's word at its end."""
    told = []
    for n in range(minutes):
        told += [(60.0 * n + at_s, line) for at_s, line in clinic.during(60.0)]
        clinic.store_says(trouble)
    return told


def test_the_disk_of_the_history_is_full_an_engineer_is_told_the_session_goes_on_and_it_is_over_by_itself() -> None:
    clinic = recording()
    clinic.running()
    assert clinic.store_says(REFUSES) == ["StoreFailed store_refuses", "> ordered"]
    # The very next sample gets its lease, as every one before.
    assert clinic.shows("stim-12") == [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]
    told = clinic.during(59.0)
    assert of(told, "A13") == []
    # A minute on it is an alarm, and two minutes after that the first rung is told.
    told = [(at_s, line) for at_s, line in clinic.during(130.0) if "A13" in line]
    assert told[0] == (1.0, "AlarmRaised A13 medium site on")
    assert told[1:] == [(121.0, "rung 1 of A13"), (121.0, "tell anna/phone A13")]
    assert a13(clinic) == ("medium", "store_refuses")
    # Room is made: half a minute later it is over, and whoever was told hears that.
    assert clinic.store_says(None) == ["StoreTook", "> ordered"]
    told = of(clinic.during(45.0), "A13")
    assert told[0] == (31.0, "AlarmCleared A13 medium site off")
    assert "over, tell anna/phone A13" in [line for _, line in told]


def test_engineers_are_told_where_they_are_other_people() -> None:
    clinic = recording()
    clinic.changes_rota(engineer_rungs={MEDIUM: (("cleo",),)})
    clinic.store_says(REFUSES)
    told = [line for _, line in clinic.during(185.0) if line.startswith("tell")]
    assert told == ["tell cleo/phone A13"]


def test_a_store_that_blinks_calls_nobody() -> None:
    clinic = recording()
    for _ in range(20):
        clinic.store_says(REFUSES)
        assert of(clinic.during(58.0), "A13") == []
        clinic.store_says(None)
        assert of(clinic.during(5.0), "A13") == []


def test_a_store_that_takes_one_batch_now_and_then_is_one_alarm_that_stays() -> None:
    clinic = recording()
    clinic.store_says(REFUSES)
    assert of(clinic.during(61.0), "AlarmRaised A13")
    for _ in range(20):
        clinic.store_says(None)
        clinic.during(25.0)
        clinic.store_says(REFUSES)
        assert of(clinic.during(40.0), "AlarmCleared A13") == []
    assert a13(clinic) == ("medium", "store_refuses")


def test_the_journal_has_what_changes_and_not_each_word() -> None:
    clinic = recording()
    clinic.store_says(WAITS)
    minute(clinic, WAITS, 30)
    minute(clinic, None, 30)
    clinic.recorder_ends()
    clinic.recorder_ends()
    rows = [type(event) for event in clinic.journal if isinstance(event, StoreFailed | StoreTook | RecorderEnded)]
    assert rows == [StoreTook, StoreFailed, StoreTook, RecorderEnded]


def test_what_waits_on_disk_is_a_line_of_the_digest_and_rises_when_nothing_more_can_wait() -> None:
    clinic = recording()
    clinic.store_says(WAITS)
    told = clinic.during(62.0)
    assert of(told, "AlarmRaised A13") == [(60.0, "AlarmRaised A13 low site digest")]
    digests = [event for event in clinic.journal if isinstance(event, DigestDue) and event.priority is Priority.LOW]
    assert [(one.person, [line.code for line in one.alarms]) for one in digests] == [("anna", ["A13"])]
    assert clinic.triggers("A13") == []
    # Now that disk is full as well.
    clinic.store_says(REFUSES)
    assert of(clinic.during(70.0), "AlarmChanged A13") == [(60.0, "AlarmChanged A13 medium site on")]
    assert a13(clinic) == ("medium", "store_refuses")
    # There is room again, InfluxDB is still away.
    clinic.store_says(WAITS)
    assert of(clinic.during(35.0), "A13") == [(30.0, "AlarmChanged A13 low site digest")]
    assert a13(clinic) == ("low", "store_waits")


def test_one_slow_write_calls_nobody_while_samples_wait_on_disk() -> None:
    clinic = recording()
    clinic.store_says(WAITS)
    clinic.during(62.0)
    for _ in range(20):
        clinic.store_says(REFUSES)
        assert of(clinic.during(58.0), "A13") == []
        clinic.store_says(WAITS)
        assert of(clinic.during(5.0), "A13") == []
    assert a13(clinic) == ("low", "store_waits")
    assert clinic.triggers("A13") == []


def test_what_waited_for_most_of_a_minute_and_is_refused_for_a_moment_is_a_line_of_the_digest() -> None:
    clinic = recording()
    clinic.store_says(WAITS)
    clinic.during(59.0)
    clinic.store_says(REFUSES)
    assert of(clinic.during(50.0), "AlarmRaised A13") == [(1.0, "AlarmRaised A13 low site digest")]
    assert clinic.triggers("A13") == []
    # It goes on refusing: a minute after it began, and not after the wait began, it is more than that.
    assert of(clinic.during(15.0), "AlarmChanged A13") == [(10.0, "AlarmChanged A13 medium site on")]
    assert a13(clinic) == ("medium", "store_refuses")


def test_a_refusal_that_was_told_stays_one_while_the_store_takes_a_batch_to_its_disk_now_and_then() -> None:
    clinic = recording()
    clinic.store_says(REFUSES)
    clinic.during(61.0)
    for _ in range(5):
        clinic.store_says(WAITS)
        clinic.during(2.0)
        clinic.store_says(REFUSES)
        clinic.during(40.0)
        assert a13(clinic) == ("medium", "store_refuses")


def test_in_quiet_hours_what_is_low_waits() -> None:
    clinic = recording()
    clinic.changes_rota(quiet=Quiet(from_local_min=0, until_local_min=1439))
    clinic.store_says(DROPS)
    clinic.during(70.0)
    assert a13(clinic) == ("low", "samples_dropped")
    assert [event for event in clinic.journal if isinstance(event, DigestDue)] == []


def test_a_clinic_without_a_recorder_misses_none() -> None:
    clinic = on_call()
    clinic.during(1_000.0)
    assert a13(clinic) is None
    assert clinic.recorder_ends() == ["> ordered"], "what never ran ends without an event"


def test_a_recorder_that_is_gone_for_five_minutes_is_missed_until_it_is_back() -> None:
    clinic = recording()
    assert of(clinic.during(299.0), "A13") == []
    assert of(clinic.during(2.0), "AlarmRaised A13") == [(1.0, "AlarmRaised A13 low site digest")]
    assert a13(clinic) == ("low", "recorder_silent")
    clinic.store_says(None)
    assert of(clinic.during(32.0), "A13") == [(31.0, "AlarmCleared A13 low site digest")]


def test_one_that_was_asked_to_end_is_not_missed() -> None:
    clinic = recording()
    assert clinic.recorder_ends() == ["RecorderEnded", "> ordered"]
    clinic.during(1_000.0)
    assert a13(clinic) is None


def test_one_that_is_asked_to_end_while_it_is_missed_or_in_trouble_ends_the_alarm() -> None:
    clinic = recording()
    clinic.store_says(WAITS)
    clinic.during(70.0)
    clinic.recorder_ends()
    assert of(clinic.during(32.0), "A13") == [(31.0, "AlarmCleared A13 low site digest")]


def test_of_one_that_goes_silent_in_trouble_its_last_word_counts() -> None:
    clinic = recording()
    clinic.store_says(REFUSES)
    clinic.during(700.0)
    assert a13(clinic) == ("medium", "store_refuses")


def test_a_restart_of_the_fleet_forgets_no_trouble_and_gives_the_recorder_its_time() -> None:
    clinic = recording()
    clinic.during(250.0)
    clinic.state = restored(snapshot(clinic.state))
    clinic.hears(inputs.TookOver("host-boot-1", clinic.now_s, clinic.wall_s))
    clinic.alive()
    assert of(clinic.during(299.0), "A13") == [], "it has not had five minutes to be heard by this fleet"
    clinic.store_says(REFUSES)
    clinic.during(30.0)
    clinic.state = restored(snapshot(clinic.state))
    clinic.hears(inputs.TookOver("host-boot-1", clinic.now_s, clinic.wall_s))
    clinic.alive()
    assert of(clinic.during(31.0), "A13") == [(30.0, "AlarmRaised A13 medium site on")]


def test_after_a_boot_of_the_host_the_minute_counts_anew() -> None:
    clinic = recording()
    clinic.store_says(REFUSES)
    clinic.during(30.0)
    clinic.state = State(durable=clinic.state.durable)
    clinic.now_s = 20.0
    clinic.wall_s += 100.0
    clinic.hears(inputs.TookOver("host-boot-2", clinic.now_s, clinic.wall_s))
    clinic.alive()
    assert of(clinic.during(59.0), "A13") == []
    assert of(clinic.during(1.0), "A13") == [(1.0, "AlarmRaised A13 medium site on")]


def test_a_boot_of_the_host_without_a_recorder_makes_none() -> None:
    clinic = on_call()
    clinic.hears(inputs.TookOver("host-boot-2", 20.0, clinic.wall_s))
    assert clinic.state.durable.recorder is None
