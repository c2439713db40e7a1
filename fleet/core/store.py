"""What the recorder tells of its store: kept where it changes, and answered always.

Its word decides nothing but A13 (`conditions.samples_not_kept`). It comes once a minute, and at once when it changes;
the journal has only the changes. That it comes at all is fleeting, like the pager's life: after a start of the fleet
the recorder has the whole of its time to be heard.
"""

from typing import assert_never

from fleet.core.alarm_inputs import Recorded, RecorderEnds, RecorderSays
from fleet.core.effects import Answer, Ordered
from fleet.core.store_events import RecorderEnded, StoreFailed, StoreTook, StoreTrouble
from fleet.core.turn import Turn


def told(turn: Turn, heard: Recorded) -> None:
    """A word of the recorder."""
    match heard:
        case RecorderSays(trouble=trouble):
            turn.state.fleeting.recorder_s = turn.now_s
            _says(turn, trouble)
        case RecorderEnds():
            if turn.state.durable.recorder is not None:
                turn.happened(RecorderEnded(**turn.at))
        case _:
            assert_never(heard)
    turn.after_commit(Answer(heard.request_id, Ordered("recorder")))


def _says(turn: Turn, trouble: StoreTrouble | None) -> None:
    known = turn.state.durable.recorder
    if known is not None and known.trouble is trouble:
        return
    turn.happened(StoreTook(**turn.at) if trouble is None else StoreFailed(**turn.at, trouble=trouble))
