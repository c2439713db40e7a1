"""A clinic for the agents' tests: a real site, real Mosquitto, real certificates, and a fleet that follows a script.

The scripted fleet signs with the site key and does nothing by itself but what a test tells it to; with `leases` on it
answers every live sample of a session, with `receipts` on every event.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agents.connection import Client
from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE
from broker.contract.messages import (
    LIVE_PHASES,
    Authorisation,
    Birth,
    Event,
    Lease,
    Message,
    Phase,
    Receipt,
    Release,
    Scope,
    Settings,
    Stop,
    Telemetry,
)
from broker.contract.plan import BodySite, Modality, Plan
from broker.contract.topics import ALL, CHANNEL_OF, Channel, Direction, topic_for
from broker.mosquitto.local import LocalMosquitto
from broker.pki.devices import provision_device
from broker.pki.link import device_links, load_papers, site_links
from broker.pki.registry_file import load_registry
from broker.pki.site import SERVICES_FOLDER, provision_site
from broker.wire.codec import encode
from broker.wire.mac import LinkKeys
from broker.wire.sealed import Opened, Opener, Packet, Received, pack

SITE = "north"
LEASE_TTL_MS = 4_000  # the shortest, for short tests
M = TypeVar("M", bound=Message)
PLAN = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=40.0,
    frequency_hz=50.0,
    pulse_width_us=300.0,
    setting_ma_max=40.0,
    duration_s=1200.0,
    on_s=600.0,
    off_s=0.0,
    ramp_up_s=0.5,
    ramp_down_s=0.5,
)


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Clinic:
    """A site and its broker, with the devices stim-01 and stim-02."""

    folder: Path
    mosquitto: LocalMosquitto

    @property
    def site_dir(self) -> Path:
        return self.folder / "site"

    def device_dir(self, device: str) -> Path:
        return self.folder / device

    def keys(self, device: str) -> dict[str, LinkKeys]:
        return device_links(load_papers(self.device_dir(device)))

    def tls(self, key: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.site_dir / "ca.crt"))
        context.load_cert_chain(key.with_suffix(".crt"), key)
        return context

    def service(self, name: str) -> Client:
        tls = self.tls(self.site_dir / SERVICES_FOLDER / f"{name}.key")
        return Client(
            self.mosquitto.host,
            self.mosquitto.port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            tls_context=tls,
            keepalive=5,
            timeout=5,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )


def found_clinic(folder: Path) -> Clinic:
    now = datetime.now(UTC)
    provision_site(folder / "site", folder / "ca", SITE, now=now)
    for device in ("stim-01", "stim-02"):
        provision_device(
            folder / "site", folder / "ca", device, "room-1", device, "bench-ems-2", folder / device, now=now
        )
    return Clinic(folder, LocalMosquitto(folder / "site"))


@dataclass
class ScriptedFleet:
    """Both of the fleet's connections. `heard` is everything that came in, in order."""

    clinic: Clinic
    safety: aiomqtt.Client
    heard: list[tuple[str, Opened]] = field(default_factory=list)
    leases: bool = False
    receipts: bool = True
    lease_ttl_ms: int = LEASE_TTL_MS
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.ring = site_links(self.clinic.site_dir, load_registry(self.clinic.site_dir))
        self.opener = Opener(SITE, Direction.UPLINK, self.ring)

    # --- hearing ----------------------------------------------------------------------------------------------------

    async def listen(self, intake: aiomqtt.Client) -> None:
        async for message in intake.messages:
            assert isinstance(message.payload, bytes)
            properties = getattr(message.properties, "UserProperty", ())
            opened = self.opener.open(message.topic.value, message.payload, properties)
            async with self._news:
                self.heard.append((message.topic.value, opened))
                self._news.notify_all()
            if isinstance(opened, Received):
                await self._answer(opened.address.device, opened.message)
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:  # aiomqtt swallows it: agents.link
                return

    async def _answer(self, device: str, message: Message) -> None:
        match message:
            case Telemetry(late=False, session_id=str(session_id)) if self.leases and message.phase in LIVE_PHASES:
                await self.say(device, Lease(1, message.boot_n, session_id, message.seq, self.lease_ttl_ms))
            case Event() if self.receipts:
                await self.say(device, Receipt(message.spool_id, message.n, ()))
            case _:
                pass

    def of(self, kind: type[M], device: str = "stim-01") -> list[M]:
        """Every authentic message of a kind so far."""
        return [
            opened.message
            for _, opened in self.heard
            if isinstance(opened, Received) and opened.address.device == device and isinstance(opened.message, kind)
        ]

    async def hear(
        self,
        kind: type[M],
        which: Callable[[M], bool] = lambda _: True,
        device: str = "stim-01",
        *,
        within_s: float = 8.0,
        past: int = 0,
    ) -> M:
        """The first one looked for of a kind, heard already or still to come; the first `past` of the kind are over."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(lambda: any(map(which, self.of(kind, device)[past:])))
        except TimeoutError:
            newest = [self.of(each, device)[-3:] for each in (kind, Event, Birth)]
            raise AssertionError(
                f"not heard within {within_s} s; the newest of its kind, events, births: {newest}"
            ) from None
        return next(message for message in self.of(kind, device)[past:] if which(message))

    async def hear_new(self, kind: type[M], which: Callable[[M], bool] = lambda _: True, device: str = "stim-01") -> M:
        """The next one, from now on."""
        return await self.hear(kind, which, device, past=len(self.of(kind, device)))

    # --- speaking ---------------------------------------------------------------------------------------------------

    async def say(self, device: str, message: Message, *, retain: bool | None = None) -> Packet:
        keys = None if device == ALL else next(iter(self.ring[device].values()))
        packet = pack(SITE, device, message, keys)
        await self.say_raw(
            packet.topic,
            packet.payload,
            packet.user_properties,
            qos=packet.qos,
            retain=packet.retain if retain is None else retain,
        )
        return packet

    async def say_raw(
        self,
        topic: str,
        payload: bytes,
        user_properties: tuple[tuple[str, str], ...] = (),
        *,
        qos: int = 1,
        retain: bool = False,
    ) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
        properties.UserProperty = list(user_properties)
        await self.safety.publish(topic, payload, qos, retain, properties)

    async def put_in_service(self, device: str = "stim-01") -> None:
        """Settings with the room, and a sample a second, so that tests need not wait five."""
        await self.say(device, Settings(1, (), "room-1", 1.0, 0.2, ENVELOPE, service_hold=False))

    async def authorise(self, device: str = "stim-01", plan: Plan = PLAN) -> Authorisation:
        """Authorise a session in answer to the newest sample of a device that has its settings and is ready."""
        await self.hear(
            Telemetry, lambda sample: sample.settings_version > 0 and sample.phase is not Phase.FAULT, device
        )
        message = authorisation(self.of(Telemetry, device)[-1], plan)
        await self.say(device, message)
        return message

    async def stop(self, device: str = "stim-01", *, hold: bool = False) -> Stop:
        message = Stop(fresh_id(), Cause.EMERGENCY_STOP, hold, "test", wall())
        await self.say(device, message)
        return message

    async def release(self, holds: tuple[str, ...], device: str = "stim-01", scope: Scope = Scope.DEVICE) -> Release:
        sample = await self.hear_new(Telemetry, lambda sample: not sample.late, device)
        message = Release(1, sample.boot_n, sample.seq, fresh_id(), scope, holds, "test")
        await self.say(device, message)
        return message

    async def clear(self, device: str, channel: Channel) -> None:
        await self.say_raw(topic_for(SITE, device, channel), b"", retain=True)


_ids = iter(range(1, 10**9))


def fresh_id() -> str:
    return f"{next(_ids):032x}"


def authorisation(sample: Telemetry, plan: Plan = PLAN) -> Authorisation:
    return Authorisation(
        fleet_n=1,
        boot_n=sample.boot_n,
        answers=sample.seq,
        command_id=fresh_id(),
        session_id=fresh_id(),
        client="client-0001",
        operator="operator-1",
        room="room-1",
        rule_set="rules-1",
        plan=plan,
        limits=ENVELOPE,
        start_within_s=300.0,
        pause_total_s=600.0,
        lease_ttl_ms=LEASE_TTL_MS,
        issued_at=wall(),
    )


def topic(channel: Channel, device: str = "stim-01") -> str:
    return topic_for(SITE, device, channel)


def payload_of(message: Message) -> tuple[Channel, bytes]:
    return CHANNEL_OF[type(message)], encode(message)


@contextlib.asynccontextmanager
async def scripted_fleet(clinic: Clinic) -> AsyncIterator[ScriptedFleet]:
    """The fleet, listening. Births and presence that the broker retains are heard like new ones."""
    async with clinic.service("fleet-safety") as safety, clinic.service("fleet-intake") as intake:
        fleet = ScriptedFleet(clinic, safety)
        await intake.subscribe(f"stim/v1/{SITE}/#", qos=1)
        listening = asyncio.create_task(fleet.listen(intake), name="scripted fleet")
        try:
            yield fleet
        finally:
            listening.cancel()
            # Tests that end the broker end what listens to it.
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await listening


def births(fleet: ScriptedFleet, device: str = "stim-01") -> list[Birth]:
    return fleet.of(Birth, device)
