"""The connection to the broker: made, lost and made again, a new client each time (contract.md "Transport").

    connect (clean start, will) -> subscribe -> birth -> presence -> lanes, until something breaks or the agent ends

Lanes run side by side, so that none waits for another: acks, live samples, late samples, births, events from the
spool, receipts. What the fleet says is heard in the socket's own callback: no queue, so nothing can be ahead of a stop.
Known of aiomqtt 2.5: it does not reconnect; a publish that timed out is still sent when the same client object
connects again; a publish that the broker's ACL refused raises nothing (here it is counted); a cancellation may get
lost in it (`_heed_cancellation`).

    MqttError              the connection is lost or not made: tried again after a jittered pause
    anything else          a bug: it ends the process
"""

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agents.clocks import Clocks
from agents.control import Snapshot
from agents.downlink import Downlink, Hears
from agents.spool import Receipted, Spool
from agents.steps import Acknowledge, Sample
from agents.uplink import Outbox, birth_of
from broker.contract.messages import CommandRefused, Event, Message, Presence, Receipt
from broker.contract.topics import ALL, DOWNLINKS, Channel, topic_for
from broker.wire.mac import LinkKeys
from broker.wire.sealed import Packet, pack

_log = logging.getLogger(__name__)
R = TypeVar("R")

KEEPALIVE_S: Final = 5
PUBLISH_S: Final = 5.0  # without an acknowledgement for so long the connection is given up
CONNECT_S: Final = 3.0
BACKOFF_LEAST_S: Final = 0.2
BACKOFF_MOST_S: Final = 5.0
SETTLED_S: Final = 10.0  # a connection that held so long was a good one: the next pause is short again
FAREWELL_S: Final = 1.0
LATE_PAUSE_S: Final = 0.02  # between late samples, so that a day's worth does not crowd out the present
WINDOW: Final = 64  # events told and not yet receipted
RESEND_LEAST_S: Final = 5.0
RESEND_MOST_S: Final = 60.0

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


class _Farewell(Exception):
    """The agent ends, and has said so."""


class _Client(aiomqtt.Client):
    """Counts publishes that the broker denied, which aiomqtt reports as success."""

    def __init__(self, on_denied: Callable[[], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_denied = on_denied
        self._client.connect_timeout = CONNECT_S

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any) -> None:
        if reason_code.is_failure:
            self._on_denied()
        super()._on_publish(client, userdata, mid, reason_code, properties)


class Link:
    """One device's link. `say_*` may be called from any thread, everything else from the event loop's."""

    def __init__(
        self,
        endpoint: Endpoint,
        control: Hears,
        snapshot: Callable[[], Snapshot],
        spool: Spool,
        disk: Executor,
        clocks: Clocks,
        on_refused: Callable[[CommandRefused], None],
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._endpoint = endpoint
        self._snapshot = snapshot
        self._spool = spool
        self._disk = disk
        self._clocks = clocks
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(lambda: snapshot().boot_n, clocks)
        self.downlink = Downlink(
            endpoint.site, endpoint.device, endpoint.keys, control, self._on_receipt, on_refused, clocks.boottime_s
        )
        self.connected = False
        self.counts: Counter[str] = Counter()
        self._receipts: deque[Receipt] = deque(maxlen=WINDOW)  # cumulative: what gives way, the next one covers
        self._receipt_came = asyncio.Event()
        self._events_wait = asyncio.Event()
        self._birth_changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._bug: asyncio.Future[None] = self._loop.create_future()
        self._sent_n = 0  # the newest event told on this connection
        self._resend_s = RESEND_LEAST_S

    # --- from any thread --------------------------------------------------------------------------------------------

    def say_sample(self, sample: Sample) -> None:
        self._loop.call_soon_threadsafe(self.outbox.put_sample, sample)

    def say_ack(self, ack: Acknowledge) -> None:
        self._loop.call_soon_threadsafe(self.outbox.put_ack, ack)

    def say_events(self) -> None:
        """There are new events in the spool."""
        self._loop.call_soon_threadsafe(self._events_wait.set)

    def say_birth(self) -> None:
        """Something that a birth says has changed."""
        self._loop.call_soon_threadsafe(self._birth_changed.set)

    # --- the life of the link ---------------------------------------------------------------------------------------

    def end(self) -> None:
        """Say what is left, say goodbye, and let `run` return."""
        self._ending.set()

    async def run(self) -> None:
        """Connect, and again, until `end`."""
        failures = 0
        while not self._ending.is_set():
            began_s = self._clocks.boottime_s()
            try:
                await self._connection()
            except* _Farewell:
                pass  # `end` was called: the loop is over
            except* aiomqtt.MqttError as lost:
                self.counts["connections_lost"] += 1
                _log.warning("no connection to %s:%d: %s", self._endpoint.host, self._endpoint.port, _reasons(lost))
            finally:
                self.connected = False
            _forget_cancellation()
            failures = 1 if self._clocks.boottime_s() - began_s >= SETTLED_S else failures + 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._backoff_s(failures)):
                    await self._ending.wait()

    def _backoff_s(self, failures: int) -> float:
        """Jittered over the whole span, so that a clinic's agents do not come back in step."""
        most_s = min(BACKOFF_MOST_S, BACKOFF_LEAST_S * 2.0 ** min(failures, 10))
        return self._jitter(BACKOFF_LEAST_S, most_s)

    async def _connection(self) -> None:
        will = self._packet(Presence(self._snapshot().boot_n, online=False))
        async with self._new_client(will) as client:
            _heed_cancellation()
            await self._subscribe(client)
            self._birth_changed.clear()
            await self._publish(client, await self._birth())
            await self._publish(client, Presence(self._snapshot().boot_n, online=True))
            self.connected = True
            self.counts["connections"] += 1
            _log.info("connected to %s:%d", self._endpoint.host, self._endpoint.port)
            await self._speak(client)

    async def _speak(self, client: aiomqtt.Client) -> None:
        self._sent_n = 0
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._notice_loss(client), name="link: connection lost")
            lanes.create_task(self._notice_bug(), name="link: bugs")
            lanes.create_task(self._send_acks(client), name="link: acks")
            lanes.create_task(self._send_live(client), name="link: live samples")
            lanes.create_task(self._send_births(client), name="link: births")
            lanes.create_task(self._send_events(client), name="link: events")
            lanes.create_task(self._take_receipts(), name="link: receipts")
            lanes.create_task(self._send_late(client), name="link: late samples")
            lanes.create_task(self._say_farewell(client), name="link: farewell")

    def _new_client(self, will: Packet) -> aiomqtt.Client:
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        connect.SessionExpiryInterval = 0
        return _Client(
            self._denied,
            self._endpoint.host,
            self._endpoint.port,
            identifier=self._endpoint.device,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=connect,
            will=aiomqtt.Will(
                will.topic, will.payload, will.qos, will.retain, _properties(will, PacketTypes.WILLMESSAGE)
            ),
            tls_context=self._endpoint.tls,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            socket_options=_SOCKET_OPTIONS,
            queue_type=self._ear(),
        )

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Hear before speaking: whatever answers a birth finds an open ear."""
        site, device = self._endpoint.site, self._endpoint.device
        topics = [(topic_for(site, ALL, Channel.STOP), 1)]
        topics += [(topic_for(site, device, row.channel), row.qos) for row in DOWNLINKS]
        granted: Iterable[ReasonCode | int] = await client.subscribe(topics)
        _heed_cancellation()
        denied = [topic for (topic, _), code in zip(topics, granted, strict=True) if _is_failure(code)]
        if denied:
            raise Refused(f"the broker refuses to let us hear {', '.join(denied)}")

    # --- hearing ----------------------------------------------------------------------------------------------------

    def _ear(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        """aiomqtt puts what arrives into a queue of a given class; this one hears it at once and keeps nothing."""
        hear = self._hear

        class Ear(asyncio.Queue[aiomqtt.Message]):
            def put_nowait(self, item: aiomqtt.Message) -> None:
                hear(item)

        return Ear

    def _hear(self, message: aiomqtt.Message) -> None:
        try:
            properties = getattr(message.properties, "UserProperty", ())
            self.downlink.hear(message.topic.value, _bytes(message.payload), properties, retained=message.retain)
        except BaseException as bug:  # aiomqtt would take it for a lost connection
            if not self._bug.done():
                self._bug.set_exception(bug)
            raise

    async def _notice_bug(self) -> None:
        await asyncio.shield(self._bug)

    async def _notice_loss(self, client: aiomqtt.Client) -> None:
        async for _ in client.messages:  # ends with MqttError when the connection does
            raise AssertionError("the ear keeps nothing")

    def _on_receipt(self, receipt: Receipt) -> None:
        self._receipts.append(receipt)
        self._receipt_came.set()

    async def _take_receipts(self) -> None:
        while True:
            await self._receipt_came.wait()
            self._receipt_came.clear()
            while self._receipts:
                receipt = self._receipts.popleft()
                match await self._on_disk(partial(self._spool.take, receipt)):
                    case Receipted.DELETED:
                        self._resend_s = RESEND_LEAST_S
                    case Receipted.RENUMBERED:
                        self.counts["spool_renumbered"] += 1
                        self._sent_n = 0
                        self._birth_changed.set()
                    case Receipted.OTHER_SPOOL:
                        self.counts["receipts_of_other_spools"] += 1
                self._events_wait.set()

    # --- speaking ---------------------------------------------------------------------------------------------------

    async def _send_acks(self, client: aiomqtt.Client) -> None:
        while True:
            ack = await self.outbox.acks.head()
            await self._publish(client, ack)
            self.outbox.acks.take(ack)

    async def _send_live(self, client: aiomqtt.Client) -> None:
        while True:
            sample, telemetry = await self.outbox.next_live()
            await self._publish(client, telemetry)
            self.outbox.live.take(sample)

    async def _send_late(self, client: aiomqtt.Client) -> None:
        while True:
            telemetry = await self.outbox.late.head()
            await self._publish(client, telemetry)
            self.outbox.late.take(telemetry)
            await asyncio.sleep(LATE_PAUSE_S)

    async def _send_births(self, client: aiomqtt.Client) -> None:
        while True:
            await self._birth_changed.wait()
            self._birth_changed.clear()
            await self._publish(client, await self._birth())

    async def _send_events(self, client: aiomqtt.Client) -> None:
        """In order, at most a window ahead of the receipts; from the oldest again where no receipt comes."""
        while True:
            self._events_wait.clear()
            for event in await self._on_disk(self._next_events):
                await self._publish(client, event)
                if event.spool_id == self._spool.spool_id:  # renumbered meanwhile: its number means nothing any more
                    self._sent_n = max(self._sent_n, event.n)
                self._events_wait.set()  # there may be more
            try:
                async with asyncio.timeout(self._jitter(0.8, 1.2) * self._resend_s):
                    await self._events_wait.wait()
            except TimeoutError:
                self._resend_s = min(RESEND_MOST_S, 2.0 * self._resend_s)
                self._sent_n = 0

    def _next_events(self) -> tuple[Event, ...]:
        oldest_n = self._spool.oldest_n
        room = oldest_n + WINDOW - 1 - max(self._sent_n, oldest_n - 1)
        return self._spool.pending(self._sent_n, min(room, 16)) if room > 0 else ()

    async def _birth(self) -> Message:
        spool_id, oldest_n = await self._on_disk(lambda: (self._spool.spool_id, self._spool.oldest_n))
        return birth_of(self._snapshot(), spool_id, oldest_n, self._now())

    async def _say_farewell(self, client: aiomqtt.Client) -> None:
        await self._ending.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._all_said()
        await self._publish(client, Presence(self._snapshot().boot_n, online=False))
        raise _Farewell

    async def _all_said(self) -> None:
        """Acks and samples sent, the spool receipted."""
        # Several queues at once, one of them on disk, for at most FAREWELL_S: asked rather than awaited.
        while len(self.outbox.acks) + len(self.outbox.live) > 0 or await self._on_disk(self._events_left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def _events_left(self) -> bool:
        return self._spool.oldest_n < self._spool.next_n

    async def _publish(self, client: aiomqtt.Client, message: Message) -> None:
        packet = self._packet(message)
        await client.publish(
            packet.topic,
            packet.payload,
            packet.qos,
            packet.retain,
            _properties(packet, PacketTypes.PUBLISH),
            timeout=PUBLISH_S,
        )
        _heed_cancellation()

    def _packet(self, message: Message) -> Packet:
        keys = next(iter(self._endpoint.keys.values()))
        return pack(self._endpoint.site, self._endpoint.device, message, keys)

    def _denied(self) -> None:
        if not self.counts["publishes_denied"]:
            _log.error("the broker denies what we publish: this device may have been struck off")
        self.counts["publishes_denied"] += 1

    def _now(self) -> str:
        return self._clocks.wall_time_of(self._clocks.boottime_s())

    async def _on_disk(self, work: Callable[[], R]) -> R:
        return await self._loop.run_in_executor(self._disk, work)


def _heed_cancellation() -> None:
    """After every call of aiomqtt, which waits with `asyncio.wait_for`: until Python 3.12 that swallows a cancellation
    that comes in the same turn as what it waits for, and the lane would go on for ever (seen in a test).

    Raises:
        asyncio.CancelledError: this task was told to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError


def _forget_cancellation() -> None:
    """After a task group has failed: until Python 3.13 the request by which it ended its own task stays counted."""
    task = asyncio.current_task()
    while task is not None and task.cancelling() > 0:
        task.uncancel()


def _properties(packet: Packet, kind: int) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]  # paho's
    properties.UserProperty = list(packet.user_properties)
    return properties


def _bytes(payload: object) -> bytes:
    if not isinstance(payload, bytes | bytearray):
        raise AssertionError("paho delivers bytes")
    return bytes(payload)


def _is_failure(code: ReasonCode | int) -> bool:
    return code.is_failure if isinstance(code, ReasonCode) else code >= 0x80


def _reasons(lost: BaseExceptionGroup[Any]) -> str:
    return "; ".join(str(one) for one in lost.exceptions)
