"""One pretended device: it says on the wire what an agent would say, at the cost of a few microseconds a sample.

It has no stimulator and no clock. Samples are written from a template: the codec's own bytes of one sample, into which
only what changes is put.
"""

import hashlib
import hmac
from collections.abc import Callable

from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import (
    Ack,
    AckStatus,
    Authorisation,
    Birth,
    Detail,
    Event,
    EventKind,
    HoldChanged,
    Holds,
    Message,
    Phase,
    Presence,
    Receipt,
    Release,
    Scope,
    SessionEnded,
    Settings,
    Stop,
    Telemetry,
)
from broker.contract.topics import Channel, topic_for
from broker.wire import sealed
from broker.wire.codec import encode
from broker.wire.mac import MAC_BYTES, LinkKeys
from tests.bench.wire import PUBLISH, text, varint

MODEL = "model-a"
FIRST_SEQ = 10**12  # of constant length, like the random 48 bits of a real agent for all practical purposes
SETTING_MA = 20.0
VIOLATING_MA = 90.0  # the plan allows 60 mA
_MARKS = {"seq": 424_242_424_242, "elapsed_s": 4242.125, "amplitude_ma": 242.125, "impedance_ohm": 2424.125}

Say = Callable[[sealed.Packet], None]


class Device:
    """Counts what it is told: `leased`, `late_leases` (that answer nothing newer), `receipted`."""

    def __init__(self, site: str, name: str, serial: str, room: str, keys: LinkKeys, say: Say) -> None:
        self.name = name
        self.serial = serial
        self.room = room
        self.keys = keys
        self.boot_n = 1
        self.seq = FIRST_SEQ
        self.phase = Phase.IDLE
        self.session_id: str | None = None
        self.authorised: Authorisation | None = None
        self.settings_version = 0
        self.elapsed_s = 0.0
        self.latched: Cause | None = None
        self.holds: tuple[str, ...] = ()
        self.spool_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        self.reported = 0  # events published: the newest n of the spool
        self.receipted = 0
        self.births = 0
        self.leased = 0
        self.late_leases = 0
        self.answered = 0
        self.spoke = 0, 0.0  # the newest sample's seq, and when it was written (CLOCK_MONOTONIC)
        self._site = site
        self._say = say
        self._topic = topic_for(site, name, Channel.TELEMETRY).encode()
        self._template: tuple[object, bytes] = (None, b"")

    # --- telemetry ----------------------------------------------------------------------------------------------------

    def sample(self, at: str, amplitude_ma: float | None = None) -> bytes:
        """The frame of the next sample; `amplitude_ma` None: what is set, and noise."""
        self.seq += 1
        noise = self.seq % 7 / 10  # a true sensor never reads the same twice
        if amplitude_ma is None:
            amplitude_ma = SETTING_MA - 2.0 + noise if self.phase is Phase.RUNNING else 0.0
        numbers = {
            b"seq": b"%d" % self.seq,
            b"elapsed_s": b"%a" % round(self.elapsed_s, 2),
            b"amplitude_ma": b"%a" % round(amplitude_ma, 1),
            b"impedance_ohm": b"%a" % round(800.0 + noise, 1),
            b"at": at.encode(),
        }
        payload = self._shape() % numbers
        mac = hmac.digest(self.keys.up, self._topic + b"\n" + payload, "sha256")[:MAC_BYTES].hex().encode()
        properties = b"\x26" + text(b"mac") + text(mac) + b"\x26" + text(b"kid") + text(self.keys.kid.encode())
        body = text(self._topic) + varint(len(properties)) + properties + payload
        return bytes([PUBLISH]) + varint(len(body)) + body

    def _shape(self) -> bytes:
        """The sample's bytes with places for what changes; made anew when anything else does."""
        known = (self.phase, self.session_id, self.settings_version, self._setting_ma())
        if self._template[0] != known:
            shape = encode(self._plain("2026-01-01T00:00:00.000Z")).replace(b"%", b"%%")
            for name, mark in _MARKS.items():
                shape = shape.replace(f"{mark}".encode(), f"%({name})s".encode())
            self._template = known, shape.replace(b"2026-01-01T00:00:00.000Z", b"%(at)s")
        return self._template[1]

    def _setting_ma(self) -> float:
        """Raised at 5 mA/s from the start on."""
        return min(SETTING_MA, 5.0 * self.elapsed_s) if self.phase is Phase.RUNNING else 0.0

    def _plain(self, at: str) -> Telemetry:
        return Telemetry(
            boot_n=self.boot_n,
            seq=int(_MARKS["seq"]),
            at=at,
            phase=self.phase,
            session_id=self.session_id,
            elapsed_s=_MARKS["elapsed_s"],
            setting_ma=self._setting_ma(),
            amplitude_ma=_MARKS["amplitude_ma"],
            pulse_width_us=300.0,
            frequency_hz=50.0,
            impedance_ohm=_MARKS["impedance_ohm"],
            battery_pct=88.0,
            temperature_c=31.0,
            lease_margin_s=4.5 if self.session_id else None,
            settings_version=self.settings_version,
            late=False,
        )

    # --- what it says -------------------------------------------------------------------------------------------------

    def says(self, message: Message) -> None:
        self._say(sealed.pack(self._site, self.name, message, self.keys))

    def comes_up(self, at: str) -> None:
        self.says(Presence(self.boot_n, True))
        self.is_born(at)

    def is_born(self, at: str) -> None:
        self.births += 1
        self.says(
            Birth(
                boot_n=self.boot_n,
                seq=self.births,
                fleet_n=0,
                spool_id=self.spool_id,
                oldest_n=self.receipted + 1,
                serial=self.serial,
                model=MODEL,
                firmware="1.0",
                agent_version="0.1.0",
                profile=GENERIC_PROFILE,
                capabilities=(),
                settings_version=self.settings_version,
                latched=self.latched,
                holds=Holds.of(device=self.holds),
                conditions=(),
                session_id=self.session_id,
                at=at,
            )
        )

    def reports(self, kind: EventKind, at: str, cause: Cause | None = None, detail: Detail | None = None) -> None:
        """An event of the durable spool."""
        self.reported += 1
        event_id = hashlib.sha256(f"{self.spool_id}/{self.reported}".encode()).hexdigest()[:32]
        self.says(
            Event(
                boot_n=self.boot_n,
                spool_id=self.spool_id,
                n=self.reported,
                event_id=event_id,
                at=at,
                boottime_s=1_000.0 + self.reported,
                session_id=self.session_id,
                kind=kind,
                cause=cause,
                detail=detail,
            )
        )

    def acknowledges(self, command_id: str, status: AckStatus, at: str, amplitude_ma: float | None = None) -> None:
        self.says(Ack(self.boot_n, command_id, status, None, amplitude_ma, at))

    # --- what it hears ------------------------------------------------------------------------------------------------

    def hears_lease(self, answers: int) -> None:
        self.leased += 1
        if answers <= self.answered:
            self.late_leases += 1
        self.answered = answers

    def hears(self, message: Message, at: str) -> None:
        """Everything but leases and stops."""
        match message:
            case Settings():
                self.settings_version = message.version
                self.is_born(at)
            case Authorisation():
                self._accepts(message, at)
            case Receipt():
                self.receipted = max(self.receipted, message.upto)
            case Release():
                self.holds = tuple(hold for hold in self.holds if hold not in message.holds)
                self.acknowledges(message.command_id, AckStatus.DONE, at)
                self.is_born(at)
            case _:
                raise AssertionError(f"{self.name} hears a {type(message).__name__}")

    def _accepts(self, authorisation: Authorisation, at: str) -> None:
        if self.phase is Phase.IDLE:
            self.authorised, self.session_id = authorisation, authorisation.session_id
            self.phase, self.elapsed_s = Phase.AUTHORISED, 0.0
            for status in (AckStatus.RECEIVED, AckStatus.DONE):
                self.acknowledges(authorisation.command_id, status, at)

    # --- what people do there -----------------------------------------------------------------------------------------

    def arms(self, at: str) -> None:
        self.phase = Phase.ARMED
        self.reports(EventKind.SESSION_ARMED, at)

    def starts(self, at: str) -> None:
        self.phase = Phase.RUNNING
        self.reports(EventKind.SESSION_STARTED, at)

    def completes(self, at: str) -> None:
        self._ends(Cause.COMPLETED, at)
        self.phase, self.session_id = Phase.IDLE, None

    def stops(self, stop: Stop, hold_id: str, at: str) -> None:
        """At zero and latched, as the stop says."""
        self.phase, self.latched = Phase.LATCHED, stop.cause
        self.acknowledges(stop.command_id, AckStatus.RECEIVED, at)
        if stop.hold:
            self.holds = (*self.holds, hold_id)
            self.reports(EventKind.HOLD_SET, at, detail=HoldChanged(Scope.DEVICE, hold_id))
        self.reports(EventKind.LATCHED, at, stop.cause)

    def measures_zero(self, stop: Stop, at: str) -> None:
        self.acknowledges(stop.command_id, AckStatus.DONE, at, 0.0)
        if self.session_id is not None:
            self._ends(stop.cause, at)
            self.session_id = None
        self.is_born(at)

    def is_reset(self, at: str) -> None:
        """By a person at the device, once nothing holds it any more."""
        assert not self.holds, "held"
        self.phase, self.latched = Phase.IDLE, None
        self.reports(EventKind.LATCH_RESET, at)
        self.is_born(at)

    def _ends(self, cause: Cause, at: str) -> None:
        numbers = SessionEnded(
            elapsed_s=self.elapsed_s, on_time_s=self.elapsed_s / 3, peak_ma=SETTING_MA, charge_uc=1e4, gaps=0
        )
        self.reports(EventKind.SESSION_ENDED, at, cause, numbers)
