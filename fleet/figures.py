"""What a fleet service shows of itself at one moment, read off its parts: for `/metrics`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.contract.topics import Channel
from fleet.adapters.downlink import Downlink
from fleet.adapters.feed.server import Feed
from fleet.adapters.intake import Intake
from fleet.adapters.metrics import Figures
from fleet.connections import Connections
from fleet.core.alarm_table import ROWS
from fleet.core.presence import Liveness, liveness
from fleet.core.state import OPEN_STATES, State
from fleet.footing import Footing
from fleet.inbox import Inbox
from fleet.owner import Owner
from fleet.stored import FleetJournal
from fleet.tally import OTHER, Tally


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the figures are."""

    site: str
    version: str
    owner: Owner
    tally: Tally
    inbox: Inbox
    intake: Intake
    downlink: Downlink
    journal: FleetJournal
    connections: Connections
    feed: Feed
    footing: Footing


def figures(parts: Parts, *, connected: bool, now_s: float, wall_s: float) -> Figures:
    """Everything at once, in the owner's thread. `now_s` is boot time, `wall_s` Unix time."""
    state, journal = parts.owner.state, parts.journal
    lag_rows, oldest_at = journal.waiting
    stops = state.durable.stops.values()
    devices = _devices(state, parts.tally, now_s)  # first: it makes every room known
    return Figures(
        site=parts.site,
        version=parts.version,
        fleet_n=state.fleet_n,
        connected=connected,
        connections_lost={loss.value: count for loss, count in parts.connections.losses.items()},
        draining=state.durable.draining,
        rooms=parts.tally.rooms,
        devices=devices,
        sessions=_sessions(state, parts.tally),
        alarms=_alarms(state),
        events=parts.tally.events,
        latency_s=parts.tally.latency_s,
        stops_open=len(stops),
        stops_unconfirmed=len({name for stop in stops for name, p in stop.pursuits.items() if p.unconfirmed}),
        refused={**_by_whom("intake", parts.intake.counts), **_by_whom("core", parts.owner.counts)},
        undelivered={(channel.value, why.value): count for (channel, why), count in parts.downlink.counts.items()},
        inbox=len(parts.inbox),
        outbox=parts.downlink.waiting,
        journal_position=journal.position,
        journal_refusing=journal.refusing,
        journal_lag_rows=lag_rows,
        journal_lag_s=0.0 if oldest_at is None else max(0.0, wall_s - datetime.fromisoformat(oldest_at).timestamp()),
        pager_silent_s=now_s - max(state.fleeting.pager_s, state.durable.took_over_s),
        feed_readers=parts.feed.readers,
        feed_missed=parts.feed.missed,
        disk_free_bytes=parts.footing.disk_free_bytes,
        disk_size_bytes=parts.footing.disk_size_bytes,
        certificate_ends_wall_s={**parts.footing.certificate_ends_wall_s, **_first_device_to_end(state)},
    )


def _first_device_to_end(state: State) -> dict[str, float]:
    """Of all devices the certificate that ends first: which one it is, A11 says."""
    devices = state.durable.registry.devices.values()
    ends = [device.due_wall_s for device in devices if device.due_wall_s is not None and not device.struck_off]
    return {"device": min(ends)} if ends else {}


def _devices(state: State, tally: Tally, now_s: float) -> Counter[tuple[str, ...]]:
    present = [
        (tally.room_of(name), liveness(state, name, now_s).value)
        for name, registered in state.durable.registry.devices.items()
        if not registered.struck_off
    ]
    counted = _nothing_yet(tally, [presence.value for presence in Liveness])
    counted.update(present)
    return counted


def _sessions(state: State, tally: Tally) -> Counter[tuple[str, ...]]:
    counted = _nothing_yet(tally, sorted(open_state.value for open_state in OPEN_STATES))
    for session in state.open_sessions():
        room = session.authorisation.room  # the one that it was authorised in, which may be no room any more
        counted[room if room in tally.rooms else OTHER, session.state.value] += 1
    return counted


def _alarms(state: State) -> Counter[tuple[str, ...]]:
    counted = Counter({(row.code.value, row.priority.value): 0 for row in ROWS.values()})
    counted.update((alarm.code.value, alarm.priority.value) for alarm in state.durable.alarms.values())
    return Counter[tuple[str, ...]](counted)


def _nothing_yet(tally: Tally, words: Iterable[str]) -> Counter[tuple[str, ...]]:
    """A zero for each room and word: a series that comes and goes cannot be alerted on."""
    return Counter({(room, word): 0 for word in words for room in tally.rooms})


def _by_whom(who: str, counts: Mapping[tuple[Channel | None, str], int]) -> dict[tuple[str, ...], int]:
    return {
        (who, "none" if channel is None else channel.value, str(reason)): count
        for (channel, reason), count in counts.items()
    }
