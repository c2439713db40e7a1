"""A stimulator of the past as the fleet heard it: the words of an agent, at moments minutes apart.

Not the agent's own code: a session of 20 minutes is 24,000 control ticks there, five seconds of computing, and weeks
have two thousand of them. The skin under the pads, the envelope of a cycle and the causes are the simulation's own.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from agents.drivers.port import Pattern
from agents.simulation.skin import Skin, skin_of
from agents.simulation.stimulator import envelope
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import EventKind, Phase
from broker.contract.plan import Plan

STEP_S: Final = 0.1  # of the arithmetic of a cycle
LIVE_PERIOD_S: Final = 0.5
IDLE_PERIOD_S: Final = 5.0


@dataclass(slots=True, kw_only=True)
class PastDevice:
    """What a device is and shows. `booted_wall_s`: its boot clock was 0 then."""

    name: str
    serial: str
    model: str
    chance: random.Random
    boot_n: int = 0
    booted_wall_s: float = 0.0
    seq: int = 0
    birth_seq: int = 0
    event_n: int = 1
    spool_id: str = ""
    fleet_n: int = 0
    settings: messages.Settings | None = None
    phase: Phase = Phase.IDLE
    latched: Cause | None = None
    holds: tuple[str, ...] = ()
    session_id: str | None = None
    plan: Plan | None = None
    skin: Skin = field(default_factory=Skin)
    talks: bool = True  # its link carries
    unsent: list[messages.Event] = field(default_factory=list)  # of its spool, while it does not
    setting_ma: float = 0.0
    elapsed_s: float = 0.0
    started_wall_s: float | None = None
    dryness: float = 1.0
    battery_pct: float = 97.0
    margin_s: float = 4.6  # what is usually left of its lease when the next one comes
    shown: tuple[float, messages.Telemetry] | None = None  # when it last showed itself, and as what

    def boots(self, wall_s: float) -> None:
        self.boot_n += 1
        self.booted_wall_s = wall_s
        self.seq, self.shown = self.chance.getrandbits(47), None
        self.spool_id = self.spool_id or f"{self.chance.getrandbits(128):032x}"

    def gets_ready(self, session_id: str, plan: Plan) -> None:
        """A session is accepted: somebody's skin, pads put on."""
        self.session_id, self.plan, self.skin = session_id, plan, skin_of(self.chance)
        self.phase, self.elapsed_s, self.setting_ma, self.started_wall_s = Phase.AUTHORISED, 0.0, 0.0, None

    def is_at_rest(self) -> None:
        """No session any more; latched if it is."""
        self.phase = Phase.IDLE if self.latched is None else Phase.LATCHED
        self.session_id, self.plan, self.setting_ma, self.elapsed_s = None, None, 0.0, 0.0

    # --- what it says -----------------------------------------------------------------------------------------------

    def sample(self, wall_s: float) -> messages.Telemetry:
        """Its newest; those since the last one are counted as sent."""
        plan, is_live = self.plan, self.phase in messages.LIVE_PHASES
        since_s = 0.0 if self.shown is None else wall_s - self.shown[0]
        self.seq += max(1, round(since_s / (LIVE_PERIOD_S if is_live else IDLE_PERIOD_S)))
        return messages.Telemetry(
            boot_n=self.boot_n,
            seq=self.seq,
            at=wall_time(wall_s),
            phase=self.phase,
            session_id=self.session_id,
            elapsed_s=self.elapsed_s,
            setting_ma=self.setting_ma,
            amplitude_ma=self._amplitude_ma(),
            pulse_width_us=0.0 if plan is None else plan.pulse_width_us,
            frequency_hz=0.0 if plan is None else plan.frequency_hz,
            impedance_ohm=self._impedance_ohm(wall_s) if is_live else None,
            battery_pct=round(self.battery_pct, 1),
            temperature_c=round(29.0 + self.chance.gauss(0.0, 0.4), 1),
            lease_margin_s=round(self.margin_s + self.chance.uniform(-0.4, 0.2), 3) if is_live else None,
            settings_version=0 if self.settings is None else self.settings.version,
            late=False,
        )

    def birth(self, wall_s: float) -> messages.Birth:
        self.birth_seq += 1
        return messages.Birth(
            boot_n=self.boot_n,
            seq=self.birth_seq,
            fleet_n=self.fleet_n,
            spool_id=self.spool_id,
            oldest_n=self.unsent[0].n if self.unsent else self.event_n,
            serial=self.serial,
            model=self.model,
            firmware="2.4.1",
            agent_version="0.1.0",
            profile=GENERIC_PROFILE,
            capabilities=(),
            settings_version=0 if self.settings is None else self.settings.version,
            latched=self.latched,
            holds=messages.Holds.of(device=self.holds),
            conditions=(),
            session_id=self.session_id,
            at=wall_time(wall_s),
        )

    def event(
        self, wall_s: float, kind: EventKind, cause: Cause | None = None, detail: messages.Detail | None = None
    ) -> messages.Event:
        """The next of its spool."""
        n, self.event_n = self.event_n, self.event_n + 1
        return messages.Event(
            boot_n=self.boot_n,
            spool_id=self.spool_id,
            n=n,
            event_id=f"{self.chance.getrandbits(128):032x}",
            at=wall_time(wall_s),
            boottime_s=round(wall_s - self.booted_wall_s, 3),
            session_id=self.session_id,
            kind=kind,
            cause=cause,
            detail=detail,
        )

    def numbers(self, level_ma: float) -> messages.SessionEnded:
        """Of the session that ends now."""
        assert self.plan is not None
        on_time_s, charge_uc = flowed(self.plan, self.elapsed_s, level_ma)
        return messages.SessionEnded(
            elapsed_s=self.elapsed_s,
            on_time_s=on_time_s,
            peak_ma=round(level_ma * 1.01, 2),
            charge_uc=charge_uc,
            gaps=0,
        )

    def _amplitude_ma(self) -> float:
        flows = self.setting_ma if self.phase is Phase.RUNNING else 0.0
        return round(max(0.0, flows + abs(self.chance.gauss(0.0, 0.12))), 2)

    def _impedance_ohm(self, wall_s: float) -> float:
        assert self.plan is not None
        worn_s = 30.0 if self.started_wall_s is None else 30.0 + wall_s - self.started_wall_s
        ohm = self.skin.impedance_ohm(worn_s, self.plan.pulse_width_us, dryness=self.dryness)
        return round(ohm * (1.0 + self.chance.gauss(0.0, 0.01)), 1)


def flowed(plan: Plan, elapsed_s: float, level_ma: float) -> tuple[float, float]:
    """For how long current flowed in a session at one strength, and the charge of one phase of its pulses, in uC."""
    pattern = Pattern(plan.pulse_width_us, plan.frequency_hz, plan.on_s, plan.off_s, plan.ramp_up_s, plan.ramp_down_s)
    cycle_s = plan.ramp_up_s + plan.on_s + plan.ramp_down_s + plan.off_s
    steps = round(cycle_s / STEP_S)
    shares = [envelope(pattern, (n + 0.5) * STEP_S) for n in range(steps)]
    whole, rest = divmod(round(elapsed_s / STEP_S), steps)
    on = whole * sum(share > 0.0 for share in shares) + sum(share > 0.0 for share in shares[:rest])
    strength = whole * sum(shares) + sum(shares[:rest])
    per_step_uc = level_ma * plan.pulse_width_us / 1000.0 * plan.frequency_hz * STEP_S
    return round(on * STEP_S, 1), round(strength * per_step_uc, 1)


def wall_time(wall_s: float) -> str:
    """Unix seconds as the wire has them."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
