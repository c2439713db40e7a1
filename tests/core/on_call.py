"""A clinic with people on call, and somebody who delivers: alarms in its lines, and steps for what people do."""

from dataclasses import replace
from datetime import date
from typing import Any

from fleet.core import alarm_inputs as asks
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act, Attention
from fleet.core.events import PageDue
from fleet.core.rota import Method, Person, Rota, Rotation
from fleet.core.store_events import StoreTrouble
from tests.core.clinic import Clinic

HIGH, MEDIUM, LOW, INFO = Priority
TO_ACT = (HIGH, MEDIUM)
RUNGS = (("on-call",), ("ben",), ("cleo",))


def person(name: str, *methods: Method) -> Person:
    return Person(person=name, name=name.title(), methods=methods)


def phone(*priorities: Priority) -> Method:
    return Method(method="phone", kind="ntfy", priorities=priorities or TO_ACT)


MAIL = Method(method="mail", kind="mail", priorities=(LOW, INFO))

ROTA = Rota(
    people={"anna": person("anna", phone(), MAIL), "ben": person("ben", phone()), "cleo": person("cleo", phone())},
    rotations={
        "on-call": Rotation(
            rotation="on-call", people=("anna",), first_day=date(2026, 11, 16), hand_over_local_min=8 * 60
        )
    },
    rungs={HIGH: RUNGS, MEDIUM: RUNGS, LOW: (("anna",),), INFO: (("anna",),)},
)


class OnCall(Clinic):
    """Anna is on call, then Ben, then Cleo. The pager is alive unless `pager` is taken away."""

    def __init__(self, rota: Rota | None = ROTA, **how: Any) -> None:
        super().__init__(alarms=True, **how)
        self.pager = rota is not None
        if rota is not None:
            self.hears(asks.RotaChanged(rota, self.now_s, self.wall_s))
            self.alive()

    def changes_rota(self, **changes: Any) -> list[str]:
        rota = replace(self.state.durable.rota or ROTA, **changes)
        return self.hears(asks.RotaChanged(rota, self.now_s, self.wall_s))

    def alive(self, heartbeat: bool | None = None) -> list[str]:
        return self.hears(asks.PagerAlive(**self._at(), heartbeat=heartbeat))

    def store_says(self, trouble: StoreTrouble | None) -> list[str]:
        """The recorder has a word about its store."""
        return self.hears(asks.RecorderSays(**self._at(), trouble=trouble))

    def recorder_ends(self) -> list[str]:
        return self.hears(asks.RecorderEnds(**self._at()))

    def after(self, seconds: float) -> list[str]:
        """Time passes; the pager has said meanwhile that it is there."""
        if self.pager:
            self.now_s += seconds
            self.wall_s += seconds
            self.alive()
            seconds = 0.0
        return super().after(seconds)

    def during(self, seconds: float, step_s: float = 1.0) -> list[tuple[float, str]]:
        """What happens within so many seconds, each line with when, counted from now."""
        began_s, told = self.now_s, []
        for _ in range(round(seconds / step_s)):
            told += [(round(self.now_s - began_s, 3), line) for line in self.after(step_s)]
        return told

    # --- what people do -----------------------------------------------------------------------------------------------

    def _at(self) -> dict[str, Any]:
        return {"request_id": "request-1", "now_s": self.now_s, "wall_s": self.wall_s}

    def alarm_id(self, code: str) -> str:
        """Of the one open alarm of that code."""
        (alarm_id,) = (alarm.alarm_id for alarm in self.state.durable.alarms.values() if alarm.code == code)
        return alarm_id

    def attention(self, code: str) -> Attention:
        (found,) = (one for one in self.state.durable.attention.values() if one.code == code)
        return found

    def _of(self, code: str, by: str) -> dict[str, Any]:
        return {**self._at(), "alarm_id": self.alarm_id(code), "issued_by": by}

    def acknowledges(self, code: str, by: str = "anna") -> list[str]:
        return self.hears(asks.AcknowledgeAlarm(**self._of(code, by)))

    def accepts(self, code: str, by: str = "anna") -> list[str]:
        return self.hears(asks.AcceptAlarm(**self._of(code, by)))

    def rejects(self, code: str, by: str = "anna", reason: str = "with a client") -> list[str]:
        return self.hears(asks.RejectAlarm(**self._of(code, by), reason=reason))

    def shelves(self, code: str, for_s: float, by: str = "anna") -> list[str]:
        until = self.wall_s + for_s
        return self.hears(asks.ShelveAlarm(**self._of(code, by), reason="being repaired", until_wall_s=until))

    def unshelves(self, code: str, by: str = "anna") -> list[str]:
        return self.hears(asks.UnshelveAlarm(**self._of(code, by)))

    def comments(self, code: str, text: str, by: str = "anna") -> list[str]:
        return self.hears(asks.CommentAlarm(**self._of(code, by), text=text))

    # --- who delivers -------------------------------------------------------------------------------------------------

    def pages(self, name: str | None = None) -> list[str]:
        """The ids of the messages whose outcome is waited for, oldest first."""
        pages = self.state.durable.pages.items()
        return [page_id for page_id, page in pages if name in (None, page.person) and not page.silent]

    def delivered(self, name: str) -> list[str]:
        """Every message to that person was taken by the other side."""
        lines = []
        for page_id in self.pages(name):
            lines += self.hears(asks.PageDelivered(**self._at(), page_id=page_id))
        return [line for line in lines if line != "> ordered"]

    def failed(self, name: str, why: str = "unreachable") -> list[str]:
        lines = []
        for page_id in self.pages(name):
            lines += self.hears(asks.PageFailed(**self._at(), page_id=page_id, why=why))
        return [line for line in lines if line != "> ordered"]

    def drills(self, name: str | None = None) -> list[str]:
        return self.hears(asks.OrderDrill(**self._at(), issued_by="ada", person=name))

    def answers(self, page_id: str, by: str = "anna") -> list[str]:
        return self.hears(asks.AnswerDrill(**self._at(), page_id=page_id, issued_by=by))

    def triggers(self, code: str | None = None) -> list[PageDue]:
        """Every order so far to tell somebody that something is wrong."""
        return [
            event
            for event in self.journal
            if isinstance(event, PageDue)
            and event.act is Act.TRIGGER
            and code in (None, event.code)
            and not event.drill
        ]
