"""A bare MQTT 5 client that says what the broker answered: for tests of what the broker allows."""

import queue
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

ANSWER_S_MAX = 5.0
NOT_AUTHORISED = 135
SESSION_TAKEN_OVER = 142
CONNECTION_CLOSED = 128  # paho's word for a connection that ends without a DISCONNECT


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that the broker delivered."""

    topic: str
    payload: bytes
    retained: bool
    user_properties: tuple[tuple[str, str], ...]


class RefusedConnection(Exception):
    """The broker's CONNACK was no success."""

    def __init__(self, code: int) -> None:
        super().__init__(f"CONNACK {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Papers:
    """The files that a client shows and checks."""

    ca: Path
    certificate: Path | None
    key: Path | None

    @classmethod
    def of_device(cls, folder: Path) -> "Papers":
        return cls(folder / "ca.crt", folder / "device.crt", folder / "device.key")

    @classmethod
    def of_service(cls, site_dir: Path, service: str) -> "Papers":
        services = site_dir / "services"
        return cls(site_dir / "ca.crt", services / f"{service}.crt", services / f"{service}.key")

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class RawClient:
    """One connection, open while the `with` lasts."""

    def __init__(
        self,
        port: int,
        papers: Papers,
        client_id: str = "",
        will: tuple[str, bytes] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._port = port
        self._answers: queue.Queue[int] = queue.Queue()
        self._connected: queue.Queue[int] = queue.Queue()
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.disconnected_by: queue.Queue[int] = queue.Queue()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(context or papers.context())
        if will is not None:
            self._client.will_set(*will, qos=1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        code = self._connected.get(timeout=ANSWER_S_MAX)
        if code:
            self.__exit__(None, None, None)
            raise RefusedConnection(code)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.reinitialise()  # closes the two sockets by which its thread was woken

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False, qos: int = 1) -> int:
        """The reason code of the broker's PUBACK; 0 for QoS 0, which has none."""
        self._client.publish(topic, payload, qos=qos, retain=retain)
        return self._answers.get(timeout=ANSWER_S_MAX)

    def subscribe(self, topic_filter: str) -> int:
        """The reason code of the broker's SUBACK."""
        self._client.subscribe(topic_filter, qos=1)
        return self._answers.get(timeout=ANSWER_S_MAX)

    def hears(self) -> Heard:
        return self.heard.get(timeout=ANSWER_S_MAX)

    def hears_until(self, payload: bytes) -> list[Heard]:
        """Everything up to the message with that payload, without it."""
        heard: list[Heard] = []
        while (message := self.hears()).payload != payload:
            heard.append(message)
        return heard

    def cut(self) -> None:
        """The connection is gone without a word, as when a plug is pulled."""
        connection = self._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._connected.put(code.value)

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self.disconnected_by.put(code.value)
        self._connected.put(code.value)

    def _on_publish(
        self, client: Client, userdata: Any, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._answers.put(code.value)

    def _on_subscribe(
        self, client: Client, userdata: Any, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        self._answers.put(codes[0].value)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        pairs = getattr(message.properties, "UserProperty", ())
        self.heard.put(Heard(message.topic, bytes(message.payload), message.retain, tuple(pairs)))
