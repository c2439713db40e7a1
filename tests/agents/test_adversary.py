"""An adversary feeds the session whatever it likes, in any order: output stays inside permission, latch and limits.

Its model of what is allowed is kept here, from what was fed in and what was told, not from the session's own state.
"""

import math
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.drivers.port import ZERO, Drive, Identity, Reading
from agents.session import begin, step
from agents.steps import (
    Acknowledge,
    Durable,
    Emit,
    Heard,
    HeardStop,
    Input,
    Persist,
    Press,
    Pressed,
    Reply,
    Sample,
    Tick,
    Written,
)
from broker.contract.causes import CONSEQUENCES, Cause, ResetBy
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    AckStatus,
    Authorisation,
    Cancel,
    EventKind,
    Lease,
    Phase,
    Release,
    Scope,
    Settings,
    Stop,
)
from tests.agents.clinic import PLAN, SESSION, SETTINGS, WALL_AT_BOOT_S

IDENTITY = Identity("S-1", "bench", "1.0", GENERIC_PROFILE)
CEILING_MA = 60.0  # the plan's
RISE_MA_PER_S = 5.0
peaks = st.one_of(st.none(), st.just(math.nan), st.just(0.0), st.floats(0.0, 70.0))


class Adversary(RuleBasedStateMachine):
    """Feeds inputs; keeps its own account of leases, stops, holds and the disk."""

    @initialize(died_live=st.booleans(), self_test=st.sampled_from([None, None, None, "output_stage"]))
    def boot(self, died_live: bool, self_test: str | None) -> None:
        self.now_s = 1000.0
        self.raw_n = 0
        self.drive: Drive = ZERO
        self.allowed_until_s = -math.inf  # by leases that were fed in
        self.sent: dict[int, tuple[float, bool]] = {}  # seq -> when sent, and whether for a live session
        self.unwritten: list[Persist] = []
        self.on_disk = Durable(4, settings=SETTINGS, live_session_id=SESSION if died_live else None)
        self.blocked = died_live or self_test is not None  # a stop was fed in, or it came up latched; no reset since
        self.holds: set[tuple[Scope, str]] = set()
        self.ramp_from: tuple[float, float] | None = None  # when RUNNING ended, and at what setting
        self.last_s = self.now_s
        self.commands = 0
        self.stuck = False  # as told, by either side
        self.done: set[str] = set()  # commands
        self.authorisations: list[Authorisation] = []
        self.leases: list[Lease] = []
        self.state, outcome = begin(self.on_disk, IDENTITY, self_test, self.now_s, 50)
        self._perform(outcome.outputs, outcome.drive)

    def _feed(self, given: Input) -> None:
        was_running, was = self.state.phase is Phase.RUNNING, self.drive
        self.state, outcome = step(self.state, given)
        self._perform(outcome.outputs, outcome.drive)
        if was_running and self.state.phase is not Phase.RUNNING:
            self.ramp_from = (self.now_s, was.setting_ma)
        self._judge_rise(was)

    def _perform(self, outputs: tuple[object, ...], drive: Drive) -> None:
        for output in outputs:
            match output:
                case Persist():
                    self.unwritten.append(output)
                case Sample():
                    is_live = output.telemetry.phase in {Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}
                    self.sent[output.telemetry.seq] = (output.sent_s, is_live)
                case Acknowledge(status=AckStatus.DONE):
                    self.done.add(output.command_id)
                case Emit(kind=EventKind.OUTPUT_STUCK):
                    self.stuck = True
                case Emit(kind=EventKind.LATCH_RESET):
                    self.stuck = False
                case _:
                    pass
        self.drive = drive

    def _judge_rise(self, was: Drive) -> None:
        before_ma = was.setting_ma if was.enabled else 0.0
        span_s = self.now_s - self.last_s
        self.last_s = self.now_s
        if self.drive.enabled:
            assert self.drive.setting_ma <= before_ma + RISE_MA_PER_S * min(span_s, 0.1) + 1e-9

    # --- time and readings --------------------------------------------------------------------------------------------

    @rule(after_s=st.sampled_from([0.001, 0.05, 0.05, 0.05, 0.3, 2.0]), peak=peaks, fault=st.integers(0, 12))
    def tick(self, after_s: float, peak: float | None, fault: int) -> None:
        self.now_s += after_s
        self.raw_n += 1
        honest = self.drive.setting_ma if self.drive.enabled else 0.0
        reading = Reading(
            taken_s=self.now_s,
            amplitude_ma=peak if fault == 1 else honest,
            raw_amplitude=self.raw_n % 11,
            raw_n=self.raw_n,
            impedance_ohm=None if fault == 2 else 40.0 if fault == 3 else 800.0,
            setting_ma=0.0 if fault == 9 else honest,
            level_ma=honest,
            in_on_phase=self.drive.enabled,
            battery_pct=3.0 if fault == 4 else 80.0,
            temperature_c=90.0 if fault == 5 else 30.0,
            relay_closed=fault != 10,
            watchdog_tripped=fault == 6,
            hand_switch_pressed=fault == 7,
        )
        self._feed(Tick(self.now_s, WALL_AT_BOOT_S + self.now_s, None if fault == 8 else reading))

    @rule(ticks=st.integers(2, 40))
    def quiet(self, ticks: int) -> None:
        """A while of honest ticks, with a lease for each sample: otherwise the adversary never sees anything run."""
        for _ in range(ticks):
            self.tick(after_s=0.05, peak=0.0, fault=0)
            self.lease_newest()

    # --- the fleet, true and false ------------------------------------------------------------------------------------

    @rule(
        change=st.sampled_from(["", "", "", "", "boot", "answers", "room", "plan"]),
        retained=st.sampled_from([False] * 5 + [True]),
    )
    def authorise(self, change: str, retained: bool) -> None:
        self.commands += 1
        wanted = Authorisation(
            fleet_n=1,
            boot_n=5 if change != "boot" else 4,
            answers=max(self.sent, default=0) if change != "answers" else 7,
            command_id=f"{self.commands:032x}",
            session_id=SESSION,
            client="c-7f3a",
            operator="op-1",
            room="room-4" if change != "room" else "room-5",
            rule_set="rules-1",
            plan=PLAN if change != "plan" else replace(PLAN, setting_ma_max=300.0),
            limits=GENERIC_PROFILE,
            start_within_s=3600.0,
            pause_total_s=600.0,
            lease_ttl_ms=5000,
            issued_at="2026-11-22T12:00:00.000Z",
        )
        self.authorisations.append(wanted)
        self._feed(Heard(self.now_s, wanted, retained))

    @precondition(lambda self: self.authorisations)
    @rule(choose=st.data())
    def repeat_an_authorisation(self, choose: st.DataObject) -> None:
        before, repeated = self.state.phase, choose.draw(st.sampled_from(self.authorisations))
        self._feed(Heard(self.now_s, repeated))
        if before is not Phase.IDLE:
            assert self.state.phase is before or self.state.phase is Phase.STOPPING
        elif self.state.phase is Phase.AUTHORISED:
            # Not the first time that it would have counted, unless nothing was stored then: not one that was done.
            assert repeated.command_id not in self.done
            assert repeated.boot_n == 5
            assert not self.holds
            assert not self.blocked
        else:
            assert self.state.phase is Phase.IDLE
        assert not self.drive.enabled or before in {Phase.RUNNING, Phase.STOPPING}

    @rule()
    def lease_newest(self) -> None:
        if self.sent:
            self._lease(Lease(1, 5, SESSION, max(self.sent), 5000))

    @precondition(lambda self: self.leases)
    @rule(choose=st.data())
    def repeat_a_lease(self, choose: st.DataObject) -> None:
        self._lease(choose.draw(st.sampled_from(self.leases)))

    @rule(
        seq=st.integers(0, 200), boot_n=st.integers(3, 6), session_id=st.sampled_from([SESSION, "77" * 16]),
        ttl_ms=st.integers(1, 10_000), retained=st.booleans(),
    )  # fmt: skip
    def lease_of_any_kind(self, seq: int, boot_n: int, session_id: str, ttl_ms: int, retained: bool) -> None:
        self._lease(Lease(1, boot_n, session_id, seq, ttl_ms), retained)

    def _lease(self, lease: Lease, retained: bool = False) -> None:
        """By the contract, worth `ttl` (5 s at most here) after its sample was sent, if it answers a live one."""
        self.leases.append(lease)
        sent_s, was_live = self.sent.get(lease.answers, (-math.inf, False))
        if was_live and lease.boot_n == 5 and lease.session_id == SESSION and not retained:
            self.allowed_until_s = max(self.allowed_until_s, sent_s + min(lease.ttl_ms, 5000) / 1000.0)
        self._feed(Heard(self.now_s, lease, retained))

    @rule(version=st.integers(1, 4), peak_ma=st.sampled_from([60.0, 10.0]), hold=st.sampled_from([False] * 4 + [True]))
    def set_settings(self, version: int, peak_ma: float, hold: bool) -> None:
        limits = GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=peak_ma)
        is_newer = version > (self.state.durable.settings.version if self.state.durable.settings else 0)
        if hold and is_newer:
            self.holds.add((Scope.SERVICE, ""))
        self._feed(Heard(self.now_s, Settings(version, (), "room-4", 5.0, 0.5, limits, hold)))

    @rule()
    def cancel(self) -> None:
        self.commands += 1
        self._feed(Heard(self.now_s, Cancel(5, f"{self.commands:032x}", SESSION)))

    @rule(
        cause=st.one_of(st.none(), st.sampled_from(Cause)), hold=st.booleans(),
        scope=st.sampled_from([Scope.DEVICE, Scope.ALL]), hold_id=st.sampled_from(["aa" * 8, "bb" * 8]),
    )  # fmt: skip
    def stop(self, cause: Cause | None, hold: bool, scope: Scope, hold_id: str) -> None:
        self.commands += 1
        believed = (
            None if cause is None else Stop(f"{self.commands:032x}", cause, hold, "page", "2026-11-22T12:00:00.000Z")
        )
        self.blocked = True
        self.stuck = self.stuck or cause is Cause.OUTPUT_STUCK
        if cause is None or hold:
            self.holds.add((scope, hold_id))
        self._feed(HeardStop(self.now_s, scope, believed, hold_id))
        may_ramp = cause is not None and CONSEQUENCES[cause].latches and CONSEQUENCES[cause].ramp_s > 0.0 and not hold
        assert may_ramp or not self.drive.enabled, "a stop is zero in its own outcome"
        assert self.state.durable.latch is not None

    @rule(
        scope=st.sampled_from(Scope),
        ids=st.sampled_from([("aa" * 8,), ("bb" * 8,), ("aa" * 8, "bb" * 8), ()]),
        fresh=st.booleans(),
    )
    def release(self, scope: Scope, ids: tuple[str, ...], fresh: bool) -> None:
        self.commands += 1
        answers = max(self.sent, default=0) if fresh else 3
        release = Release(1, 5, answers, f"{self.commands:032x}", scope, ids, "op-1")
        before = self.drive
        state, outcome = step(self.state, Heard(self.now_s, release))
        self.state = state
        self._perform(outcome.outputs, outcome.drive)
        if any(isinstance(each, Acknowledge) and each.status is AckStatus.DONE for each in outcome.outputs):
            self.holds -= {(scope, each) for each in (ids if scope is not Scope.SERVICE else ("",))}
        assert before.enabled or not self.drive.enabled, "lifting starts nothing"

    # --- disk and people ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unwritten)
    @rule()
    def write(self) -> None:
        record = self.unwritten.pop(0)
        self.on_disk = record.durable
        self._feed(Written(self.now_s, record.write_n))

    @rule(
        press=st.sampled_from(Press),
        step_ma=st.sampled_from([0.0, 1.0, 2.0, 50.0, math.nan]),
        who=st.sampled_from(ResetBy),
    )
    def press(self, press: Press, step_ma: float, who: ResetBy) -> None:
        self.commands += 1
        state, was = self.state, self.drive
        self.state, outcome = step(state, Pressed(self.now_s, self.commands, press, step_ma, who))
        if state.phase is Phase.RUNNING and self.state.phase is not Phase.RUNNING:
            self.ramp_from = (self.now_s, was.setting_ma)
        self._perform(outcome.outputs, outcome.drive)
        accepted = any(isinstance(each, Reply) and each.accepted for each in outcome.outputs)
        if press is Press.STOP_BUTTON:
            self.blocked = True
            assert not self.drive.enabled
        if press is Press.RESET and accepted:
            assert not self.holds
            self.blocked = False
            assert not self.drive.enabled, "reset never reaches running"

    @rule(presses=st.just((Press.ARM, Press.START, Press.RAISE)))
    def therapist(self, presses: tuple[Press, ...]) -> None:
        """What leads to output, in its order, with honest readings in between."""
        self.quiet(ticks=25)
        self.authorise(change="", retained=False)
        for press in presses:
            self.press(press, 2.0, ResetBy.THERAPIST)
            while self.unwritten:
                self.write()
            self.quiet(ticks=15)

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def output_only_with_everything(self) -> None:
        drive = getattr(self, "drive", ZERO)
        if not drive.enabled:
            assert drive.setting_ma == 0.0
            return
        assert self.state.phase in {Phase.RUNNING, Phase.STOPPING}
        assert drive.setting_ma <= CEILING_MA + 1e-9
        assert not self.holds
        assert self.on_disk.live_session_id == SESSION, "the marker was on disk first"
        assert drive.feed_watchdog
        if self.state.phase is Phase.RUNNING:
            assert self.now_s < self.allowed_until_s
            assert not self.blocked
            assert self.state.durable.latch is None
        else:
            assert self.ramp_from is not None
            began_s, from_ma = self.ramp_from
            assert self.now_s - began_s < 1.0
            assert drive.setting_ma <= from_ma + 1e-9

    @invariant()
    def a_stuck_output_has_an_open_relay(self) -> None:
        """Whatever else was found before or after, from the step that found it to the engineer's reset."""
        if hasattr(self, "state"):
            assert self.drive.relay_open is self.stuck
            assert not (self.drive.relay_open and (self.drive.enabled or self.drive.test_pulse))

    @invariant()
    def a_latch_is_on_its_way_to_the_disk(self) -> None:
        """What the session believes is what was last ordered to be written."""
        if hasattr(self, "state"):
            ordered = self.unwritten[-1].durable if self.unwritten else self.on_disk
            assert ordered == self.state.durable

    @invariant()
    def everything_is_bounded(self) -> None:
        if hasattr(self, "state"):
            assert len(self.state.decided) <= 64
            assert len(self.state.stops) <= 64
            assert len(self.state.sent.samples) <= 1024
            assert len(self.state.told_s) <= 64


Adversary.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAdversary = Adversary.TestCase
