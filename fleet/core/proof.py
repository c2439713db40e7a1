"""The proof of the path: drills, digests, whoever delivers, and who is on call a day from now (A12).

A drill is a message like any other, marked as one, by the rungs, to the people and by the ways of a true alarm; the
person's answer proves that way. What has not been proven for as long as the clinic has set, what failed, a pager that
is not heard, a gap in cover, and no rota at all, are A12 (`conditions.path_unproven`).

All of it goes by the wall clock as it is. Where that says that something happened a day from now, it was ahead when it
was noted: then nothing is known, and it is due.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from broker.contract.causes import AlarmCode
from fleet.core import paging, rota
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_inputs import (
    AnswerDrill,
    OrderDrill,
    PageDelivered,
    PageFailed,
    PagerAlive,
    Reported,
    RotaChanged,
)
from fleet.core.alarm_state import SITE, Alarm, key
from fleet.core.attention_events import DigestLine
from fleet.core.attention_state import DIGEST_DELIVERY_S, TIMES, Act
from fleet.core.effects import Answer, Ordered, Refused
from fleet.core.events import (
    ChannelProven,
    DigestDue,
    DrillOrdered,
    DrillUnanswered,
    PageArrived,
    PageDue,
    RotaAdopted,
)
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.rota import DAY_S, Method, Rota
from fleet.core.turn import Turn

CALENDAR_PERIOD_S = 60.0  # what goes by the calendar is looked at once a minute
LOW_DIGEST_PERIOD_S = 3600.0  # of low priority: at most one message an hour
DIGEST_LINES = 20


def rota_changed(turn: Turn, heard: RotaChanged) -> None:
    """Adopt it; what sounds is told by it from the next tick on."""
    if heard.rota != turn.state.durable.rota:
        if turn.state.durable.rota is None:
            # That nobody was on call is over at once: whoever is, now, need not be called for it.
            turn.state.fleeting.gone_s[key(AlarmCode.A12, SITE)] = float("-inf")
        turn.happened(RotaAdopted(**turn.at_clock, rota=heard.rota))
        turn.state.fleeting.calendar_s = float("-inf")


def reported(turn: Turn, heard: Reported) -> None:
    """Whoever delivers has a word, or somebody about a drill."""
    durable, fleeting = turn.state.durable, turn.state.fleeting
    match heard:
        case PagerAlive(heartbeat=heartbeat):
            fleeting.pager_s, fleeting.heartbeat = turn.now_s, heartbeat
            said = "pager"
        case PageDelivered(page_id=said) | PageFailed(page_id=said):
            fleeting.pager_s = turn.now_s
            if said not in durable.pages:
                _refuse(turn, heard, Rule.PAGE_UNKNOWN)
                return
            _outcome(turn, heard)
        case OrderDrill(person=person, issued_by=issued_by):
            if durable.rota is None or (person is not None and person not in durable.rota.people):
                _refuse(turn, heard, Rule.NO_ROTA if durable.rota is None else Rule.PERSON_UNKNOWN)
                return
            said = _drill(turn, durable.rota, issued_by, person)
        case AnswerDrill(page_id=said, issued_by=issued_by):
            drill = durable.drills.get(said)
            if drill is None:
                _refuse(turn, heard, Rule.PAGE_UNKNOWN)
                return
            turn.happened(
                ChannelProven(
                    **turn.at_clock, page_id=said, person=drill.person, method=drill.method, issued_by=issued_by
                )
            )
        case _:
            assert_never(heard)
    turn.after_commit(Answer(heard.request_id, Ordered(said)))


def _refuse(turn: Turn, heard: Reported, rule: Rule) -> None:
    turn.after_commit(Answer(heard.request_id, Refused((Refusal(rule=rule, layer=RuleLayer.FLEET),))))


def _outcome(turn: Turn, heard: PageDelivered | PageFailed) -> None:
    page = turn.state.durable.pages[heard.page_id]
    if isinstance(heard, PageDelivered):
        turn.happened(
            PageArrived(
                **turn.at,
                page_id=heard.page_id,
                person=page.person,
                method=page.method,
                act=page.act,
                after_s=turn.now_s - page.due_s,
                late=page.silent,
            )
        )
    elif not page.silent:  # else it has failed already, and the next rung was told
        paging.missed(turn, heard.page_id, page, heard.why)


# --- drills -----------------------------------------------------------------------------------------------------------


def _drill(turn: Turn, plan: Rota, issued_by: str | None, person: str | None) -> str:
    """A test alarm to everybody on the rota, or to one, by every way that a true one takes."""
    drill_id = turn.new_id("drill")
    turn.happened(DrillOrdered(**turn.at_clock, drill_id=drill_id, issued_by=issued_by, person=person))
    for rung, name, method in _ways(plan, person):
        turn.happened(
            PageDue(
                **turn.at,
                page_id=turn.new_id(f"drill/{name}/{method.method}"),
                series=drill_id,
                act=Act.TRIGGER,
                person=name,
                method=method.method,
                kind=method.kind,
                rung=rung,
                until_s=turn.now_s + TIMES[Priority.MEDIUM].delivery_s,
                drill=True,
                alarm_id=drill_id,
                code=AlarmCode.A12,
                device=None,
                room=None,
                priority=Priority.MEDIUM,
                members_n=0,
                by=None,
            )
        )
    return drill_id


def _ways(plan: Rota, person: str | None) -> Iterator[tuple[int, str, Method]]:
    """Every way to everybody who is drilled, with the rung of high priority on which each stands; 0: on none."""
    for name in plan.people if person is None else (person,):
        for method in plan.people[name].methods:
            yield _rung_of(plan, name), name, method


def _rung_of(plan: Rota, name: str) -> int:
    for rung, names in enumerate(plan.rungs.get(Priority.HIGH, ()), start=1):
        members = [person for one in names if one in plan.rotations for person in plan.rotations[one].people]
        if name in names or name in members or rota.EVERYONE in names:
            return rung
    return 0


# --- by the calendar --------------------------------------------------------------------------------------------------


def look(turn: Turn) -> None:
    """With every tick: test alarms that nobody answered; once a minute what goes by the calendar."""
    durable, fleeting = turn.state.durable, turn.state.fleeting
    for page_id, drill in list(durable.drills.items()):
        if drill.until_s <= turn.now_s:
            turn.happened(DrillUnanswered(**turn.at, page_id=page_id, person=drill.person, method=drill.method))
    if turn.now_s - fleeting.calendar_s < CALENDAR_PERIOD_S:
        return
    fleeting.calendar_s = turn.now_s
    fleeting.gap_wall_s = None
    plan = durable.rota
    if plan is not None:
        zone = paging.zone_of(turn)
        fleeting.gap_wall_s = rota.gap(plan, turn.clock_s, zone)
        day = rota.local_day(durable.drilled_wall_s, zone) + timedelta(plan.drill_every_days)
        if (
            turn.clock_s >= rota.instant(day, plan.drill_local_min, zone)
            or turn.clock_s < durable.drilled_wall_s - DAY_S
        ):
            _drill(turn, plan, None, None)
        _digests(turn, plan)


def _digests(turn: Turn, plan: Rota) -> None:
    """Low: what is new, hourly at most and not in quiet hours; also what is over already, which somebody should know.
    Info: all that was open by then, once a day.
    """
    durable, zone = turn.state.durable, paging.zone_of(turn)
    alarms, last_s = durable.alarms.items(), durable.digested_wall_s
    quiet = rota.is_quiet(plan, turn.clock_s, zone)
    if abs(turn.clock_s - last_s.get(Priority.LOW, 0.0)) >= LOW_DIGEST_PERIOD_S and not quiet:
        waiting = [
            alarm
            for where, alarm in alarms
            if alarm.signal.state is SignalState.DIGEST and not durable.attention[where].in_digest
        ]
        waiting += [past.alarm for past in durable.past_alarms if past.alarm.signal.state is SignalState.DIGEST]
        _digest(turn, plan, Priority.LOW, waiting)
    moment_s = rota.last_at(turn.clock_s, plan.digest_local_min, zone)
    if not moment_s <= last_s.get(Priority.INFO, 0.0) <= turn.clock_s + DAY_S:
        infos = [alarm for _, alarm in alarms if alarm.priority is Priority.INFO and alarm.since_wall_s <= moment_s]
        _digest(turn, plan, Priority.INFO, infos)


def _digest(turn: Turn, plan: Rota, priority: Priority, alarms: list[Alarm]) -> None:
    rungs = rota.ladder(plan, priority, engineers=False)
    if not alarms or not rungs:
        return
    lines = tuple(
        DigestLine(alarm_id=alarm.alarm_id, code=alarm.code, device=alarm.device, room=alarm.room) for alarm in alarms
    )
    people = rota.people_of(plan, rungs[0], turn.clock_s, paging.zone_of(turn))
    for person, method in rota.methods_for(plan, people, priority):
        turn.happened(
            DigestDue(
                **turn.at_clock,
                page_id=turn.new_id(f"digest/{person}/{method.method}"),
                person=person,
                method=method.method,
                kind=method.kind,
                until_s=turn.now_s + DIGEST_DELIVERY_S,
                priority=priority,
                alarms=lines[:DIGEST_LINES],
                more=max(0, len(lines) - DIGEST_LINES),
            )
        )
