"""Alertmanager's v2 API. One alert a sounding; an acknowledgement is a silence of its series, and an end ends them all.

Its labels are what an alert is, and an Alertmanager tells what is new, not what is annotated anew. So `sounding` is a
label: when the call was ordered, the same for everybody who is told by it. Each call is then an alert of its own, told
at once by a route that groups by `series` and `sounding`; whatever else of the series is there ends with it, and says
that it goes on. What sounds again ends the silence that an acknowledgement began, before it is told.

An alert that nobody sends again would resolve by itself: it is posted with an end far enough away that a pager which is
started again comes before it, and again with everything that is said of its series.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.posting import delete, get_json, post_json
from fleet.core.attention_state import ACKNOWLEDGED_S, Act

LASTS_S = 24 * 3600.0
DIGEST = "digest"
DIGEST_LASTS_S = 300.0  # it is told once, and nobody says that it is over
NAME = "StimFleetAlarm"
DRILL_NAME = "StimFleetTestAlarm"


def send_alert(url: str, message: Message, within_s: float, walltime: Callable[[], float]) -> None:
    """Tell an Alertmanager at `url`, its root.

    Raises:
        NotDelivered
    """
    root, now = url.rstrip("/"), datetime.fromtimestamp(walltime(), UTC)
    if message.act is Act.ACKNOWLEDGE:
        post_json(f"{root}/api/v2/silences", _silence(message, now), within_s)
        return
    if message.act is Act.RESOLVE:
        _end_alerts(root, message, message.line, now, within_s)
        return
    failed: NotDelivered | None = None
    try:
        _end_silences(root, message.series, within_s)  # what is told at once would be silenced at once
    except NotDelivered as refused:
        failed = refused
    post_json(f"{root}/api/v2/alerts", [_alert(message, now)], within_s)  # whoever answers nothing else has this
    if failed is not None:
        raise failed
    _end_alerts(root, message, f"GOES ON in another message: {message.line}", now, within_s)


def _end_alerts(root: str, message: Message, says: str, now: datetime, within_s: float) -> None:
    """All of the series but the one that this message is."""
    own = None if message.act is Act.RESOLVE else _labels(message)
    asked = {"filter": f'series="{message.series}"', "silenced": "true", "inhibited": "true"}
    ended = [
        {
            "labels": one["labels"],
            "annotations": {**one["annotations"], "summary": says},
            "startsAt": one["startsAt"],
            "endsAt": _moment(now),
        }
        for one in get_json(f"{root}/api/v2/alerts?{urlencode(asked)}", within_s)
        if one["labels"] != own
    ]
    if ended:
        post_json(f"{root}/api/v2/alerts", ended, within_s)


def _end_silences(root: str, series: str, within_s: float) -> None:
    """Those of this series alone."""
    asked = {"filter": f'series="{series}"'}
    for one in get_json(f"{root}/api/v2/silences?{urlencode(asked)}", within_s):
        named = [(matcher["name"], matcher["value"]) for matcher in one["matchers"]]
        if named == [("series", series)] and one["status"]["state"] == "active":
            delete(f"{root}/api/v2/silence/{one['id']}", within_s)


def _labels(message: Message) -> dict[str, str]:
    labels = {
        "alertname": DRILL_NAME if message.drill else NAME,
        "series": message.series,
        "sounding": message.at,
        "code": message.code,
        "severity": message.priority.value,
        "site": message.site,
        "room": message.room,
        "device": message.device,
    }
    return {name: value for name, value in labels.items() if value}


def _alert(message: Message, now: datetime) -> dict[str, Any]:
    annotations = {"summary": message.line, "description": "\n".join(message.details), "runbook_url": message.runbook}
    lasts_s = DIGEST_LASTS_S if message.code == DIGEST else LASTS_S
    return {
        "labels": _labels(message),
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": message.at,
        "endsAt": _moment(now + timedelta(seconds=lasts_s)),
    }


def _silence(message: Message, now: datetime) -> dict[str, Any]:
    return {
        "matchers": [{"name": "series", "value": message.series, "isRegex": False, "isEqual": True}],
        "startsAt": _moment(now),
        "endsAt": _moment(now + timedelta(seconds=ACKNOWLEDGED_S)),
        "createdBy": message.by or "stimfleet",
        "comment": message.line,
    }


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
