"""One MQTT 5 connection of the fleet, over TLS with a client certificate: made once, lost once, never reconnecting.

This is gmqtt 0.8 with its ways made harmless; each is proved in tests/adapters/test_mqtt.py:
- it reconnects by itself (also with retries set to 0) as another session: switched off, whoever owns a connection makes
  a new one;
- it keeps unacknowledged publishes without bound and sends them again: its storage here keeps none, `Downlink` does;
- it ignores the reason code of a PUBACK, so a publish that the ACL denied looks delivered: read here;
- a sync callback with late acknowledgement is never acknowledged, and what a callback raises is logged and lost: ours
  is a coroutine, and its error ends the connection and with it the process;
- `connect` waits for ever for a CONNACK: bounded here; its loggers print payloads: silenced here.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gmqtt
from gmqtt.mqtt.handler import MQTTConnectError
from gmqtt.storage import PersistentStorage

KEEPALIVE_S = 5
CONNECT_S_MAX = 3.0
CLOSE_S_MAX = 1.0
NEVER_RECONNECT = -2  # gmqtt: -1 is without limit, and 0 still reconnects once
WRITE_BUFFER_BYTES_MAX = 256 * 1024  # beyond this the link does not drain, and what only counts now is not sent
TCP_THIN_LINEAR_TIMEOUTS = 16  # linux/tcp.h: a thin stream backs off linearly (contract.md "Transport")
ERROR_CODES_FROM = 0x80


class NoConnection(Exception):
    """There is no connection to be had, or no longer: network, TLS, or the broker's refusal."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as it left the socket."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    user_properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, as whom: the identity is the certificate's common name."""

    host: str
    port: int
    identity: str
    ca: Path
    certificate: Path
    key: Path


Hear = Callable[[Arrived], Awaitable[None]]
Acknowledged = Callable[[int, int], None]


class _NoStorage(PersistentStorage):  # type: ignore[misc] # gmqtt ships no types
    """Remembers the packet id that a publish was given, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = 0

    def push_message(self, mid: int, raw_package: bytes) -> None:
        self.newest = mid

    def remove_message_by_mid(self, mid: int) -> None:
        """Nothing was kept."""


class Connection:
    """An open connection. `lost` is done when it is over: the server's reason code, or None if it gave none.

    What the `hear` coroutine raises becomes the exception of `lost`.
    """

    def __init__(self, identity: str, hear: Hear | None, acknowledged: Acknowledged | None, unacknowledged_max: int):
        self.lost: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._acknowledged = acknowledged
        self._subscribed: asyncio.Future[Sequence[int]] | None = None
        self._storage = _NoStorage()
        self._client = gmqtt.Client(
            identity,
            optimistic_acknowledgement=False,
            persistent_storage=self._storage,
            receive_maximum=unacknowledged_max,
        )
        self._client.set_config({"reconnect_retries": NEVER_RECONNECT})
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._read_reason_codes()

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        *,
        hear: Hear | None = None,
        acknowledged: Acknowledged | None = None,
        unacknowledged_max: int = 1_000,
    ) -> "Connection":
        """Connect, with a clean start and a session that ends with the connection.

        `hear` takes each message; at QoS 1 it is acknowledged when the coroutine returns, and the broker holds back
        what comes after `unacknowledged_max`. `acknowledged(packet_id, reason_code)` hears of every PUBACK.

        Raises:
            NoConnection: within 3 s.
        """
        logging.getLogger("gmqtt").setLevel(logging.CRITICAL + 1)  # it would print payloads
        connection = cls(endpoint.identity, hear, acknowledged, unacknowledged_max)
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                context = tls_context(endpoint)
                await connection._client.connect(
                    endpoint.host, endpoint.port, ssl=context, keepalive=KEEPALIVE_S, raise_exc=True
                )
            connection._tune()
        except TimeoutError as error:
            connection._abort()
            raise NoConnection(f"{endpoint.identity}: no answer within {CONNECT_S_MAX} s") from error
        except (OSError, MQTTConnectError) as error:  # ssl.SSLError is an OSError
            connection._abort()
            raise NoConnection(f"{endpoint.identity}: {error}") from error
        return connection

    async def subscribe(self, topics: Sequence[tuple[str, int]]) -> None:
        """Subscribe to topic filters with their QoS, and wait until the broker has granted them all.

        Raises:
            NoConnection: refused, or no answer within 3 s.
        """
        self._subscribed = asyncio.get_running_loop().create_future()
        self._client.subscribe([gmqtt.Subscription(topic, qos=qos) for topic, qos in topics])
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                granted = await self._subscribed
        except TimeoutError as error:
            raise NoConnection("no answer to a subscription") from error
        if any(code >= ERROR_CODES_FROM for code in granted):
            raise NoConnection(f"subscription refused: {list(granted)}")

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: int | None = None,
        user_properties: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Hand one message to the socket. The packet id at QoS 1, which `acknowledged` names later; 0 at QoS 0.

        Raises:
            NoConnection: the connection is over.
        """
        if self.lost.done():
            raise NoConnection("the connection is over")
        properties: dict[str, Any] = {"user_property": list(user_properties)} if user_properties else {}
        if expiry_s is not None:
            properties["message_expiry_interval"] = expiry_s
        self._client.publish(topic, payload, qos=qos, retain=retain, **properties)
        return self._storage.newest if qos else 0

    @property
    def drains(self) -> bool:
        """Whether what is written goes out, rather than piling up."""
        if self.lost.done():
            return False
        waiting: int = self._client._connection._transport.get_write_buffer_size()
        return waiting <= WRITE_BUFFER_BYTES_MAX

    @property
    def unacknowledged_max(self) -> int:
        """How many QoS 1 messages the broker takes unacknowledged; gmqtt itself uses one fewer."""
        return int(self._client._package_handler.id_generator._max) - 1

    async def close(self) -> None:
        """Say goodbye if it still can be said, and end."""
        if not self.lost.done():
            self.lost.set_result(None)
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._client.disconnect()
        except (TimeoutError, OSError):
            self._abort()

    # --- gmqtt's callbacks and insides --------------------------------------------------------------------------------

    async def _on_message(self, _client: Any, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        assert self._hear is not None, "nobody subscribed"
        pairs = tuple(properties.get("user_property", ()))
        try:
            await self._hear(Arrived(topic, bytes(payload), qos, bool(properties["retain"]), pairs))
        except Exception as error:  # noqa: BLE001 # gmqtt would log it and go on; a bug must end the process
            if not self.lost.done():
                self.lost.set_exception(error)
        return 0

    def _on_disconnect(self, _client: Any, packet: Any, _error: Any = None) -> None:
        if not self.lost.done():
            self.lost.set_result(packet[0] if isinstance(packet, bytes) and packet else None)

    def _on_subscribe(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        if self._subscribed is not None and not self._subscribed.done():
            self._subscribed.set_result(granted)

    def _read_reason_codes(self) -> None:
        incoming = self._client._package_handler
        forget = incoming._handle_puback_packet

        def puback(command: int, packet: bytes) -> None:
            forget(command, packet)  # frees the packet id
            if self._acknowledged is not None:
                self._acknowledged(int.from_bytes(packet[:2], "big"), packet[2] if len(packet) > 2 else 0)

        incoming._handle_puback_packet = puback

    def _tune(self) -> None:
        connected = self._client._connection._transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)

    def _abort(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self._client._connection is not None:
            self._client._connection._transport.abort()


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS 1.2 or later, the server's name and the site's CA checked, our certificate shown.

    Raises:
        OSError: a file is missing or is none of these.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(endpoint.ca)
    context.load_cert_chain(endpoint.certificate, endpoint.key)
    return context
