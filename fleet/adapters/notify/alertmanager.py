"""Alertmanager's v2 API. One alert a series; an acknowledgement is a silence of it, and an end an alert that ends.

An alert that nobody sends again would resolve by itself: it is posted with an end far enough away that a pager which is
started again comes before it, and again with everything that is said of its series.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.adapters.notify.message import Message
from fleet.adapters.notify.posting import post_json
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
    else:
        post_json(f"{root}/api/v2/alerts", [_alert(message, now)], within_s)


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
