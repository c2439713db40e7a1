"""What no sequence of messages may bring about.

The adversary is one frozen object and a list of moves: it owns the network between two devices and the fleet (delays,
repeats, reorders, drops, replays, mixes up) and cannot forge. Devices obey leases as the contract says; people ask and
stop as they like. After every input the invariants are checked against records that the test keeps by itself.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import LIVE_PHASES, AckStatus, Phase
from fleet.core import inputs
from fleet.core.decide import Decision, decide
from fleet.core.effects import SendAuthorisation, SendLease, SendRelease, SendStop
from fleet.core.events import SessionAuthorised, StopConfirmed, StopOrdered
from fleet.core.evolve import evolve
from fleet.core.sessions import TRANSITIONS
from fleet.core.state import State
from tests.core.clinic import WALL, Clinic

NAMES = ("stim-12", "stim-7")


@dataclass
class World:
    """Two devices, the fleet, and everything that was ever sent."""

    clinic: Clinic = field(default_factory=Clinic)
    recorded: list[tuple[str, messages.Uplink]] = field(default_factory=list)
    delayed: deque[tuple[str, messages.Uplink]] = field(default_factory=deque)
    authorised: dict[str, tuple[str, int]] = field(default_factory=dict)  # session -> device, boot
    answered: dict[tuple[str, int, int], int] = field(default_factory=dict)  # device, boot, fleet -> newest seq
    unconfirmed: dict[tuple[str, str], float] = field(default_factory=dict)  # stop, device -> last sent
    withheld: set[str] = field(default_factory=set)  # sessions stopped, by the test's own record
    requests: int = 0

    def __post_init__(self) -> None:
        self.clinic.ready(*NAMES)

    @property
    def state(self) -> State:
        return self.clinic.state

    # --- moves ------------------------------------------------------------------------------------------------------

    def heard(self, heard: inputs.Input) -> Decision:
        before = dict(self.state.durable.sessions)
        decision = decide(self.state, heard)
        self.clinic.journal += decision.events
        for session_id, session in self.state.durable.sessions.items():
            was = before.get(session_id)
            if was is not None and was.state is not session.state:
                self._moved_along_the_table(was.state, session.state, decision)
        self._check(decision)
        return decision

    def _moved_along_the_table(self, was: Any, now: Any, decision: Decision) -> None:
        if now not in TRANSITIONS[was]:
            # Two steps in one turn: each is in the table.
            assert len(decision.events) > 1
            assert any(now in TRANSITIONS[between] for between in TRANSITIONS[was])

    def receive(self, name: str, message: messages.Uplink) -> None:
        self.heard(inputs.Received(name, message, self.clinic.now_s, self.clinic.wall_s))

    def passes(self, seconds: float) -> None:
        self.clinic.now_s += seconds
        self.clinic.wall_s += seconds
        self.heard(inputs.Tick(self.clinic.now_s, self.clinic.wall_s))

    def asks(self, name: str, client: str) -> None:
        self.requests += 1
        room = self.clinic.registry.devices[name].room
        asked = self.clinic.request(device=name, room=room, client=client, request_id=f"r-{self.requests}")
        for effect in self.heard(asked).after_commit:
            if isinstance(effect, SendAuthorisation):
                stim = self.clinic.stims[effect.device]
                done = messages.Ack(stim.boot_n, effect.message.command_id, AckStatus.DONE, None, None, WALL)
                stim.phase, stim.session_id, stim.shown = Phase.AUTHORISED, effect.message.session_id, {}
                self.receive(effect.device, done)

    def shows(self, name: str) -> None:
        sample = self.clinic.stims[name].sample()
        self.recorded.append((name, sample))
        self.receive(name, sample)

    def treats(self, name: str, client: str) -> None:
        """Somebody sits down, and everything is done as it should be, as far as the fleet lets them."""
        self.shows(name)
        self.asks(name, client)
        if self.clinic.stims[name].phase is Phase.AUTHORISED:
            for phase in (Phase.ARMED, Phase.RUNNING, Phase.RUNNING):
                self.goes_to(name, phase)
                self.shows(name)

    def goes_to(self, name: str, phase: Phase) -> None:
        """The device shows a phase, whether or not the contract would let it."""
        stim = self.clinic.stims[name]
        stim.phase = phase
        stim.shown = {"setting_ma": 30.0, "amplitude_ma": 29.0} if phase is Phase.RUNNING else {}

    def boots(self, name: str) -> None:
        stim = self.clinic.stims[name]
        stim.boot_n += 1
        stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
        stim.seq += 1_000
        birth = stim.birth()
        self.recorded.append((name, birth))
        self.receive(name, birth)

    def ends(self, name: str) -> None:
        stim = self.clinic.stims[name]
        self.receive(name, stim.ended(Cause.THERAPIST_STOP))
        stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}

    def stops(self, name: str | None) -> None:
        self.heard(self.clinic.push(name))

    # --- invariants -------------------------------------------------------------------------------------------------

    def _check(self, decision: Decision) -> None:
        for event in decision.events:
            match event:
                case SessionAuthorised(device=device, authorisation=authorisation):
                    self.authorised[authorisation.session_id] = (device, authorisation.boot_n)
                case StopOrdered(stop=stop, targets=targets):
                    for target in targets:
                        self.unconfirmed[stop.command_id, target.device] = self.clinic.now_s
                        if target.session_id is not None:
                            self.withheld.add(target.session_id)
                case StopConfirmed(command_id=command_id, device=device, amplitude_ma=amplitude_ma):
                    assert amplitude_ma is not None
                    assert amplitude_ma < 1.0
                    del self.unconfirmed[command_id, device]
                case _:
                    pass
        for effect in decision.at_once:
            if isinstance(effect, SendLease):
                self._lease_is_right(effect)
        # Settings, authorisations and releases allow something: none of them is performed before the commit.
        assert not any(isinstance(effect, SendAuthorisation | SendRelease) for effect in decision.at_once)
        self._one_session_each()

    def _lease_is_right(self, effect: SendLease) -> None:
        lease, stim = effect.message, self.clinic.stims[effect.device]
        assert self.authorised[lease.session_id] == (effect.device, lease.boot_n)
        assert lease.session_id not in self.withheld
        # In order, each once: by one instance. What a restarted one answers again is worth nothing at the agent.
        key = (effect.device, lease.boot_n, lease.fleet_n)
        assert lease.answers > self.answered.get(key, -1)
        assert lease.boot_n == stim.boot_n or lease.boot_n == self.state.device(effect.device).boot_n
        sample = next(
            message
            for name, message in self.recorded
            if name == effect.device
            and isinstance(message, messages.Telemetry)
            and (message.boot_n, message.seq) == (lease.boot_n, lease.answers)
        )
        assert sample.phase in LIVE_PHASES
        assert sample.session_id == lease.session_id
        assert not sample.late
        self.answered[key] = lease.answers

    def _one_session_each(self) -> None:
        open_sessions = list(self.state.open_sessions())
        for taken in ([s.device for s in open_sessions], [s.client for s in open_sessions]):
            assert len(taken) == len(set(taken))


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
    def time(world: World, seconds: float) -> None:
        world.passes(seconds)

    @staticmethod
    def restart(world: World) -> None:
        world.clinic.state = State(durable=world.state.durable)
        world.heard(inputs.TookOver("host-boot-1", world.clinic.now_s, world.clinic.wall_s))


moves = st.one_of(
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
    st.tuples(st.just(Moves.stop), st.sampled_from((*NAMES, None))),
    st.tuples(st.just(Moves.time), st.sampled_from((0.1, 1.0, 6.0, 31.0, 130.0))),
    st.tuples(st.just(Moves.restart)),
)


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
    world.heard(inputs.StopSent(command.message.command_id, "a" * 16, clinic.now_s, clinic.wall_s))
    last_sent_s = clinic.now_s
    for tick_s in ticks:
        clinic.now_s += tick_s
        decision = world.heard(inputs.Tick(clinic.now_s, clinic.wall_s))
        again = [
            effect for effect in decision.at_once if isinstance(effect, SendStop) and effect.message == command.message
        ]
        if again:
            last_sent_s = clinic.now_s
        if live:
            # 40 Hz: 25 ms and 300 ms after the last sending it is due, and the next tick sends it.
            assert clinic.now_s - last_sent_s < 0.325 + 1e-6
    # Zero is measured everywhere: it is over, but for devices whose newest sample is none.
    for name in NAMES:
        stim = clinic.stims[name]
        stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
        stim.boot_n = max(stim.boot_n, world.state.device(name).boot_n)
        stim.seq += 100_000
        world.shows(name)
    assert command.message.command_id not in world.state.durable.stops
