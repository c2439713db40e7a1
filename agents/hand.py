"""What a press at the device does, once `agents.presses` has judged it. Only here does output begin, and rise."""

import math
from dataclasses import replace
from typing import assert_never

from agents import over_limits, presses
from agents.faults import number
from agents.state import Arming
from agents.steps import Press, Pressed, Reply, Written
from agents.turn import Turn, end, latch, pause
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import Contact
from broker.contract.messages import EventKind, Phase


def press(turn: Turn, pressed: Pressed) -> None:
    words = presses.refusal(turn.state, pressed)
    if words is not None:
        turn.tell(Reply(pressed.press_id, False, words))
        return
    match pressed.press:
        case Press.ARM:
            _arm(turn, pressed)
        case Press.DISARM:
            _disarm(turn, pressed)
        case Press.START:
            _start(turn, pressed)
        case Press.RAISE | Press.LOWER:
            _change_setting(turn, pressed)
        case Press.PAUSE:
            pause(turn, None)
            turn.tell(Reply(pressed.press_id, True, "Paused. Setting 0."))
        case Press.RESUME:
            _resume(turn, pressed)
        case Press.STOP:
            end(turn, Cause.THERAPIST_STOP)
            turn.tell(Reply(pressed.press_id, True, "Stopping."))
        case Press.STOP_BUTTON:
            latch(turn, Cause.PATIENT_STOP, turn.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP))
            turn.tell(Reply(pressed.press_id, True, "Stopped and latched."))
        case Press.RESET:
            _reset(turn, pressed)
        case _:
            assert_never(pressed.press)


def _arm(turn: Turn, pressed: Pressed) -> None:
    """The marker first: armed once it is on disk. The answer comes then."""
    session = turn.state.session
    assert session is not None
    turn.change_durable(live_session_id=session.session_id)
    turn.change(arming=Arming(pressed.press_id, turn.save()))


def confirm_write(turn: Turn, written: Written) -> None:
    state = turn.state
    written_n = max(state.written_n, written.write_n)
    unwritten_s = math.inf if written_n >= state.ordered_n else state.now_s
    turn.change(written_n=written_n, written_s=state.now_s, unwritten_s=unwritten_s)
    arming = state.arming
    if arming is None or written_n < arming.write_n:
        return
    turn.change(arming=None, marker=state.durable.live_session_id, phase=Phase.ARMED)
    turn.tell(turn.event(EventKind.SESSION_ARMED))
    turn.tell(Reply(arming.press_id, True, "Armed. Setting 0."))


def _disarm(turn: Turn, pressed: Pressed) -> None:
    turn.change(phase=Phase.AUTHORISED, marker=None)
    turn.change_durable(live_session_id=None)
    turn.save()
    turn.tell(turn.event(EventKind.SESSION_DISARMED), Reply(pressed.press_id, True, "Disarmed."))


def _start(turn: Turn, pressed: Pressed) -> None:
    reading = turn.state.watch.reading
    assert reading is not None, "the pads were judged good by it"
    turn.change_session(baseline_ohm=number(reading.impedance_ohm))
    turn.tell(turn.event(EventKind.SESSION_STARTED))
    _run(turn)
    turn.tell(Reply(pressed.press_id, True, "Running. Setting 0."))


def _resume(turn: Turn, pressed: Pressed) -> None:
    session = turn.state.session
    assert session is not None
    turn.change_session(paused_s=session.paused_s + turn.state.now_s - session.paused_from_s)
    turn.tell(turn.event(EventKind.SESSION_RESUMED))
    _run(turn)
    turn.tell(Reply(pressed.press_id, True, "Running. Setting 0."))


def _run(turn: Turn) -> None:
    """From 0, with a fresh eye on sensor and pads."""
    turn.change_session(setting_ma=0.0, contact=Contact.GOOD, degraded=False)
    watch = replace(turn.state.watch, raw_amplitude=None, raw_repeats=0, flowing_s=None, unread_s=0.0)
    turn.change(phase=Phase.RUNNING, watch=watch)


def _change_setting(turn: Turn, pressed: Pressed) -> None:
    state, session = turn.state, turn.state.session
    assert session is not None
    if pressed.press is Press.LOWER:
        setting_ma = max(0.0, session.setting_ma - pressed.step_ma)
        words = f"Setting {setting_ma:.1f} mA."
    else:
        setting_ma = presses.raised_ma(session, pressed.step_ma)
        words = presses.raised_words(session, pressed.step_ma)
        rise_s = (setting_ma - session.setting_ma) / session.limits.setting_rise_ma_per_s_max.value
        turn.change_session(raise_from_s=state.now_s + rise_s)
    set_to(turn, setting_ma)
    turn.tell(Reply(pressed.press_id, True, words))


def set_to(turn: Turn, setting_ma: float) -> None:
    turn.change_session(setting_ma=setting_ma)
    turn.tell(turn.event(EventKind.SETTING_CHANGED, detail=messages.SettingChanged(setting_ma)))


def _reset(turn: Turn, pressed: Pressed) -> None:
    cause = turn.state.durable.latch
    if pressed.who is ResetBy.ENGINEER:
        durable = turn.state.durable
        turn.change_durable(over_limits=over_limits.seen_by_engineer(durable.over_limits, durable.boot_n))
    turn.change_durable(latch=None, reset_by=ResetBy.NOBODY)
    turn.change(phase=Phase.IDLE)
    turn.save()
    turn.tell(turn.event(EventKind.LATCH_RESET, cause), Reply(pressed.press_id, True, "Reset."))
