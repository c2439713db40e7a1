"""Everything that the fleet says to devices, out over the safety connection.

Leases (QoS 0) go now or not at all. Everything else waits in a bounded outbox until the broker has acknowledged it,
through any number of connections; stops and what clears them first, in order. What could not be delivered is
reported, never dropped in silence. The same command waiting twice on one topic waits once.

Stops have a bound of their own, in all and for one topic: neither receipts nor the stops of one device may take the
room of another device's stop.
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
from fleet.mqtt import NoConnection

DENIED = 0x87
ERROR_CODES_FROM = 0x80
STOPS_A_TOPIC_MAX = 16  # as many holds as the fleet and the agents keep of one scope


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


@dataclass(frozen=True, slots=True)
class RetainedCleared:
    """The broker keeps no stop of `device` (`topics.ALL`: of the site) any more; `command_id` asked for that."""

    device: str
    command_id: str
    sent_s: float


class Report(Protocol):
    """Hears what became of messages."""

    def stop_taken(self, taken: StopTaken) -> None:
        """A stop is with the broker."""

    def retained_cleared(self, cleared: RetainedCleared) -> None:
        """A retained stop is gone from the broker."""

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
        """Hand one message to the socket; its packet id.

        Raises:
            NoConnection: the connection is over. Between that and `detach` there are turns of the loop.
        """


@dataclass(frozen=True, slots=True)
class _Clear:
    """Instead of a message: nothing is to be retained."""

    command_id: str


@dataclass(frozen=True, slots=True)
class _Letter:
    """One message that waits for its acknowledgement."""

    device: str
    channel: Channel
    key: str  # two with one key say the same
    packet: sealed.Packet
    message: DownlinkMessage | _Clear
    expires_s: float

    @property
    def holds(self) -> bool:
        """A stop that the broker will keep."""
        return isinstance(self.message, Stop) and self.packet.retain


class Downlink:
    """The outbox. Connections come and go under it: `attach`, `detach`.

    `sent` counts, by channel, what went to the broker, also for the second time; `counts`, by channel and reason, all
    that was not delivered.
    """

    def __init__(
        self, site: str, keyring: Keyring, report: Report, *, boottime: Callable[[], float], items_max: int
    ) -> None:
        self.sent: Counter[Channel] = Counter()
        self.counts: Counter[tuple[Channel, Undelivered]] = Counter()
        self._site = site
        self._keyring = keyring
        self._report = report
        self._boottime = boottime
        self._items_max = items_max
        self._line: Line | None = None
        self._first: OrderedDict[str, _Letter] = OrderedDict()  # stops and what clears them
        self._stops_waiting: Counter[str] = Counter()  # of `_first`, by topic
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

    def clear_stop(self, device: str, command_id: str) -> None:
        """Take away the retained stop of `device` (`topics.ALL`: the site's), and report it under `command_id`."""
        topic = topic_for(self._site, device, Channel.STOP)
        packet = sealed.Packet(topic, b"", qos=1, retain=True, expiry_s=None, user_properties=())
        self._post(_Letter(device, Channel.STOP, _clearing(topic), packet, _Clear(command_id), math.inf))

    def attach(self, line: Line) -> None:
        """Use this connection from now on; what the last one left unacknowledged goes out again, first."""
        assert self._line is None, "two connections at once"
        self._line = line
        self._flush()

    def detach(self) -> None:
        """The connection is over: what it did not acknowledge waits again, in its old order."""
        self._line = None
        again = [*self._in_flight.values(), *self._first.values(), *self._then.values()]
        for letters in (self._in_flight, self._first, self._then, self._stops_waiting):
            letters.clear()
        for letter in again:  # each had its place before
            self._put(letter)

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
        elif isinstance(letter.message, _Clear):
            self._report.retained_cleared(RetainedCleared(letter.device, letter.message.command_id, self._boottime()))
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
        line = self._line
        if line is not None and line.drains:
            try:
                line.publish(
                    packet.topic, packet.payload, qos=0, retain=packet.retain, user_properties=packet.user_properties
                )
            except NoConnection:
                pass  # it has just ended
            else:
                self.sent[channel] += 1
                return
        self._failed(device, channel, Undelivered.NOT_CONNECTED)

    def _post(self, letter: _Letter) -> None:
        if self._has_room_for(letter):
            self._put(letter)
            self._flush()
        else:
            self._failed(letter.device, letter.channel, Undelivered.OUTBOX_FULL)

    def _has_room_for(self, letter: _Letter) -> bool:
        if letter.channel is not Channel.STOP:
            return letter.key in self._then or len(self._then) + len(self._in_flight) < self._items_max
        if letter.key in self._first or isinstance(letter.message, _Clear):  # one a topic
            return True
        on_topic = self._stops_waiting[letter.packet.topic]
        return on_topic < STOPS_A_TOPIC_MAX and len(self._first) < self._items_max

    def _put(self, letter: _Letter) -> None:
        """Into its place: a stop that waits keeps its own, of anything else the newest takes the older one's."""
        if letter.channel is not Channel.STOP:
            self._then[letter.key] = letter
            return
        topic = letter.packet.topic
        if letter.holds:  # it takes the place of what is retained: clearing that is not wanted any more
            self._first.pop(_clearing(topic), None)
        if letter.key not in self._first and isinstance(letter.message, Stop):
            self._stops_waiting[topic] += 1
        self._first[letter.key] = letter

    def _flush(self) -> None:
        line = self._line
        while line is not None and len(self._in_flight) < line.unacknowledged_max and (self._first or self._then):
            letter = next(iter((self._first or self._then).values()))
            left_s = letter.expires_s - self._boottime()
            if left_s <= 0:
                self._take_out(letter)
                self._failed(letter.device, letter.channel, Undelivered.EXPIRED)
                continue
            packet = letter.packet
            try:
                packet_id = line.publish(
                    packet.topic,
                    packet.payload,
                    qos=packet.qos,
                    retain=packet.retain,
                    expiry_s=None if math.isinf(left_s) else math.ceil(left_s),
                    user_properties=packet.user_properties,
                )
            except NoConnection:
                return  # it waits for the next connection
            self._take_out(letter)
            self._in_flight[packet_id] = letter
            self.sent[letter.channel] += 1

    def _take_out(self, letter: _Letter) -> None:
        """Out of the outbox: it is under way, or has expired."""
        if letter.channel is not Channel.STOP:
            del self._then[letter.key]
            return
        del self._first[letter.key]
        if isinstance(letter.message, Stop):
            topic = letter.packet.topic
            self._stops_waiting[topic] -= 1
            if not self._stops_waiting[topic]:
                del self._stops_waiting[topic]

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


def _clearing(topic: str) -> str:
    """The key of what clears a topic."""
    return f"{topic} clear"
