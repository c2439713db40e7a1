"""Holds: what keeps a stopped device off, and how a person lifts it."""

from broker.contract.causes import Cause
from broker.contract.messages import Holds, Scope
from fleet.core import inputs
from fleet.core.effects import SendRelease
from tests.core.clinic import ONE, TWO, Clinic


def test_a_birth_that_lacks_the_hold_gets_it_again() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.stopped()
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    stim.holds = Holds.of()
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", "! stop stim-12 emergency_stop hold"]
    # A device with more than it can list may well have it.
    stim.holds = Holds.of(more=True)
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]


def test_a_birth_that_lacks_the_site_s_hold_gets_it_again() -> None:
    clinic = Clinic()
    clinic.pushes_stop(None)
    stim = clinic.stims["stim-7"]
    assert "! stop all emergency_stop hold" not in clinic.says("stim-7", stim.birth())  # its id is not known yet
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.says("stim-7", stim.birth()) == ["DeviceBorn", "! stop all emergency_stop hold"]
    stim.holds = Holds.of(all=(ONE,))
    assert clinic.says("stim-7", stim.birth()) == ["DeviceBorn"]


def test_while_a_hold_lasts_nothing_is_authorised_there() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.stopped()
    asked = clinic.asks()
    assert asked == ["SessionRefused", "> refused device_latched, device_held, device_not_idle, device_held"]


def test_a_hold_is_lifted_by_a_person_and_the_device_is_told_until_it_does_not_list_it() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.stopped()
    stim = clinic.stims["stim-12"]
    assert clinic.releases() == [
        "HoldReleased",
        "> clear stim-12",
        f"> release stim-12 device {ONE}",
        "> ordered",
    ]
    assert clinic.state.durable.holds == {}

    # Told again every 2 s, in answer to its newest sample, under an id of its own each time.
    assert clinic.shows("stim-12") == []
    clinic.now_s += 1.5
    decision = clinic.decides(inputs.Received("stim-12", stim.sample(), clinic.now_s, clinic.wall_s))
    (again,) = decision.after_commit
    assert isinstance(again, SendRelease)
    assert (again.message.answers, again.message.boot_n, again.message.issued_by) == (stim.seq, 7, "ada")
    clinic.now_s += 2.0
    decision = clinic.decides(inputs.Received("stim-12", stim.sample(), clinic.now_s, clinic.wall_s))
    (third,) = decision.after_commit
    assert isinstance(third, SendRelease)
    assert third.message.command_id != again.message.command_id

    # Lifted: the latch is still there, and waits for a person.
    stim.holds = Holds.of()
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", "HoldLifted stim-12"]
    assert clinic.state.device("stim-12").releases == ()
    assert clinic.asks(request_id="request-2")[-1].startswith("> refused ")


def test_a_hold_is_not_lifted_before_zero_was_measured() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    assert clinic.releases() == ["> refused stop_unconfirmed"]
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.releases() == ["> refused stop_unconfirmed"]


def test_there_is_nothing_to_lift() -> None:
    clinic = Clinic()
    clinic.ready()
    assert clinic.releases() == ["> refused no_hold"]
    assert clinic.releases(None, Scope.ALL) == ["> refused no_hold"]
    assert clinic.releases(scope=Scope.SERVICE) == ["> refused no_hold"]


def test_a_hold_that_somebody_else_set_is_lifted_as_well() -> None:
    clinic = Clinic()
    stim = clinic.stims["stim-12"]
    stim.holds = Holds.of(device=(TWO,))
    clinic.ready("stim-12")
    assert clinic.releases() == [
        "HoldReleased",
        "> clear stim-12",
        f"> release stim-12 device {TWO}",
        "> ordered",
    ]


def test_lifting_for_the_site_tells_those_that_list_it_and_waits_for_those_that_are_away() -> None:
    clinic = Clinic()
    clinic.ready("stim-7", "stim-12")
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    for name in ("stim-7", "stim-12"):
        clinic.latches(name, Cause.EMERGENCY_STOP)
        clinic.shows(name)
    clinic.stims["stim-7"].holds = Holds.of(all=(ONE,))
    clinic.says("stim-7", clinic.stims["stim-7"].birth())
    for _ in range(8):
        clinic.after(4.0)
        clinic.shows("stim-7")
    assert clinic.state.device("stim-12").lost
    assert clinic.releases(None, Scope.ALL) == [
        "HoldReleased",
        "> clear all",
        f"> release stim-7 all {ONE}",
        "> ordered",
    ]
    # stim-12 comes back with the hold on its disk, and is told as soon as it has shown itself.
    clinic.stims["stim-12"].holds = Holds.of(all=(ONE,))
    assert clinic.says("stim-12", clinic.stims["stim-12"].birth()) == ["DeviceBorn"]
    assert clinic.shows("stim-12") == ["DeviceReturned", f"> release stim-12 all {ONE}"]


def test_a_second_release_names_the_holds_of_the_first_too() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.stopped(ONE)
    clinic.releases()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), TWO)
    stim = clinic.stims["stim-12"]
    stim.holds = Holds.of(device=(ONE, TWO))
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    assert clinic.releases()[2] == f"> release stim-12 device {ONE},{TWO}"
    assert len(clinic.state.device("stim-12").releases) == 1


def test_taken_out_of_service_and_put_back() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    assert clinic.changes_device("stim-12", service_hold=True) == [
        "RegistryAdopted",
        "SettingsIssued",
        "> settings stim-12 2",
    ]
    stim.settings_version, stim.holds = 2, Holds.of(service=True)
    clinic.says("stim-12", stim.birth())
    assert clinic.asks()[-1] == "> refused in_service_hold, device_held, device_settings"
    assert clinic.releases(scope=Scope.SERVICE) == ["> refused in_service_hold"]
    clinic.changes_device("stim-12", service_hold=False)
    assert clinic.releases(scope=Scope.SERVICE) == [
        "HoldReleased",
        "> release stim-12 service ",
        "> ordered",
    ]
    stim.settings_version, stim.holds = 3, Holds.of()
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", "HoldLifted stim-12"]


def test_the_hold_of_a_released_stop_that_follows_quiet_devices_only_is_over() -> None:
    clinic = Clinic()
    clinic.ready("stim-12", "stim-7")
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.releases()[0] == "HoldReleased"
    assert clinic.state.durable.stops == {}
    clinic.cleared()
    assert clinic.after(20.0) == []


def test_lifting_one_hold_leaves_the_stop_of_another_device_open() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop("stim-12")
    clinic.pushes_stop("stim-7")
    first, second = clinic.state.durable.stops
    clinic.sent(second, TWO)
    # stim-7 was never heard of: it may come up with the hold on its disk, and is told then.
    assert clinic.releases("stim-7") == ["HoldReleased", "> clear stim-7", "> ordered"]
    assert list(clinic.state.durable.stops) == [first]
    stim = clinic.stims["stim-7"]
    stim.holds = Holds.of(device=(TWO,))
    clinic.says("stim-7", stim.birth())
    assert clinic.shows("stim-7") == ["DeviceReturned", f"> release stim-7 device {TWO}"]


def test_lifting_the_hold_of_a_device_that_nobody_knows_clears_what_is_retained() -> None:
    clinic = Clinic()
    clinic.pushes_stop("stim-99")
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.releases("stim-99") == ["HoldReleased", "> clear stim-99", "> ordered"]
    assert "stim-99" not in clinic.state.durable.devices


def test_the_scope_says_what_is_lifted() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.stopped()
    assert clinic.releases(None, Scope.DEVICE) == ["> refused no_hold"]
    assert clinic.releases(None, Scope.SERVICE) == ["> refused no_hold"]
    assert clinic.releases("stim-12", Scope.ALL) == ["> refused no_hold"]
    assert list(clinic.state.durable.holds) == ["stim-12"]
    # The site's holds are lifted as the site's, so that every device is told; they are no device's.
    clinic.pushes_stop(None)
    clinic.sent(list(clinic.state.durable.stops)[-1], TWO)
    assert clinic.releases("all", Scope.DEVICE) == ["> refused no_hold"]


# --- what is retained at the broker ---------------------------------------------------------------------------------


def test_what_is_retained_is_cleared_again_until_the_performer_reports_it() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.stopped()
    assert "> clear stim-12" in clinic.releases()
    assert clinic.after(4.9) == []
    assert clinic.after(0.1) == ["> clear stim-12"]
    assert clinic.cleared() == ["HoldCleared"]
    assert clinic.after(20.0) == []


def test_a_crash_after_the_release_forgets_no_clearing() -> None:
    clinic = Clinic()
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.releases(None, Scope.ALL) == ["HoldReleased", "> clear all", "> ordered"]
    clinic.restarts()
    assert clinic.after(0.1) == ["> clear all"]
    assert clinic.cleared("all") == ["HoldCleared"]
    clinic.restarts()
    assert clinic.after(0.1) == []


def test_a_newer_hold_is_not_cleared_by_an_older_release() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.stopped()
    clinic.releases()
    clinic.pushes_stop()
    assert clinic.state.durable.clearing == {}
    clinic.restarts()
    assert "> clear stim-12" not in clinic.after(10.0)


def test_the_report_on_an_older_release_says_nothing_about_a_later_one() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.stopped()
    clinic.releases()
    first = clinic.state.durable.clearing["stim-12"]
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), TWO)
    clinic.shows("stim-12")
    assert "> clear stim-12" in clinic.releases()
    assert clinic.hears(inputs.StopCleared("stim-12", first, clinic.now_s, clinic.wall_s)) == []
    assert clinic.cleared() == ["HoldCleared"]
    assert clinic.hears(inputs.StopCleared("stim-12", first, clinic.now_s, clinic.wall_s)) == []


# --- a release and a birth cross ------------------------------------------------------------------------------------


def test_a_release_before_the_birth_that_lists_the_hold_is_told_at_that_birth() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.releases() == ["HoldReleased", "> clear stim-12", "> ordered"]
    # The birth from before the stop, once more: it shows nothing.
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.birth(seq=stim.birth_seq)) == []
    clinic.cleared()
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    stim.holds = Holds.of(device=(ONE,))
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", f"> release stim-12 device {ONE}"]
    stim.holds = Holds.of()
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", "HoldLifted stim-12"]
    assert clinic.state.device("stim-12").releases == ()


def test_a_device_that_boots_without_the_hold_has_nothing_left_to_lift() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    clinic.releases()
    stim = clinic.stims["stim-12"]
    stim.boot_n, stim.birth_seq = 8, 0
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBooted", "DeviceBorn", "HoldLifted stim-12"]
