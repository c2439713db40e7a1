"""A clinic for the shell's tests: a provisioned site, a real Mosquitto, and devices that say exactly what a test wants.

The devices here have no stimulator: they speak the wire, with real certificates and MACs, and remember what they hear.
"""

import asyncio
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import (
    Ack,
    AckStatus,
    Authorisation,
    Birth,
    Event,
    EventKind,
    Holds,
    Lease,
    Message,
    Phase,
    Settings,
    Telemetry,
)
from broker.contract.topics import ALL, DOWNLINKS, FLEET_INTAKE, FLEET_SAFETY, Channel, Direction, topic_for
from broker.mosquitto.local import LocalMosquitto
from broker.pki.devices import provision_device, provision_operator
from broker.pki.link import DevicePapers, device_links, load_papers
from broker.pki.site import SERVICES_FOLDER, provision_site
from broker.wire import sealed
from fleet.frames import Arrived
from fleet.mqtt import Connection, Endpoint

SITE = "north"
MODEL = "model-a"
NOW = datetime.now(UTC)


def at() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def eventually(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    """What another process or thread brings about can only be looked for."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # polls what another process does


def listens(path: Path) -> bool:
    """Whether somebody takes connections at a socket: its file is there a moment before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


@dataclass
class Clinic:
    """One site on disk and its broker."""

    folder: Path
    devices: tuple[str, ...] = ("stim-01", "stim-02")
    mosquitto: LocalMosquitto = field(init=False)
    data_folder: str = "data"
    http_port: int = 0  # off

    def __post_init__(self) -> None:
        provision_site(self.site_dir, self.folder / "ca", SITE, now=NOW)
        for n, device in enumerate(self.devices):
            provision_device(
                self.site_dir,
                self.folder / "ca",
                device,
                f"room-{n // 3 + 1}",
                f"serial-{n}",
                MODEL,
                self.folder / device,
                now=NOW,
            )
        provision_operator(self.site_dir, "anna", {MODEL: date.today() + timedelta(days=365)})  # noqa: DTZ011
        self.mosquitto = LocalMosquitto(self.site_dir)

    @property
    def site_dir(self) -> Path:
        return self.folder / "site"

    @property
    def data_dir(self) -> Path:
        return self.folder / self.data_folder

    def papers(self, device: str) -> DevicePapers:
        return load_papers(self.folder / device)

    def endpoint(self, identity: str) -> Endpoint:
        """Of one of the fleet's services, or of a device."""
        if identity in (FLEET_INTAKE, FLEET_SAFETY):
            services = self.site_dir / SERVICES_FOLDER
            certificate, key = services / f"{identity}.crt", services / f"{identity}.key"
        else:
            certificate, key = self.papers(identity).certificate, self.papers(identity).key
        return Endpoint(self.mosquitto.host, self.mosquitto.port, identity, self.site_dir / "ca.crt", certificate, key)

    def device(self, name: str) -> "WireDevice":
        return WireDevice(self, name)


class WireDevice:
    """Speaks for one device. `heard` is every downlink message, in order, with the boot time it came."""

    def __init__(self, clinic: Clinic, name: str) -> None:
        self.name = name
        self.heard: list[tuple[float, sealed.Opened]] = []
        self.seq = itertools.count(1_000)
        self.phase = Phase.IDLE
        self.session_id: str | None = None
        self.boot_n = 1
        self.settings_version = 0
        self.takes_settings = True
        self.talks = True
        self.elapsed_s = 0.0
        self.n = itertools.count(1)
        self.births = itertools.count(1_000)
        self.said: Counter[type[Message]] = Counter()  # what it has published as it should be
        self.acknowledged = 0  # publishes at QoS 1 that the broker has answered
        self._clinic = clinic
        self._papers = clinic.papers(name)
        self._links = device_links(self._papers)
        self._opener = sealed.Opener(SITE, Direction.DOWNLINK, {name: self._links})
        self.connection: Connection

    async def connect(self) -> None:
        self.connection = await Connection.open(
            self._clinic.endpoint(self.name), hear=self._hear, acknowledged=self._acknowledge
        )
        topics = [(topic_for(SITE, self.name, row.channel), row.qos) for row in DOWNLINKS]
        await self.connection.subscribe([*topics, (topic_for(SITE, ALL, Channel.STOP), 1)])

    def _acknowledge(self, _packet_id: int, _reason: int) -> None:
        self.acknowledged += 1

    def _hear(self, arrived: Arrived) -> None:
        opened = self._opener.open(arrived.topic, arrived.payload, arrived.user_properties)
        self.heard.append((time.clock_gettime(time.CLOCK_BOOTTIME), opened))
        if self.takes_settings and isinstance(opened, sealed.Received) and isinstance(opened.message, Settings):
            self.settings_version = opened.message.version
            self.say(self.birth())

    async def has_acknowledged(self, publishes: int) -> None:
        """Wait until the broker has answered so many."""
        await eventually(lambda: self.acknowledged >= publishes)

    def messages(self, kind: type[Any]) -> list[Any]:
        """Every authentic message of one type so far."""
        return [o.message for _, o in self.heard if isinstance(o, sealed.Received) and isinstance(o.message, kind)]

    def stops(self) -> list[sealed.Stopped]:
        return [opened for _, opened in self.heard if isinstance(opened, sealed.Stopped)]

    def leased_since(self, boottime_s: float) -> list[float]:
        """When each lease came after `boottime_s`."""
        return [
            came_s
            for came_s, opened in self.heard
            if came_s > boottime_s and isinstance(opened, sealed.Received) and isinstance(opened.message, Lease)
        ]

    def say(self, message: Message) -> sealed.Packet:
        """Publish a message as it should be."""
        packet = sealed.pack(SITE, self.name, message, next(iter(self._links.values())))
        self.publish(packet)
        self.said[type(message)] += 1
        return packet

    def publish(self, packet: sealed.Packet) -> None:
        self.connection.publish(
            packet.topic,
            packet.payload,
            qos=packet.qos,
            retain=packet.retain,
            user_properties=packet.user_properties,
        )

    def seal(self, channel: Channel, payload: bytes) -> sealed.Packet:
        """Any bytes under a good MAC."""
        from broker.wire.mac import seal

        topic = topic_for(SITE, self.name, channel)
        sealed_as = seal(next(iter(self._links.values())), Direction.UPLINK, topic, payload)
        return sealed.Packet(topic, payload, 1, False, None, (("mac", sealed_as.mac), ("kid", sealed_as.kid)))

    def birth(self, **changed: Any) -> Birth:
        return replace(
            Birth(
                boot_n=self.boot_n,
                seq=next(self.births),
                fleet_n=0,
                spool_id="5" * 32,
                oldest_n=1,
                serial=self._papers.serial,
                model=self._papers.model,
                firmware="1.0",
                agent_version="0.1.0",
                profile=GENERIC_PROFILE,
                capabilities=(),
                settings_version=self.settings_version,
                latched=None,
                holds=Holds.of(),
                conditions=(),
                session_id=self.session_id,
                at=at(),
            ),
            **changed,
        )

    def sample(self, **changed: Any) -> Telemetry:
        # A true sensor never reads the same twice: the last digits move with every sample.
        seq = next(self.seq)
        noise = (seq % 7) / 10
        running = self.phase is Phase.RUNNING
        return replace(
            Telemetry(
                boot_n=self.boot_n,
                seq=seq,
                at=at(),
                phase=self.phase,
                session_id=self.session_id,
                elapsed_s=self.elapsed_s,
                setting_ma=min(20.0, 5.0 * self.elapsed_s) if running else 0.0,
                amplitude_ma=18.0 + noise if running else 0.0,
                pulse_width_us=300.0,
                frequency_hz=50.0,
                impedance_ohm=800.0 + noise,
                battery_pct=88.0,
                temperature_c=31.0,
                lease_margin_s=4.0 if self.session_id else None,
                settings_version=self.settings_version,
                late=False,
            ),
            **changed,
        )

    def event(self, kind: EventKind = EventKind.STOP_PRESSED, **changed: Any) -> Event:
        n = next(self.n)
        return replace(
            Event(self.boot_n, "5" * 32, n, f"{n:032x}", at(), 100.0 + n, self.session_id, kind, None, None), **changed
        )

    async def live(self, period_s: float = 0.1) -> None:
        """Send samples until cancelled, while it `talks`."""
        while True:
            if self.phase is Phase.RUNNING:
                self.elapsed_s += period_s
            if self.talks:
                self.say(self.sample())
            await asyncio.sleep(period_s)  # a device has a period

    async def accept(self) -> Authorisation:
        """Wait for an authorisation, accept it, arm and start."""
        await eventually(lambda: self.messages(Authorisation))
        authorisation: Authorisation = self.messages(Authorisation)[-1]
        self.session_id, self.phase = authorisation.session_id, Phase.AUTHORISED
        for status in (AckStatus.RECEIVED, AckStatus.DONE):
            self.say(Ack(self.boot_n, authorisation.command_id, status, None, None, at()))
        for phase in (Phase.ARMED, Phase.RUNNING):
            before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            self.phase = phase
            await eventually(partial(self.leased_since, before_s + 0.05))  # what was under way has arrived
        return authorisation
