"""Stops, whatever comes between: each stays open until zero is measured or a person confirms it, and nothing is leased
meanwhile; what was withheld is never leased again (H12).
"""

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
from broker.contract.messages import Ack, AckStatus, Phase, Scope, Telemetry
from fleet.core import events as e
from fleet.core import inputs
from fleet.core.decide import Decision
from fleet.core.effects import SendLease, SendStop
from fleet.core.state import State
from tests.core.clinic import WALL
from tests.core.practice import Practice

NAMES = ("stim-12", "stim-7")
names, places = st.sampled_from(NAMES), st.sampled_from((*NAMES, None))
LIVE = {Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}
SILENT_S = 12.0  # from then on a person's word counts


class StopMachine(RuleBasedStateMachine):
    """What is open is kept here, from what was done: which stop follows which device, and whether it was live."""

    def __init__(self) -> None:
        super().__init__()
        self.clinic = Practice()
        self.open: dict[tuple[str, str], bool] = {}  # stop and device: whether output was known of
        self.sent: set[str] = set()  # stops that the broker has
        self.ordered: dict[str, tuple[str, bool]] = {}  # every stop: where, and whether it holds
        self.withheld: set[str] = set()
        self.samples: list[tuple[str, Telemetry]] = []
        self.heard_s: dict[str, float] = {}  # by this instance of the fleet
        self.took_over_s = 0.0
        self.last_sent_s: dict[tuple[str, str], float] = {}
        self.visits = 0

    @initialize()
    def opens(self) -> None:
        self.clinic.ready(*NAMES)
        self.heard_s = dict.fromkeys(NAMES, self.clinic.now_s)
        self.took_over_s = self.clinic.now_s

    # --- hearing ------------------------------------------------------------------------------------------------------

    def heard(self, heard: inputs.Input) -> Decision:
        """Decide; then nothing may be leased that a stop follows, or that was ever withheld."""
        before = set(self.clinic.state.durable.pursued)
        decision = self.clinic.decides(heard)
        for event in decision.events:
            self._ordered_or_withheld(event)
        for effect in decision.at_once:
            if isinstance(effect, SendLease):
                assert effect.device not in before | {device for _, device in self.open}
                assert effect.message.session_id not in self.withheld
            elif isinstance(effect, SendStop):
                for device in NAMES if effect.device == "all" else (effect.device,):
                    self.last_sent_s[effect.message.command_id, device] = self.clinic.now_s
        return decision

    def _ordered_or_withheld(self, event: e.Event) -> None:
        match event:
            case e.StopOrdered(device=where, stop=stop, targets=targets):
                self.ordered[stop.command_id] = (where, stop.hold)
                for target in targets:
                    self.open[stop.command_id, target.device] = target.urgent
                    if target.session_id is not None:
                        self.withheld.add(target.session_id)
            case e.SessionWithheld(session_id=session_id):
                self.withheld.add(session_id)
            case e.StopFoundLive(command_id=command_id, device=device):
                self.open[command_id, device] = True
            case _:
                pass

    def says(self, name: str, message: Any) -> None:
        self.heard(inputs.Received(name, message, self.clinic.now_s, self.clinic.wall_s))

    def agrees(self) -> None:
        """What the fleet follows is what has not been shown to be off."""
        durable = self.clinic.state.durable
        followed = {(command_id, name) for command_id, stop in durable.stops.items() for name in stop.pursuits}
        assert followed == set(self.open)
        assert {name: set(ids) for name, ids in durable.pursued.items()} == {
            name: {command_id for command_id, device in self.open if device == name} for _, name in self.open
        }

    # --- people -----------------------------------------------------------------------------------------------------

    @rule(where=places)
    def pushes(self, where: str | None) -> None:
        followed = {device for command_id, device in self.open if self._is_emergency_of(command_id, where or "all")}
        known = set(self.ordered)
        self.heard(self.clinic.push(where))
        wanted = set(NAMES) if where is None else {where}
        if wanted <= followed:
            assert set(self.ordered) == known, "it joins the one that is open"
        else:
            (new,) = set(self.ordered) - known
            assert {device for command_id, device in self.open if command_id == new} == wanted - followed

    def _is_emergency_of(self, command_id: str, where: str) -> bool:
        stop = self.clinic.state.durable.stops[command_id].stop
        return self.ordered[command_id][0] == where and stop.cause is Cause.EMERGENCY_STOP

    @rule(name=names)
    def sees_that_it_is_off(self, name: str) -> None:
        # Whoever has led for less than that cannot know that nobody speaks.
        speaks = self.clinic.now_s - self.heard_s.get(name, self.took_over_s) < SILENT_S
        at = {"now_s": self.clinic.now_s, "wall_s": self.clinic.wall_s}
        self.heard(inputs.ConfirmOff(request_id="off", device=name, issued_by="ada", **at))
        if not speaks:
            self.open = {key: urgent for key, urgent in self.open.items() if key[1] != name}
        self.agrees()

    @rule(where=places)
    def releases(self, where: str | None) -> None:
        """Nobody lifts what had output and is not at zero, or has not gone out; the rest of it a person has decided."""
        place = where or "all"
        holds = self.clinic.state.durable.holds.get(place, ())
        of_place = [command_id for command_id, _ in self.open if self.ordered[command_id] == (place, True)]
        unsent = [
            command_id
            for command_id, stop in self.clinic.state.durable.stops.items()
            if stop.device == place and command_id not in self.sent
        ]
        live = [
            command_id
            for command_id, stop in self.clinic.state.durable.stops.items()
            if stop.device == place and any(self.open[command_id, name] for name in stop.pursuits)
        ]
        at = {"now_s": self.clinic.now_s, "wall_s": self.clinic.wall_s}
        scope = Scope.ALL if where is None else Scope.DEVICE
        self.heard(inputs.ReleaseHold(request_id="r", scope=scope, device=where, issued_by="ada", **at))
        if holds and not unsent and not live:
            self.open = {key: urgent for key, urgent in self.open.items() if key[0] not in of_place}
            assert place not in self.clinic.state.durable.holds
        else:
            assert self.clinic.state.durable.holds.get(place, ()) == holds
        self.agrees()

    @precondition(lambda self: self.ordered)
    @rule(n=st.integers(0, 30))
    def the_broker_takes_it(self, n: int) -> None:
        command_id = list(self.ordered)[-1 - n % len(self.ordered)]
        hold_id = command_id[:16] if self.ordered[command_id][1] else None
        self.heard(inputs.StopSent(command_id, hold_id, self.clinic.now_s, self.clinic.wall_s))
        self.sent.add(command_id)
        self.agrees()

    # --- devices ----------------------------------------------------------------------------------------------------

    @rule(name=names, phase=st.sampled_from((*Phase, Phase.IDLE, Phase.LATCHED, Phase.RUNNING)), amplitude=st.data())
    def shows(self, name: str, phase: Phase, amplitude: st.DataObject) -> None:
        amplitude_ma = amplitude.draw(st.sampled_from((0.0, 0.0, 0.2, 0.99, 1.0, 30.0, None)))
        self._shows(name, phase, amplitude_ma)

    def _shows(self, name: str, phase: Phase, amplitude_ma: float | None) -> None:
        """A new sample: the only one that can show zero, and only of a stop that has gone out."""
        stim = self.clinic.stims[name]
        stim.phase = phase
        self.clinic.now_s += 0.5
        self.clinic.wall_s += 0.5
        self.heard_s[name] = self.clinic.now_s
        is_zero = phase not in LIVE and amplitude_ma is not None and amplitude_ma < 1.0
        ends = [key for key in self.open if key[1] == name and key[0] in self.sent] if is_zero else []
        sample = stim.sample(amplitude_ma=amplitude_ma, setting_ma=30.0 if phase is Phase.RUNNING else 0.0)
        self.samples.append((name, sample))
        self.says(name, sample)
        for key in ends:
            del self.open[key]
        self.agrees()

    @rule(name=names)
    def treats(self, name: str) -> None:
        """A session runs, if it may."""
        clinic, stim = self.clinic, self.clinic.stims[name]
        self._shows(name, Phase.IDLE, 0.0)
        self.visits += 1
        room = clinic.registry.devices[name].room
        request_id = f"r-{self.visits}"
        asked = clinic.request(client=f"c-{self.visits:04}", device=name, room=room, request_id=request_id)
        self.heard(asked)
        session = clinic.state.session_on(clinic.state.device(name))
        if session is not None and session.request_id == request_id:
            stim.session_id = session.session_id
            for phase in (Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING):
                self._shows(name, phase, 30.0 if phase is Phase.RUNNING else 0.0)

    @precondition(lambda self: self.ordered)
    @rule(
        name=names,
        n=st.integers(0, 30),
        of_open=st.booleans(),
        status=st.sampled_from((AckStatus.RECEIVED, AckStatus.DONE, AckStatus.DONE, AckStatus.REFUSED)),
        amplitude_ma=st.sampled_from((0.0, 0.9, 1.0, 30.0, None)),
        of_another_boot=st.sampled_from((False, False, False, True)),
    )
    def acknowledges(
        self, name: str, n: int, of_open: bool, status: AckStatus, amplitude_ma: float | None, of_another_boot: bool
    ) -> None:
        command_id = list(self.ordered)[-1 - n % len(self.ordered)]
        if of_open and self.open:
            command_id, name = list(self.open)[n % len(self.open)]
        boot_n = self.clinic.stims[name].boot_n + of_another_boot
        self.says(name, Ack(boot_n, command_id, status, None, amplitude_ma, WALL))
        if status is AckStatus.DONE and amplitude_ma is not None and amplitude_ma < 1.0 and not of_another_boot:
            self.open.pop((command_id, name), None)
        self.agrees()

    @precondition(lambda self: self.samples)
    @rule(n=st.integers(0, 500))
    def an_old_sample_comes_again(self, n: int) -> None:
        """It shows nothing: it may be from before the stop. (A fleet that has just started knows old samples by the
        journal only: what was heard and not journaled is new to it until the device has been heard.)
        """
        name, sample = self.samples[n % len(self.samples)]
        if name in self.heard_s:
            self.says(name, sample)
        self.agrees()

    @rule(name=names)
    def boots(self, name: str) -> None:
        stim = self.clinic.stims[name]
        stim.boot_n += 1
        stim.session_id = None
        self.says(name, stim.birth())
        self.heard_s.pop(name, None)
        self.agrees()

    # --- time -------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.1, 5.0, 13.0, 31.0)))
    def passes(self, seconds: float) -> None:
        """Ticks come every 100 ms; what is live and unconfirmed is never left alone for longer than 5 s."""
        for _ in range(int(seconds * 10)):
            self.clinic.now_s += 0.1
            self.clinic.wall_s += 0.1
            self.heard(inputs.Tick(self.clinic.now_s, self.clinic.wall_s))
            for key, urgent in self.open.items():
                if urgent and key[0] in self.sent:
                    assert self.clinic.now_s - self.last_sent_s[key] < 5.0 + 0.1 + 1e-6, "a stop is sent again"
        self.agrees()

    @rule()
    def the_fleet_restarts(self) -> None:
        self.clinic.state = State(durable=self.clinic.state.durable)
        self.heard(inputs.TookOver("host-boot-1", self.clinic.now_s, self.clinic.wall_s))
        self.heard_s.clear()
        self.took_over_s = self.clinic.now_s
        self.agrees()

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def a_stop_that_was_live_and_not_confirmed_is_open(self) -> None:
        durable = self.clinic.state.durable
        for (command_id, name), urgent in self.open.items():
            assert (durable.stops[command_id].pursuits[name].urgent_s is not None) is urgent

    @invariant()
    def what_was_withheld_is_withheld_or_over(self) -> None:
        for session_id in self.withheld:
            session = self.clinic.state.durable.sessions[session_id]
            assert session.withheld is not None or not session.open


@pytest.mark.timeout(600)  # seconds, but for a failure, which Hypothesis makes smaller for some minutes
def test_h12_a_stop_stays_open_until_zero_is_measured_or_a_person_confirms_it() -> None:
    run_state_machine_as_test(
        StopMachine,
        settings=settings(
            max_examples=200,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
