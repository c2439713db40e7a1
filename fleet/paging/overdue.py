"""What a pager that has just started has to deliver: orders in the journal of which nobody has told what came of them.

The rules of this file:
- An order that the fleet still waits for goes out.
- One that the fleet has given up (it went on to the next person) goes out too, late, while it is still true: the newest
  to each channel about an alarm that still sounds, or that it is over.
- Older than an hour, nothing does: whatever still sounds is told again every ten minutes at least.
"""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from fleet.adapters.journal.rows import EVENTS, open_database, reading
from fleet.core.attention_events import DigestDue, PageDue
from fleet.core.attention_state import Act
from fleet.core.state import State
from fleet.stored import FOLD

LATE_S_MAX = 3_600.0
Order = PageDue | DigestDue


def overdue(path: Path, state: State, upto: int, wall_s: float) -> list[Order]:
    """The orders to deliver at `wall_s` (Unix time), oldest first: those of the journal's rows up to `upto`.

    Raises:
        JournalCorrupt, JournalUnwritable, UnknownStored: they cannot be read.
    """
    waited_for = dict(state.durable.pages)
    found: list[Order] = []
    newest: set[tuple[str, str, str]] = set()
    for order in _orders(path, upto) if waited_for else ():
        if not waited_for or wall_s - order.wall_s > LATE_S_MAX:
            break
        page, is_newest = waited_for.pop(order.page_id, None), _note(newest, order)
        if page is not None and (not page.silent or (is_newest and _is_true(order, state))):
            found.append(order)
    return found[::-1]


def _note(newest: set[tuple[str, str, str]], order: Order) -> bool:
    """Whether nothing newer was said about the same to the same channel."""
    about = order.series if isinstance(order, PageDue) else order.priority.value
    key = (about, order.person, order.method)
    if key in newest:
        return False
    newest.add(key)
    return True


def _is_true(order: Order, state: State) -> bool:
    """Whether what it says is still so."""
    if isinstance(order, DigestDue) or order.act is not Act.TRIGGER:
        return True
    return any(one.series == order.series and one.rung_s is not None for one in state.durable.attention.values())


def _orders(path: Path, upto: int) -> Iterator[Order]:
    """The orders of a journal, newest first."""
    engine = open_database(path, create=False)
    names = (PageDue.__name__, DigestDue.__name__)
    wanted = (
        sa.select(EVENTS)
        .where(EVENTS.c.name.in_(names), EVENTS.c.position <= upto)
        .order_by(EVENTS.c.position.desc())  # no limit but the hour: in a storm the gravest may be journaled first
    )
    try:
        with reading(engine) as connection:
            for row in connection.execute(wanted):
                yield FOLD.forms.load(row.position, row.name, row.version, row.body)
    finally:
        engine.dispose()
