"""The adversary: it owns the network between two devices and the fleet (delays, repeats, reorders, drops, replays,
mixes up) and cannot forge.

Devices obey leases as the contract says; people ask, stop and release as they like. After every input the invariants
are checked against records that the test keeps by itself. What it may do at all stands in `moves.py`.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import LIVE_PHASES, AckStatus, Phase
from broker.contract.topics import ALL
from fleet.core import inputs
from fleet.core.decide import Decision, decide
from fleet.core.effects import ClearRetained, SendAuthorisation, SendLease, SendRelease, SendStop
from fleet.core.events import (
    Event,
    HoldReleased,
    SessionAuthorised,
    StopConfirmed,
    StopFoundLive,
    StopOrdered,
    StopUnconfirmed,
)
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
    urgent: set[tuple[str, str]] = field(default_factory=set)  # stop, device: live when it was stopped, or after
    alarmed: set[tuple[str, str]] = field(default_factory=set)  # stop, device: A01 is open
    stopped: list[tuple[str, messages.Stop]] = field(default_factory=list)  # every stop ordered, and where
    retained: set[str] = field(default_factory=set)  # where the broker retains a stop
    to_clear: deque[tuple[str, str]] = field(default_factory=deque)  # asked for, and not performed yet
    requests: int = 0
    visits: Counter[str] = field(default_factory=Counter)  # by chair: who sits there is somebody new each time

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
        self.clinic.rules.check(self.state, decision)
        for effect in decision.at_once:
            if isinstance(effect, SendStop) and effect.message.hold:
                self.retained.add(effect.device)
        self.to_clear += [(e.device, e.command_id) for e in decision.after_commit if isinstance(e, ClearRetained)]
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
        token = self._sits_in(client)
        asked = self.clinic.request(device=name, room=room, client=token, request_id=f"r-{self.requests}")
        for effect in self.heard(asked).after_commit:
            if isinstance(effect, SendAuthorisation):
                stim = self.clinic.stims[effect.device]
                done = messages.Ack(stim.boot_n, effect.message.command_id, AckStatus.DONE, None, None, WALL)
                stim.phase, stim.session_id, stim.shown = Phase.AUTHORISED, effect.message.session_id, {}
                self.receive(effect.device, done)

    def _sits_in(self, chair: str) -> str:
        """The client in a chair; the next one when the session is over, for whom the dose rules have nothing to say."""
        if not any(session.client == f"{chair}-{self.visits[chair]}" for session in self.state.open_sessions()):
            self.visits[chair] += 1
        return f"{chair}-{self.visits[chair]}"

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
        if phase is Phase.RUNNING and stim.phase is not phase:
            stim.elapsed_s += 6.0  # it was raised to 30 mA, and nobody heard of it
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

    def stop_sent(self, stop: messages.Stop) -> None:
        """The broker has it: the performer reports."""
        hold_id = stop.command_id[:16] if stop.hold else None
        self.heard(inputs.StopSent(stop.command_id, hold_id, self.clinic.now_s, self.clinic.wall_s))

    def acknowledges(self, name: str, n: int, status: AckStatus, amplitude_ma: float | None) -> None:
        if self.stopped:
            _, stop = self.stopped[n % len(self.stopped)]
            boot_n = self.clinic.stims[name].boot_n
            self.receive(name, messages.Ack(boot_n, stop.command_id, status, None, amplitude_ma, WALL))

    def lists(self, name: str, held: bool) -> None:
        """A birth with every hold that was ever set here, or with none."""
        stim = self.clinic.stims[name]
        stim.holds = messages.Holds.of(
            device=self._holds(name) if held else (),
            all=self._holds(ALL) if held else (),
        )
        self.receive(name, stim.birth())

    def _holds(self, where: str) -> tuple[str, ...]:
        return tuple(stop.command_id[:16] for scope, stop in self.stopped if scope == where and stop.hold)[-16:]

    def performs_clearing(self) -> None:
        """As the performer does: never what a newer stop has been retained for."""
        device, command_id = self.to_clear.popleft()
        if device not in self.state.durable.holds:
            self.retained.discard(device)
        self.heard(inputs.StopCleared(device, command_id, self.clinic.now_s, self.clinic.wall_s))

    # --- invariants -------------------------------------------------------------------------------------------------

    def _check(self, decision: Decision) -> None:
        for event in decision.events:
            match event:
                case SessionAuthorised(device=device, authorisation=authorisation):
                    self.authorised[authorisation.session_id] = (device, authorisation.boot_n)
                case StopOrdered():
                    self._ordered(event)
                case HoldReleased(scope=scope, device=device):
                    self._released(ALL if scope is messages.Scope.ALL else device)
                case _:
                    self._followed(event)
        for effect in decision.at_once:
            if isinstance(effect, SendLease):
                self._lease_is_right(effect)
        # Settings, authorisations and releases allow something: none of them is performed before the commit.
        assert not any(isinstance(effect, SendAuthorisation | SendRelease) for effect in decision.at_once)
        self._one_session_each()
        self._stops_are_followed_once()

    def _ordered(self, event: StopOrdered) -> None:
        self.stopped.append((event.device, event.stop))
        for target in event.targets:
            self.unconfirmed[event.stop.command_id, target.device] = self.clinic.now_s
            if target.urgent:
                self.urgent.add((event.stop.command_id, target.device))
            if target.session_id is not None:
                self.withheld.add(target.session_id)

    def _followed(self, event: Event) -> None:
        match event:
            case StopConfirmed(command_id=command_id, device=device, amplitude_ma=amplitude_ma):
                assert amplitude_ma is not None
                assert amplitude_ma < 1.0
                del self.unconfirmed[command_id, device]
                self.urgent.discard((command_id, device))
                self.alarmed.discard((command_id, device))
            case StopFoundLive(command_id=command_id, device=device):
                assert (command_id, device) not in self.urgent
                self.urgent.add((command_id, device))
            case StopUnconfirmed(command_id=command_id, device=device):
                assert (command_id, device) in self.urgent - self.alarmed
                self.alarmed.add((command_id, device))
            case _:
                pass

    def _released(self, where: str | None) -> None:
        """Nobody releases what had output and has not measured zero."""
        over = {stop.command_id for scope, stop in self.stopped if scope == where and stop.hold}
        assert not any(command_id in over for command_id, _ in self.urgent)
        for key in [key for key in self.unconfirmed if key[0] in over]:
            del self.unconfirmed[key]

    def _stops_are_followed_once(self) -> None:
        """One emergency stop of a scope follows a device; the index says the same as the stops."""
        durable = self.state.durable
        by_device: dict[str, list[str]] = {}
        for command_id, stop in durable.stops.items():
            for name in stop.pursuits:
                by_device.setdefault(name, []).append(command_id)
        assert {name: list(followed) for name, followed in durable.pursued.items()} == by_device
        assert set(self.unconfirmed) == {(command_id, name) for name, ids in by_device.items() for command_id in ids}
        assert not durable.clearing.keys() & durable.holds.keys()
        for scope in (*NAMES, ALL):
            emergencies = [
                name
                for stop in durable.stops.values()
                if stop.device == scope and stop.stop.cause is Cause.EMERGENCY_STOP
                for name in stop.pursuits
            ]
            assert len(emergencies) == len(set(emergencies))

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
