"""What events change about the proof of the path: since when nobody can be told, tests, and what each way is worth."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fleet.core import attention_events as a
from fleet.core import events as e
from fleet.core.attention_state import channel
from fleet.core.state import Durable


def took_over(durable: Durable, event: e.FleetTookOver) -> None:
    if durable.rota is None and durable.unpaged_s is None:
        durable.unpaged_s = event.now_s


def drill_ordered(durable: Durable, event: a.DrillOrdered) -> None:
    if event.issued_by is None:
        durable.drilled_wall_s = event.wall_s


def judge(durable: Durable, person: str, method: str, **changes: Any) -> None:
    """Something is known of one way to one person."""
    way = channel(person, method)
    if way in durable.proofs:  # nobody else's is kept
        durable.proofs[way] = replace(durable.proofs[way], **changes)


def proven(durable: Durable, event: a.ChannelProven) -> None:
    durable.drills.pop(event.page_id)
    judge(durable, event.person, event.method, proven_wall_s=event.wall_s, failed=None)


def unanswered(durable: Durable, event: a.DrillUnanswered) -> None:
    durable.drills.pop(event.page_id)
    judge(durable, event.person, event.method, failed="unanswered")


FOLDS: dict[type[Any], Callable[[Durable, Any], None]] = {
    a.DrillOrdered: drill_ordered,
    a.ChannelProven: proven,
    a.DrillUnanswered: unanswered,
}
