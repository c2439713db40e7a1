"""What a message says: one line that can be read on a lock screen, a few that follow it, where to answer, what to read.

Made from the order in the journal and the state after it. Nothing of a client is in either.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fleet.adapters.notify.message import Message
from fleet.core.alarm_events import Why
from fleet.core.attention import standing
from fleet.core.attention_events import DigestDue, PageDue
from fleet.core.attention_state import Act
from fleet.core.state import State
from fleet.core.turn import wall_time
from fleet.paging.links import Link
from fleet.views import alarm_row
from fleet.words.alarms import alarm_words, over_words, where_words

ANSWER_CHARS = 8  # of a page's id: enough to tell the tests of ten minutes apart
LINE_CHARS_MAX = 240  # what telephones show of a notification
TEST = "TEST, nothing is wrong. Answer it, so that the clinic knows that you are reached."

LinkFor = Callable[[PageDue], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every message of a site is made with. `anchors`: where each code stands in the runbook."""

    site: str
    link_for: LinkFor = lambda page: None
    runbook_url: str | None = None
    anchors: Mapping[str, str] = field(default_factory=dict)

    def runbook(self, code: str) -> str | None:
        if self.runbook_url is None:
            return None
        return f"{self.runbook_url}#{self.anchors[code]}" if code in self.anchors else self.runbook_url


def runbook_anchors(text: str) -> dict[str, str]:
    """The anchor of each alarm's heading, as most readers of Markdown make it.

    >>> runbook_anchors("## A03 Emergency stop: pressed, or pushed")
    {'A03': 'a03-emergency-stop-pressed-or-pushed'}
    """
    headings = re.findall(r"^## ((A\d\d) .+)$", text, re.MULTILINE)
    return {code: re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading, code in headings}


def page_message(page: PageDue, state: State, around: Surroundings) -> Message:
    """One order as a message."""
    alarm = alarm_of(page, state)
    details = [answer_words(page.page_id)] if page.drill else _details(page, alarm, state)
    return Message(
        page_id=page.page_id,
        series=page.series,
        act=page.act,
        priority=page.priority,
        code=page.code.value,
        site=around.site,
        room=alarm["room"],
        device=alarm["device"],
        line=_short(TEST if page.drill else _line(page, alarm, state)),
        details=tuple(details),
        rung=page.rung,
        drill=page.drill,
        by=page.by,
        runbook=around.runbook(page.code.value),
        link=around.link_for(page) if page.act is Act.TRIGGER else None,
        at=wall_time(page.wall_s),
        until_s=page.until_s,
    )


def alarm_of(page: PageDue, state: State) -> dict[str, Any]:
    """The alarm that it is about, as people are shown it; of one that nobody knows any more what the order says."""
    durable = state.durable
    known = [alarm for alarm in durable.alarms.values() if alarm.alarm_id == page.alarm_id]
    known += [past.alarm for past in durable.past_alarms if past.alarm.alarm_id == page.alarm_id]
    if known:
        return {**alarm_row(known[0]), "priority": page.priority.value}
    return {
        "code": page.code.value,
        "priority": page.priority.value,
        "device": page.device,
        "room": page.room,
        "members": [],
        "since": wall_time(page.wall_s),
        "why": asdict(Why()),
    }


def answer_words(page_id: str) -> str:
    """How a test alarm is answered where no link leads to the clinic, or the way of the message shows none."""
    code = page_id[:ANSWER_CHARS]
    return f"In the page's phone view type {code}, or at the fleet's host: stimfleet rota answer {code}"


def _line(page: PageDue, alarm: dict[str, Any], state: State) -> str:
    if page.act is Act.RESOLVE:
        where = standing(state.durable, page.alarm_id)
        now = None if where is None else state.durable.alarms[where]
        if now is not None and now.alarm_id != page.alarm_id:  # what ends is this message alone
            return f"GOES ON in another message: {alarm_words(alarm_row(now))}"
        return f"OVER {over_words(alarm)}"
    if page.act is Act.ACKNOWLEDGE:
        return f"{page.by or 'Somebody'} has it: {alarm_words(alarm)}"
    return alarm_words(alarm)


def _details(page: PageDue, alarm: dict[str, Any], state: State) -> list[str]:
    zone = ZoneInfo(state.durable.registry.clinic.time_zone)
    since = datetime.fromisoformat(alarm["since"]).astimezone(zone)
    said = [f"{page.code.value}, since {since:%H:%M} on {since:%Y-%m-%d}."]
    if page.act is Act.TRIGGER and page.rung > 1:
        said.append(f"Nobody has accepted it yet: this is call {page.rung}.")
    return said


def plain_message(order: PageDue | DigestDue, around: Surroundings) -> Message:
    """What an order says by itself, where there are no words for it: enough to go and look."""
    page = order if isinstance(order, PageDue) else None
    places = (None, None) if page is None else (page.room, page.device)
    where = ", ".join(place for place in places if place is not None) or around.site
    what = "alarms" if page is None else page.code.value
    is_call = page is not None and page.act is Act.TRIGGER
    act = "" if page is None or is_call else f"{page.act.value.upper()} "
    return Message(
        page_id=order.page_id,
        series=f"digest {order.priority.value}" if page is None else page.series,
        act=Act.TRIGGER if page is None else page.act,
        priority=order.priority,
        code="digest" if page is None else page.code.value,
        site=around.site,
        room=places[0],
        device=places[1],
        line=f"{act}{order.priority.value.upper()} {what} {where}.",
        details=(),
        rung=0 if page is None else page.rung,
        drill=page is not None and page.drill,
        by=None if page is None else page.by,
        runbook=around.runbook_url,
        link=around.link_for(page) if page is not None and is_call else None,
        at=wall_time(order.wall_s),
        until_s=order.until_s,
    )


def link_line(link: Link, state: State) -> str | None:
    """The alarm that a link is about, as it is now, and who has it; None where it is over. One that has come back, or
    that is a part of a group now, is not.
    """
    where = standing(state.durable, link.alarm_id)
    if where is None:
        return None
    one = state.durable.attention.get(where)
    taken = "" if one is None or one.until_s is None or one.by is None else f" {one.by} has it."
    return alarm_words(alarm_row(state.durable.alarms[where])) + taken


def digest_message(digest: DigestDue, state: State, around: Surroundings) -> Message:
    """Several alarms in one message; nothing is to be answered."""
    lines = [f"{line.code.value} {where_words({**asdict(line), 'members': ()})}" for line in digest.alarms]
    count = len(lines) + digest.more
    alarms = "1 alarm" if count == 1 else f"{count} alarms"
    more = [f"and {digest.more} more"] if digest.more else []
    return Message(
        page_id=digest.page_id,
        series=f"digest {digest.priority.value}",
        act=Act.TRIGGER,
        priority=digest.priority,
        code="digest",
        site=around.site,
        room=None,
        device=None,
        line=_short(f"{digest.priority.value.upper()} {alarms}: {'; '.join([*lines[:3], *more])}."),
        details=(*lines, *more),
        rung=0,
        drill=False,
        by=None,
        runbook=around.runbook_url,
        link=None,
        at=wall_time(digest.wall_s),
        until_s=digest.until_s,
    )


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= LINE_CHARS_MAX else f"{line[: LINE_CHARS_MAX - 3]}..."
