"""A clinic in words: devices that speak, people who ask, and everything that the core answers, in order.

Each step returns what was decided as lines: events by name, then `! ` what goes out at once, then `> ` what waits for
the commit. After every step its events are folded into a second state as well, which must be the same as the first.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE, GENERIC_PROFILE, Layer, Limits
from broker.contract.messages import Phase
from broker.contract.plan import BodySite, Modality, Plan
from fleet.core import events, inputs
from fleet.core.decide import Decision, decide
from fleet.core.evolve import evolve
from fleet.core.inputs import Input
from fleet.core.registry import Clinic as ClinicSettings
from fleet.core.registry import Operator, RegisteredDevice, Registry
from fleet.core.screening import Screening
from fleet.core.state import Session, State
from tests.core.alarm_rules import AlarmRules
from tests.core.in_words import in_words

HOUR_S = 3600.0
SUNDAY_NOON_WALL_S = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC
WALL = "2026-11-22T12:00:00.000Z"
ONE, TWO = "0011223344556601", "0011223344556602"  # hold ids

# 40 mA, 300 us, 40 Hz on 50 cm2: 6.2 mA rms, far inside every limit. 20 minutes, 10 s on, 20 s off.
PLAN = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=50.0,
    frequency_hz=40.0,
    pulse_width_us=300.0,
    setting_ma_max=40.0,
    duration_s=1200.0,
    on_s=10.0,
    off_s=20.0,
    ramp_up_s=1.0,
    ramp_down_s=1.0,
)


@dataclass
class Stimulator:
    """A device as the fleet hears it. Change what it shows, then let it speak."""

    name: str
    serial: str
    boot_n: int = 7
    seq: int = 1_000_000
    birth_seq: int = 1
    spool_id: str = ""
    event_n: int = 1
    oldest_n: int = 1
    fleet_n: int = 0
    settings_version: int = 0
    phase: Phase = Phase.IDLE
    session_id: str | None = None
    elapsed_s: float = 0.0  # of that session, in its samples
    latched: Cause | None = None
    holds: messages.Holds = field(default_factory=messages.Holds.of)
    profile: Limits = GENERIC_PROFILE
    shown: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spool_id = self.serial.encode().hex().ljust(32, "0")[:32]

    def sample(self, **shown: Any) -> messages.Telemetry:
        self.seq += 1
        plain = messages.Telemetry(
            boot_n=self.boot_n,
            seq=self.seq,
            at=WALL,
            phase=self.phase,
            session_id=self.session_id,
            elapsed_s=0.0 if self.session_id is None else self.elapsed_s,
            setting_ma=0.0,
            amplitude_ma=0.1,
            pulse_width_us=0.0 if self.session_id is None else PLAN.pulse_width_us,
            frequency_hz=0.0 if self.session_id is None else PLAN.frequency_hz,
            impedance_ohm=800.0 + self.seq % 7 / 10,  # noise, without which a sensor is frozen
            battery_pct=90.0,
            temperature_c=31.0,
            lease_margin_s=None,
            settings_version=self.settings_version,
            late=False,
        )
        return replace(plain, **{**self.shown, **shown})

    def birth(self, **changes: Any) -> messages.Birth:
        self.birth_seq += 1
        plain = messages.Birth(
            boot_n=self.boot_n,
            seq=self.birth_seq,
            fleet_n=self.fleet_n,
            spool_id=self.spool_id,
            oldest_n=self.oldest_n,
            serial=self.serial,
            model="sim-1",
            firmware="1.0",
            agent_version="0.1.0",
            profile=self.profile,
            capabilities=(),
            settings_version=self.settings_version,
            latched=self.latched,
            holds=self.holds,
            conditions=(),
            session_id=self.session_id,
            at=WALL,
        )
        return replace(plain, **changes)

    def event(
        self,
        kind: messages.EventKind,
        cause: Cause | None = None,
        detail: messages.Detail | None = None,
        session_id: str | None = None,
    ) -> messages.Event:
        event = messages.Event(
            boot_n=self.boot_n,
            spool_id=self.spool_id,
            n=self.event_n,
            event_id=f"{self.event_n:032x}",
            at=WALL,
            boottime_s=100.0,
            session_id=session_id or self.session_id,
            kind=kind,
            cause=cause,
            detail=detail,
        )
        self.event_n += 1
        return event

    def ended(self, cause: Cause | None, session_id: str | None = None) -> messages.Event:
        numbers = messages.SessionEnded(elapsed_s=600.0, on_time_s=200.0, peak_ma=31.0, charge_uc=9.0e4, gaps=0)
        return self.event(messages.EventKind.SESSION_ENDED, cause, numbers, session_id)


class Clinic:
    """Two rooms, two stimulators, two therapists and a clinician; a fleet that has just taken over."""

    def __init__(self, *, settings: ClinicSettings | None = None, alarms: bool = False) -> None:
        self.state = State()
        self.folded = State()  # of copies of the events: nothing that is changed in place can be in both
        self.alarms = alarms  # whether the lines tell of them
        self.rules = AlarmRules()
        self.journal: list[events.Event] = []
        self.now_s = 10_000.0
        self.wall_s = SUNDAY_NOON_WALL_S
        self.stims = {name: Stimulator(name, serial) for name, serial in (("stim-12", "SN-12"), ("stim-7", "SN-07"))}
        self.registry = Registry(
            clinic=settings or ClinicSettings(limits=ENVELOPE.tightened_by(Layer.CLINIC, peak_ma_max=100.0)),
            devices={
                name: RegisteredDevice(device=name, room=room, model="sim-1", serial=serial, enrolment="first")
                for name, room, serial in (("stim-12", "room-4", "SN-12"), ("stim-7", "room-1", "SN-07"))
            },
            operators={
                "ada": Operator(operator="ada", instructed_until_wall_s={"sim-1": self.wall_s + 300 * 24 * HOUR_S}),
                "dr-noor": Operator(operator="dr-noor", instructed_until_wall_s={}, clinician=True),
            },
        )
        self.hears(inputs.TookOver("host-boot-1", self.now_s, self.wall_s))
        self.hears(inputs.RegistryChanged(self.registry, self.now_s, self.wall_s))

    # --- steps ------------------------------------------------------------------------------------------------------

    def decides(self, heard: Input) -> Decision:
        """One input, as it is; checks that the state is the fold of the journal."""
        decision = decide(self.state, heard)
        self.journal += decision.events
        self.rules.check(self.state, decision)
        for event in self.journal[self.folded.durable.events_n :]:
            evolve(self.folded, deepcopy(event))
        assert self.folded.durable == self.state.durable
        return decision

    def hears(self, heard: Input) -> list[str]:
        return in_words(self.decides(heard), alarms=self.alarms)

    def after(self, seconds: float) -> list[str]:
        """Time passes, and the clock ticks once."""
        self.now_s += seconds
        self.wall_s += seconds
        return self.hears(inputs.Tick(self.now_s, self.wall_s))

    def goes_to(self, wall_s: float) -> None:
        """The wall clock comes to show this: boot time goes along, where it goes forward."""
        self.now_s += max(0.0, wall_s - self.wall_s)
        self.wall_s = wall_s

    def says(self, name: str, message: messages.Uplink, *, retained: bool = False) -> list[str]:
        """A device's message arrives."""
        return self.hears(inputs.Received(name, message, self.now_s, self.wall_s, retained))

    def shows(self, name: str, **shown: Any) -> list[str]:
        """Half a second later the device's next sample arrives."""
        self.now_s += 0.5
        self.wall_s += 0.5
        return self.says(name, self.stims[name].sample(**shown))

    def sent(self, command_id: str, hold_id: str | None = None, *, after_s: float = 0.01) -> list[str]:
        """The performer reports a stop as sent."""
        self.now_s += after_s
        self.wall_s += after_s
        return self.hears(inputs.StopSent(command_id, hold_id, self.now_s, self.wall_s))

    def cleared(self, device: str = "stim-12") -> list[str]:
        """The performer reports that nothing is retained on a stop topic any more."""
        command_id = self.state.durable.clearing[device]
        return self.hears(inputs.StopCleared(device, command_id, self.now_s, self.wall_s))

    def asks(self, **changes: Any) -> list[str]:
        return self.hears(self.request(**changes))

    def request(self, **changes: Any) -> inputs.RequestSession:
        plain = inputs.RequestSession(
            request_id="request-1",
            client="c-4711",
            device="stim-12",
            room="room-4",
            plan=PLAN,
            screening=Screening(rule_set="rules-1", at_wall_s=self.wall_s - HOUR_S),
            operator="ada",
            now_s=self.now_s,
            wall_s=self.wall_s,
        )
        return replace(plain, **changes)

    def cancels(self) -> list[str]:
        """The newest session of stim-12 is withdrawn."""
        return self.hears(
            inputs.CancelSession(
                request_id="request-7",
                session_id=self.session_on().session_id,
                issued_by="ada",
                now_s=self.now_s,
                wall_s=self.wall_s,
            )
        )

    def pushes_stop(self, device: str | None = "stim-12") -> list[str]:
        return self.hears(self.push(device))

    def push(self, device: str | None = "stim-12") -> inputs.PushStop:
        return inputs.PushStop(
            request_id="request-9",
            device=device,
            issued_by="ada",
            reason="patient in pain",
            now_s=self.now_s,
            wall_s=self.wall_s,
        )

    def open_stop(self) -> str:
        """The command id of the one stop that is open."""
        (command_id,) = self.state.durable.stops
        return command_id

    def stopped(self, hold_id: str = ONE) -> None:
        """The stop of stim-12 is pushed, sent and confirmed; the device is latched and lists the hold."""
        self.pushes_stop()
        self.sent(self.open_stop(), hold_id)
        self.latches(cause=Cause.EMERGENCY_STOP)
        stim = self.stims["stim-12"]
        stim.holds = messages.Holds.of(device=(*stim.holds.device, hold_id))
        self.says("stim-12", stim.birth())
        self.shows("stim-12")

    def releases(self, device: str | None = "stim-12", scope: messages.Scope = messages.Scope.DEVICE) -> list[str]:
        return self.hears(
            inputs.ReleaseHold(
                request_id="request-8",
                scope=scope,
                device=device,
                issued_by="ada",
                now_s=self.now_s,
                wall_s=self.wall_s,
            )
        )

    def changes_device(self, name: str, **changes: Any) -> list[str]:
        devices = {**self.registry.devices, name: replace(self.registry.devices[name], **changes)}
        return self.changes_registry(devices=devices)

    def changes_registry(self, **changes: Any) -> list[str]:
        self.registry = replace(self.registry, **changes)
        return self.hears(inputs.RegistryChanged(self.registry, self.now_s, self.wall_s))

    # --- where a story begins ---------------------------------------------------------------------------------------

    def ready(self, *names: str) -> None:
        """The devices are born, have their settings, and show themselves idle."""
        for name in names or tuple(self.stims):
            stim = self.stims[name]
            self.says(name, stim.birth())
            stim.settings_version = self.settings_of(name).version
            self.says(name, stim.birth())
            self.shows(name)

    def settings_of(self, name: str) -> messages.Settings:
        settings = self.state.device(name).settings
        assert settings is not None
        return settings

    def authorised(self, name: str = "stim-12", **changes: Any) -> Session:
        """A session is authorised, and accepted by the device."""
        self.ready(name)
        room = self.registry.devices[name].room
        self.asks(**{"device": name, "room": room, **changes})
        session = self.session_on(name)
        stim = self.stims[name]
        stim.phase, stim.session_id, stim.elapsed_s = Phase.AUTHORISED, session.session_id, 0.0
        done = messages.Ack(stim.boot_n, session.authorisation.command_id, messages.AckStatus.DONE, None, None, WALL)
        self.says(name, done)
        self.shows(name)
        return self.session_on(name)

    def armed(self, name: str = "stim-12", **changes: Any) -> Session:
        self.authorised(name, **changes)
        self.stims[name].phase = Phase.ARMED
        self.shows(name)
        return self.session_on(name)

    def running(self, name: str = "stim-12", **changes: Any) -> Session:
        """A session runs at 30 mA, which takes 6 s of raising."""
        self.armed(name, **changes)
        self.stims[name].phase = Phase.RUNNING
        self.shows(name)
        self.stims[name].shown = {"setting_ma": 30.0, "amplitude_ma": 29.5}
        self.stims[name].elapsed_s = 6.0
        self.shows(name)
        return self.session_on(name)

    def session_on(self, name: str = "stim-12") -> Session:
        session = self.state.session_on(self.state.device(name))
        assert session is not None
        return session

    def latches(self, name: str = "stim-12", cause: Cause | None = None) -> None:
        """The device is at zero and latched; its birth and its samples say so from now on."""
        stim = self.stims[name]
        stim.phase, stim.session_id, stim.latched, stim.shown = Phase.LATCHED, None, cause, {}

    def restarts(self, host_boot: str = "host-boot-1") -> None:
        """The fleet is killed and comes back with its journal: nothing fleeting is left."""
        self.state = State(durable=deepcopy(self.state.durable))
        self.hears(inputs.TookOver(host_boot, self.now_s, self.wall_s))
