"""Everything that devices say, from the intake connection into the one inbox: authentic and well-formed, or counted.

Nothing that comes in can grow anything: telemetry that finds the inbox full is shed and counted; everything else waits,
unacknowledged, and the broker holds back what comes after. That holds at QoS 1 only: what should come so and does not
is refused. Refusals reach the inbox once a second for one device,
channel and reason, and are counted always.
"""

import asyncio
import hashlib
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from broker.contract.messages import Telemetry
from broker.contract.shapes import COUNT_MAX
from broker.contract.topics import CHANNELS, FLEET, ROOT, UPLINKS, Address, Channel, Direction, topic_for
from broker.wire import sealed
from fleet.core.inputs import Received, Rejected, Unreadable
from fleet.frames import Arrived
from fleet.keyring import Keyring

UNACKNOWLEDGED_MAX = 1_000
REJECTED_AGAIN_S = 1.0
REJECTED_KINDS_MAX = 4_096
REJECTED_ECHO = "not_an_echo"
REJECTED_QOS = "wrong_qos"

Item = Received | Rejected | Unreadable
Took = Callable[[str, bytes, float, float], None]  # device, payload, boot time and wall time of its coming


class Inbox(Protocol):
    """Where items go."""

    def offer(self, item: Item) -> bool:
        """Take it now, or say that there is no room."""

    def put(self, item: Item) -> asyncio.Future[None] | None:
        """Take it as soon as there is room. None: it is in; otherwise done when it is."""


class Intake:
    """Opens what arrives. `heard` counts, by channel, what went into the inbox; `counts`, by (channel, reason), all
    that was refused and shed. `took` hears of every sample that went in.
    """

    def __init__(
        self,
        site: str,
        keyring: Keyring,
        inbox: Inbox,
        *,
        heard_echo: Callable[[bytes], bool],
        boottime: Callable[[], float],
        walltime: Callable[[], float],
        took: Took = lambda _device, _payload, _received_s, _wall_s: None,
    ) -> None:
        self.topics = (
            *((f"{ROOT}/{site}/+/{row.channel}", row.qos) for row in UPLINKS),
            (topic_for(site, FLEET, Channel.ECHO), 0),
        )
        self.heard: Counter[Channel] = Counter()
        self.counts: Counter[tuple[Channel | None, str]] = Counter()
        self._echo_topic = topic_for(site, FLEET, Channel.ECHO)
        self._opener = sealed.Opener(site, Direction.UPLINK, keyring)
        self._keyring = keyring
        self._inbox = inbox
        self._heard_echo = heard_echo
        self._took = took
        self._boottime = boottime
        self._walltime = walltime
        self._rejected_s: OrderedDict[tuple[str | None, Channel | None, str], float] = OrderedDict()

    def hear(self, arrived: Arrived) -> asyncio.Future[None] | None:
        """Take in one message. None: it may be acknowledged; otherwise when that is done."""
        if arrived.topic == self._echo_topic:
            if not self._heard_echo(arrived.payload):
                self._reject(None, Channel.ECHO, REJECTED_ECHO)
            return None
        opened = self._opener.open(arrived.topic, arrived.payload, arrived.user_properties)
        match opened:
            case sealed.Received(address, message, kid) if arrived.qos == CHANNELS[address.channel].qos:
                self._keyring.heard(address.device, kid)
                return self._take(address, message, arrived)
            case sealed.Received(address):
                self._reject(address.device, address.channel, REJECTED_QOS)
            case sealed.Refused(address, reason, _, authentic):
                device, channel = (address.device, address.channel) if address is not None else (None, None)
                if authentic and device is not None and channel is Channel.EVENT and arrived.qos:
                    self.counts[channel, reason] += 1
                    return self._inbox.put(self._unreadable(device, arrived.payload))
                self._reject(device, channel, reason)
            case sealed.Cleared():
                pass  # a retained birth or presence was taken away: that says nothing about the device
            case sealed.Stopped(address):
                raise AssertionError(f"a stop is no uplink: {address}")
        return None

    def _take(self, address: Address, message: Any, arrived: Arrived) -> asyncio.Future[None] | None:
        item = Received(address.device, message, self._boottime(), self._walltime(), arrived.retained)
        if not isinstance(message, Telemetry):
            self.heard[address.channel] += 1
            return self._inbox.put(item)
        if not self._inbox.offer(item):
            self.counts[Channel.TELEMETRY, "shed"] += 1
            return None
        self.heard[address.channel] += 1
        if not arrived.retained:
            self._took(address.device, arrived.payload, item.received_s, item.wall_s)
        return None

    def _reject(self, device: str | None, channel: Channel | None, reason: str) -> None:
        self.counts[channel, reason] += 1
        kind, now_s = (device, channel, reason), self._boottime()
        last_s = self._rejected_s.get(kind)
        if last_s is not None and now_s - last_s < REJECTED_AGAIN_S:
            return
        self._rejected_s[kind] = now_s
        self._rejected_s.move_to_end(kind)
        if len(self._rejected_s) > REJECTED_KINDS_MAX:
            self._rejected_s.popitem(last=False)
        if not self._inbox.offer(Rejected(device, channel, str(reason), now_s, self._walltime())):
            self.counts[channel, "shed"] += 1

    def _unreadable(self, device: str, payload: bytes) -> Unreadable:
        spool_id, n = _where_it_says_it_is(payload)
        digest = hashlib.sha256(payload).hexdigest()
        return Unreadable(device, spool_id, n, digest, self._boottime(), self._walltime())


def _where_it_says_it_is(payload: bytes) -> tuple[str | None, int | None]:
    """Spool and n of an event that is otherwise unreadable, where they can still be made out."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(said, dict):
        return None, None
    spool_id, n = said.get("spool_id"), said.get("n")
    return (
        spool_id if isinstance(spool_id, str) and re.fullmatch(r"[0-9a-f]{32}", spool_id) else None,
        n if type(n) is int and 1 <= n <= COUNT_MAX else None,
    )
