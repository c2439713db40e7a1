"""How fast the therapist's setting may rise from one sample to a later one (H04): a limit like any other.

By the device's own rules a raise is one step, and the next may come once the rise rate has made up for it; so from one
sample to a later one the setting rises by at most the rate times the running time between, and one step. A session
begins, and goes on after a pause, at zero.

The running time is `elapsed_s`: the device's own count, of the time in which the setting can rise, and the only one
that neither delay nor loss of samples touches. Between two arrivals there may be less time than there was at the
device. Where no earlier sample is known (the first one, a fleet that has just taken over) the beginning is the earlier
one: 0 mA at 0 s. So no lost sample makes a false alarm, and a count that stands still allows one step and no more.
"""

from broker.contract.limits import Breach, Limit, Limits, exceeds, setting_step_max_ma
from broker.contract.messages import Phase, Telemetry
from fleet.core.state import Risen, Session
from fleet.core.turn import Turn

ELAPSED_SLACK_S = 0.1  # two control ticks: a device may count its running time by the tick
_HIGHEST_STEP_MA = 2.0  # setting_step_max_ma: before the last step the setting was at most this much lower
_MAY_BE_SET = frozenset({Phase.RUNNING, Phase.STOPPING})  # armed and paused mean zero


def too_fast(turn: Turn, session: Session, limits: Limits, sample: Telemetry, *, newest: bool) -> Breach | None:
    """The rise since the newest sample that is known to be earlier, if it was faster than the device may go.

    `limits` are those that the sample is judged by. Its rise is judged by those of the earlier one: within a session
    they only become tighter, and the raise may have come before they did. What is late or overtaken (not `newest`)
    has a place of its own, so that it does not make the fleet forget the newest.
    """
    setting_ma = sample.setting_ma if sample.phase in _MAY_BE_SET else 0.0
    earlier = _newest_before(turn, session, sample.seq)
    shown = Risen(session.session_id, sample.seq, setting_ma, sample.elapsed_s, limits)
    turn.state.fleeting.risen[session.device, newest] = shown
    rise_ma, allowed_ma = setting_ma - earlier.setting_ma, _most_ma(earlier, shown)
    if not exceeds(rise_ma, allowed_ma):
        return None
    return Breach("setting_rise_ma", rise_ma, Limit(allowed_ma, earlier.limits.setting_rise_ma_per_s_max.layer))


def _newest_before(turn: Turn, session: Session, seq: int) -> Risen:
    beginning = Risen(session.session_id, -1, 0.0, 0.0, session.authorisation.limits)
    known = (turn.state.fleeting.risen.get((session.device, newest)) for newest in (True, False))
    before = (each for each in known if each is not None and each.session_id == session.session_id and each.seq < seq)
    return max(before, key=lambda each: each.seq, default=beginning)


def _most_ma(earlier: Risen, later: Risen) -> float:
    """The most that the setting may have risen by."""
    between_s = max(later.elapsed_s - earlier.elapsed_s, 0.0) + ELAPSED_SLACK_S
    step_ma = setting_step_max_ma(later.setting_ma - _HIGHEST_STEP_MA, earlier.limits)
    return earlier.limits.setting_rise_ma_per_s_max.value * between_s + step_ma
