"""A treatment room in virtual time: a simulated stimulator, the agent's session and driver, a disk, a scripted fleet.

The fleet of this room knows nothing of the agent's code: it answers every live sample with a lease, as the contract
says, as long as the link is there.
"""

from dataclasses import dataclass, field, replace

from agents.control import TICK_S, DurableStore
from agents.drivers.in_process import InProcessStimulator
from agents.session import begin
from agents.simulation.faults import FaultKind, fault
from agents.simulation.skin import Skin
from agents.simulation.stimulator import SimulatedStimulator
from agents.state import State
from agents.stepper import Stepper
from agents.steps import (
    Acknowledge,
    Durable,
    Emit,
    Heard,
    HeardStop,
    Output,
    Persist,
    Press,
    Pressed,
    Reply,
    Sample,
    Written,
)
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import GENERIC_PROFILE, Limits
from broker.contract.messages import EventKind, Phase, Scope
from broker.contract.plan import BodySite, Modality, Plan

FIRST_SEQ = 4_711
SESSION = "5e" * 16
WALL_AT_BOOT_S = 1_790_000_000.0  # Unix time when the boot clock was 0
LEASE_TTL_S = 5.0
NEVER_PRESSED = -1

# Steady: 7 s on, 3 s off, and skin whose impedance neither soaks nor drifts, so that a test has only its own faults.
CALM_SKIN = Skin(layer_dry_ohm=800.0, layer_soaked_ohm=800.0, drift_share=0.0)
PLAN = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=25.0,
    frequency_hz=40.0,
    pulse_width_us=300.0,
    setting_ma_max=60.0,
    duration_s=300.0,
    on_s=7.0,
    off_s=3.0,
    ramp_up_s=1.0,
    ramp_down_s=1.0,
)
SETTINGS = messages.Settings(1, (), "room-4", 5.0, 0.5, GENERIC_PROFILE, False)


@dataclass
class Clinic:
    """One room. `run` lets time pass; everything that the agent told is kept in order."""

    plan: Plan = PLAN
    durable: Durable = field(default_factory=lambda: Durable(boot_n=6, settings=SETTINGS))
    battery_pct: float = 96.0
    now_s: float = 1000.0
    link: bool = True
    disk: bool = True
    told: list[Output] = field(default_factory=list)
    limits: Limits = GENERIC_PROFILE
    wall_step_s: float = 0.0
    seed: int = 7
    skin: Skin | None = CALM_SKIN  # None: somebody's, by the seed
    store: DurableStore | None = None  # where records go besides `on_disk`
    switched_on: bool = True

    def __post_init__(self) -> None:
        self.stimulator = SimulatedStimulator(
            "S-0012", start_s=self.now_s, seed=self.seed, skin=self.skin, battery_pct=self.battery_pct
        )
        self._driver = InProcessStimulator(self.stimulator, self._boottime_s)
        self._presses = 0
        self._commands = 0
        self._outbox: list[Output] = []
        self._to_answer: list[messages.Telemetry] = []
        self.on_disk = self.durable
        if self.switched_on:
            self.switch_on_agent(self.durable)

    def switch_on_agent(self, durable: Durable) -> None:
        """A start of the agent with what its disk holds."""
        state, outcome = begin(durable, self._driver.identify(), self._driver.self_test(), self.now_s, FIRST_SEQ)
        self.stepper = Stepper(self._driver, state, self._tell, self._boottime_s, self._wall_s)
        for output in outcome.outputs:
            self._tell(output)
        self.run(1.5)  # at 1 Hz, the slowest there is, zero takes a second to be measured

    def _boottime_s(self) -> float:
        return self.now_s

    def _wall_s(self) -> float:
        return WALL_AT_BOOT_S + self.now_s + self.wall_step_s

    def _tell(self, output: Output) -> None:
        """What the control loop gives away: written and told in this order, by a disk that may lag behind."""
        self._outbox.append(output)

    # --- time -------------------------------------------------------------------------------------------------------

    def run(self, for_s: float) -> None:
        """Let `for_s` seconds pass, tick by tick; disk and fleet answer within a tick."""
        end_s = self.now_s + for_s
        while self.now_s < end_s - 1e-9:
            self.now_s += TICK_S
            self.stepper.tick()
            self.settle_disk()
            self._fleet_answers()

    def settle_disk(self) -> None:
        while self.disk and self._outbox:
            output = self._outbox.pop(0)
            if isinstance(output, Persist):
                if self.store is not None:
                    self.store.save(output.durable)
                self.on_disk = output.durable
                self.stepper.feed(Written(self.now_s, output.write_n))
            if isinstance(output, Sample) and output.telemetry.phase in LIVE:
                self._to_answer.append(output.telemetry)
            self.told.append(output)

    def _fleet_answers(self) -> None:
        answered, self._to_answer = self._to_answer, []
        if self.link:
            for telemetry in answered:
                self.lease(telemetry.seq)

    # --- the fleet --------------------------------------------------------------------------------------------------

    def hear(
        self,
        message: messages.Authorisation | messages.Lease | messages.Settings | messages.Release | messages.Cancel,
        *,
        retained: bool = False,
    ) -> None:
        self.stepper.feed(Heard(self.now_s, message, retained))
        self.settle_disk()

    def lease(self, seq: int, **changed: object) -> None:
        lease = messages.Lease(fleet_n=3, boot_n=self.boot_n, session_id=SESSION, answers=seq, ttl_ms=5000)
        self.hear(replace(lease, **changed))  # type: ignore[arg-type]

    def command_id(self) -> str:
        self._commands += 1
        return f"{self._commands:032x}"

    def authorisation(self, **changed: object) -> messages.Authorisation:
        wanted = messages.Authorisation(
            fleet_n=3,
            boot_n=self.boot_n,
            answers=self.last_seq,
            command_id=self.command_id(),
            session_id=SESSION,
            client="c-7f3a",
            operator="op-1",
            room="room-4",
            rule_set="rules-1",
            plan=self.plan,
            limits=self.limits,
            start_within_s=120.0,
            pause_total_s=600.0,
            lease_ttl_ms=int(LEASE_TTL_S * 1000),
            issued_at="2026-11-22T12:00:00.000Z",
        )
        return replace(wanted, **changed)  # type: ignore[arg-type]

    def authorise(self, **changed: object) -> None:
        self.hear(self.authorisation(**changed))

    def stop_from_fleet(
        self,
        cause: Cause = Cause.EMERGENCY_STOP,
        *,
        hold: bool = True,
        scope: Scope = Scope.DEVICE,
        hold_id: str = "ab" * 8,
    ) -> messages.Stop:
        stop = messages.Stop(self.command_id(), cause, hold, "page: op-1", "2026-11-22T12:00:00.000Z")
        self.stepper.feed(HeardStop(self.now_s, scope, stop, hold_id))
        self.settle_disk()
        return stop

    def release(self, *hold_ids: str, scope: Scope = Scope.DEVICE, **changed: object) -> None:
        release = messages.Release(3, self.boot_n, self.last_seq, self.command_id(), scope, hold_ids, "op-1")
        self.hear(replace(release, **changed))  # type: ignore[arg-type]

    # --- the person at the device -----------------------------------------------------------------------------------

    def press(self, press: Press, step_ma: float = 1.0, who: ResetBy = ResetBy.THERAPIST) -> Reply:
        """Press, and wait for the answer (arming waits for the disk)."""
        self._presses += 1
        self.stepper.feed(Pressed(self.now_s, self._presses, press, step_ma, who))
        self.settle_disk()
        return self.reply(self._presses)

    def reply(self, press_id: int) -> Reply:
        return next(output for output in self.told if isinstance(output, Reply) and output.press_id == press_id)

    def raise_to(self, setting_ma: float) -> None:
        """As a therapist does: 2 mA at a time and no faster than 5 mA/s."""
        while self.setting_ma < setting_ma - 1e-9:
            reply = self.press(Press.RAISE, min(2.0, setting_ma - self.setting_ma))
            assert reply.accepted, reply.words
            self.run(0.4)

    def until_armed(self) -> None:
        self.authorise()
        assert self.press(Press.ARM).accepted
        self.run(0.7)  # test pulses, a sample, a lease

    def until_running(self, setting_ma: float = 0.0) -> None:
        self.until_armed()
        reply = self.press(Press.START)
        assert reply.accepted, reply.words
        self.raise_to(setting_ma)

    def until_on_phase(self) -> None:
        """To half a second of full strength in the next ON phase."""
        while self._is_at_full_strength():
            self.run(TICK_S)
        while not self._is_at_full_strength():
            self.run(TICK_S)
        self.run(0.5)

    def _is_at_full_strength(self) -> bool:
        reading = self.state.watch.reading
        return reading is not None and reading.in_on_phase

    def suffer(self, kind: FaultKind, size: float | None = None) -> None:
        self.stimulator.suffer(fault(kind, size=size))

    # --- what is seen -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self.stepper.state

    def phase(self) -> Phase:
        return self.state.phase

    @property
    def boot_n(self) -> int:
        return self.state.durable.boot_n

    @property
    def setting_ma(self) -> float:
        return self.state.session.setting_ma if self.state.session is not None else 0.0

    @property
    def last_seq(self) -> int:
        return self.state.seq - 1

    def true_ma(self) -> float:
        """What really flows."""
        return self.stimulator.trace.at(self.now_s)

    def true_peak_ma(self, from_s: float) -> float:
        return self.stimulator.trace.peak(from_s, self.now_s)

    def events(self, *kinds: EventKind) -> list[Emit]:
        return [each for each in self.told if isinstance(each, Emit) and (not kinds or each.kind in kinds)]

    def kinds(self) -> list[EventKind]:
        return [each.kind for each in self.events()]

    def acks(self, command_id: str) -> list[tuple[str, str | None]]:
        return [
            (each.status.value, each.reason.value if each.reason is not None else None)
            for each in self.told
            if isinstance(each, Acknowledge) and each.command_id == command_id
        ]

    def samples(self) -> list[messages.Telemetry]:
        return [each.telemetry for each in self.told if isinstance(each, Sample)]

    def ended(self) -> tuple[Cause | None, messages.SessionEnded]:
        """How the session ended, told exactly once."""
        (event,) = self.events(EventKind.SESSION_ENDED)
        assert isinstance(event.detail, messages.SessionEnded)
        return event.cause, event.detail

    def forget(self) -> None:
        """Look only at what is told from here on."""
        self.told.clear()


LIVE = {Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}
