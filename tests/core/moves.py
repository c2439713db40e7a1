"""What can happen in the adversary's world, and how often it is tried."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from broker.contract import messages
from broker.contract.messages import AckStatus, Phase
from fleet.core import inputs
from fleet.core.alarm_inputs import RecorderEnds, RecorderSays
from fleet.core.state import State
from fleet.core.store_events import StoreTrouble
from tests.core.adversary import NAMES, World


def perform(world: World, move: tuple[Any, ...]) -> None:
    """One move of a device, a person, time, or the network."""
    world.clinic.now_s += 0.02
    happens, *details = move
    happens(world, *details)


class Moves:
    """What can happen. The network may do anything to a message but write one."""

    @staticmethod
    def treat(world: World, name: str, client: str) -> None:
        world.treats(name, client)

    @staticmethod
    def sample(world: World, name: str) -> None:
        world.shows(name)

    @staticmethod
    def delay(world: World, name: str) -> None:
        sample = world.clinic.stims[name].sample()
        world.recorded.append((name, sample))
        world.delayed.append((name, sample))

    @staticmethod
    def deliver(world: World, newest: bool) -> None:
        if world.delayed:
            world.receive(*(world.delayed.pop() if newest else world.delayed.popleft()))

    @staticmethod
    def replay(world: World, n: int) -> None:
        if world.recorded:
            world.receive(*world.recorded[n % len(world.recorded)])

    @staticmethod
    def foreign(world: World, n: int) -> None:
        """Another device's sample, under this name and with this seq: what a mixed-up key would let through."""
        samples = [said for said in world.recorded if isinstance(said[1], messages.Telemetry)]
        if samples:
            name, sample = samples[n % len(samples)]
            assert isinstance(sample, messages.Telemetry)
            other = NAMES[1 - NAMES.index(name)]
            mixed_up = replace(sample, seq=world.clinic.stims[other].sample().seq)
            world.recorded.append((other, mixed_up))
            world.receive(other, mixed_up)

    @staticmethod
    def late(world: World, name: str) -> None:
        world.receive(name, world.clinic.stims[name].sample(late=True))

    @staticmethod
    def phase(world: World, name: str, phase: Phase) -> None:
        world.goes_to(name, phase)

    @staticmethod
    def ask(world: World, name: str, client: str) -> None:
        world.asks(name, client)

    @staticmethod
    def boot(world: World, name: str) -> None:
        world.boots(name)

    @staticmethod
    def end(world: World, name: str) -> None:
        world.ends(name)

    @staticmethod
    def stop(world: World, name: str | None) -> None:
        world.stops(name)

    @staticmethod
    def stop_sent(world: World, n: int) -> None:
        if world.stopped:
            world.stop_sent(world.stopped[n % len(world.stopped)][1])

    @staticmethod
    def acknowledge(world: World, name: str, n: int, status: AckStatus, amplitude_ma: float | None) -> None:
        world.acknowledges(name, n, status, amplitude_ma)

    @staticmethod
    def release(world: World, name: str | None) -> None:
        world.heard(
            inputs.ReleaseHold(
                request_id="release",
                scope=messages.Scope.ALL if name is None else messages.Scope.DEVICE,
                device=name,
                issued_by="ada",
                now_s=world.clinic.now_s,
                wall_s=world.clinic.wall_s,
            )
        )

    @staticmethod
    def stop_and_release(world: World, name: str | None) -> None:
        """Everything is as it should be: the broker has the stop, and the holds are released if they may be."""
        world.stops(name)
        world.stop_sent(world.stopped[-1][1])
        Moves.release(world, name)

    @staticmethod
    def clear(world: World) -> None:
        if world.to_clear:
            world.performs_clearing()

    @staticmethod
    def birth(world: World, name: str, held: bool) -> None:
        world.lists(name, held)

    @staticmethod
    def time(world: World, seconds: float) -> None:
        world.passes(seconds)

    @staticmethod
    def store(world: World, trouble: StoreTrouble | None) -> None:
        at = {"now_s": world.clinic.now_s, "wall_s": world.clinic.wall_s}
        world.heard(RecorderSays(request_id="word", trouble=trouble, **at))

    @staticmethod
    def recorder_ends(world: World) -> None:
        world.heard(RecorderEnds(request_id="word", now_s=world.clinic.now_s, wall_s=world.clinic.wall_s))

    @staticmethod
    def restart(world: World) -> None:
        world.clinic.state = State(durable=world.state.durable)
        world.to_clear.clear()
        world.heard(inputs.TookOver("host-boot-1", world.clinic.now_s, world.clinic.wall_s))


stop_moves = st.one_of(
    st.tuples(st.just(Moves.stop), st.sampled_from((*NAMES, None))),
    st.tuples(st.just(Moves.stop_sent), st.integers(0, 100)),
    st.tuples(st.just(Moves.stop_sent), st.integers(0, 100)),
    st.tuples(
        st.just(Moves.acknowledge),
        st.sampled_from(NAMES),
        st.integers(0, 100),
        st.sampled_from((AckStatus.RECEIVED, AckStatus.DONE)),
        st.sampled_from((0.2, None, 30.0)),
    ),
    st.tuples(st.just(Moves.stop_and_release), st.sampled_from((*NAMES, None))),
    st.tuples(st.just(Moves.release), st.sampled_from((*NAMES, None))),
    st.tuples(st.just(Moves.clear)),
    st.tuples(st.just(Moves.birth), st.sampled_from(NAMES), st.booleans()),
)
restarts = st.tuples(st.just(Moves.restart))
moves = st.one_of(
    stop_moves,
    st.tuples(st.just(Moves.treat), st.sampled_from(NAMES), st.sampled_from(("c-4711", "c-4712"))),
    st.tuples(st.just(Moves.treat), st.sampled_from(NAMES), st.sampled_from(("c-4711", "c-4712"))),
    st.tuples(st.just(Moves.sample), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.sample), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.sample), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.delay), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.deliver), st.booleans()),
    st.tuples(st.just(Moves.replay), st.integers(0, 10_000)),
    st.tuples(st.just(Moves.foreign), st.integers(0, 10_000)),
    st.tuples(st.just(Moves.late), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.phase), st.sampled_from(NAMES), st.sampled_from(Phase)),
    st.tuples(st.just(Moves.phase), st.sampled_from(NAMES), st.sampled_from((Phase.ARMED, Phase.RUNNING))),
    st.tuples(st.just(Moves.ask), st.sampled_from(NAMES), st.sampled_from(("c-4711", "c-4712"))),
    st.tuples(st.just(Moves.ask), st.sampled_from(NAMES), st.sampled_from(("c-4711", "c-4712"))),
    st.tuples(st.just(Moves.boot), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.end), st.sampled_from(NAMES)),
    st.tuples(st.just(Moves.time), st.sampled_from((0.1, 1.0, 6.0, 31.0, 130.0))),
    restarts,
)
