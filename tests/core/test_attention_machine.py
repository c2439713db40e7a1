"""No sequence of alarms, people, messages, time and restarts leaves somebody untold, or told what was silenced.

The record that the invariants are checked against is the test's own: it knows domain.md's times and nothing of rungs
that the code keeps. Alarms are raised and cleared here as the conditions would have them; all else is the core's.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.contract.causes import AlarmCode
from fleet.core import alarm_inputs as asks
from fleet.core import attention, fold_attention, paging, proof
from fleet.core.alarm_events import AlarmChanged, AlarmCleared, AlarmRaised, Priority, SignalState, Why
from fleet.core.attention_state import Act
from fleet.core.effects import Answer, Refused
from fleet.core.events import Event, PageDue
from fleet.core.evolve import evolve
from fleet.core.fold_alarms import key_of
from fleet.core.house import took_over
from fleet.core.inputs import TookOver
from fleet.core.state import State
from fleet.core.turn import Turn
from tests.core.on_call import ROTA

HIGH, MEDIUM = Priority.HIGH, Priority.MEDIUM
CODES = (AlarmCode.A01, AlarmCode.A02, AlarmCode.A03, AlarmCode.A04, AlarmCode.A05, AlarmCode.A09)
AT_ONCE = NEVER_SHELVED = {"A01", "A02", "A03"}
FIRST_S = {HIGH: 0.0, MEDIUM: 120.0}  # domain.md: high at once, medium after 2 min
LONGEST_S = {HIGH: 60.0, MEDIUM: 600.0}  # between one rung and the next
TICK_S = 0.5


@dataclass
class Known:
    """One open alarm, as the test has it."""

    alarm_id: str
    priority: Priority
    quiet_since_s: float  # since it began to sound, or somebody was last told
    told_once: bool = False
    silent_until_s: float | None = None
    shelved: bool = False


@dataclass
class Record:
    open: dict[str, Known] = field(default_factory=dict)
    owed: dict[tuple[str, str], float] = field(default_factory=dict)  # series, person: told, and not resolved
    gone: dict[str, tuple[Known, float]] = field(default_factory=dict)  # what was over, and when


class People(RuleBasedStateMachine):
    @initialize()
    def a_clinic(self) -> None:
        self.now_s = 1_000.0
        self.state = State()
        self.journal: list[Event] = []
        self.record = Record()
        self.page_ids: set[str] = set()
        self.raised_n = 0
        turn = self.turn()
        took_over(turn, TookOver("boot-1", self.now_s, self.now_s))
        proof.rota_changed(turn, asks.RotaChanged(ROTA, self.now_s, self.now_s))
        self.ends(turn)

    # --- how it is driven ---------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        return Turn(self.state, self.now_s, self.now_s)

    def ends(self, turn: Turn) -> None:
        paging.follow(turn)
        for event in turn.events:
            self.journal.append(event)
            if isinstance(event, PageDue):
                self.ordered(event)

    def ordered(self, page: PageDue) -> None:
        assert page.page_id not in self.page_ids, "an order is given once"
        self.page_ids.add(page.page_id)
        way = (page.series, f"{page.person}/{page.method}")
        known = self.record.open.get(key_of(page))
        if page.act is Act.TRIGGER:
            assert known is not None, "nobody is told of what is over"
            assert known.silent_until_s is None, "nobody is told of what somebody has silenced"
            known.quiet_since_s, known.told_once = self.now_s, True
            self.record.owed[way] = self.now_s
        elif page.act is Act.RESOLVE:
            assert known is None, "nothing is over that is open"
            del self.record.owed[way]

    def asked(self, kind: type[Any], where: str, **more: Any) -> bool:
        """Whether it was granted."""
        turn = self.turn()
        alarm_id = self.record.open[where].alarm_id
        heard = kind(request_id="r", alarm_id=alarm_id, issued_by="anna", now_s=self.now_s, wall_s=self.now_s, **more)
        attention.asked(turn, heard)
        (answer,) = (effect for effect in turn.decision().after_commit if isinstance(effect, Answer))
        granted = not isinstance(answer.reply, Refused)
        if granted:
            self.expects(kind, self.record.open[where], more)
        self.ends(turn)
        return granted

    def expects(self, kind: type[Any], known: Known, more: dict[str, Any]) -> None:
        if kind in (asks.AcknowledgeAlarm, asks.AcceptAlarm):
            known.silent_until_s, known.shelved = self.now_s + 600.0, False
        elif kind is asks.ShelveAlarm:
            known.silent_until_s, known.shelved = more["until_wall_s"], True
        elif kind is asks.UnshelveAlarm or (kind is asks.RejectAlarm and known.silent_until_s is not None):
            self.sounds(known)

    def sounds(self, known: Known) -> None:
        known.silent_until_s, known.shelved = None, False
        known.quiet_since_s, known.told_once = self.now_s, False

    # --- alarms -------------------------------------------------------------------------------------------------------

    def of(self, where: str) -> dict[str, Any]:
        code, device = where.split("/")
        return {
            "now_s": self.now_s,
            "wall_s": self.now_s,
            "code": AlarmCode(code),
            "device": device,
            "room": "room-4",
            "why": Why(),
            "session_id": None,
        }

    @rule(code=st.sampled_from(CODES), device=st.sampled_from(("stim-1", "stim-2")), high=st.booleans())
    def something_is_wrong(self, code: AlarmCode, device: str, high: bool) -> None:
        where = f"{code}/{device}"
        if where in self.record.open:
            return
        self.raised_n += 1
        alarm_id = f"{self.raised_n:032x}"
        priority = HIGH if high else MEDIUM
        self.record.open[where] = self.known(where, Known(alarm_id, priority, self.now_s))
        turn = self.turn()
        turn.happened(
            AlarmRaised(
                **self.of(where), alarm_id=alarm_id, priority=priority, signal=SignalState.ON, since_s=self.now_s
            )
        )
        self.ends(turn)

    def known(self, where: str, new: Known) -> Known:
        """What sounded and comes back soon is the same to those who were told of it: it goes on from there."""
        before, over_s = self.record.gone.pop(where, (new, float("-inf")))
        soon_s = 10.0 if where[:3] in AT_ONCE else 600.0
        goes_on = self.now_s - over_s <= soon_s and before.silent_until_s is None and before.priority is new.priority
        return replace(before, alarm_id=new.alarm_id) if goes_on else new

    def changes(self, where: str, priority: Priority, signal: SignalState) -> None:
        known = self.record.open[where]
        known.priority = priority
        turn = self.turn()
        turn.happened(AlarmChanged(**self.of(where), alarm_id=known.alarm_id, priority=priority, signal=signal))
        self.ends(turn)

    @precondition(lambda self: self.record.open)
    @rule(pick=st.integers(0, 99))
    def it_is_graver_or_less_grave(self, pick: int) -> None:
        where = self.one_of(pick)
        known = self.record.open[where]
        if known.priority is MEDIUM:
            self.sounds(known)
            self.changes(where, HIGH, SignalState.ON)
        else:
            known.quiet_since_s = self.now_s if known.silent_until_s is None else known.quiet_since_s
            self.changes(where, MEDIUM, self.state.durable.alarms[where].signal.state)

    @precondition(lambda self: self.record.open)
    @rule(pick=st.integers(0, 99))
    def it_is_over(self, pick: int) -> None:
        where = self.one_of(pick)
        known = self.record.open.pop(where)
        self.record.gone[where] = known, self.now_s
        turn = self.turn()
        turn.happened(
            AlarmCleared(
                **self.of(where),
                alarm_id=known.alarm_id,
                priority=known.priority,
                signal=SignalState.OFF,
                grouped_into=None,
            )
        )
        self.ends(turn)

    def one_of(self, pick: int) -> str:
        return sorted(self.record.open)[pick % len(self.record.open)]

    # --- people -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.record.open)
    @rule(
        pick=st.integers(0, 99),
        kind=st.sampled_from((asks.AcknowledgeAlarm, asks.AcceptAlarm, asks.UnshelveAlarm)),
    )
    def somebody_says(self, pick: int, kind: type[Any]) -> None:
        where = self.one_of(pick)
        shelved = self.record.open[where].shelved
        granted = self.asked(kind, where)
        assert granted is (shelved or kind is not asks.UnshelveAlarm)

    @precondition(lambda self: self.record.open)
    @rule(pick=st.integers(0, 99))
    def somebody_cannot(self, pick: int) -> None:
        assert self.asked(asks.RejectAlarm, self.one_of(pick), reason="busy")

    @precondition(lambda self: self.record.open)
    @rule(pick=st.integers(0, 99), ahead_s=st.sampled_from((-5.0, 0.0, 60.0, 3_600.0, 28_800.0, 28_801.0)))
    def somebody_shelves(self, pick: int, ahead_s: float) -> None:
        where = self.one_of(pick)
        granted = self.asked(asks.ShelveAlarm, where, reason="repair", until_wall_s=self.now_s + ahead_s)
        assert granted is (where[:3] not in NEVER_SHELVED and 0.0 < ahead_s <= 28_800.0)

    # --- messages and time --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.state.durable.pages)
    @rule(pick=st.integers(0, 99), arrives=st.booleans())
    def a_message_comes_to_something(self, pick: int, arrives: bool) -> None:
        pages = sorted(self.state.durable.pages)
        at: dict[str, Any] = {"request_id": "r", "now_s": self.now_s, "wall_s": self.now_s}
        page_id = pages[pick % len(pages)]
        turn = self.turn()
        proof.reported(
            turn,
            asks.PageDelivered(**at, page_id=page_id)
            if arrives
            else asks.PageFailed(**at, page_id=page_id, why="busy"),
        )
        self.ends(turn)

    @rule(seconds=st.sampled_from((0.5, 14.5, 31.0, 121.0, 601.0)))
    def time_passes(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            for known in self.record.open.values():
                if known.silent_until_s is not None and known.silent_until_s <= self.now_s:
                    self.sounds(known)
            turn = self.turn()
            paging.look(turn)
            self.ends(turn)
            self.nobody_is_left_untold()

    @rule()
    def the_fleet_is_killed(self) -> None:
        self.state = State(durable=deepcopy(self.state.durable))
        turn = self.turn()
        took_over(turn, TookOver("boot-1", self.now_s, self.now_s))
        self.ends(turn)

    # --- what must always be so ---------------------------------------------------------------------------------------

    def nobody_is_left_untold(self) -> None:
        for where, known in self.record.open.items():
            if known.silent_until_s is None:
                bound_s = LONGEST_S[known.priority] if known.told_once else FIRST_S[known.priority]
                assert self.now_s - known.quiet_since_s <= bound_s + TICK_S, where
        for series, person in self.record.owed:
            over_s = self.over_s(series)
            assert over_s is None or self.now_s - over_s <= 10.0 + TICK_S, f"{person} still believes in {series}"

    def over_s(self, series: str) -> float | None:
        """Since when the alarm that a series of messages is about has been over; None: it is open."""
        (one,) = (one for one in self.state.durable.attention.values() if one.series == series)
        where = key_of(one)
        return None if where in self.record.open else one.cleared_s

    @invariant()
    def what_is_shown_is_what_was_said(self) -> None:
        for where, known in self.record.open.items():
            signal = self.state.durable.alarms[where].signal.state
            silent = known.silent_until_s is not None
            assert signal is (
                SignalState.SHELVED if known.shelved else SignalState.ACKNOWLEDGED if silent else SignalState.ON
            )

    def teardown(self) -> None:
        folded = State()
        for event in self.journal:
            evolve(folded, event)
        assert folded.durable == self.state.durable
        assert len(folded.durable.attention) <= 2 * len(folded.durable.alarms) + fold_attention.IDLE_KEPT


TestPeople = People.TestCase
TestPeople.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
