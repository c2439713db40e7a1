"""What events change about people and alarms. The alarms' own are folded here a second time (`ALSO`), after the rest.

A series of messages goes on where it was when its alarm comes back within ten minutes: that bounds what a condition
that comes and goes can send. A01 to A03 begin anew once what was sent has been resolved, ten seconds after the end.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fleet.core import attention_events as a
from fleet.core import events as e
from fleet.core import fold_proof
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_state import Signal
from fleet.core.alarm_table import FIRST_SIGNAL
from fleet.core.attention_state import (
    AT_ONCE,
    COMMENTS_KEPT,
    DRILL_ANSWER_S,
    NOT_PAGED,
    OCCURRENCES_KEPT,
    RELAPSE_S,
    SETTLED_S,
    SILENCE,
    TIMES,
    Act,
    Attention,
    Comment,
    Drill,
    Page,
    Proof,
    Responsibility,
    channel,
)
from fleet.core.fold_alarms import key_of
from fleet.core.fold_proof import judge
from fleet.core.state import Durable

IDLE_KEPT = 64  # beside as many as are open: what is over and may come back
PAGES_KEPT = 512  # messages that were given up, whose outcome may yet be told


def _next_s(one: Attention) -> float | None:
    """When something is due for it."""
    if one.cleared_s is not None:
        return one.cleared_s + SETTLED_S if one.told else None
    return one.rung_s if one.until_s is None else one.until_s


def _put(durable: Durable, where: str, one: Attention, **changes: Any) -> None:
    one = replace(one, **changes)
    durable.attention[where] = replace(one, next_s=_next_s(one))


def _sounding(one: Attention, code: str, priority: Priority, since_s: float) -> Attention:
    """It begins to sound, from the first rung on. What has no rungs waits for a digest."""
    times = None if code in NOT_PAGED else TIMES.get(priority)
    return replace(
        one,
        priority=priority,
        responsibility=Responsibility.NONE,
        by=None,
        reason=None,
        soundings=one.soundings + 1,
        rung=0,
        rung_s=None if times is None else since_s + times.first_s,
        until_s=None,
        reached=(),
    )


# --- the alarm itself -------------------------------------------------------------------------------------------------


def raised(durable: Durable, event: e.AlarmRaised) -> None:
    where = key_of(event)
    one = durable.attention.get(where)
    if one is not None and not _goes_on(one, event):
        one = None
    if one is None:
        _forget_what_is_over(durable, event.now_s)
        one = Attention(
            alarm_id=event.alarm_id,
            code=event.code,
            device=event.device,
            room=event.room,
            series=event.alarm_id,
            priority=event.priority,
        )
    else:
        one = replace(one, before=(*one.before, one.alarm_id)[-OCCURRENCES_KEPT:])
    one = replace(one, alarm_id=event.alarm_id, cleared_s=None)
    if event.signal is SignalState.ON and (one.rung_s is None or one.priority is not event.priority):
        # A group goes on from the first of its members: that it became one makes nobody wait longer.
        one = _sounding(one, event.code, event.priority, event.since_s if event.members else event.now_s)
    elif event.signal is not SignalState.ON:  # held back again, or for a digest
        one = replace(one, rung_s=None)
    _put(durable, where, one, priority=event.priority)


def _goes_on(one: Attention, event: e.AlarmRaised) -> bool:
    return one.cleared_s is not None and event.now_s - one.cleared_s <= (
        SETTLED_S if event.code in AT_ONCE else RELAPSE_S
    )


def _forget_what_is_over(durable: Durable, now_s: float) -> None:
    if len(durable.attention) < 2 * len(durable.alarms) + IDLE_KEPT:
        return
    over = [
        where
        for where, one in durable.attention.items()
        if one.cleared_s is not None and not one.told and now_s - one.cleared_s > RELAPSE_S
    ]
    for where in over:
        del durable.attention[where]


def changed(durable: Durable, event: e.AlarmChanged) -> None:
    where = key_of(event)
    one = durable.attention[where]
    if event.signal is SignalState.ON and (one.rung_s is None or _rises(one.priority, event.priority)):
        one = _sounding(one, event.code, event.priority, event.now_s)
    elif one.rung_s is not None and event.priority not in TIMES:
        one = replace(one, rung_s=None)  # no more than a line of the next digest
    elif one.rung_s is not None and event.priority is not one.priority:
        times = TIMES[event.priority]
        one = replace(one, rung_s=event.now_s + (times.gap_s(one.rung) if one.rung else times.first_s))
    _put(durable, where, one, priority=event.priority)


def _rises(before: Priority, now: Priority) -> bool:
    ranks = list(Priority)
    return ranks.index(now) < ranks.index(before)


def cleared(durable: Durable, event: e.AlarmCleared) -> None:
    where = key_of(event)
    one = durable.attention[where]
    _put(durable, where, one, cleared_s=event.now_s, until_s=None)
    if event.grouped_into is not None and one.told:
        _goes_on_as(durable, where, event.grouped_into)
    elif one.in_digest:
        _past_is(durable, event.alarm_id, Signal(state=SignalState.OFF, since_s=event.now_s))


def _goes_on_as(durable: Durable, where: str, group_id: str) -> None:
    """Of an alarm of which people were told, and which is a part of another one now: nothing of it is over.

    Its messages go on as the group's, and its links mean the group. Only a group that has told somebody already keeps
    messages of its own: then those of the part are ended, with words that say that it goes on (`words.pages`).
    """
    into = next(into for into, group in durable.attention.items() if group.alarm_id == group_id)
    one, group = durable.attention[where], durable.attention[into]
    before = (*one.before, one.alarm_id, *group.before)[-OCCURRENCES_KEPT:]
    comments = (*one.comments, *group.comments)[-COMMENTS_KEPT:]
    if group.told:
        _put(durable, into, group, before=before, comments=comments)
        return
    _put(durable, into, group, before=before, comments=comments, series=one.series, told=one.told)
    del durable.attention[where]


def _past_is(durable: Durable, alarm_id: str, signal: Signal) -> None:
    durable.past_alarms = tuple(
        replace(past, alarm=replace(past.alarm, signal=signal)) if past.alarm.alarm_id == alarm_id else past
        for past in durable.past_alarms
    )


# --- people -----------------------------------------------------------------------------------------------------------


def _signal(durable: Durable, where: str, state: SignalState, now_s: float) -> None:
    alarm = durable.alarms[where]
    durable.alarms[where] = replace(alarm, signal=Signal(state=state, since_s=now_s))


def _silenced(durable: Durable, event: a.AlarmAcknowledged | a.AlarmAccepted | a.AlarmShelved, **changes: Any) -> None:
    where = key_of(event)
    state = SignalState.SHELVED if isinstance(event, a.AlarmShelved) else SignalState.ACKNOWLEDGED
    _signal(durable, where, state, event.now_s)
    one = durable.attention[where]
    _put(durable, where, one, by=event.issued_by, until_s=event.until_s, rung_s=None, reached=(), **changes)


def acknowledged(durable: Durable, event: a.AlarmAcknowledged) -> None:
    alarm = durable.alarms.get(key_of(event))
    if alarm is not None and alarm.alarm_id == event.alarm_id:
        _silenced(durable, event, responsibility=durable.attention[key_of(event)].responsibility)
        return
    _past_is(durable, event.alarm_id, Signal(state=SignalState.ACKNOWLEDGED, since_s=event.now_s))


def accepted(durable: Durable, event: a.AlarmAccepted) -> None:
    _silenced(durable, event, responsibility=Responsibility.ACCEPTED)


def shelved(durable: Durable, event: a.AlarmShelved) -> None:
    _silenced(durable, event, responsibility=Responsibility.NONE, reason=event.reason)


def rejected(durable: Durable, event: a.AlarmRejected) -> None:
    """It goes on where it was: who had it is to be followed by the next, at once."""
    where = key_of(event)
    one = durable.attention[where]
    if one.until_s is not None:
        _signal(durable, where, FIRST_SIGNAL[one.priority], event.now_s)
        one = replace(one, rung_s=event.now_s if one.priority in TIMES else None, until_s=None)
    _put(durable, where, one, responsibility=Responsibility.REJECTED, by=event.issued_by, reason=event.reason)


def sounded(durable: Durable, event: a.AlarmSounded | a.AlarmUnshelved) -> None:
    where = key_of(event)
    one = durable.attention[where]
    _signal(durable, where, FIRST_SIGNAL[one.priority], event.now_s)
    _put(durable, where, _sounding(one, event.code, one.priority, event.now_s))


def commented(durable: Durable, event: a.AlarmCommented) -> None:
    where = key_of(event)
    one = durable.attention.get(where)
    if one is not None and one.alarm_id == event.alarm_id:
        said = Comment(wall_s=event.wall_s, issued_by=event.issued_by, text=event.text)
        _put(durable, where, one, comments=(*one.comments, said)[-COMMENTS_KEPT:])


# --- messages ---------------------------------------------------------------------------------------------------------


def rung_reached(durable: Durable, event: a.RungReached) -> None:
    where = key_of(event)
    _put(durable, where, durable.attention[where], rung=event.rung, rung_s=event.again_s, reached=())


def page_due(durable: Durable, event: a.PageDue) -> None:
    where = None if event.drill else key_of(event)
    one = None if where is None else durable.attention.get(where)  # older journals end what goes on as a group
    durable.pages[event.page_id] = Page(
        where=where,
        person=event.person,
        method=event.method,
        act=event.act,
        rung=event.rung,
        soundings=0 if one is None else one.soundings,
        due_s=event.now_s,
        until_s=event.until_s,
        drill=event.drill,
    )
    _forget_given_up(durable)
    if event.drill:
        durable.drills[event.page_id] = Drill(
            person=event.person, method=event.method, until_s=event.now_s + DRILL_ANSWER_S
        )
    if one is None or where is None:
        return
    to = channel(event.person, event.method)
    if event.act is Act.TRIGGER:
        told = one.told if to in one.told else (*one.told, to)
        reached = (*one.reached, event.page_id)
        _put(durable, where, one, told=told, reached=reached, responsibility=Responsibility.NOTIFIED)
    elif event.act is Act.RESOLVE:
        _put(durable, where, one, told=tuple(other for other in one.told if other != to))


def _forget_given_up(durable: Durable) -> None:
    if len(durable.pages) > PAGES_KEPT:
        for page_id in [page_id for page_id, page in durable.pages.items() if page.silent]:
            del durable.pages[page_id]


def digest_due(durable: Durable, event: a.DigestDue) -> None:
    durable.pages[event.page_id] = Page(
        where=None,
        person=event.person,
        method=event.method,
        act=Act.TRIGGER,
        rung=0,
        soundings=0,
        due_s=event.now_s,
        until_s=event.until_s,
    )
    durable.digested_wall_s[event.priority] = event.wall_s
    for line in event.alarms:
        where = key_of(line)
        one = durable.attention.get(where)
        if one is not None and one.alarm_id == line.alarm_id and one.cleared_s is None:
            _put(durable, where, one, in_digest=True)
        else:
            _past_is(durable, line.alarm_id, Signal(state=SignalState.OFF, since_s=event.now_s))


def _calls(page: Page) -> bool:
    """Whether it calls a person, or tests that: a digest goes by another way mostly."""
    return page.act is Act.TRIGGER and (page.where is not None or page.drill)


def page_arrived(durable: Durable, event: a.PageArrived) -> None:
    page = durable.pages.pop(event.page_id)
    if _calls(page):
        durable.missed_n = 0
    one = None if page.where is None else durable.attention.get(page.where)
    if one is not None and page.where is not None and one.responsibility is Responsibility.NOTIFIED:
        _put(durable, page.where, one, responsibility=Responsibility.DELIVERED)


def page_missed(durable: Durable, event: a.PageMissed) -> None:
    page = durable.pages.pop(event.page_id)
    if _calls(page):
        durable.missed_n += 1
    if event.why == SILENCE:
        durable.pages[event.page_id] = replace(page, silent=True)
    if durable.drills.pop(event.page_id, None) is not None:  # else it was answered: then it has arrived
        judge(durable, event.person, event.method, failed=event.why)
    one = None if page.where is None else durable.attention.get(page.where)
    if one is not None and page.where is not None and one.soundings == page.soundings:
        _put(durable, page.where, one, reached=tuple(other for other in one.reached if other != event.page_id))


# --- the rota and its proof -------------------------------------------------------------------------------------------


def rota_adopted(durable: Durable, event: a.RotaAdopted) -> None:
    if durable.rota is None and event.rota is not None:
        durable.drilled_wall_s = event.wall_s
    durable.rota = event.rota
    durable.unpaged_s = event.now_s if event.rota is None else None
    people = () if event.rota is None else tuple(event.rota.people.values())
    ways = [channel(person.person, method.method) for person in people for method in person.methods]
    durable.proofs = {way: durable.proofs.get(way) or Proof(since_wall_s=event.wall_s) for way in ways}
    for where, one in durable.attention.items():
        _put(durable, where, one, told=tuple(way for way in one.told if way in durable.proofs))


def rebase(durable: Durable, now_s: float) -> None:
    """The host booted: every silence is over, every message that was waited for is given up, every rung is due."""
    for where, one in durable.attention.items():
        _put(
            durable,
            where,
            one,
            rung_s=None if one.rung_s is None else now_s,
            until_s=None if one.until_s is None else now_s,
            cleared_s=None if one.cleared_s is None else now_s,
        )
    for page_id, page in durable.pages.items():
        durable.pages[page_id] = replace(page, due_s=now_s, until_s=now_s)
    for page_id, drill in durable.drills.items():
        durable.drills[page_id] = replace(drill, until_s=now_s)
    durable.unpaged_s = None if durable.unpaged_s is None else now_s


# Events of this room, and those of others that it folds besides and after them.
FOLDS: dict[type[Any], Callable[[Durable, Any], None]] = {
    a.AlarmAcknowledged: acknowledged,
    a.AlarmAccepted: accepted,
    a.AlarmRejected: rejected,
    a.AlarmShelved: shelved,
    a.AlarmUnshelved: sounded,
    a.AlarmSounded: sounded,
    a.AlarmCommented: commented,
    a.RungReached: rung_reached,
    a.PageDue: page_due,
    a.DigestDue: digest_due,
    a.PageArrived: page_arrived,
    a.PageMissed: page_missed,
    a.RotaAdopted: rota_adopted,
    **fold_proof.FOLDS,
}
ALSO: dict[type[Any], Callable[[Durable, Any], None]] = {
    e.AlarmRaised: raised,
    e.AlarmChanged: changed,
    e.AlarmCleared: cleared,
    e.FleetTookOver: fold_proof.took_over,
}
