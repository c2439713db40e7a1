"""What the service stands on: room on its disk, and how long the site's certificates are good. For `/metrics`.

It is looked at in a thread beside the loop: a disk that hangs holds up nobody but its own figures.
"""

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.pki.folder import certificate_in
from broker.pki.site import BROKER_FOLDER, SERVER, SERVICES, SERVICES_FOLDER

log = logging.getLogger(__name__)
LOOK_S = 15.0


@dataclass(slots=True)
class Footing:
    """The newest look: bytes that this account may still write where the journal is, and of what whole; the end of each
    certificate of the site as Unix time. What cannot be looked at is not shown: a figure from before would be taken
    for true.
    """

    site_dir: Path
    data_dir: Path
    disk_free_bytes: int | None = None
    disk_size_bytes: int | None = None
    certificate_ends_wall_s: Mapping[str, float] = field(default_factory=dict)
    _told: str | None = None

    async def watch(self) -> None:
        """Look every 15 s until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look now."""
        failed = None
        try:
            disk = os.statvfs(self.data_dir)
            self.disk_free_bytes, self.disk_size_bytes = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        except OSError as error:
            self.disk_free_bytes = self.disk_size_bytes = None
            failed = f"the disk under {self.data_dir} cannot be looked at: {error.strerror}"
        ends: dict[str, float] = {}
        for kind, path in _certificates(self.site_dir):
            try:
                ends[kind] = certificate_in(path).not_valid_after_utc.timestamp()
            except FileNotFoundError:  # the broker may live on another host, with its own folder
                continue
            except (OSError, ValueError) as error:
                failed = f"the certificate {path} cannot be read: {error}"
        self.certificate_ends_wall_s = ends
        if failed is not None and failed != self._told:
            log.warning("%s; it is not shown", failed)
        self._told = failed


def _certificates(site_dir: Path) -> Iterator[tuple[str, Path]]:
    yield "ca", site_dir / "ca.crt"
    yield SERVER, site_dir / BROKER_FOLDER / f"{SERVER}.crt"
    for service in SERVICES:
        yield service, site_dir / SERVICES_FOLDER / f"{service}.crt"
