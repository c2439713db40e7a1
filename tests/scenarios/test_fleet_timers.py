"""The fleet's second timers: of sessions, of pauses, and of what was not started in time (H05)."""

from broker.contract.limits import ENVELOPE, Layer
from broker.contract.messages import Phase
from tests.core.clinic import Clinic


def test_h05_tighter_settings_shorten_the_session_that_is_on() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, session_s_max=600.0))
    stim.settings_version = 2
    issued_s = clinic.now_s
    assert clinic.shows("stim-12", elapsed_s=604.9) == [f"! lease stim-12 {stim.seq}"]
    # The device had its 5 s to hear of it, and the timer is 5 s behind the device's.
    clinic.now_s = issued_s + 9.4
    assert clinic.shows("stim-12", elapsed_s=605.0) == [f"! lease stim-12 {stim.seq}"]
    clinic.now_s = issued_s + 10.0
    assert clinic.shows("stim-12", elapsed_s=605.0) == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "! stop stim-12 session_cap",
    ]


def test_h05_tighter_settings_shorten_the_pause_that_is_on() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, pause_s_max=60.0))
    stim.settings_version = 2
    stim.phase, stim.shown = Phase.PAUSED, {}
    clinic.shows("stim-12")
    clinic.now_s = clinic.session_on().since_s + 64.9
    assert clinic.says("stim-12", stim.sample()) == [f"! lease stim-12 {stim.seq}"]
    assert clinic.after(0.2)[0] == "StopOrdered stim-12 session_cap"


def test_a_pause_may_last_5_minutes_and_pauses_10_in_total() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    stim.phase, stim.shown = Phase.PAUSED, {}
    clinic.shows("stim-12")
    clinic.now_s = clinic.session_on().since_s + 304.9
    assert clinic.says("stim-12", stim.sample()) == [f"! lease stim-12 {stim.seq}"]
    assert "StopOrdered stim-12 session_cap" in clinic.after(0.2)

    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    for _ in range(2):
        stim.phase, stim.shown = Phase.PAUSED, {}
        clinic.shows("stim-12")
        clinic.now_s += 295.0 - 0.5
        stim.phase = Phase.RUNNING
        clinic.shows("stim-12")
    assert clinic.session_on().paused_s == 590.0
    stim.phase = Phase.PAUSED
    clinic.shows("stim-12")
    clinic.now_s += 14.0
    assert clinic.says("stim-12", stim.sample()) == [f"! lease stim-12 {stim.seq}"]
    assert "StopOrdered stim-12 session_cap" in clinic.after(1.0)


def test_a_device_that_gave_up_waiting_has_expired_with_the_session() -> None:
    clinic = Clinic()
    session = clinic.armed()
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id = Phase.IDLE, None
    clinic.now_s = session.answered_s + 119.0
    assert clinic.says("stim-12", stim.sample()) == ["SessionExpired"]

    # Earlier than that, it has ended in some other way, which it will report.
    clinic = Clinic()
    session = clinic.armed()
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id = Phase.IDLE, None
    clinic.now_s = session.answered_s + 118.9
    assert clinic.says("stim-12", stim.sample()) == ["SessionAdvanced stopping"]
