"""The keys of every link, derived from what is on disk: the fleet's ring and a device's own.

During a renewal or rotation a link has several pairs of keys; each side accepts them all and answers under the one
that the other side used last. The newest comes first.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.pki.registry import BadRegistry, Device, Registry
from broker.wire.mac import LinkKeys, by_kid, device_link, site_link

Links = dict[str, dict[str, LinkKeys]]


@dataclass(frozen=True, slots=True)
class DevicePapers:
    """What `device.json` says. The paths of keys and certificates are those beside it."""

    folder: Path
    site: str
    device: str
    room: str
    serial: str
    model: str
    broker_host: str
    broker_port: int

    @property
    def key(self) -> Path:
        return self.folder / "device.key"

    @property
    def certificate(self) -> Path:
        return self.folder / "device.crt"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"


def load_papers(folder: Path) -> DevicePapers:
    """Read a device's folder.

    Raises:
        BadRegistry: `device.json` is not there or not what `stimfleet provision device` writes.
    """
    path = folder / "device.json"
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        papers = DevicePapers(folder=folder, **document)
    except OSError as error:
        raise BadRegistry(f"The device's papers {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise BadRegistry(f"The device's papers {path} are not what `stimfleet provision device` writes.") from error
    texts = (papers.site, papers.device, papers.room, papers.serial, papers.model, papers.broker_host)
    if not all(isinstance(text, str) for text in texts) or type(papers.broker_port) is not int:
        raise BadRegistry(f"The device's papers {path} are not what `stimfleet provision device` writes.")
    return papers


def device_links(papers: DevicePapers) -> dict[str, LinkKeys]:
    """A device's own links by kid: one, under the site key it was given."""
    from broker.pki.keys import key_from_pem, public_from_pem

    key = key_from_pem(papers.key.read_bytes())
    site_public = public_from_pem((papers.folder / "site.pub").read_bytes())
    return by_kid([device_link(key, site_public, papers.site, papers.device)])


def site_links(site_dir: Path, registry: Registry) -> Links:
    """The fleet's ring: every active device's links by kid, the newest pair of keys first."""
    from broker.pki.keys import key_from_pem, public_from_point

    paths = [path for path in (site_dir / "site.key", site_dir / "site.key.old") if path.exists()]
    keys = [key_from_pem(path.read_bytes()) for path in paths]

    def links(device: Device) -> dict[str, LinkKeys]:
        points = [public_from_point(point) for point in reversed(device.public_keys)]
        return by_kid(site_link(key, point, registry.site, device.id) for key in keys for point in points)

    return {device.id: links(device) for device in registry.active_devices}
