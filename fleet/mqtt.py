"""One MQTT 5 connection of the fleet, over TLS with a client certificate: made once, lost once, never reconnecting.

This is gmqtt 0.8 with its ways made harmless; each is proved in tests/adapters/test_mqtt.py:
- it reconnects by itself (also with retries set to 0) as another session: switched off, whoever owns a connection makes
  a new one;
- it takes a PUBLISH apart, and puts one together, ten times slower than need be, starts a task for each that comes in,
  keeps what was not acknowledged without bound and sends it again, and logs and loses what a callback raises: both ways
  go past it here (`fleet.frames`), and an error in hearing ends the connection and with it the process;
- it ignores the reason code of a PUBACK, so a publish that the ACL denied looks delivered: read here;
- `connect` waits for ever for a CONNACK: bounded here; its loggers print payloads: silenced here.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gmqtt
from gmqtt.mqtt.handler import MQTTConnectError

from fleet.frames import Arrived, MalformedFrame, puback_frame, publish_frame, published

log = logging.getLogger(__name__)
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
class Endpoint:
    """Where to connect, as whom: the identity is the certificate's common name."""

    host: str
    port: int
    identity: str
    ca: Path
    certificate: Path
    key: Path


# None: the message was taken in; otherwise it is when that is done.
Hear = Callable[[Arrived], asyncio.Future[None] | None]
Acknowledged = Callable[[int, int], None]


class Connection:
    """An open connection. `lost` is done when it is over: the server's reason code, or None if it gave none.

    What `hear` raises becomes the exception of `lost`.

    At QoS 0 what one turn of the loop publishes is written together at its end: a TLS record and a system call for each
    lease would cost more than the lease. Anything at QoS 1 goes at once, with all that was published before it.
    """

    def __init__(self, identity: str, hear: Hear | None, acknowledged: Acknowledged | None, unacknowledged_max: int):
        self.lost: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._acknowledged = acknowledged
        self._subscribed: asyncio.Future[Sequence[int]] | None = None
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._aborted = False
        self._client = gmqtt.Client(identity, receive_maximum=unacknowledged_max)
        self._client.set_config({"reconnect_retries": NEVER_RECONNECT})
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        packets = self._client._package_handler
        packets._handle_publish_packet = self._on_publish
        packets._handle_puback_packet = self._on_puback
        self._packet_ids = packets.id_generator

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

        `hear` takes each message; at QoS 1 it is acknowledged when it was taken in, and the broker holds back what
        comes after `unacknowledged_max`. `acknowledged(packet_id, reason_code)` hears of every PUBACK.

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
            connection._tune(endpoint.identity)
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
        packet_id = int(self._packet_ids.next_id()) if qos else 0
        self._write(
            publish_frame(
                topic,
                payload,
                qos=qos,
                retain=retain,
                packet_id=packet_id,
                expiry_s=expiry_s,
                user_properties=user_properties,
            )
        )
        if qos:
            self._write_out()
        return packet_id

    @property
    def drains(self) -> bool:
        """Whether what is written goes out, rather than piling up."""
        if self.lost.done():
            return False
        waiting: int = self._client._connection._transport.get_write_buffer_size()
        return waiting + self._unwritten_bytes <= WRITE_BUFFER_BYTES_MAX

    @property
    def unacknowledged_max(self) -> int:
        """How many QoS 1 messages the broker takes unacknowledged; gmqtt itself uses one fewer."""
        return int(self._packet_ids._max) - 1

    def abort(self) -> None:
        """End at once: nobody is there to say goodbye to."""
        self._abort()

    async def close(self) -> None:
        """Say goodbye if it still can be said, and end."""
        if self._aborted:
            return
        self._write_out()
        if not self.lost.done():
            self.lost.set_result(None)
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._client.disconnect()
        except (TimeoutError, OSError):
            self._abort()

    # --- gmqtt's callbacks and insides --------------------------------------------------------------------------------

    def _on_publish(self, first: int, body: bytes) -> None:
        assert self._hear is not None, "nobody subscribed"
        try:
            arrived, packet_id = published(first, body)
            taking = self._hear(arrived)
        except MalformedFrame as malformed:
            log.error("the broker is none: %s", malformed)
            self._abort()
        except Exception as error:  # noqa: BLE001 # gmqtt would log it and go on; a bug must end the process
            if not self.lost.done():
                self.lost.set_exception(error)
        else:
            if taking is not None:
                taking.add_done_callback(lambda _: self._acknowledge(packet_id))
            elif packet_id:
                self._acknowledge(packet_id)

    def _acknowledge(self, packet_id: int) -> None:
        if not self.lost.done():
            self._write(puback_frame(packet_id))

    def _on_puback(self, _first: int, body: bytes) -> None:
        packet_id = int.from_bytes(body[:2], "big")
        self._packet_ids.free_id(packet_id)
        if self._acknowledged is None:
            return
        try:
            self._acknowledged(packet_id, body[2] if len(body) > 2 else 0)
        except Exception as error:  # noqa: BLE001 # as above: gmqtt would go on, and a stop's report be lost
            if not self.lost.done():
                self.lost.set_exception(error)

    def _write(self, frame: bytes) -> None:
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write_out)
        self._unwritten.append(frame)
        self._unwritten_bytes += len(frame)

    def _write_out(self) -> None:
        """Everything up to now, in one piece. Of a connection that is over, nothing."""
        octets = b"".join(self._unwritten)
        self._unwritten.clear()
        self._unwritten_bytes = 0
        if octets and not self.lost.done():
            self._client._connection._protocol.write_data(octets)

    def _on_disconnect(self, _client: Any, packet: Any, _error: Any = None) -> None:
        if not self.lost.done():
            self.lost.set_result(packet[0] if isinstance(packet, bytes) and packet else None)

    def _on_subscribe(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        if self._subscribed is not None and not self._subscribed.done():
            self._subscribed.set_result(granted)

    def _tune(self, identity: str) -> None:
        connected = self._client._connection._transport.get_extra_info("socket")
        if connected is None:
            raise NoConnection(f"{identity}: the connection was over before it was used")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)

    def _abort(self) -> None:
        self._aborted = True
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
