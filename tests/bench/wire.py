"""MQTT 5 for the bench, without a library: frames in and out of a TLS connection that never blocks.

A publisher that is to cost little must not build a frame when it sends it. Here a frame is bytes, made beforehand; what
comes in is taken apart only as far as somebody wants to know.
"""

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.wire.sealed import Packet

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
PING = b"\xc0\x00"
KEEPALIVE_S = 60  # the most that the broker grants
HANDSHAKE_S_MAX = 10.0
RECEIVE_BYTES = 256 * 1024
ERROR_CODES_FROM = 0x80
_USER_PROPERTY, _EXPIRY = 0x26, 0x02


class Refused(Exception):
    """The broker refused a connection or a subscription, or ended the connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet as it came: its first byte, and everything after its length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        return self.first & 0xF0


@dataclass(frozen=True, slots=True)
class Published:
    """A PUBLISH, taken apart. `packet_id` 0: QoS 0."""

    topic: str
    payload: bytes
    packet_id: int
    retained: bool
    user_properties: tuple[tuple[str, str], ...]


def varint(number: int) -> bytes:
    """MQTT's variable byte integer."""
    octets = bytearray()
    while True:
        number, low = divmod(number, 128)
        octets.append(low | (0x80 if number else 0))
        if not number:
            return bytes(octets)


def text(words: bytes) -> bytes:
    """A string with its length before it."""
    return struct.pack("!H", len(words)) + words


def frame_of(packet: Packet, packet_id: int = 0) -> bytes:
    """The PUBLISH frame of a sealed packet; `packet_id` for QoS 1."""
    properties = b"" if packet.expiry_s is None else struct.pack("!BI", _EXPIRY, packet.expiry_s)
    for name, value in packet.user_properties:
        properties += bytes([_USER_PROPERTY]) + text(name.encode()) + text(value.encode())
    numbered = struct.pack("!H", packet_id) if packet.qos else b""
    body = text(packet.topic.encode()) + numbered + varint(len(properties)) + properties + packet.payload
    return bytes([PUBLISH | packet.qos << 1 | packet.retain]) + varint(len(body)) + body


def published(frame: Frame) -> Published:
    """What a PUBLISH frame says."""
    body = frame.body
    end = 2 + (body[0] << 8 | body[1])
    topic = body[2:end].decode()
    packet_id = 0
    if frame.first & 0x06:
        packet_id, end = body[end] << 8 | body[end + 1], end + 2
    length, start = _varint_at(body, end)
    pairs = tuple(_user_properties(body[start : start + length]))
    return Published(topic, body[start + length :], packet_id, bool(frame.first & 1), pairs)


def topic_and_rest(body: bytes) -> tuple[bytes, int]:
    """The topic of a PUBLISH body, and where the rest begins: all that counting needs."""
    end = 2 + (body[0] << 8 | body[1])
    return body[2:end], end


def _varint_at(body: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        number |= (body[at] & 0x7F) << shift
        at += 1
        if not body[at - 1] & 0x80:
            return number, at
        shift += 7


def _user_properties(octets: bytes) -> Iterator[tuple[str, str]]:
    """Those of a delivered message; the only other one that a broker adds here is what is left of the expiry."""
    at = 0
    while at < len(octets):
        if octets[at] == _EXPIRY:
            at += 5
            continue
        assert octets[at] == _USER_PROPERTY, f"an unexpected property: {octets[at]}"
        pair = []
        at += 1
        for _ in range(2):
            end = at + 2 + (octets[at] << 8 | octets[at + 1])
            pair.append(octets[at + 2 : end].decode())
            at = end
        yield pair[0], pair[1]


class Wire:
    """One open connection. What is sent and cannot go yet waits in `backlog`; `received` never waits.

    Raises `Refused` when the broker ends it.
    """

    def __init__(self, host: str, port: int, identity: str, context: ssl.SSLContext) -> None:
        raw = socket.create_connection((host, port), timeout=HANDSHAKE_S_MAX)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = context.wrap_socket(raw, server_hostname=host)
        self._out = bytearray()
        self._in = bytearray()
        self._held: list[Frame] = []  # came together with an answer that was waited for
        # Clean start, no properties: the session ends with the connection.
        body = text(b"MQTT") + struct.pack("!BBHB", 5, 0x02, KEEPALIVE_S, 0) + text(identity.encode())
        answer = self.answer_to(b"\x10" + varint(len(body)) + body, CONNACK)
        if answer.body[1]:
            raise Refused(f"{identity}: CONNACK {answer.body[1]}")

    def fileno(self) -> int:
        return self._tls.fileno()

    @property
    def backlog(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._out)

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        """Subscribe, and wait for the answer: before anything else goes on here."""
        body = struct.pack("!HB", 1, 0)
        for topic, qos in filters:
            body += text(topic.encode()) + bytes([qos])
        answer = self.answer_to(b"\x82" + varint(len(body)) + body, SUBACK)
        if any(code >= ERROR_CODES_FROM for code in answer.body[3:]):
            raise Refused(f"subscription: {list(answer.body[3:])}")

    def answer_to(self, octets: bytes, kind: int) -> Frame:
        """Send, and wait for the answer, which has to be of that kind."""
        self._tls.settimeout(HANDSHAKE_S_MAX)
        self._tls.sendall(octets)
        answer = self._await(kind)
        self._tls.setblocking(False)
        return answer

    def send(self, octets: bytes) -> None:
        """Hand frames to the socket, as far as it takes them now."""
        if self._out:
            self._out += octets
            self.flush()
            return
        sent = self._write(octets)
        if sent < len(octets):
            self._out += octets[sent:]

    def flush(self) -> None:
        """Try again with what waits."""
        while self._out:
            sent = self._write(bytes(self._out[:RECEIVE_BYTES]))
            del self._out[:sent]
            if not sent:
                return

    def received(self) -> list[Frame]:
        """Every whole frame that is there now."""
        while True:
            try:
                octets = self._tls.recv(RECEIVE_BYTES)
            except ssl.SSLWantReadError:
                break
            if not octets:
                raise Refused("the broker closed the connection")
            self._in += octets
        held, self._held = self._held, []
        return held + self._frames()

    def close(self) -> None:
        """Without a word: what the broker does then is its own business."""
        self._tls.close()

    def _write(self, octets: bytes) -> int:
        """How much of it a non-blocking TLS socket took: record by record, whole or not at all."""
        sent = 0
        view = memoryview(octets)
        while sent < len(octets):
            try:
                sent += self._tls.send(view[sent:])
            except ssl.SSLWantWriteError:
                break
        return sent

    def _frames(self) -> list[Frame]:
        octets, found, at = bytes(self._in), [], 0
        while at + 2 <= len(octets):
            try:
                length, start = _varint_at(octets, at + 1)
            except IndexError:  # not all of its length is there yet
                break
            if start + length > len(octets):
                break
            found.append(Frame(octets[at], octets[start : start + length]))
            at = start + length
        del self._in[:at]
        return found

    def _await(self, kind: int) -> Frame:
        """The next frame, which has to be of that kind; the socket blocks, up to its timeout."""
        while True:
            frames = self._frames()
            if frames:
                break
            octets = self._tls.recv(RECEIVE_BYTES)
            if not octets:
                raise Refused("the broker closed the connection")
            self._in += octets
        answer, *self._held = frames
        if answer.kind != kind:
            raise Refused(f"an unexpected packet: {answer.first:#x}")
        return answer
