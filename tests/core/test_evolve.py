"""The fold and its snapshot: every event has its place, survives JSON, and leads to the same state."""

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from broker.contract.messages import Ack as AckMessage
from broker.contract.messages import AckStatus, Phase
from fleet.core import inputs
from fleet.core.decide import decide
from fleet.core.effects import AfterCommit, AtOnce, When
from fleet.core.events import (
    Event,
    HoldReleased,
    SessionAuthorised,
    SessionCancelled,
    SessionEnded,
    SessionState,
    StopOrdered,
)
from fleet.core.evolve import FOLDS, evolve
from fleet.core.fold_sessions import SESSIONS_KEPT
from fleet.core.fold_stops import HOLDS_KEPT
from fleet.core.sessions import STATE_OF_PHASE, TRANSITIONS
from fleet.core.state import SENDINGS_KEPT, Durable, State, restored, snapshot
from tests.core.clinic import WALL, Clinic
from tests.core.long_day import a_long_day

DURABLE = TypeAdapter(Durable)


@pytest.fixture(scope="module")
def long_day() -> Clinic:
    return a_long_day()


def test_every_event_has_a_place_in_the_fold_and_a_version() -> None:
    assert set(FOLDS) == set(get_args(Event))
    newer = {event.__name__: event.version for event in get_args(Event) if event.version != 1}
    assert newer == {"ChannelProven": 2, "RegistryAdopted": 3, "SessionAuthorised": 2, "SessionRefused": 3}


def test_the_long_day_has_every_event(long_day: Clinic) -> None:
    missing = set(get_args(Event)) - {type(event) for event in long_day.journal}
    assert {event.__name__ for event in missing} == set()


def test_every_event_survives_json_strictly(long_day: Clinic) -> None:
    for event in long_day.journal:
        adapter: TypeAdapter[Any] = TypeAdapter(type(event))
        assert adapter.validate_json(adapter.dump_json(event)) == event
    adapter = TypeAdapter(SessionEnded)
    ended = next(event for event in long_day.journal if isinstance(event, SessionEnded))
    with pytest.raises(ValidationError):
        adapter.validate_json(adapter.dump_json(ended).replace(b'"session_id"', b'"surprise":1,"session_id"'))


def test_a_snapshot_survives_json_and_later_events_lead_on_from_it(long_day: Clinic) -> None:
    for cut in range(0, len(long_day.journal), 7):
        early = State()
        for event in long_day.journal[:cut]:
            evolve(early, event)
        back = restored(DURABLE.validate_json(DURABLE.dump_json(early.durable)))
        assert back.durable == early.durable
        for event in long_day.journal[cut:]:
            evolve(back, event)
        assert back.durable == long_day.state.durable


def test_a_snapshot_does_not_change_with_the_state() -> None:
    clinic = Clinic()
    clinic.running()
    taken = snapshot(clinic.state)
    before = DURABLE.dump_json(taken)
    clinic.pushes_stop()
    clinic.changes_device("stim-7", room="room-9")
    assert DURABLE.dump_json(taken) == before
    back = restored(taken)
    evolve(back, clinic.journal[-1])
    assert DURABLE.dump_json(taken) == before


def test_the_same_inputs_make_the_same_decisions() -> None:
    journals = []
    for _ in range(2):
        clinic = Clinic()
        clinic.running()
        clinic.pushes_stop(None)
        journals.append(clinic.journal)
    assert journals[0] == journals[1]


def test_ids_are_never_used_twice(long_day: Clinic) -> None:
    ids = [made for event in long_day.journal for made in _made_ids(event)]
    assert len(ids) == len(set(ids))
    assert all(len(made) == 32 for made in ids)


def _made_ids(event: Event) -> list[str]:
    match event:
        case SessionAuthorised(authorisation=authorisation):
            return [authorisation.session_id, authorisation.command_id]
        case StopOrdered(stop=stop):
            return [stop.command_id]
        case HoldReleased(command_id=command_id) | SessionCancelled(command_id=command_id):
            return [command_id]
        case _:
            return []


def test_every_effect_says_when() -> None:
    assert {effect.when for effect in get_args(AtOnce)} == {When.AT_ONCE}
    assert {effect.when for effect in get_args(AfterCommit)} == {When.AFTER_COMMIT}


def test_sessions_that_are_over_are_forgotten_oldest_first_and_open_ones_never() -> None:
    clinic = Clinic()
    clinic.running("stim-7", client="c-4712", request_id="r7")
    kept = clinic.session_on("stim-7").session_id
    clinic.ready("stim-12")
    first = clinic.session_on("stim-7").authorisation.issued_at
    assert clinic.state.durable.forgotten_at == "", "none is missing"
    for n in range(SESSIONS_KEPT + 1):
        decide(clinic.state, clinic.request(request_id=f"request-{n}"))
        command_id = clinic.session_on().authorisation.command_id
        refused = AckMessage(7, command_id, AckStatus.REFUSED, None, None, WALL)
        decide(clinic.state, inputs.Received("stim-12", refused, clinic.now_s, clinic.wall_s))
    assert len(clinic.state.durable.sessions) == SESSIONS_KEPT
    assert kept in clinic.state.durable.sessions
    there = [one.authorisation.issued_at for one in clinic.state.durable.sessions.values() if one.session_id != kept]
    assert first <= clinic.state.durable.forgotten_at <= min(there)


def test_holds_of_a_scope_are_bounded_as_at_the_agents() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    for n in range(HOLDS_KEPT + 2):
        clinic.pushes_stop()
        clinic.sent(clinic.open_stop(), f"{n:016x}")
        clinic.shows("stim-12")
    assert len(clinic.state.durable.holds["stim-12"]) == HOLDS_KEPT


def test_what_was_sent_is_remembered_within_bounds() -> None:
    state = State()
    for n in range(SENDINGS_KEPT + 5):
        state.fleeting.note_sent(f"stop/{n}", float(n))
    assert len(state.fleeting.sent_s) == SENDINGS_KEPT
    assert next(iter(state.fleeting.sent_s)) == "stop/5"


def test_every_state_of_a_session_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(SessionState)
    assert set(STATE_OF_PHASE) == {Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}
    over = {SessionState.REFUSED, SessionState.EXPIRED, SessionState.ABORTED, SessionState.COMPLETED}
    assert all(not TRANSITIONS[state] for state in over)
    # A cancel may come too late.
    assert TRANSITIONS[SessionState.CANCELLED] == {SessionState.RUNNING}
