"""Telling people: which rung is due, to whom, and what becomes of a message.

The rules of this file:
- Whatever sounds climbs its rungs (`attention_state.TIMES`) until somebody acknowledges or accepts it, or it is over.
  A rung whose messages all failed, or that reaches nobody, is followed by the next at once; so is a rejection. The last
  rung goes on at its times. A failure is what whoever delivers reports, and silence past the message's time.
- A01 goes to everyone, on every rung. What is high goes before everything else of its turn.
- A message is an order in the journal, with an id of its own, given once: the rung that it stands for is journaled
  before it. Whoever was killed meanwhile, the order stands; whoever delivers carries it out once its row is committed.
- Without a rota nobody is told anything, and that is A12 (`proof`). When there is one, what sounds is told then.
- What a device tells late raises nothing (`fold_alarms.is_news`), so nobody is told of it. A late sample over a limit,
  in a session that is live, stops that session: the stop is not late, and of it people are told (A02).
"""

from zoneinfo import ZoneInfo

from broker.contract.causes import AlarmCode
from fleet.core import rota
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_state import Alarm
from fleet.core.alarm_steps import RANK
from fleet.core.alarm_table import ROWS, Responsible
from fleet.core.attention_events import SoundsFor
from fleet.core.attention_state import DIGEST_DELIVERY_S, SILENCE, TIMES, Act, Attention, Page, channel
from fleet.core.events import AlarmChanged, AlarmRaised, AlarmSounded, PageDue, PageMissed, RungReached
from fleet.core.fold_alarms import key_of
from fleet.core.rota import EVERYONE, Method, Rota, Rungs
from fleet.core.turn import Turn


def follow(turn: Turn) -> None:
    """What the events of this turn have made due at once: gravest first, as they were raised."""
    for event in tuple(turn.events):
        if isinstance(event, AlarmChanged) and event.joined:
            _joined(turn, event)
        if isinstance(event, AlarmRaised | AlarmChanged):
            _attend(turn, key_of(event))


def look(turn: Turn) -> None:
    """With every tick: what time has made due."""
    durable, now_s = turn.state.durable, turn.now_s
    for page_id, page in list(durable.pages.items()):
        if not page.silent and page.until_s <= now_s:
            missed(turn, page_id, page, SILENCE)
    waits = durable.rota is None  # then only what was silenced, or is over, is due
    due = [
        (RANK[one.priority], where)
        for where, one in durable.attention.items()
        if one.next_s is not None
        and one.next_s <= now_s
        and not (waits and one.until_s is None and one.cleared_s is None)
    ]
    for _, where in sorted(due, key=lambda found: found[0]):
        _attend(turn, where)


def _joined(turn: Turn, event: AlarmChanged) -> None:
    """Somebody has it, or has put it aside, and now it is about another device as well: of that nobody knows yet."""
    alarm = turn.state.durable.alarms.get(key_of(event))
    if alarm is not None and alarm.signal.state in {SignalState.ACKNOWLEDGED, SignalState.SHELVED}:
        _sound(turn, alarm, SoundsFor.JOINED)


def _sound(turn: Turn, alarm: Alarm, reason: SoundsFor) -> None:
    turn.happened(
        AlarmSounded(
            **turn.at, alarm_id=alarm.alarm_id, code=alarm.code, device=alarm.device, room=alarm.room, reason=reason
        )
    )


def _attend(turn: Turn, where: str) -> None:
    """Whatever is due for one alarm by now."""
    durable = turn.state.durable
    one = durable.attention.get(where)  # None: it goes on as a part of a group
    if one is None or one.next_s is None or one.next_s > turn.now_s:
        return
    if one.cleared_s is not None:
        _resolve(turn, where, one)
        return
    if one.until_s is not None:
        alarm = durable.alarms[where]
        shelved = alarm.signal.state is SignalState.SHELVED
        _sound(turn, alarm, SoundsFor.SHELF_OVER if shelved else SoundsFor.ACKNOWLEDGEMENT_OVER)
        _attend(turn, where)
    elif durable.rota is not None:
        _climb(turn, where, durable.rota)


# --- rungs ------------------------------------------------------------------------------------------------------------


def zone_of(turn: Turn) -> ZoneInfo:
    return ZoneInfo(turn.state.durable.registry.clinic.time_zone)


def _rungs(plan: Rota, code: AlarmCode, priority: Priority) -> Rungs:
    responsible = ROWS[code].responsible
    if responsible is Responsible.EVERYONE:
        return ((EVERYONE,),)
    return rota.ladder(plan, priority, engineers=responsible is Responsible.ENGINEERS)


def _climb(turn: Turn, where: str, plan: Rota) -> None:
    """Tell the next rung; one that reaches nobody is followed by the next at once."""
    one = turn.state.durable.attention[where]
    rungs = _rungs(plan, one.code, one.priority)
    rung = one.rung
    while True:
        rung += 1
        people = rota.people_of(plan, rungs[min(rung, len(rungs)) - 1], turn.wall_s, zone_of(turn))
        ways = list(rota.methods_for(plan, people, one.priority))
        turn.happened(
            RungReached(
                **turn.at,
                alarm_id=one.alarm_id,
                code=one.code,
                device=one.device,
                room=one.room,
                priority=one.priority,
                rung=rung,
                again_s=turn.now_s + TIMES[one.priority].gap_s(rung),
                nobody=not ways,
            )
        )
        for person, method in ways:
            _page(turn, where, person, method, Act.TRIGGER, rung=rung)
        if ways or rung >= len(rungs):
            return


def _page(
    turn: Turn, where: str, person: str, method: Method, act: Act, *, rung: int = 0, by: str | None = None
) -> None:
    one = turn.state.durable.attention[where]
    alarm = turn.state.durable.alarms.get(where)  # None: it is over
    times = TIMES.get(one.priority)
    turn.happened(
        PageDue(
            **turn.at,
            page_id=turn.new_id(f"page/{where}/{channel(person, method.method)}"),
            series=one.series,
            act=act,
            person=person,
            method=method.method,
            kind=method.kind,
            rung=rung,
            until_s=turn.now_s + (DIGEST_DELIVERY_S if times is None else times.delivery_s),
            drill=False,
            alarm_id=one.alarm_id,
            code=one.code,
            device=one.device,
            room=one.room,
            priority=one.priority,
            members_n=0 if alarm is None else len(alarm.members),
            by=by,
        )
    )


def go_on(turn: Turn, where: str) -> None:
    """The next rung, at once, where there is one above; else whoever comes next at the last rung's time."""
    durable = turn.state.durable
    one, plan = durable.attention[where], durable.rota
    if plan is None or one.rung_s is None:
        return
    if one.rung < len(_rungs(plan, one.code, one.priority)) or one.rung_s <= turn.now_s:
        _climb(turn, where, plan)


def missed(turn: Turn, page_id: str, page: Page, why: str) -> None:
    """A message was not delivered: with the last one of its rung the next rung is told."""
    turn.happened(
        PageMissed(
            **turn.at,
            page_id=page_id,
            person=page.person,
            method=page.method,
            act=page.act,
            after_s=turn.now_s - page.due_s,
            why=why,
        )
    )
    one = None if page.where is None else turn.state.durable.attention.get(page.where)
    if one is None or page.where is None or page.act is not Act.TRIGGER or one.cleared_s is not None:
        return
    if one.soundings == page.soundings and one.rung == page.rung and not one.reached:
        go_on(turn, page.where)


# --- those who were told ----------------------------------------------------------------------------------------------


def _each_told(turn: Turn, one: Attention) -> list[tuple[str, Method]]:
    """Where a message of this alarm waits to be ended, as far as it is still on the rota."""
    plan = turn.state.durable.rota
    people = {} if plan is None else plan.people
    return [
        (person.person, method)
        for person in people.values()
        for method in person.methods
        if channel(person.person, method.method) in one.told
    ]


def tell_taken(turn: Turn, where: str, alarm_id: str, by: str) -> None:
    """Whoever was told hears that somebody has it; of what is over nobody hears that any more."""
    one = turn.state.durable.attention.get(where)
    if one is not None and one.cleared_s is None and one.alarm_id == alarm_id:
        for person, method in _each_told(turn, one):
            _page(turn, where, person, method, Act.ACKNOWLEDGE, by=by)


def _resolve(turn: Turn, where: str, one: Attention) -> None:
    """Whoever was told hears that it is over."""
    for person, method in _each_told(turn, one):
        _page(turn, where, person, method, Act.RESOLVE)
