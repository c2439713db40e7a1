"""The dose ledger against brute force: whatever clients, devices, people, clocks and restarts do (H06, H07)."""

from dataclasses import replace
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
from broker.contract.messages import Phase
from fleet.core import inputs
from fleet.core.dose import KEPT_DAYS
from fleet.core.effects import Answer, Granted, Refused
from fleet.core.evolve import evolve
from fleet.core.fold_doses import local_day
from fleet.core.state import State
from tests.core import dose_by_hand
from tests.core.practice import WHOLE_BODY, Practice, lasting
from tests.core.test_usage import agrees_with_the_journal

CLIENTS = ("c-4711", "c-4712")
NAMES = ("stim-12", "stim-7")
ZONE = "Europe/Vienna"
PLANS = (lasting(1200.0), WHOLE_BODY, replace(WHOLE_BODY, duration_s=1200.0))
DOSE_RULES = {"dose_week", "dose_rest", "dose_first", "dose_conditioning"}

names, clients, plans = st.sampled_from(NAMES), st.sampled_from(CLIENTS), st.sampled_from(PLANS)
on_times_s = st.sampled_from((0.0, 30.0, 59.9, 60.0, 400.0))


class DoseMachine(RuleBasedStateMachine):
    """Two devices, two clients, months. Every answer is compared with what brute force makes of the journal."""

    def __init__(self) -> None:
        super().__init__()
        self.clinic = Practice(ZONE)
        self.began: list[tuple[str, str]] = []  # every session ever authorised: device, id
        self.boot = 1

    @initialize()
    def opens(self) -> None:
        # Instructed for ever: months pass here.
        operators = {**self.clinic.registry.operators}
        operators["ada"] = replace(operators["ada"], instructed_until_wall_s={"sim-1": 9e9})
        self.clinic.changes_registry(operators=operators)
        self.clinic.ready(*NAMES)

    # --- people -----------------------------------------------------------------------------------------------------

    @rule(client=clients, name=names, plan=plans)
    def asks(self, client: str, name: str, plan: Any) -> None:
        clinic = self.clinic
        clinic.ready(name)
        clinic.requests += 1
        request = clinic.request(
            client=client,
            device=name,
            room=clinic.registry.devices[name].room,
            plan=plan,
            request_id=f"r-{clinic.requests}",
        )
        today = local_day(clinic.state.durable, max(clinic.wall_s, clinic.state.durable.wall_s))
        sessions = dose_by_hand.had(clinic.journal, client, ZONE)
        expected = dose_by_hand.refused(sessions, plan.modality.value, plan.duration_s, today)
        (answer,) = [effect for effect in clinic.decides(request).after_commit if isinstance(effect, Answer)]
        if isinstance(answer.reply, Granted):
            assert expected == {}
            session = clinic.session_on(name)
            self.began.append((name, session.session_id))
            clinic.stims[name].phase, clinic.stims[name].session_id = Phase.AUTHORISED, session.session_id
            clinic.stims[name].shown = {}
            return
        assert isinstance(answer.reply, Refused)
        told = {r.rule.value: (r.value, r.limit, r.again_on) for r in answer.reply.refusals if r.rule in DOSE_RULES}
        assert told.keys() == expected.keys(), (told, expected)
        assert all(told[name] in expected[name] for name in told), (told, expected)

    @rule(name=names)
    def cancels(self, name: str) -> None:
        session = self.clinic.state.session_on(self.clinic.state.device(name))
        if session is not None:
            at = {"now_s": self.clinic.now_s, "wall_s": self.clinic.wall_s}
            self.clinic.decides(
                inputs.CancelSession(request_id="c", session_id=session.session_id, issued_by="ada", **at)
            )

    @rule(name=names)
    def sees_that_it_is_off(self, name: str) -> None:
        self.clinic.is_off(name)

    # --- devices ----------------------------------------------------------------------------------------------------

    @rule(name=names, phase=st.sampled_from((Phase.ARMED, Phase.RUNNING, Phase.RUNNING, Phase.PAUSED, Phase.IDLE)))
    def shows(self, name: str, phase: Phase) -> None:
        stim = self.clinic.stims[name]
        if phase is Phase.IDLE:
            self.clinic.is_idle(name)
        elif stim.session_id is not None:
            stim.phase = phase
        self.clinic.shows(name)

    @rule(name=names, client=clients, plan=plans, on_time_s=on_times_s, gaps=st.sampled_from((0, 0, 0, 1)))
    def treats(self, name: str, client: str, plan: Any, on_time_s: float, gaps: int) -> None:
        """A whole session as it should be, if it may be."""
        self.asks(client, name, plan)
        stim = self.clinic.stims[name]
        if stim.phase is Phase.AUTHORISED:
            for phase in (Phase.ARMED, Phase.RUNNING):
                self.shows(name, phase)
            self.clinic.ran(self.began[-1][1], on_time_s, gaps, name=name)
            self.shows(name, Phase.IDLE)

    @rule(
        client=clients,
        plan=plans,
        visits=st.lists(
            st.tuples(names, st.sampled_from((1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 7.0, 56.0))), min_size=2, max_size=6
        ),
    )
    def comes_again_and_again(self, client: str, plan: Any, visits: list[tuple[str, float]]) -> None:
        for name, days_later in visits:
            self.treats(name, client, plan, 400.0, 0)
            self.time_goes_by(days_later * 24.0)

    @rule(
        client=clients,
        plan=plans,
        seconds=st.sampled_from((5.0, 18.0, 19.5, 47.5, 49.5, 600.0)),
        wrong=st.sampled_from(("silent", "boots", "host boots", "idle", "expires", "cancelled too late")),
    )
    def has_a_session_that_goes_wrong(self, client: str, plan: Any, seconds: float, wrong: str) -> None:
        """It is authorised just before midnight, starts after, and its numbers do not come."""
        clinic, name = self.clinic, "stim-12"
        clinic.wall_s = max(clinic.wall_s, clinic.state.durable.wall_s)
        clinic.at(f"{local_day(clinic.state.durable, clinic.wall_s)} 23:59:59")
        self.obeys_its_stops_and_is_released(name)
        clinic.at(f"{local_day(clinic.state.durable, clinic.wall_s)} 23:59:59")
        self.asks(client, name, plan)
        if clinic.stims[name].phase is not Phase.AUTHORISED:
            return
        if wrong == "expires":
            self.passes(130.0)
            self.asks(client, name, plan)
            return
        if wrong == "cancelled too late":
            self.cancels(name)
            clinic.had_started()
        self.shows(name, Phase.ARMED)
        for _ in range(2):
            self.shows(name, Phase.RUNNING)
            clinic.now_s += seconds
            clinic.wall_s += seconds
            self.shows(name, Phase.RUNNING)
            seconds = 0.0
        if wrong == "boots":
            self.boots(name)
            return
        if wrong == "host boots":
            self.the_fleet_restarts(True)
        if wrong == "idle":
            self.shows(name, Phase.IDLE)
            self.passes(29.5)
            self.shows(name, Phase.IDLE)
        self.passes(30.0)
        self.sees_that_it_is_off(name)

    @precondition(lambda self: self.began)
    @rule(n=st.integers(0, 50), on_time_s=on_times_s, gaps=st.sampled_from((0, 0, 1)))
    def reports(self, n: int, on_time_s: float, gaps: int) -> None:
        """An end of any session, long after perhaps, again perhaps; none that is older than what the ledger holds."""
        name, session_id = self.began[-1 - n % len(self.began)]
        if self._age_days(session_id) < KEPT_DAYS:
            self.clinic.ran(session_id, on_time_s, gaps, cause=Cause.THERAPIST_STOP, name=name)

    def _age_days(self, session_id: str) -> int:
        durable = self.clinic.state.durable
        today = local_day(durable, max(self.clinic.wall_s, durable.wall_s))
        return (today - local_day(durable, durable.sessions[session_id].authorised_wall_s)).days

    @rule(name=names)
    def boots(self, name: str) -> None:
        self.clinic.boots(name)

    @rule(name=names)
    def refuses_what_it_was_told(self, name: str) -> None:
        session = self.clinic.state.session_on(self.clinic.state.device(name))
        if session is not None and name == "stim-12":
            self.clinic.declines()
            if session.cancel_id is not None:
                self.clinic.had_started()

    @rule(name=names)
    def obeys_its_stops_and_is_released(self, name: str) -> None:
        clinic, stim = self.clinic, self.clinic.stims[name]
        for command_id in list(clinic.state.durable.stops):
            clinic.sent(command_id, command_id[:16])
        stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
        clinic.shows(name)
        clinic.releases(name)
        if name in clinic.state.durable.clearing:
            clinic.cleared(name)
        clinic.is_idle(name)
        clinic.says(name, stim.birth())
        clinic.shows(name)

    # --- time -------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.5, 5.0, 31.0, 49.0, 130.0, 1300.0)))
    def passes(self, seconds: float) -> None:
        self.clinic.after(seconds)

    @rule(hours=st.sampled_from((1.0, 12.0, 24.0, 24.0, 48.0, 48.0, 5 * 24.0, 13 * 24.0, 57 * 24.0)))
    def time_goes_by(self, hours: float) -> None:
        self.clinic.days_later(hours / 24.0)

    @rule(hours=st.sampled_from((0.5, 25.0, 9000.0)))
    def somebody_sets_the_clock_back(self, hours: float) -> None:
        self.clinic.wall_s -= hours * 3600.0

    @rule()
    def the_clock_is_right_again(self) -> None:
        self.clinic.wall_s = max(self.clinic.wall_s, self.clinic.state.durable.wall_s)

    @rule(new_boot=st.sampled_from((False, False, True)))
    def the_fleet_restarts(self, new_boot: bool) -> None:
        self.boot += new_boot
        self.clinic.restarts(f"host-boot-{self.boot}")

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def one_session_of_a_client_is_reserved_at_most_beside_those_that_nobody_reported(self) -> None:
        for client, doses in self.clinic.state.durable.doses.items():
            sessions = self.clinic.state.durable.sessions
            on = [dose for dose in doses.sessions if not dose.settled and sessions[dose.session_id].open]
            assert len(on) <= 1, client
            assert doses.sessions or doses.experience, "nobody is remembered for nothing"

    @invariant()
    def the_client_of_every_session_in_the_ledger_is_known_and_of_no_other(self) -> None:
        durable = self.clinic.state.durable
        in_it = {one.session_id: client for client, doses in durable.doses.items() for one in doses.sessions}
        assert durable.dosed == in_it

    def teardown(self) -> None:
        folded = State()
        for event in self.clinic.journal:
            evolve(folded, event)
        assert folded.durable == self.clinic.state.durable
        agrees_with_the_journal(self.clinic.journal)


@pytest.mark.timeout(600)  # seconds, but for a failure, which Hypothesis makes smaller for some minutes
def test_h06_the_ledger_agrees_with_brute_force_whatever_happens() -> None:
    run_state_machine_as_test(
        DoseMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
