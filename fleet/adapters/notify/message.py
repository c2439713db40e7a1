"""What is said to a person, and what becomes of it. Nothing here says where it goes: that is a secret of the channel's.

No client's token, name or number is in a message: who builds one (`fleet.words.pages`) has none.
"""

from dataclasses import dataclass
from typing import Any

from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One attempt to tell one person something.

    `series` is the same for everything about one alarm: whoever gets several of it has one alarm. `line` says where and
    what, and can be read on a lock screen; `details` follow it. `link` answers it, `runbook` says more. `until_s`: boot
    time by which the fleet waits for its outcome. `at`: UTC, of the order.
    """

    page_id: str
    series: str
    act: Act
    priority: Priority
    code: str
    site: str
    room: str | None
    device: str | None
    line: str
    details: tuple[str, ...]
    rung: int
    drill: bool
    by: str | None
    runbook: str | None
    link: str | None
    at: str
    until_s: float

    def as_json(self) -> dict[str, Any]:
        """What a machine is told (docs/webhook.md)."""
        return {
            "version": 1,
            "page_id": self.page_id,
            "series": self.series,
            "act": self.act.value,
            "priority": self.priority.value,
            "code": self.code,
            "site": self.site,
            "room": self.room,
            "device": self.device,
            "text": self.line,
            "details": list(self.details),
            "rung": self.rung,
            "drill": self.drill,
            "by": self.by,
            "runbook": self.runbook,
            "link": self.link,
            "at": self.at,
        }


class NotDelivered(Exception):
    """The other side did not take it. The text is a few words for the journal, with nothing secret in them; `again`:
    whether trying once more may help.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.why = why
        self.again = again
