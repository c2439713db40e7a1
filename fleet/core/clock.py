"""The fleet host's own wall clock: that it stepped ahead is found, told, and in the end settled (H06).

How far it is believed, `steady` says, and `Turn` keeps to it. Here is what people see of that: one event a doubt, from
which A09 and the refusal of requests follow. It ends when the clock has gone along again for a minute, so that one that
jumps to and fro fills no journal; or when a person says that the clock is right.
"""

from fleet.core.clock_events import FleetClockAccepted, FleetClockAgreed, FleetClockStepped
from fleet.core.effects import Answer, Ordered, Refused
from fleet.core.inputs import AcceptClock
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.steady import STEP_S
from fleet.core.turn import Turn

AGREES_S = 60.0


def look(turn: Turn) -> None:
    """Whether the clock has stepped, or agrees again."""
    fleeting, in_doubt = turn.state.fleeting, turn.state.durable.clock_step_s is not None
    if abs(turn.ahead_s) > STEP_S or not in_doubt:
        fleeting.clock_agrees_s = None
        if turn.ahead_s > STEP_S and not in_doubt:
            turn.happened(FleetClockStepped(**turn.at, step_s=turn.ahead_s))
        return
    if fleeting.clock_agrees_s is None:
        fleeting.clock_agrees_s = turn.now_s
    if turn.now_s - fleeting.clock_agrees_s >= AGREES_S:
        turn.happened(FleetClockAgreed(**turn.at))


def accept(turn: Turn, heard: AcceptClock) -> None:
    """Go on from the host's wall clock as it is, for a person says so. Only where it is in doubt."""
    look(turn)
    if turn.state.durable.clock_step_s is None:
        nothing = Refusal(rule=Rule.CLOCK_NOT_IN_DOUBT, layer=RuleLayer.FLEET)
        turn.after_commit(Answer(heard.request_id, Refused((nothing,))))
        return
    before_wall_s = turn.wall_s
    turn.believe(heard.wall_s)
    accepted = FleetClockAccepted(
        **turn.at,
        issued_by=heard.issued_by,
        reason=heard.reason,
        before_wall_s=before_wall_s,
        after_wall_s=heard.wall_s,
    )
    turn.happened(accepted)
    turn.after_commit(Answer(heard.request_id, Ordered(turn.new_id("clock"))))
