"""One MQTT connection of a device: how it is made, what it hears, and what is known of aiomqtt and asyncio.

Known of aiomqtt 2.5: it does not reconnect; a publish that timed out is still sent when the same client object
connects again; a publish that the broker's ACL refused raises nothing (here it is counted); a cancellation may get
lost in it (`heed_cancellation`); why a connection was lost is asked for by whoever reads from it, else by nobody.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.contract.topics import ALL, DOWNLINKS, Channel, topic_for
from broker.wire.mac import LinkKeys
from broker.wire.sealed import Packet

KEEPALIVE_S: Final = 5
CONNECT_S: Final = 3.0
_TCP_THIN_LINEAR_TIMEOUTS: Final = 16  # linux/tcp.h: a thin stream retransmits without exponential back-off
_SOCKET_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, _TCP_THIN_LINEAR_TIMEOUTS, 1),
    # Sent and unacknowledged for so long: a half-open link. A blackout of 2 s must survive it, a lease must not.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5_000),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who this is, and the broker it speaks to."""

    site: str
    device: str
    keys: dict[str, LinkKeys]  # by kid; the first seals
    host: str
    port: int
    tls: ssl.SSLContext


class Refused(aiomqtt.MqttError):
    """The broker does not let this device hear what is meant for it: struck off, or an ACL that does not know it."""


class Client(aiomqtt.Client):
    """Asks why its connection was lost, if nobody else has: else asyncio logs an error whenever it is collected."""

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await super().__aexit__(*raised)
        finally:
            if self._disconnected.done() and not self._disconnected.cancelled():
                self._disconnected.exception()


class _Client(Client):
    """Counts publishes that the broker denied, which aiomqtt reports as success."""

    def __init__(self, on_denied: Callable[[], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_denied = on_denied
        self._client.connect_timeout = CONNECT_S

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any) -> None:
        if reason_code.is_failure:
            self._on_denied()
        super()._on_publish(client, userdata, mid, reason_code, properties)


def new_client(
    endpoint: Endpoint, will: Packet, hear: Callable[[aiomqtt.Message], None], on_denied: Callable[[], None]
) -> aiomqtt.Client:
    """A client for one connection. `hear` is called in the socket's own callback with whatever arrives."""
    connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
    connect.SessionExpiryInterval = 0

    class Ear(asyncio.Queue[aiomqtt.Message]):
        """aiomqtt puts what arrives into a queue of a given class; this one hears it at once and keeps nothing."""

        def put_nowait(self, item: aiomqtt.Message) -> None:
            hear(item)

    return _Client(
        on_denied,
        endpoint.host,
        endpoint.port,
        identifier=endpoint.device,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        properties=connect,
        will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, _properties(will, PacketTypes.WILLMESSAGE)),
        tls_context=endpoint.tls,
        keepalive=KEEPALIVE_S,
        timeout=CONNECT_S,
        socket_options=_SOCKET_OPTIONS,
        queue_type=Ear,
    )


async def subscribe(client: aiomqtt.Client, endpoint: Endpoint) -> None:
    """Open the ear for everything that is meant for this device.

    Raises:
        Refused: the broker does not grant it.
        MqttError: the connection is lost.
    """
    topics = [(topic_for(endpoint.site, ALL, Channel.STOP), 1)]
    topics += [(topic_for(endpoint.site, endpoint.device, row.channel), row.qos) for row in DOWNLINKS]
    granted: Iterable[ReasonCode | int] = await client.subscribe(topics)
    heed_cancellation()
    denied = [topic for (topic, _), code in zip(topics, granted, strict=True) if _is_failure(code)]
    if denied:
        raise Refused(f"the broker refuses to let us hear {', '.join(denied)}")


async def publish(client: aiomqtt.Client, packet: Packet, timeout_s: float) -> None:
    """Returns once the broker has it (QoS 1) or the socket (QoS 0).

    Raises:
        MqttError: it did not get there in time: this client is to be given up.
    """
    properties = _properties(packet, PacketTypes.PUBLISH)
    await client.publish(packet.topic, packet.payload, packet.qos, packet.retain, properties, timeout=timeout_s)
    heed_cancellation()


def heed_cancellation() -> None:
    """After every call of aiomqtt, which waits with `asyncio.wait_for`: until Python 3.12 that swallows a cancellation
    that comes in the same turn as what it waits for, and the lane would go on for ever (seen in a test).

    Raises:
        asyncio.CancelledError: this task was told to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError


def _properties(packet: Packet, kind: int) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]  # paho's
    properties.UserProperty = list(packet.user_properties)
    return properties


def bytes_of(payload: object) -> bytes:
    if not isinstance(payload, bytes | bytearray):
        raise AssertionError("paho delivers bytes")
    return bytes(payload)


def _is_failure(code: ReasonCode | int) -> bool:
    return code.is_failure if isinstance(code, ReasonCode) else code >= 0x80
