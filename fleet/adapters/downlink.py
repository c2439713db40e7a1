"""Everything that the fleet says to devices, out over the safety connection.

Leases (QoS 0) go now or not at all. Everything else waits in a bounded outbox until the broker has acknowledged it,
through any number of connections; stops and what clears them first, in order. What could not be delivered is
reported, never dropped in silence. The same command waiting twice on one topic waits once.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from broker.contract.messages import Downlink as DownlinkMessage
from broker.contract.messages import Receipt, Stop
from broker.contract.topics import ALL, CHANNEL_OF, Channel, topic_for
from broker.wire import sealed
from broker.wire.codec import encode
from fleet.keyring import Keyring

DENIED = 0x87
ERROR_CODES_FROM = 0x80


class Undelivered(StrEnum):
    """Why a message did not reach the broker, or the broker did not take it."""

    NO_KEY = "no_key"  # struck off, or never provisioned
    OUTBOX_FULL = "outbox_full"
    EXPIRED = "expired"
    DENIED = "denied"  # the ACL says no: the broker's configuration is not ours
    REFUSED = "refused"  # any other error code of the broker
    NOT_CONNECTED = "not_connected"  # a lease, without a connection that drains


@dataclass(frozen=True, slots=True)
class StopTaken:
    """The broker took a stop. `hold_id` None: it is no hold, so nothing is retained."""

    command_id: str
    hold_id: str | None
    sent_s: float


class Report(Protocol):
    """Hears what became of messages."""

    def stop_taken(self, taken: StopTaken) -> None:
        """A stop is with the broker."""

    def undelivered(self, device: str, channel: Channel, why: Undelivered) -> None:
        """A message is not, and will not be."""


class Line(Protocol):
    """A connection that publishes: `fleet.mqtt.Connection`."""

    @property
    def unacknowledged_max(self) -> int:
        """How many QoS 1 messages may be under way at once."""

    @property
    def drains(self) -> bool:
        """Whether what is written goes out."""

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
        """Hand one message to the socket; its packet id."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """One message that waits for its acknowledgement."""

    device: str
    channel: Channel
    key: str  # two with one key say the same
    packet: sealed.Packet
    message: DownlinkMessage | None  # None: clears what is retained
    expires_s: float


class Downlink:
    """The outbox. Connections come and go under it: `attach`, `detach`.

    `counts` holds, by channel and reason, all that was not delivered.
    """

    def __init__(
        self, site: str, keyring: Keyring, report: Report, *, boottime: Callable[[], float], items_max: int
    ) -> None:
        self.counts: Counter[tuple[Channel, Undelivered]] = Counter()
        self._site = site
        self._keyring = keyring
        self._report = report
        self._boottime = boottime
        self._items_max = items_max
        self._line: Line | None = None
        self._first: list[_Letter] = []  # stops and what clears them
        self._then: OrderedDict[str, _Letter] = OrderedDict()
        self._in_flight: OrderedDict[int, _Letter] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._first) + len(self._then) + len(self._in_flight)

    def send(self, device: str, message: DownlinkMessage) -> None:
        """Seal `message` for `device` and send it as its channel's row says; `topics.ALL` for the site-wide stop.

        Raises:
            UnencodableMessage, NotATopic: a bug of the caller.
        """
        channel = CHANNEL_OF[type(message)]
        packet = self._packed(device, channel, message)
        if packet is None:
            self._failed(device, channel, Undelivered.NO_KEY)
            return
        if packet.qos == 0:
            self._send_now_or_never(device, channel, packet)
            return
        expires_s = math.inf if packet.expiry_s is None else self._boottime() + packet.expiry_s
        self._post(_Letter(device, channel, _key_of(packet.topic, message), packet, message, expires_s))

    def clear_stop(self, device: str) -> None:
        """Take away the retained stop of `device` (`topics.ALL`: the site's)."""
        topic = topic_for(self._site, device, Channel.STOP)
        packet = sealed.Packet(topic, b"", qos=1, retain=True, expiry_s=None, user_properties=())
        self._post(_Letter(device, Channel.STOP, f"{topic} clear", packet, None, math.inf))

    def attach(self, line: Line) -> None:
        """Use this connection from now on; what the last one left unacknowledged goes out again, first."""
        assert self._line is None, "two connections at once"
        self._line = line
        self._flush()

    def detach(self) -> None:
        """The connection is over: what it did not acknowledge waits again, in its old order."""
        self._line = None
        again = list(self._in_flight.values())
        self._in_flight.clear()
        self._first = [letter for letter in again if letter.channel is Channel.STOP] + self._first
        newer = self._then
        self._then = OrderedDict((letter.key, letter) for letter in again if letter.channel is not Channel.STOP)
        for key, letter in newer.items():
            self._then[key] = letter

    def acknowledged(self, packet_id: int, reason_code: int) -> None:
        """The broker has answered a publish."""
        letter = self._in_flight.pop(packet_id, None)
        if letter is None:  # of a connection before this one
            return
        if reason_code >= ERROR_CODES_FROM:
            why = Undelivered.DENIED if reason_code == DENIED else Undelivered.REFUSED
            self._failed(letter.device, letter.channel, why)
        elif isinstance(letter.message, Stop):
            hold_id = sealed.hold_id_of(letter.packet.payload) if letter.packet.retain else None
            self._report.stop_taken(StopTaken(letter.message.command_id, hold_id, self._boottime()))
        self._flush()

    # --- the insides ------------------------------------------------------------------------------------------------

    def _packed(self, device: str, channel: Channel, message: DownlinkMessage) -> sealed.Packet | None:
        keys = None if device == ALL else self._keyring.answering(device)
        if keys is not None or device == ALL:
            return sealed.pack(self._site, device, message, keys)
        if isinstance(
            message, Stop
        ):  # struck off a moment ago, perhaps under current: any bytes stop, also without MAC
            topic = topic_for(self._site, device, channel)
            return sealed.Packet(topic, encode(message), 1, message.hold, None, ())
        return None

    def _send_now_or_never(self, device: str, channel: Channel, packet: sealed.Packet) -> None:
        if self._line is None or not self._line.drains:
            self._failed(device, channel, Undelivered.NOT_CONNECTED)
            return
        self._line.publish(
            packet.topic, packet.payload, qos=0, retain=packet.retain, user_properties=packet.user_properties
        )

    def _post(self, letter: _Letter) -> None:
        if letter.channel is Channel.STOP:
            on_topic = [other for other in self._first if other.packet.topic == letter.packet.topic]
            if on_topic and on_topic[-1].key == letter.key:
                return  # it waits already, and nothing after it undoes it
        if letter.key not in self._then and self.waiting >= self._items_max:
            self._failed(letter.device, letter.channel, Undelivered.OUTBOX_FULL)
            return
        if letter.channel is Channel.STOP:
            self._first.append(letter)
        else:
            self._then[letter.key] = letter  # a newer one of the same key takes the older one's place
        self._flush()

    def _flush(self) -> None:
        line = self._line
        while line is not None and len(self._in_flight) < line.unacknowledged_max and (self._first or self._then):
            letter = self._first.pop(0) if self._first else self._then.popitem(last=False)[1]
            left_s = letter.expires_s - self._boottime()
            if left_s <= 0:
                self._failed(letter.device, letter.channel, Undelivered.EXPIRED)
                continue
            packet = letter.packet
            packet_id = line.publish(
                packet.topic,
                packet.payload,
                qos=packet.qos,
                retain=packet.retain,
                expiry_s=None if math.isinf(left_s) else math.ceil(left_s),
                user_properties=packet.user_properties,
            )
            self._in_flight[packet_id] = letter

    def _failed(self, device: str, channel: Channel, why: Undelivered) -> None:
        self.counts[channel, why] += 1
        self._report.undelivered(device, channel, why)


def _key_of(topic: str, message: DownlinkMessage) -> str:
    """What is equal for messages of which the newest says everything."""
    match message:
        case Receipt(spool_id):
            return f"{topic} {spool_id}"
        case _:
            return f"{topic} {getattr(message, 'command_id', '')}"
