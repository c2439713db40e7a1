"""What Prometheus is shown, in its text format. Read off when somebody asks; nothing here costs anything before.

All counters start at 0 with the process: a restart is seen in `process_start_time_seconds`, and `rate()` knows it.
Labels are bounded: rooms, states, kinds and reasons, never a device or a client. A thousand devices would be tens of
thousands of series, and which device it is the alarm says, and the journal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from fleet.tally import Distribution, RoomTally

LABELS_MAX = 200  # of one family, besides rooms: what is refused has fixed words, and still somebody may add some
OTHER = "other"
SINCE = "Since the start of this process."

Counts = Mapping[tuple[str, ...], int]
Values = Mapping[tuple[str, ...], float]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that is shown, at one moment."""

    site: str
    version: str
    fleet_n: int
    connected: bool
    connections_lost: Mapping[str, int]  # by why
    draining: bool
    rooms: Mapping[str, RoomTally]
    devices: Counts  # by room and presence
    sessions: Counts  # by room and state, open ones
    alarms: Counts  # by code and priority, open ones
    events: Mapping[str, int]
    latency_s: Mapping[str, Distribution]
    stops_open: int
    stops_unconfirmed: int
    refused: Counts  # by who refused, channel and reason
    undelivered: Counts  # by channel and reason
    inbox: int
    outbox: int
    journal_position: int
    journal_refusing: bool
    journal_lag_rows: int
    journal_lag_s: float
    pager_silent_s: float
    feed_readers: int
    feed_missed: int
    disk_free_bytes: int | None  # None: it cannot be looked at
    disk_size_bytes: int | None
    certificate_ends_wall_s: Mapping[str, float]  # Unix time, by whose


class Exposition:
    """Makes text of figures, with what Python and the kernel say of this process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._shown = _Shown()
        self._registry.register(self._shown)

    def text(self, figures: Figures) -> bytes:
        self._shown.figures = figures
        return generate_latest(self._registry)


class _Shown:
    """A collector: asked by the registry, which it is registered with before there is anything to show."""

    figures: Figures | None = None

    def collect(self) -> Iterator[Metric]:
        return iter(()) if self.figures is None else _families(self.figures)


def _families(now: Figures) -> Iterator[Metric]:
    build = {"version": now.version, "site": now.site}
    yield InfoMetricFamily("stimfleet_build", "The fleet service and its site.", value=build)
    yield _gauge("stimfleet_fleet_number", "Number of this instance: one higher each time one takes over.", now.fleet_n)
    yield _gauge("stimfleet_connected", "Whether both connections to the broker carry.", now.connected)
    yield _counter(
        "stimfleet_connections_lost",
        "Connections to the broker that ended or did not come about, by why.",
        ("why",),
        _by_one(now.connections_lost),
    )
    yield _gauge("stimfleet_draining", "Whether nothing new is authorised until a person says so.", now.draining)
    yield from _of_rooms(now)
    yield from _of_stops(now)
    yield _labelled("stimfleet_alarms", "Alarms that are open, by code and priority.", ("code", "priority"), now.alarms)
    yield _counter("stimfleet_events", "Events that were journaled, by kind.", ("kind",), _by_one(now.events))
    yield _counter(
        "stimfleet_refused",
        "What came in and was refused or left out, by who did: intake before the core heard it, or the core.",
        ("by", "channel", "reason"),
        now.refused,
    )
    yield _counter(
        "stimfleet_undelivered",
        "What was to go out and did not reach the broker, or was refused by it.",
        ("channel", "reason"),
        now.undelivered,
    )
    yield _gauge("stimfleet_inbox_items", "What waits to be decided on.", now.inbox)
    yield _gauge("stimfleet_outbox_messages", "What the broker has not acknowledged.", now.outbox)
    yield _gauge(
        "stimfleet_journal_position", "Number of the journal's newest row, durable or not.", now.journal_position
    )
    yield _gauge("stimfleet_journal_refusing", "Whether the disk refuses: nothing is authorised.", now.journal_refusing)
    yield _gauge("stimfleet_journal_lag_rows", "Rows of the journal that are not durable yet.", now.journal_lag_rows)
    yield _gauge("stimfleet_journal_lag_seconds", "Age of the oldest row that is not durable yet.", now.journal_lag_s)
    yield _gauge(
        "stimfleet_pager_silent_seconds", "Since the pager was heard last, or this instance began.", now.pager_silent_s
    )
    yield _gauge("stimfleet_feed_readers", "Processes that read samples along: web, recorder, pager.", now.feed_readers)
    yield _counter(
        "stimfleet_feed_missed",
        "Samples that a reader was not given, because it did not keep up.",
        (),
        {(): now.feed_missed},
    )
    yield from _of_footing(now)


def _of_rooms(now: Figures) -> Iterator[Metric]:
    rooms = now.rooms.items()
    for name, says, counts in (
        (
            "samples",
            "Samples of devices that were heard, late ones too.",
            {room: tally.samples for room, tally in rooms},
        ),
        ("samples_late", "Samples sent after a link came back.", {room: tally.late for room, tally in rooms}),
        (
            "samples_missed",
            "Samples that did not come live, by their count: lost ones, and late ones.",
            {room: tally.missed for room, tally in rooms},
        ),
        ("leases", "Leases that were granted.", {room: tally.leases for room, tally in rooms}),
    ):
        yield _counter(f"stimfleet_{name}", says, ("room",), _by_one(counts))
    yield _histogram(
        "stimfleet_lease_margin_seconds",
        "Permission that a device had left when it took a sample, in seconds.",
        "room",
        {room: tally.margin_s for room, tally in rooms},
    )
    yield _labelled(
        "stimfleet_devices", "Devices of the registry, by room and presence.", ("room", "presence"), now.devices
    )
    yield _labelled("stimfleet_sessions", "Sessions that are open, by room and state.", ("room", "state"), now.sessions)


def _of_stops(now: Figures) -> Iterator[Metric]:
    yield _histogram(
        "stimfleet_stop_latency_seconds",
        "How long a stop took at a device, by phase; to measured zero only where zero was measured.",
        "phase",
        now.latency_s,
    )
    yield _gauge("stimfleet_stops_open", "Stops with a device on which zero has not been measured yet.", now.stops_open)
    yield _gauge(
        "stimfleet_stops_unconfirmed",
        "Devices on which zero was not confirmed in time: somebody has to switch them off.",
        now.stops_unconfirmed,
    )


def _of_footing(now: Figures) -> Iterator[Metric]:
    if now.disk_free_bytes is not None and now.disk_size_bytes is not None:
        yield _gauge("stimfleet_disk_free_bytes", "What may still be written beside the journal.", now.disk_free_bytes)
        yield _gauge("stimfleet_disk_size_bytes", "Size of the disk that the journal is on.", now.disk_size_bytes)
    yield _labelled(
        "stimfleet_certificate_end_timestamp_seconds",
        "When a certificate ends, as Unix time: whose it is; of the devices' the first one.",
        ("whose",),
        _by_one(now.certificate_ends_wall_s),
    )


# --- the insides ----------------------------------------------------------------------------------------------------


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=float(value))


def _labelled(name: str, says: str, labels: tuple[str, ...], counts: Values) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _counter(name: str, says: str, labels: tuple[str, ...], counts: Counts) -> Metric:
    family = CounterMetricFamily(name, f"{says} {SINCE}", labels=labels)
    for values, count in _bounded(counts).items():
        family.add_metric(values, count)
    return family


def _histogram(name: str, says: str, label: str, distributions: Mapping[str, Distribution]) -> Metric:
    family = HistogramMetricFamily(name, f"{says} {SINCE}", labels=(label,))
    for value, distribution in distributions.items():
        family.add_metric((value,), _cumulated(distribution), distribution.sum)
    return family


def _cumulated(distribution: Distribution) -> list[tuple[str, float]]:
    """As Prometheus wants it: each bucket holds all that is at or below its bound."""
    upto, buckets = 0, []
    for bound, count in zip((*map(str, distribution.bounds), "+Inf"), distribution.counts, strict=True):
        upto += count
        buckets.append((bound, float(upto)))
    return buckets


def _by_one(counts: Mapping[str, Number]) -> dict[tuple[str, ...], Number]:
    return {(name,): count for name, count in counts.items()}


def _bounded(counts: Counts) -> Counts:
    """At most `LABELS_MAX` of them; what is beyond is counted together."""
    if len(counts) <= LABELS_MAX:
        return counts
    kept = dict(list(counts.items())[:LABELS_MAX])  # those that came first: a series that was shown goes on
    (*_, last) = kept
    kept[(OTHER,) * len(last)] = sum(counts.values()) - sum(kept.values())
    return kept
