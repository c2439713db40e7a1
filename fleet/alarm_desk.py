"""What is asked about alarms at the control socket, as the core hears it."""

from typing import TypedDict, assert_never

from fleet.adapters.control import alarm_requests as asks
from fleet.core import alarm_inputs as inputs


class _About(TypedDict):
    request_id: str
    alarm_id: str
    issued_by: str
    now_s: float
    wall_s: float


def of_alarm(request_id: str, asked: asks.OfAlarm, now_s: float, wall_s: float) -> inputs.Asked:
    """A person's word on one alarm."""
    about: _About = {
        "request_id": request_id,
        "alarm_id": asked.alarm_id,
        "issued_by": asked.issued_by,
        "now_s": now_s,
        "wall_s": wall_s,
    }
    match asked:
        case asks.AskAcknowledge():
            return inputs.AcknowledgeAlarm(**about)
        case asks.AskAccept():
            return inputs.AcceptAlarm(**about)
        case asks.AskReject(reason=reason):
            return inputs.RejectAlarm(**about, reason=reason)
        case asks.AskShelve(reason=reason, until=until):
            return inputs.ShelveAlarm(**about, reason=reason, until_wall_s=until.timestamp())
        case asks.AskUnshelve():
            return inputs.UnshelveAlarm(**about)
        case asks.AskComment(text=text):
            return inputs.CommentAlarm(**about, text=text)
        case _:
            assert_never(asked)


class _At(TypedDict):
    request_id: str
    now_s: float
    wall_s: float


def of_pager(request_id: str, asked: asks.OfPager, now_s: float, wall_s: float) -> inputs.Reported:
    """Whoever delivers, or somebody about a drill."""
    at: _At = {"request_id": request_id, "now_s": now_s, "wall_s": wall_s}
    match asked:
        case asks.AskPageDelivered(page_id=page_id):
            return inputs.PageDelivered(**at, page_id=page_id)
        case asks.AskPageFailed(page_id=page_id, why=why):
            return inputs.PageFailed(**at, page_id=page_id, why=why)
        case asks.AskPagerAlive(heartbeat=heartbeat):
            return inputs.PagerAlive(**at, heartbeat=heartbeat)
        case asks.AskDrill(issued_by=issued_by, person=person):
            return inputs.OrderDrill(**at, issued_by=issued_by, person=person)
        case asks.AskDrillAnswered(page_id=page_id, issued_by=issued_by):
            return inputs.AnswerDrill(**at, page_id=page_id, issued_by=issued_by)
        case _:
            assert_never(asked)


def of_recorder(request_id: str, asked: asks.OfRecorder, now_s: float, wall_s: float) -> inputs.Recorded:
    """Whoever records, about its store."""
    at: _At = {"request_id": request_id, "now_s": now_s, "wall_s": wall_s}
    match asked:
        case asks.AskRecorderSays(trouble=trouble):
            return inputs.RecorderSays(**at, trouble=trouble)
        case asks.AskRecorderEnds():
            return inputs.RecorderEnds(**at)
        case _:
            assert_never(asked)
