"""A device that does not speak any more: a person who stands there says that it is off."""

from broker.contract.messages import Scope
from fleet.core import inputs
from tests.core.clinic import ONE, Clinic


def off(clinic: Clinic, device: str = "stim-12") -> list[str]:
    return clinic.hears(
        inputs.ConfirmOff(request_id="r", device=device, issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s)
    )


def test_a_name_that_nobody_registered_leaves_nothing_behind_when_it_is_seen_to_be_off() -> None:
    clinic = Clinic()
    clinic.now_s += 12.0
    clinic.pushes_stop("stim-99")
    clinic.sent(clinic.open_stop(), ONE)
    assert off(clinic, "stim-99") == ["StopConfirmed stim-99 person", "> ordered"]
    assert "stim-99" not in clinic.state.durable.signs


def test_a_fleet_that_has_just_taken_over_does_not_know_yet_that_nobody_speaks() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    clinic.restarts()
    assert off(clinic) == ["> refused device_speaks"]
    clinic.now_s += 12.0
    assert off(clinic)[-1] == "> ordered"


def test_h22_a_person_at_the_wall_ends_what_cannot_be_measured_any_more() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    # While it speaks, its measurement counts and nobody's word.
    assert off(clinic) == ["> refused device_speaks"]
    clinic.now_s += 11.0
    assert off(clinic) == ["> refused device_speaks"]
    clinic.now_s += 0.98
    assert off(clinic) == ["> refused device_speaks"]
    # Its agent is dead: nothing is heard, and the site cannot be released.
    clinic.after(31.0)
    assert clinic.releases(None, Scope.ALL) == ["> refused stop_unconfirmed"]
    clinic.pushes_stop("stim-7")
    assert off(clinic) == ["StopConfirmed stim-12 person", "SessionEnded aborted None", "> ordered"]
    assert clinic.releases(None, Scope.ALL)[0] == "HoldReleased"
    assert off(clinic) == ["> refused nothing_open"]
    assert off(clinic, "stim-7") == ["StopConfirmed stim-7 person", "> ordered"]


def test_a_person_s_word_counts_once_the_device_has_been_silent_for_12_s() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.now_s += 12.0
    assert off(clinic) == ["SessionEnded aborted None", "> ordered"]
