"""What no sequence of messages may bring about."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import Phase
from broker.contract.topics import ALL
from fleet.core import inputs
from fleet.core.effects import SendStop
from fleet.core.evolve import evolve
from fleet.core.state import State
from tests.core.adversary import NAMES, World
from tests.core.moves import moves, perform, restarts, stop_moves


def test_the_world_treats_people_when_it_is_left_alone() -> None:
    """What follows would say nothing if no session ever ran."""
    world = World()
    world.treats("stim-12", "c-4711")
    world.treats("stim-7", "c-4711")  # the same person cannot sit in two rooms
    world.treats("stim-7", "c-4712")
    assert len(world.answered) == 2
    assert [session.state for session in world.state.open_sessions()] == ["running", "running"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, min_size=10, max_size=80))
def test_h13_no_sequence_gives_a_lease_that_it_should_not(sequence: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in sequence:
        perform(world, move)
    # The state is the fold of the journal, whatever happened.
    folded = State()
    for event in world.clinic.journal:
        evolve(folded, event)
    assert folded.durable == world.state.durable


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, min_size=5, max_size=30), st.lists(st.sampled_from((0.05, 0.1, 0.2)), min_size=5, max_size=40))
def test_h12_a_stop_of_a_live_session_is_sent_again_until_zero(
    before: list[tuple[Any, ...]], ticks: list[float]
) -> None:
    world = World()
    for move in before:
        perform(world, move)
    clinic = world.clinic
    live = [session.device for session in world.state.open_sessions() if session.live]
    command = world.heard(clinic.push(None)).at_once[0]
    assert isinstance(command, SendStop)
    world.stop_sent(command.message)
    pushed_s = clinic.now_s
    sent_s = dict.fromkeys(live, clinic.now_s)
    for tick_s in ticks:
        clinic.now_s += tick_s
        decision = world.heard(inputs.Tick(clinic.now_s, clinic.wall_s))
        for effect in decision.at_once:
            if isinstance(effect, SendStop) and effect.message.cause is Cause.EMERGENCY_STOP:
                sent_s.update(dict.fromkeys(live if effect.device == ALL else [effect.device], clinic.now_s))
        for name in live:
            # 40 Hz: 25 ms and 300 ms after the last sending it is due, and the next tick sends it. 25 ms and a second
            # after the push A01 is open, and the device is told by itself, every 5 s.
            alarmed = any(device == name for _, device in world.alarmed)
            assert clinic.now_s - sent_s[name] < (5.0 if alarmed else 0.325) + 1e-6
            assert alarmed or clinic.now_s - pushed_s < 1.025 + 1e-6
    # Zero is measured everywhere: it is over, but for devices whose newest sample is none.
    for name in NAMES:
        stim = clinic.stims[name]
        stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
        stim.boot_n = max(stim.boot_n, world.state.device(name).boot_n)
        stim.seq += 100_000
        world.shows(name)
    assert command.message.command_id not in world.state.durable.stops


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(stop_moves, restarts, moves), min_size=20, max_size=60))
def test_what_is_retained_is_what_is_held_whatever_was_pushed_released_and_forgotten(
    sequence: list[tuple[Any, ...]],
) -> None:
    world = World()
    for move in sequence:
        perform(world, move)
        assert world.retained.issuperset(world.state.durable.holds)
    # Left alone, the fleet clears what nobody holds any more, over every crash.
    world.passes(5.0)
    while world.to_clear:
        world.performs_clearing()
    assert world.retained == set(world.state.durable.holds)
