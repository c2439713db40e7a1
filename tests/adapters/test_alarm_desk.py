"""What is asked about alarms at the control socket: strictly read, and heard by the core as it was meant."""

import json
from typing import Any

import pytest

from fleet import alarm_desk
from fleet.adapters.control import alarm_requests
from fleet.adapters.control.requests import BadRequest, parse
from fleet.core import alarm_inputs as inputs
from fleet.core.store_events import StoreTrouble

ID = "0123456789abcdef0123456789abcdef"
OF = {"alarm_id": ID, "issued_by": "anna"}
HEARD: dict[str, Any] = {"request_id": "r", "now_s": 5.0, "wall_s": 1e9}
ABOUT: dict[str, Any] = {**HEARD, **OF}

ALARMS: list[tuple[dict[str, Any], Any]] = [
    ({"op": "alarm_acknowledge", **OF}, inputs.AcknowledgeAlarm(**ABOUT)),
    ({"op": "alarm_accept", **OF}, inputs.AcceptAlarm(**ABOUT)),
    ({"op": "alarm_reject", **OF, "reason": "busy"}, inputs.RejectAlarm(**ABOUT, reason="busy")),
    (
        {"op": "alarm_shelve", **OF, "reason": "repair", "until": "2026-11-25T16:00:00+01:00"},
        inputs.ShelveAlarm(**ABOUT, reason="repair", until_wall_s=1_795_618_800.0),
    ),
    ({"op": "alarm_unshelve", **OF}, inputs.UnshelveAlarm(**ABOUT)),
    ({"op": "alarm_comment", **OF, "text": "x" * 280}, inputs.CommentAlarm(**ABOUT, text="x" * 280)),
]
PAGES: list[tuple[dict[str, Any], Any]] = [
    ({"op": "page_delivered", "page_id": ID}, inputs.PageDelivered(**HEARD, page_id=ID)),
    ({"op": "page_failed", "page_id": ID, "why": "busy"}, inputs.PageFailed(**HEARD, page_id=ID, why="busy")),
    ({"op": "pager_alive"}, inputs.PagerAlive(**HEARD, heartbeat=None)),
    ({"op": "pager_alive", "heartbeat": False}, inputs.PagerAlive(**HEARD, heartbeat=False)),
    ({"op": "drill", "issued_by": "ada"}, inputs.OrderDrill(**HEARD, issued_by="ada", person=None)),
    (
        {"op": "drill_answered", "page_id": ID, "issued_by": "anna"},
        inputs.AnswerDrill(**HEARD, page_id=ID, issued_by="anna"),
    ),
]

RECORDER: list[tuple[dict[str, Any], Any]] = [
    ({"op": "recorder_says", "trouble": None}, inputs.RecorderSays(**HEARD, trouble=None)),
    ({"op": "recorder_says", "trouble": "store_waits"}, inputs.RecorderSays(**HEARD, trouble=StoreTrouble.WAITS)),
    ({"op": "recorder_ends"}, inputs.RecorderEnds(**HEARD)),
]


def line(request: Any) -> bytes:
    return json.dumps(request).encode() + b"\n"


@pytest.mark.parametrize(("sent", "heard"), ALARMS)
def test_a_persons_word_is_heard_as_it_was_meant(sent: dict[str, Any], heard: inputs.Asked) -> None:
    asked = parse(line(sent))
    assert isinstance(asked, alarm_requests.AskOfAlarm)
    assert alarm_desk.of_alarm("r", asked, 5.0, 1e9) == heard


@pytest.mark.parametrize(("sent", "heard"), PAGES)
def test_what_became_of_a_message_is_heard_as_it_was_meant(sent: dict[str, Any], heard: inputs.Reported) -> None:
    asked = parse(line(sent))
    assert alarm_desk.of_pager("r", asked, 5.0, 1e9) == heard  # type: ignore[arg-type] # one of the union


@pytest.mark.parametrize(("sent", "heard"), RECORDER)
def test_a_recorders_word_is_heard_as_it_was_meant(sent: dict[str, Any], heard: inputs.Recorded) -> None:
    asked = parse(line(sent))
    assert isinstance(asked, alarm_requests.OfRecorder)
    assert alarm_desk.of_recorder("r", asked, 5.0, 1e9) == heard


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"op": "alarm_acknowledge", "alarm_id": "7", "issued_by": "anna"}, "alarm_id"),
        ({"op": "alarm_acknowledge", "alarm_id": ID}, "issued_by"),
        ({"op": "alarm_accept", **OF, "reason": "x"}, "reason"),
        ({"op": "alarm_reject", **OF}, "reason"),
        ({"op": "alarm_reject", **OF, "reason": "x" * 65}, "reason"),
        ({"op": "alarm_reject", **OF, "reason": "a\nb"}, "reason"),
        ({"op": "alarm_shelve", **OF, "until": "2026-11-25T16:00:00Z"}, "reason"),
        ({"op": "alarm_shelve", **OF, "reason": "x", "until": "2026-11-25T16:00:00"}, "until"),
        ({"op": "alarm_shelve", **OF, "reason": "x", "until": "tomorrow"}, "until"),
        ({"op": "alarm_comment", **OF, "text": ""}, "text"),
        ({"op": "alarm_comment", **OF, "text": "x" * 281}, "text"),
        ({"op": "alarm_comment", **OF, "text": "\u202ereversed"}, "text"),
        ({"op": "page_failed", "page_id": ID}, "why"),
        ({"op": "pager_alive", "heartbeat": "yes"}, "heartbeat"),
        ({"op": "drill", "issued_by": "ada", "person": 3}, "person"),
        ({"op": "recorder_says"}, "trouble"),
        ({"op": "recorder_says", "trouble": "the disk of c-4711 is full"}, "trouble"),
        ({"op": "recorder_says", "trouble": False}, "trouble"),
        ({"op": "recorder_says", "trouble": "store_waits", "why": "no such host"}, "why"),
        ({"op": "recorder_ends", "trouble": None}, "trouble"),
    ],
)
def test_bad_requests_get_one_sentence_that_names_the_field(sent: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as bad:
        parse(line(sent))
    assert f"The request's {named}" in str(bad.value)
    assert "\n" not in str(bad.value)


def test_every_op_is_named_where_none_is() -> None:
    with pytest.raises(BadRequest) as bad:
        parse(b"{}\n")
    for sent, _ in [*ALARMS, *PAGES, *RECORDER]:
        assert sent["op"] in str(bad.value)
