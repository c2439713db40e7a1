"""One authentic device whose agent has gone mad, or whose key is in bad hands: it grows the journal by its budget only,
A09 rings, its own session ends safely, and everybody else goes on. And a device that is only behind.
"""

from collections.abc import Callable
from dataclasses import replace

from broker.contract.causes import Cause
from broker.contract.messages import Event, EventKind, Phase, SettingChanged, Uplink
from fleet.core import events, inputs
from fleet.core.alarm_state import key
from fleet.core.budget import ROWS_PER_S, URGENT_KINDS
from fleet.core.budget_state import BURST_ROWS
from fleet.core.effects import Count, SendLease, SendReceipt
from fleet.core.events import SessionState
from tests.core.clinic import Clinic

A_SECOND_N = 200  # messages of the mad device: beyond the budget it does not matter how many
# What goes in at once may leave a debt behind: one of each urgent kind, and the alarms that follow from them.
OVERDRAFT_ROWS = 60


def heard(clinic: Clinic, name: str, message: Uplink) -> list[object]:
    decision = clinic.decides(inputs.Received(name, message, clinic.now_s, clinic.wall_s))
    return [*decision.at_once, *decision.after_commit]


def floods(clinic: Clinic, message: Callable[[int], Uplink], seconds: int = 60) -> int:
    """stim-12 says one thing after the other; stim-7 is treated meanwhile. The rows that stim-12 has written."""
    stim, rows_n = clinic.stims["stim-12"], 0
    neighbour = clinic.stims["stim-7"]
    for n in range(seconds * A_SECOND_N):
        clinic.now_s += 1.0 / A_SECOND_N
        clinic.wall_s += 1.0 / A_SECOND_N
        before_n = len(clinic.journal)
        heard(clinic, stim.name, message(n))
        rows_n += len(clinic.journal) - before_n
        if n % (A_SECOND_N // 2) == 0:
            clinic.hears(inputs.Tick(clinic.now_s, clinic.wall_s))
            (lease,) = heard(clinic, "stim-7", neighbour.sample())
            assert isinstance(lease, SendLease)
    return rows_n


def begins() -> Clinic:
    """Both are treated."""
    clinic = Clinic()
    clinic.running("stim-7", client="c-4712", request_id="request-2")
    clinic.running("stim-12")
    return clinic


def is_bounded(clinic: Clinic, rows_n: int) -> None:
    assert BURST_ROWS / 2 < rows_n <= BURST_ROWS + 60.0 * ROWS_PER_S + OVERDRAFT_ROWS
    alarm = clinic.state.durable.alarms[key("A09", "stim-12")]  # type: ignore[arg-type]
    assert alarm.why.quantity == "too_many"
    assert clinic.session_on("stim-7").state is SessionState.RUNNING
    noticed = [one for one in clinic.journal if isinstance(one, events.SecurityNoticed)]
    assert {(one.device, one.reason) for one in noticed} == {("stim-12", "too_many")}
    assert len(noticed) <= 4  # once a burst of a minute and a channel


def test_h21_a_mad_agent_floods_births() -> None:
    clinic = begins()
    stim = clinic.stims["stim-12"]
    is_bounded(clinic, floods(clinic, lambda n: stim.birth(firmware=f"f{n}")))
    # What it said last is known in a moment, though nobody says it again.
    last = stim.birth(firmware="at last")
    clinic.says("stim-12", last)
    for _ in range(4):
        clinic.after(0.5)
    assert clinic.state.device("stim-12").birth == last


def test_h21_a_mad_agent_floods_boots_and_its_session_ends_with_the_first() -> None:
    clinic = begins()
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    rows_n = floods(clinic, lambda n: stim.sample(boot_n=8 + n))
    is_bounded(clinic, rows_n)
    session = clinic.session_on("stim-12")
    assert (session.state, session.cause) == (SessionState.CLEARED, Cause.REBOOT)
    # Two seconds later its newest boot is believed at the latest: it can be spoken to.
    clinic.after(2.0)
    stim.boot_n = 100_000
    clinic.shows("stim-12")
    assert clinic.state.device("stim-12").boot_n == 100_000


def test_h21_a_boot_ends_its_session_whatever_the_budget_says() -> None:
    clinic = Clinic()
    clinic.running("stim-12")
    stim = clinic.stims["stim-12"]
    for n in range(int(BURST_ROWS) + 200):
        clinic.says("stim-12", stim.birth(firmware=f"f{n}"))
    assert clinic.says("stim-12", stim.birth(firmware="one more")) == ["! count too_many"]
    stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
    assert clinic.shows("stim-12", boot_n=8)[:2] == ["DeviceBooted", "SessionEnded stopped_latched reboot"]
    # Of the boots after that one a moment is believed. What speaks under another is answered by nothing.
    stim.boot_n = 8
    while clinic.says("stim-12", stim.birth()) != ["! count too_many"]:
        pass
    assert clinic.says("stim-12", stim.sample(boot_n=9)) == ["DeviceBooted"]
    assert clinic.says("stim-12", stim.sample(boot_n=10)) == ["SecurityNoticed too_many", "! count too_many"]
    assert clinic.state.device("stim-12").boot_n == 9
    # A birth under such a boot waits for a moment as well, and is taken with its boot; the newest of them.
    stim.boot_n = 11
    overtaken, born = stim.birth(firmware="0.9"), stim.birth()
    assert clinic.says("stim-12", born) == ["! count too_many"]
    assert clinic.says("stim-12", overtaken) == ["! count too_many"]
    clinic.after(0.01)
    assert clinic.state.device("stim-12").boot_n == 9
    assert clinic.after(1.0)[:2] == ["DeviceBooted", "DeviceBorn"]
    assert clinic.state.device("stim-12").birth == born


def test_a_birth_that_waited_tells_nothing_of_the_device_that_is_enrolled_in_its_place() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    spent(clinic)
    stim = clinic.stims["stim-12"]
    stim.boot_n = 8
    while clinic.says("stim-12", stim.birth()) != ["! count too_many"]:
        pass
    clinic.changes_device("stim-12", enrolment="second")
    assert clinic.after(5.0) == []
    assert clinic.state.device("stim-12").birth is None


def test_h21_a_mad_agent_floods_events_and_its_session_ends_with_its_own_word() -> None:
    clinic = begins()
    stim = clinic.stims["stim-12"]
    is_bounded(clinic, floods(clinic, lambda n: stim.event(EventKind.SETTING_CHANGED, None, SettingChanged(1.0))))
    # Its spool has more gaps than are remembered: the end is what comes next in it.
    ended = replace(stim.ended(Cause.PATIENT_STOP), n=upto(clinic) + 1, event_id="e" * 32)
    assert clinic.says("stim-12", ended)[:2] == [
        "DeviceReported session_ended",
        "SessionEnded stopped_latched patient_stop",
    ]
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED


def test_h21_a_mad_agent_floods_every_kind_of_event_at_once() -> None:
    clinic = begins()
    stim = clinic.stims["stim-12"]
    kinds = [*sorted(URGENT_KINDS), EventKind.LATCH_RESET]

    def event(n: int) -> Uplink:
        told = stim.event(kinds[n % len(kinds)], list(Cause)[n % len(Cause)], session_id="f" * 32)
        return replace(told, spool_id=f"{n:032x}", n=1)

    assert floods(clinic, event) <= BURST_ROWS + 60.0 * 2 * ROWS_PER_S


def test_h21_a_device_that_goes_on_changing_its_phase_is_not_leased_each_time() -> None:
    clinic = begins()
    stim = clinic.stims["stim-12"]

    def flips(n: int) -> Uplink:
        paused = n % 2 == 0
        shown = {"setting_ma": 0.0, "amplitude_ma": 0.1} if paused else {"setting_ma": 30.0, "amplitude_ma": 29.5}
        return stim.sample(phase=Phase.PAUSED if paused else Phase.RUNNING, **shown)

    is_bounded(clinic, floods(clinic, flips))
    clinic.decides(inputs.Received("stim-12", flips(1), clinic.now_s, clinic.wall_s))
    refused = clinic.decides(inputs.Received("stim-12", flips(0), clinic.now_s, clinic.wall_s))
    assert [type(effect) for effect in refused.at_once] == [Count]


# --- who must be heard ----------------------------------------------------------------------------------------------


def spent(clinic: Clinic) -> None:
    """stim-12 has told so much that it may write nothing more."""
    stim = clinic.stims["stim-12"]
    for n in range(int(BURST_ROWS) + 200):
        clinic.says("stim-12", stim.birth(firmware=f"f{n}"))
    setting = stim.event(EventKind.SETTING_CHANGED, None, SettingChanged(1.0))
    assert clinic.says("stim-12", setting) == ["SecurityNoticed too_many", "! count too_many"]


def test_h21_a_stop_that_is_pressed_at_a_mad_device_is_an_alarm_at_once() -> None:
    clinic = Clinic(alarms=True)
    clinic.running("stim-12")
    spent(clinic)
    stim = clinic.stims["stim-12"]
    pressed = clinic.says("stim-12", stim.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP))
    assert pressed[:2] == ["DeviceReported stop_pressed", "AlarmRaised A03 medium room-4/stim-12 on"]
    stuck = clinic.says("stim-12", stim.event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
    assert "AlarmRaised A01 high room-4/stim-12 on" in stuck
    # The same word in the same moment adds nothing; it is not receipted, and its agent tells it again.
    again = stim.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP)
    assert clinic.says("stim-12", again) == ["! count too_many"]
    clinic.now_s += 5.0
    assert clinic.says("stim-12", again)[0] == "DeviceReported stop_pressed"


def test_h21_a_mad_device_whose_change_of_phase_waits_is_judged_all_the_same() -> None:
    clinic = Clinic()
    clinic.running("stim-12")
    spent(clinic)
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.sample(phase=Phase.PAUSED, setting_ma=0.0, amplitude_ma=0.1))
    said = clinic.says("stim-12", stim.sample(phase=Phase.RUNNING, setting_ma=150.0, amplitude_ma=150.0))
    assert "! count too_many" in said, "its change of phase waits"
    assert said[1:4] == ["LimitExceeded amplitude_ma", "SessionWithheld limit", "StopOrdered stim-12 rule_stop"]


def test_h21_a_stop_of_a_mad_device_is_confirmed_whatever_the_budget_says() -> None:
    clinic = Clinic()
    clinic.running("stim-12")
    spent(clinic)
    clinic.stopped()
    assert clinic.state.durable.stops == {}


def test_after_a_restart_the_budget_is_full_again() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    spent(clinic)
    clinic.restarts()
    setting = clinic.stims["stim-12"].event(EventKind.SETTING_CHANGED, None, SettingChanged(1.0))
    assert clinic.says("stim-12", setting)[0] == "DeviceReported setting_changed"


# --- who is only behind ---------------------------------------------------------------------------------------------


def upto(clinic: Clinic) -> int:
    return clinic.state.device("stim-12").spools[clinic.stims["stim-12"].spool_id].upto


def drains(clinic: Clinic, spool: list[Event]) -> float:
    """An honest agent (agents/link.py): at most 64 told ahead of the receipt, from the oldest again after 5 s without a
    new one. Returns the seconds until everything is receipted.
    """
    began_s, told_n, receipted_n, resend_s = clinic.now_s, 0, 0, clinic.now_s + 5.0
    while receipted_n < len(spool):
        clinic.now_s += 0.002
        clinic.wall_s += 0.002
        if told_n < min(len(spool), receipted_n + 64):
            told_n += 1
            for effect in heard(clinic, "stim-12", spool[told_n - 1]):
                if isinstance(effect, SendReceipt) and effect.message.upto > receipted_n:
                    receipted_n, resend_s = effect.message.upto, clinic.now_s + 5.0
        elif clinic.now_s >= resend_s:
            told_n, resend_s = receipted_n, clinic.now_s + 5.0
        else:
            clinic.now_s, clinic.wall_s = resend_s, clinic.wall_s + resend_s - clinic.now_s
    return clinic.now_s - began_s


def kept(clinic: Clinic) -> list[int]:
    return [one.event.n for one in clinic.journal if isinstance(one, events.DeviceReported)]


def test_h21_a_day_s_spool_drains_at_once_and_calls_nobody() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    spool = [stim.event(EventKind.SETTING_CHANGED, None, SettingChanged(1.0)) for _ in range(800)]
    assert drains(clinic, spool) < 5.0
    assert kept(clinic) == list(range(1, 801))
    assert clinic.state.durable.alarms == {}


def test_h21_a_spool_of_5000_events_drains_and_nothing_is_lost() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    ordinary = (EventKind.SETTING_CHANGED, None, SettingChanged(1.0))
    spool = [stim.event(*(ordinary if n % 50 else (EventKind.HOLD_SET, None, None))) for n in range(5000)]
    taken_s = drains(clinic, spool)
    assert 350.0 < taken_s < 600.0
    assert sorted(kept(clinic)) == list(range(1, 5001))
