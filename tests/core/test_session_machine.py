"""Sessions, whatever devices show and people do: the table, the invariants of domain.md, the second timers."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.contract.causes import Cause
from broker.contract.messages import Ack, AckStatus, CommandRefusal, Phase, Scope, Telemetry
from fleet.core import events as e
from fleet.core import inputs
from fleet.core.decide import Decision
from fleet.core.effects import SendLease
from fleet.core.events import SessionState
from fleet.core.sessions import TRANSITIONS
from fleet.core.state import State
from tests.core.clinic import WALL
from tests.core.practice import Practice

S = SessionState
NAMES = ("stim-12", "stim-7")
names = st.sampled_from(NAMES)
PLANNED_S, PAUSE_S, PAUSES_S, SLACK_S = 1200.0, 300.0, 600.0, 5.0

# By domain.md, written down once more: what may still become of a session.
BEGINS = {S.AUTHORISED, S.ARMED}
GOES_ON = {S.RUNNING, S.PAUSED}
OVER = {S.REFUSED, S.EXPIRED, S.CANCELLED, S.COMPLETED, S.ABORTED, S.STOPPED_LATCHED, S.CLEARED}
ONLY = {S.LOST: {S.STOPPING} | OVER, S.STOPPING: {S.LOST} | OVER}
LAST = {S.STOPPED_LATCHED: {S.CLEARED}, S.CANCELLED: {S.RUNNING}}  # a cancel may come too late
_NAMED: dict[type[Any], SessionState] = {
    e.SessionDeclined: S.REFUSED,
    e.SessionExpired: S.EXPIRED,
    e.SessionCancelled: S.CANCELLED,
    e.CancelOvertaken: S.RUNNING,
    e.SessionLost: S.LOST,
    e.SessionCleared: S.CLEARED,
}


class SessionMachine(RuleBasedStateMachine):
    """Two devices and whoever sits there. What is known of each session is kept here, from the events alone."""

    def __init__(self) -> None:
        super().__init__()
        self.clinic = Practice()
        self.states: dict[str, SessionState] = {}
        self.since_s: dict[str, float] = {}
        self.spent_s: dict[tuple[str, SessionState], float] = {}  # in stretches that are over
        self.numbers: dict[str, Any] = {}
        self.elapsed_s: dict[str, float] = {}
        self.leased_elapsed_s: dict[tuple[str, int], float] = {}  # by session and instance of the fleet
        self.samples: list[tuple[str, Telemetry]] = []
        self.visits = 0

    @initialize()
    def opens(self) -> None:
        self.clinic.ready(*NAMES)

    # --- hearing, and what has to be so of every decision -------------------------------------------------------------

    def heard(self, heard: inputs.Input) -> Decision:
        decision = self.clinic.decides(heard)
        for event in decision.events:
            self._follows_the_table(event)
        assert self.states == {
            session_id: session.state for session_id, session in self.clinic.state.durable.sessions.items()
        }
        for effect in decision.at_once:
            if isinstance(effect, SendLease):
                assert isinstance(heard, inputs.Received)
                assert isinstance(heard.message, Telemetry)
                self._is_worth_a_lease(effect, heard.message)
        return decision

    def _follows_the_table(self, event: e.Event) -> None:
        if isinstance(event, e.SessionAuthorised):
            self._is_in(event.authorisation.session_id, S.AUTHORISED)
            return
        session_id = getattr(event, "session_id", None)
        is_move = isinstance(event, e.SessionAdvanced | e.SessionEnded)
        to = event.to if isinstance(event, e.SessionAdvanced | e.SessionEnded) else _NAMED.get(type(event))
        if session_id is None or to is None:
            return
        was = self.states[session_id]
        if isinstance(event, e.SessionEnded) and event.ended is not None:
            assert self.numbers.setdefault(session_id, event.ended) is event.ended, "numbers are taken once"
        if was is to and is_move:
            assert isinstance(event, e.SessionEnded), "only numbers that come late leave a session where it is"
            return
        assert to in TRANSITIONS[was]
        assert to in LAST.get(was, set()) if was in OVER else to in ONLY.get(was, set(S))
        assert not (was in GOES_ON and to in BEGINS), "nothing goes back before its start"
        self._is_in(session_id, to)

    def _is_in(self, session_id: str, to: SessionState) -> None:
        now_s = self.clinic.now_s
        if session_id in self.states:
            key = (session_id, self.states[session_id])
            self.spent_s[key] = self.spent_s.get(key, 0.0) + now_s - self.since_s[session_id]
        self.states[session_id], self.since_s[session_id] = to, now_s

    def _is_worth_a_lease(self, effect: SendLease, sample: Telemetry) -> None:
        lease = effect.message
        session = self.clinic.state.durable.sessions[lease.session_id]
        assert session.live
        assert session.withheld is None
        assert (session.device, lease.session_id, lease.answers) == (effect.device, sample.session_id, sample.seq)
        key = (lease.session_id, lease.fleet_n)
        assert sample.elapsed_s >= self.leased_elapsed_s.get(key, 0.0), "elapsed never decreases"
        assert sample.elapsed_s >= self.elapsed_s.get(lease.session_id, 0.0)
        self.leased_elapsed_s[key] = sample.elapsed_s
        state = self.states[lease.session_id]
        here_s = self.clinic.now_s - self.since_s[lease.session_id]
        in_all_s = here_s + self.spent_s.get((lease.session_id, state), 0.0)
        if state is S.RUNNING:
            assert max(in_all_s, sample.elapsed_s) < PLANNED_S + SLACK_S
        elif state is S.PAUSED:
            assert here_s < PAUSE_S + SLACK_S
            assert in_all_s < PAUSES_S + SLACK_S
        elif state is S.STOPPING:
            assert here_s < 10.0

    def says(self, name: str, message: Any) -> None:
        self.heard(inputs.Received(name, message, self.clinic.now_s, self.clinic.wall_s))

    # --- people -----------------------------------------------------------------------------------------------------

    @rule(name=names, chair=names)
    def asks(self, name: str, chair: str) -> None:
        """Whoever sits in a chair, which may stand at the other device."""
        clinic, stim = self.clinic, self.clinic.stims[name]
        client = f"{chair}-{self.visits}"
        if not any(session.client == client for session in clinic.state.open_sessions()):
            self.visits += 1
            client = f"{chair}-{self.visits}"
        clinic.requests += 1
        room = clinic.registry.devices[name].room
        self.heard(clinic.request(client=client, device=name, room=room, request_id=f"r-{clinic.requests}"))
        session = clinic.state.session_on(clinic.state.device(name))
        if session is not None and session.open and stim.session_id != session.session_id:
            stim.phase, stim.session_id, stim.shown = Phase.AUTHORISED, session.session_id, {"elapsed_s": 0.0}

    @rule(name=names)
    def cancels(self, name: str) -> None:
        session = self.clinic.state.session_on(self.clinic.state.device(name))
        if session is not None:
            at = {"now_s": self.clinic.now_s, "wall_s": self.clinic.wall_s}
            self.heard(inputs.CancelSession(request_id="c", session_id=session.session_id, issued_by="ada", **at))

    @rule(name=names)
    def sees_that_it_is_off(self, name: str) -> None:
        at = {"now_s": self.clinic.now_s, "wall_s": self.clinic.wall_s}
        self.heard(inputs.ConfirmOff(request_id="off", device=name, issued_by="ada", **at))

    @rule(name=names)
    def pushes_a_stop(self, name: str) -> None:
        self.heard(self.clinic.push(name))

    @rule(name=names)
    def stops_are_obeyed_and_released(self, name: str) -> None:
        clinic, stim = self.clinic, self.clinic.stims[name]
        for command_id in list(clinic.state.durable.stops):
            self.heard(inputs.StopSent(command_id, command_id[:16], clinic.now_s, clinic.wall_s))
        stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
        self.shows(name)
        at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
        scope = Scope.DEVICE
        self.heard(inputs.ReleaseHold(request_id="r", scope=scope, device=name, issued_by="ada", **at))
        stim.phase = Phase.IDLE
        self.says(name, stim.birth())
        self.shows(name)

    # --- devices ----------------------------------------------------------------------------------------------------

    def shows(self, name: str) -> None:
        self.clinic.now_s += 0.5
        self.clinic.wall_s += 0.5
        sample = self.clinic.stims[name].sample()
        self.samples.append((name, sample))
        self.says(name, sample)

    @rule(
        name=names,
        phase=st.sampled_from((*Phase, Phase.ARMED, Phase.RUNNING, Phase.RUNNING, Phase.PAUSED)),
        longer_s=st.sampled_from((0.0, 0.5, 0.5, 30.0, 1150.0, -0.1, -40.0)),
    )
    def goes_to(self, name: str, phase: Phase, longer_s: float) -> None:
        """Whether or not it may."""
        stim = self.clinic.stims[name]
        stim.phase = phase
        stim.shown = {"elapsed_s": max(0.0, stim.shown.get("elapsed_s", 0.0) + longer_s)}
        self.shows(name)

    @rule(name=names, chair=names, seconds=st.sampled_from((0.5, 200.0, 290.0, 1195.0, 1201.0)))
    def treats(self, name: str, chair: str, seconds: float) -> None:
        """As it should be, for so long."""
        self.clinic.stims[name].phase = Phase.IDLE
        self.shows(name)
        self.asks(name, chair)
        if self.clinic.stims[name].phase is Phase.AUTHORISED:
            for phase in (Phase.ARMED, Phase.RUNNING):
                self.goes_to(name, phase, 0.0)
            self.stays(name, seconds, 10.0)

    @rule(name=names, seconds=st.sampled_from((1.0, 60.0, 290.0, 310.0)), period_s=st.sampled_from((0.5, 10.0, 29.0)))
    def stays(self, name: str, seconds: float, period_s: float) -> None:
        """It goes on as it is, and is heard; the clock ticks."""
        stim = self.clinic.stims[name]
        for _ in range(min(40, int(seconds / period_s))):
            self.passes(period_s)
            if stim.phase is Phase.RUNNING:
                stim.shown = {"elapsed_s": stim.shown.get("elapsed_s", 0.0) + period_s}
            self.shows(name)

    @rule(name=names, over_s=st.sampled_from((4.0, 4.9, 5.0, 5.5)), counts=st.booleans())
    def runs_to_its_end_and_beyond(self, name: str, over_s: float, counts: bool) -> None:
        """By the device's count, or by the fleet's own where the device's stands still."""
        stim = self.clinic.stims[name]
        session = self.clinic.state.session_on(self.clinic.state.device(name))
        if session is None or session.state is not S.RUNNING or stim.phase is not Phase.RUNNING:
            return
        if counts:
            stim.shown = {"elapsed_s": PLANNED_S + over_s}
        while not counts and self.clinic.now_s + 29.5 < self._ends_s(name) + over_s:
            self.passes(29.0)
            self.shows(name)
        self.passes(max(0.1, self._ends_s(name) + over_s - 0.5 - self.clinic.now_s) if not counts else 0.1)
        self.shows(name)

    @rule(name=names, back_s=st.sampled_from((0.1, 40.0)))
    def counts_back(self, name: str, back_s: float) -> None:
        """The device's count goes on for a minute, and then back."""
        phase = self.clinic.stims[name].phase
        for longer_s in (60.0, -back_s):
            self.goes_to(name, phase, longer_s)

    def _ends_s(self, name: str) -> float:
        """When its newest session has run for as long as it was planned."""
        session_id = self.clinic.session_on(name).session_id
        return self.since_s[session_id] + PLANNED_S - self.spent_s.get((session_id, S.RUNNING), 0.0)

    @rule(name=names, hurry=st.booleans())
    def boots(self, name: str, hurry: bool) -> None:
        stim = self.clinic.stims[name]
        stim.boot_n += 1
        stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
        if not hurry:
            self.says(name, stim.birth())
        self.shows(name)

    @precondition(lambda self: self.samples)
    @rule(n=st.integers(0, 500))
    def an_old_sample_comes_again(self, n: int) -> None:
        self.says(*self.samples[n % len(self.samples)])

    @precondition(lambda self: self.states)
    @rule(name=names, n=st.integers(0, 20), cause=st.sampled_from((*Cause, None)))
    def reports_an_end(self, name: str, n: int, cause: Cause | None) -> None:
        """Of any session, its own or not, over or not, once or again."""
        session_id = list(self.states)[-1 - n % len(self.states)]
        stim = self.clinic.stims[name]
        if stim.session_id == session_id:
            stim.phase, stim.session_id = Phase.IDLE, None
        self.says(name, stim.ended(cause, session_id))

    @rule(name=names, status=st.sampled_from((AckStatus.DONE, AckStatus.REFUSED)), of_cancel=st.booleans())
    def answers(self, name: str, status: AckStatus, of_cancel: bool) -> None:
        session = self.clinic.state.session_on(self.clinic.state.device(name))
        if session is not None:
            command_id = session.cancel_id if of_cancel else session.authorisation.command_id
            reason = CommandRefusal.ALREADY_RUNNING if status is AckStatus.REFUSED else None
            if command_id is not None:
                self.says(name, Ack(self.clinic.stims[name].boot_n, command_id, status, reason, None, WALL))

    # --- time -------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.1, 5.0, 31.0, 130.0)))
    def passes(self, seconds: float) -> None:
        self.clinic.now_s += seconds
        self.clinic.wall_s += seconds
        self.heard(inputs.Tick(self.clinic.now_s, self.clinic.wall_s))

    @rule()
    def the_fleet_restarts(self) -> None:
        self.clinic.state = State(durable=self.clinic.state.durable)
        self.heard(inputs.TookOver("host-boot-1", self.clinic.now_s, self.clinic.wall_s))

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def one_open_session_a_device_and_a_client(self) -> None:
        on = list(self.clinic.state.open_sessions())
        for taken in ([session.device for session in on], [session.client for session in on]):
            assert len(taken) == len(set(taken))

    @invariant()
    def elapsed_never_decreases(self) -> None:
        for session_id, session in self.clinic.state.durable.sessions.items():
            assert session.elapsed_s >= self.elapsed_s.get(session_id, 0.0)
            self.elapsed_s[session_id] = session.elapsed_s
            assert session.ran_s == self.spent_s.get((session_id, S.RUNNING), 0.0)
            assert session.paused_s == self.spent_s.get((session_id, S.PAUSED), 0.0)


@pytest.mark.timeout(600)  # seconds, but for a failure, which Hypothesis makes smaller for some minutes
def test_h05_every_session_keeps_to_the_table_and_to_its_time() -> None:
    run_state_machine_as_test(
        SessionMachine,
        settings=settings(
            max_examples=250,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
