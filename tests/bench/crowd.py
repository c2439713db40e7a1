"""All devices of the bench and their connections, turned by one loop: one connection speaks for everybody, and some
devices have, besides, one of their own, with their own certificate, on which they hear their stops.
"""

import heapq
import itertools
import re
import select
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from broker.contract.messages import Phase, Stop
from broker.contract.topics import ALL, ROOT, Channel, Direction, topic_for
from broker.wire import sealed
from demo.processes import DidNotHappen
from tests.bench import wire
from tests.bench.device import Device
from tests.bench.site import BENCH, HEARD, SITE, Site
from tests.bench.wire import Frame, Wire

UNACKNOWLEDGED_MAX = 500  # of the bench's own publishes at QoS 1
PING_EVERY_S = 20.0
ZERO_AFTER_S = 0.1  # a device measures for so long before it says that there is no current
CHECKED_EVERY = 64  # of so many leases one is opened with its MAC; the others are counted
_LEASE = re.compile(rb'"answers":(\d+)')


class Crowd:
    """`stopped_s` holds when the newest stop of a device came (CLOCK_MONOTONIC), `answered_s` how long after a device's
    newest sample its lease came; `counts` what went wrong or by.
    """

    def __init__(self, site: Site, with_own_connection: Iterable[str] = ()) -> None:
        self.site = site
        self.counts: Counter[str] = Counter()
        self.stopped_s: dict[str, float] = {}
        self.answered_s: list[float] = []
        self.devices: dict[str, Device] = {}
        links = site.links(site.names)
        for n, name in enumerate(site.names):
            self.devices[name] = Device(SITE, name, f"SN-{n:04d}", site.room(n), links[name], self._say)
        ring = {name: {keys.kid: keys} for name, keys in links.items()}
        self._opener = sealed.Opener(SITE, Direction.DOWNLINK, ring)
        self._by_lease_topic = {topic_for(SITE, name, Channel.LEASE).encode(): d for name, d in self.devices.items()}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._waiting: deque[sealed.Packet] = deque()
        self._under_way: set[int] = set()
        self._packet_id = 1
        self._epoll = select.epoll()
        self._own: dict[int, tuple[Wire, Device]] = {}
        self.wire = site.connect(BENCH)
        self.wire.subscribe([(f"{ROOT}/{SITE}/+/{row.channel}", row.qos) for row in HEARD])
        self._watch(self.wire)
        for name in with_own_connection:
            own = site.connect(name)
            own.subscribe([(topic_for(SITE, name, Channel.STOP), 1), (topic_for(SITE, ALL, Channel.STOP), 1)])
            self._own[own.fileno()] = own, self.devices[name]
            self._watch(own)
        self.after(PING_EVERY_S, self._ping)

    def close(self) -> None:
        self._epoll.close()
        for connection in (self.wire, *(own for own, _ in self._own.values())):
            connection.close()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def turn(self, until_s: float) -> None:
        """Do what there is to do, and wait for it no longer than `until_s` (CLOCK_MONOTONIC)."""
        now_s = time.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            heapq.heappop(self._timers)[2]()
        self._send_waiting()
        due_s = min(until_s, self._timers[0][0]) if self._timers else until_s
        # epoll counts in milliseconds; select, on the one descriptor of the epoll, in microseconds.
        select.select([self._epoll], [], [], max(0.0, due_s - time.monotonic()))
        for descriptor, _ in self._epoll.poll(0):
            if descriptor in self._own:
                self._hear_stops(*self._own[descriptor])
            else:
                self._hear(self.wire.received())
        self._send_waiting()
        if self.wire.backlog:
            self.wire.flush()

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._count), do))

    def until(self, what: str, condition: Callable[[], bool], within_s: float = 60.0, period_s: float = 0.05) -> None:
        """Turn until something is so.

        Raises:
            DidNotHappen: it is not within `within_s`.
        """
        give_up_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > give_up_s:
                raise DidNotHappen(f"within {within_s:g} s: {what}. {self.site.fleet.last_words()}")
            self.turn(time.monotonic() + period_s)

    def pass_time(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.turn(until_s)

    @property
    def unacknowledged(self) -> int:
        """Publishes at QoS 1 that the broker has not answered."""
        return len(self._waiting) + len(self._under_way)

    def speak(self, devices: Iterable[Device]) -> None:
        """One sample of each, now."""
        now = at()
        self.wire.send(b"".join(device.sample(now) for device in devices))

    # --- the insides --------------------------------------------------------------------------------------------------

    def _watch(self, connection: Wire) -> None:
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _ping(self) -> None:
        for connection in (self.wire, *(own for own, _ in self._own.values())):
            connection.send(wire.PING)
        self.after(PING_EVERY_S, self._ping)

    def _say(self, packet: sealed.Packet) -> None:
        """At QoS 1, in order, no more under way than the broker takes; what one turn says goes out together."""
        self._waiting.append(packet)

    def _send_waiting(self) -> None:
        frames = []
        while self._waiting and len(self._under_way) < UNACKNOWLEDGED_MAX:
            self._packet_id = self._packet_id % 65_000 + 1
            if self._packet_id in self._under_way:
                continue
            self._under_way.add(self._packet_id)
            frames.append(wire.frame_of(self._waiting.popleft(), self._packet_id))
        if frames:
            self.wire.send(b"".join(frames))

    def _hear(self, frames: Iterable[Frame]) -> None:
        came_s = time.monotonic()
        for frame in frames:
            if frame.kind == wire.PUBLISH:
                topic, _ = wire.topic_and_rest(frame.body)
                device = self._by_lease_topic.get(topic)
                if device is None:
                    self._hear_message(frame)
                else:
                    self._hear_lease(device, frame, came_s)
            elif frame.kind == wire.PUBACK:
                self._acknowledged(frame)

    def _hear_lease(self, device: Device, frame: Frame, came_s: float) -> None:
        found = _LEASE.search(frame.body)
        assert found is not None, "a lease answers"
        device.hears_lease(int(found[1]))
        seq, spoke_s = device.spoke
        if seq == device.answered:
            self.answered_s.append(came_s - spoke_s)
        else:
            self.counts["leases_after_the_next_sample"] += 1
        if device.answered % CHECKED_EVERY == 0:
            self._open(frame)
            self.counts["leases_checked"] += 1

    def _hear_message(self, frame: Frame) -> None:
        said = wire.published(frame)
        if said.packet_id:
            self.wire.send(b"\x40\x02" + said.packet_id.to_bytes(2, "big"))
        opened = self._open(frame)
        self.counts[f"heard_{opened.address.channel}"] += 1
        self.devices[opened.address.device].hears(opened.message, at())

    def _open(self, frame: Frame) -> sealed.Received:
        said = wire.published(frame)
        opened = self._opener.open(said.topic, said.payload, said.user_properties)
        assert isinstance(opened, sealed.Received), f"no authentic message: {opened}"
        return opened

    def _hear_stops(self, connection: Wire, device: Device) -> None:
        frames = connection.received()
        came_s = time.monotonic()
        for frame in frames:
            if frame.kind != wire.PUBLISH:
                continue
            said = wire.published(frame)
            connection.send(b"\x40\x02" + said.packet_id.to_bytes(2, "big"))
            if not said.payload:  # nothing is retained there any more
                continue
            opened = self._opener.open(said.topic, said.payload, said.user_properties)
            assert isinstance(opened, sealed.Stopped), f"no stop: {opened}"
            assert opened.fields is not None, f"a stop without a good MAC: {opened.why_bare}"
            self._stop(device, opened.fields, opened.hold_id, came_s)

    def _stop(self, device: Device, stop: Stop, hold_id: str, came_s: float) -> None:
        if device.phase is Phase.LATCHED:
            self.counts["stops_repeated"] += 1
            return
        self.stopped_s[device.name] = came_s
        device.stops(stop, hold_id, at())
        self.after(ZERO_AFTER_S, lambda: device.measures_zero(stop, at()))

    def _acknowledged(self, frame: Frame) -> None:
        packet_id = int.from_bytes(frame.body[:2], "big")
        self._under_way.discard(packet_id)
        if len(frame.body) > 2 and frame.body[2] >= wire.ERROR_CODES_FROM:
            self.counts["publishes_refused"] += 1


def at() -> str:
    """The wall clock, as samples say it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
