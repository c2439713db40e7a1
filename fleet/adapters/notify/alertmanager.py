"""Alertmanager's v2 API. One alert a sounding; an acknowledgement is a silence of its series, and an end ends them all.

Its labels are what an alert is, and an Alertmanager tells what is new, not what is annotated anew. So `sounding` is a
label: when the call was ordered, the same for everybody who is told by it. Each call is then an alert of its own, told
at once by a route that groups by `series` and `sounding`; whatever else of the series is there ends with it, and says
that it goes on. The alert goes out first and is delivered by that, whatever becomes of the rest; only a silence that is
known to swallow it and cannot be ended makes it undelivered. Where one was ended (an acknowledgement began it) the
alert is posted once more: it is told with the next look of its group, so the route looks each second.

An alert that nobody sends again would resolve by itself: it is posted with an end far enough away that a pager which is
started again comes before it, and again with everything that is said of its series.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.posting import delete, get_json, post_json
from fleet.core.attention_state import ACKNOWLEDGED_S, Act

log = logging.getLogger(__name__)
AFTERWARDS_SHARE = 0.8  # of the time for a message: its lane gives it up at the whole of it
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
        _end_alerts(root, message, message.line, now, lambda: within_s)
        return
    until_s = walltime() + within_s * AFTERWARDS_SHARE
    post_json(f"{root}/api/v2/alerts", [_alert(message, now)], within_s)
    left = _Left(until_s, within_s, walltime)
    try:
        silences = _silences(root, message.series, left)
    except NotDelivered as failed:  # it may have been told for all that is known here
        log.warning("message %s: its alert was taken, its silences cannot be read: %s", message.page_id, failed.why)
        silences = []
    for silence in silences:  # one that stays would swallow it: then nobody was told
        delete(f"{root}/api/v2/silence/{silence}", left.s())
    try:
        if silences:
            post_json(f"{root}/api/v2/alerts", [_alert(message, now)], left.s())
        _end_alerts(root, message, f"GOES ON in another message: {message.line}", now, left.s)
    except NotDelivered as failed:
        log.warning("message %s: its alert was taken, those before it go on: %s", message.page_id, failed.why)


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left for all that follows the alert. The wall clock, that may step: never more than `most_s` for one."""

    until_s: float
    most_s: float
    walltime: Callable[[], float]

    def s(self) -> float:
        """Raises:
        NotDelivered: nothing is.
        """
        left_s = min(self.until_s - self.walltime(), self.most_s)
        if left_s <= 0.0:
            raise NotDelivered("no time is left", again=True)
        return left_s


def _end_alerts(root: str, message: Message, says: str, now: datetime, within_s: Callable[[], float]) -> None:
    """Those of the series that sounded before this message, or with it where that is the end: one that is told late
    ends nothing that is newer.
    """
    asked = {"filter": f'series="{message.series}"', "silenced": "true", "inhibited": "true"}
    ended = [
        {
            "labels": one["labels"],
            "annotations": {**one["annotations"], "summary": says},
            "startsAt": one["startsAt"],
            "endsAt": _moment(now),
        }
        for one in get_json(f"{root}/api/v2/alerts?{urlencode(asked)}", within_s())
        if (at := one["labels"].get("sounding", "")) < message.at or (at == message.at and message.act is Act.RESOLVE)
    ]
    if ended:
        post_json(f"{root}/api/v2/alerts", ended, within_s())


def _silences(root: str, series: str, left: _Left) -> list[str]:
    """Those of this series alone that would swallow its alert."""
    asked = {"filter": f'series="{series}"'}
    return [
        one["id"]
        for one in get_json(f"{root}/api/v2/silences?{urlencode(asked)}", left.s())
        if [(matcher["name"], matcher["value"]) for matcher in one["matchers"]] == [("series", series)]
        and one["status"]["state"] == "active"
    ]


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
