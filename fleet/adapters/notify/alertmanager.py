"""Alertmanager's v2 API. One alert a series; an acknowledgement is a silence of it, and an end an alert that ends.

Its labels are what an alert is. The priority is one, so that it can be routed by and a rise is told as something new:
whatever else of the series is there ends with it. What sounds again (a rise, a relapse, a rejection) ends the silence
that an acknowledgement began.

An alert that nobody sends again would resolve by itself: it is posted with an end far enough away that a pager which is
started again comes before it, and again with everything that is said of its series.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fleet.adapters.notify.message import Message
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
    alert = _alert(message, now)
    post_json(f"{root}/api/v2/alerts", [alert], within_s)  # first: whoever answers nothing else has this
    ended = [{**one, "endsAt": _moment(now)} for one in _others(root, alert, within_s)]
    if ended:
        post_json(f"{root}/api/v2/alerts", ended, within_s)
    if message.act is Act.TRIGGER:
        _end_silences(root, message.series, within_s)


def _others(root: str, alert: dict[str, Any], within_s: float) -> list[dict[str, Any]]:
    """Alerts of the same series, with other labels: of the priority that it had before."""
    asked = {"filter": f'series="{alert["labels"]["series"]}"', "silenced": "true", "inhibited": "true"}
    return [
        {name: one[name] for name in ("labels", "annotations", "startsAt")}
        for one in get_json(f"{root}/api/v2/alerts?{urlencode(asked)}", within_s)
        if one["labels"] != alert["labels"]
    ]


def _end_silences(root: str, series: str, within_s: float) -> None:
    """Those of this series alone."""
    asked = {"filter": f'series="{series}"'}
    for one in get_json(f"{root}/api/v2/silences?{urlencode(asked)}", within_s):
        named = [(matcher["name"], matcher["value"]) for matcher in one["matchers"]]
        if named == [("series", series)] and one["status"]["state"] == "active":
            delete(f"{root}/api/v2/silence/{one['id']}", within_s)


def _alert(message: Message, now: datetime) -> dict[str, Any]:
    labels = {
        "alertname": DRILL_NAME if message.drill else NAME,
        "series": message.series,
        "code": message.code,
        "severity": message.priority.value,
        "site": message.site,
        "room": message.room,
        "device": message.device,
    }
    annotations = {"summary": message.line, "description": "\n".join(message.details), "runbook_url": message.runbook}
    lasts_s = DIGEST_LASTS_S if message.code == DIGEST else LASTS_S
    ends = now if message.act is Act.RESOLVE else now + timedelta(seconds=lasts_s)
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": message.at,
        "endsAt": _moment(ends),
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
