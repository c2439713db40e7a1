"""What is said to people while the fleet's journal cannot be written. Of a house, and nothing of a client."""

from hashlib import sha256

from broker.contract.causes import AlarmCode
from fleet.adapters.notify.message import Message
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act
from fleet.words.pages import Surroundings

CALL = "HIGH Site: the journal cannot be written, new alarms do not reach this phone. Be beside whoever is treated."
OVER = "OVER HIGH Site: the journal is written again, new alarms reach this phone. What was raised meanwhile follows."
DETAILS = (
    "Devices sound by themselves, and stops go out. Nothing new is authorised.",
    "Nobody can take this in a message or on the page: it comes again every 10 min until it is over.",
)


def unwritten_message(page_id: str, act: Act, call: int, at: str, until_s: float, around: Surroundings) -> Message:
    """A call, or that it is over. `call`: which one it is, from 1. `at`: UTC; `until_s`: boot time.

    It is an A12, since the way to people is broken. Its series is the same whoever sends it: a pager that was started
    again meanwhile goes on with what the one before it began.
    """
    calls = act is Act.TRIGGER
    return Message(
        page_id=page_id,
        series=sha256(f"the journal of {around.site} cannot be written".encode()).hexdigest()[:32],
        act=act,
        priority=Priority.HIGH,
        code=AlarmCode.A12.value,
        site=around.site,
        room=None,
        device=None,
        line=CALL if calls else OVER,
        details=(*DETAILS, *([f"This is call {call}."] if call > 1 else [])) if calls else (),
        rung=call if calls else 0,
        drill=False,
        by=None,
        runbook=around.runbook(AlarmCode.A12.value),
        link=None,
        at=at,
        until_s=until_s,
    )
