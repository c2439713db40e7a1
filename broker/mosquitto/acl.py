"""The ACL: an allow list, one section an identity, written from CHANNELS and the registry. What is not listed may
do nothing (contract.md "Transport").

Mosquitto 2.0 grants every subscription and every will, and asks this list when it delivers or sends one: a wildcard
or shared subscription hears only what its identity may read, a foreign will is never sent, nor is that of a device
that was struck off meanwhile. `fleet-safety` may write the downlinks of every name, not only of listed devices, so
that a retained hold of a device that was struck off can be cleared.
"""

from collections.abc import Iterable, Iterator

from broker.contract.topics import (
    ALL,
    CHANNELS,
    DOWNLINKS,
    FLEET,
    FLEET_INTAKE,
    FLEET_SAFETY,
    ROOT,
    UPLINKS,
    Channel,
    Direction,
    topic_for,
)

_LOOPS = tuple(row for row in CHANNELS.values() if row.direction is Direction.LOOP)


def acl_text(site: str, devices: Iterable[str]) -> str:
    """The ACL file of a site whose devices in good standing are `devices`."""
    sections = [_section(FLEET_INTAKE, _intake(site)), _section(FLEET_SAFETY, _safety(site))]
    sections += [_section(device, _device(site, device)) for device in devices]
    return "# Written by stimfleet from the registry. An allow list: nobody may do what is not here.\n\n" + "\n".join(
        sections
    )


def _section(identity: str, lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in (f"user {identity}", *lines))


def _intake(site: str) -> Iterator[str]:
    for row in UPLINKS:
        yield f"topic read {ROOT}/{site}/+/{row.channel}"
    for row in _LOOPS:
        yield f"topic read {topic_for(site, FLEET, row.channel)}"


def _safety(site: str) -> Iterator[str]:
    for row in DOWNLINKS:
        yield f"topic write {ROOT}/{site}/+/{row.channel}"
    for row in _LOOPS:
        yield f"topic write {topic_for(site, FLEET, row.channel)}"


def _device(site: str, device: str) -> Iterator[str]:
    for row in UPLINKS:
        yield f"topic write {topic_for(site, device, row.channel)}"
    for row in DOWNLINKS:
        yield f"topic read {topic_for(site, device, row.channel)}"
    yield f"topic read {topic_for(site, ALL, Channel.STOP)}"
