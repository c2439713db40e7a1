"""The connection to the broker: made, lost and made again, a new client each time (contract.md "Transport").

    connect (clean start, will) -> subscribe -> birth -> presence -> lanes, until something breaks or the agent ends

Lanes run side by side, so that none waits for another: acks, live samples, late samples, births, events from the
spool, receipts. What the fleet says is heard in the socket's own callback: no queue, so nothing can be ahead of a stop.

    MqttError              the connection is lost or not made: tried again after a jittered pause
    anything else          a bug: it ends the process
"""

import asyncio
import contextlib
import logging
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, TypeVar

import aiomqtt

from agents.clocks import Clocks
from agents.connection import Endpoint, bytes_of, heed_cancellation, new_client, publish, subscribe
from agents.control import Snapshot
from agents.downlink import Downlink, Hears
from agents.spool import Receipted, Spool
from agents.steps import Acknowledge, Sample
from agents.uplink import Outbox, birth_of
from broker.contract.messages import CommandRefused, Event, Message, Presence, Receipt
from broker.wire.sealed import Packet, pack

_log = logging.getLogger(__name__)
R = TypeVar("R")

PUBLISH_S: Final = 5.0  # without an acknowledgement for so long the connection is given up
BACKOFF_LEAST_S: Final = 0.2
BACKOFF_MOST_S: Final = 5.0
SETTLED_S: Final = 10.0  # a connection that held so long was a good one: the next pause is short again
FAREWELL_S: Final = 1.0
BIRTH_EVERY_S: Final = 86_400.0
LATE_PAUSE_S: Final = 0.02  # between late samples, so that a day's worth does not crowd out the present
WINDOW: Final = 64  # events told and not yet receipted
RESEND_LEAST_S: Final = 5.0
RESEND_MOST_S: Final = 60.0


class _Farewell(Exception):
    """The agent ends, and has said so."""


class Link:
    """One device's link. `say_*` may be called from any thread, everything else from the event loop's.

    `on_telemetry` is called for each sample just before it is handed to a connection: what a kill leaves uncounted
    was not sent.
    """

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
        on_telemetry: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoint = endpoint
        self._control = control
        self._snapshot = snapshot
        self._spool = spool
        self._disk = disk
        self._clocks = clocks
        self._jitter = jitter
        self._on_telemetry = on_telemetry
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
        self._resend_at_s = math.inf  # boot time; infinite while nothing told waits for a receipt

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
            # A task of its own: until Python 3.13 the request by which a task group ended the task that it stands in
            # stays counted there, where it cannot be told from being ended from outside. Here it goes with the task.
            async with asyncio.TaskGroup() as alone:
                alone.create_task(self._connect(), name="link: connection")
            failures = 1 if self._clocks.boottime_s() - began_s >= SETTLED_S else failures + 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._backoff_s(failures)):
                    await self._ending.wait()

    async def _connect(self) -> None:
        try:
            await self._connection()
        except* _Farewell:
            pass  # `end` was called: the loop is over
        except* aiomqtt.MqttError as lost:
            self.counts["connections_lost"] += 1
            _log.warning("no connection to %s:%d: %s", self._endpoint.host, self._endpoint.port, _reasons(lost))
        finally:
            self.connected = False

    def _backoff_s(self, failures: int) -> float:
        """Jittered over the whole span, so that a clinic's agents do not come back in step."""
        most_s = min(BACKOFF_MOST_S, BACKOFF_LEAST_S * 2.0 ** min(failures, 10))
        return self._jitter(BACKOFF_LEAST_S, most_s)

    async def _connection(self) -> None:
        will = self._packet(Presence(self._snapshot().boot_n, online=False))
        async with new_client(self._endpoint, will, self._hear, self._denied) as client:
            heed_cancellation()
            await subscribe(client, self._endpoint)  # hear before speaking: what answers a birth finds an open ear
            self._birth_changed.clear()
            await self._publish(client, await self._birth())
            await self._publish(client, Presence(self._snapshot().boot_n, online=True))
            self.connected = True
            self._control.connected()
            self.counts["connections"] += 1
            _log.info("connected to %s:%d", self._endpoint.host, self._endpoint.port)
            await self._speak(client)

    async def _speak(self, client: aiomqtt.Client) -> None:
        self._tell_again()
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

    # --- hearing ----------------------------------------------------------------------------------------------------

    def _hear(self, message: aiomqtt.Message) -> None:
        try:
            properties = getattr(message.properties, "UserProperty", ())
            self.downlink.hear(message.topic.value, bytes_of(message.payload), properties, retained=message.retain)
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
                did, was_oldest_n, oldest_n = await self._on_disk(partial(self._take, receipt))
                match did:
                    case Receipted.DELETED if oldest_n > was_oldest_n:  # a repeated one says nothing new
                        self._resend_s = RESEND_LEAST_S
                        self._resend_at_s = math.inf if oldest_n > self._sent_n else self._resend_due_s()
                    case Receipted.DELETED:
                        self.counts["receipts_repeated"] += 1
                    case Receipted.RENUMBERED:
                        self.counts["spool_renumbered"] += 1
                        self._tell_again()
                        self._birth_changed.set()
                    case Receipted.OTHER_SPOOL:
                        self.counts["receipts_of_other_spools"] += 1
                self._events_wait.set()

    def _take(self, receipt: Receipt) -> tuple[Receipted, int, int]:
        """What the receipt did, and the oldest number before and after."""
        was_oldest_n = self._spool.oldest_n
        return self._spool.take(receipt), was_oldest_n, self._spool.oldest_n

    # --- speaking ---------------------------------------------------------------------------------------------------

    async def _send_acks(self, client: aiomqtt.Client) -> None:
        while True:
            ack = await self.outbox.acks.head()
            await self._publish(client, ack)
            self.outbox.acks.take(ack)

    async def _send_live(self, client: aiomqtt.Client) -> None:
        while True:
            sample, telemetry = await self.outbox.next_live()
            self._on_telemetry()
            await self._publish(client, telemetry)
            self.outbox.live.take(sample)

    async def _send_late(self, client: aiomqtt.Client) -> None:
        while True:
            telemetry = await self.outbox.late.head()
            self._on_telemetry()
            await self._publish(client, telemetry)
            self.outbox.late.take(telemetry)
            await asyncio.sleep(LATE_PAUSE_S)

    async def _send_births(self, client: aiomqtt.Client) -> None:
        """Whenever one of them says something new; and once a day, so that the fleet's list of what is active at this
        device is the device's own, whatever was missed."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BIRTH_EVERY_S):
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
                    self._resend_at_s = min(self._resend_at_s, self._resend_due_s())
                self._events_wait.set()  # there may be more
            # Until a time, not for a time: new events must not put off the old ones.
            left_s = self._resend_at_s - self._clocks.boottime_s()
            if left_s > 0.0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left_s if math.isfinite(left_s) else None):
                        await self._events_wait.wait()
            elif await self._on_disk(lambda: self._spool.oldest_n) > self._sent_n:
                self._resend_at_s = math.inf  # the receipt came before the broker's own acknowledgement
            else:
                self._resend_s = min(RESEND_MOST_S, 2.0 * self._resend_s)
                self._tell_again()

    def _resend_due_s(self) -> float:
        return self._clocks.boottime_s() + self._jitter(0.8, 1.2) * self._resend_s

    def _tell_again(self) -> None:
        """From the oldest kept event on."""
        self._sent_n, self._resend_at_s = 0, math.inf

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
        while not self.outbox.is_told or await self._on_disk(self._events_left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def _events_left(self) -> bool:
        return self._spool.oldest_n < self._spool.next_n

    async def _publish(self, client: aiomqtt.Client, message: Message) -> None:
        await publish(client, self._packet(message), PUBLISH_S)

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


def _reasons(lost: BaseExceptionGroup[Any]) -> str:
    return "; ".join(str(one) for one in lost.exceptions)
