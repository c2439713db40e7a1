"""What the fleet reads of its site's folder: the list, the keys, and the list as the core wants it."""

from dataclasses import dataclass
from pathlib import Path

from broker.pki.link import Links, site_links
from broker.pki.registry import FILE_NAME, Registry
from broker.pki.registry_file import load_registry
from fleet.core.registry import Registry as CoreRegistry
from fleet.core.rota import Rota
from fleet.roster import core_registry
from fleet.rota.file import FILE_NAME as ROTA_FILE_NAME
from fleet.rota.file import BadRota, core_rota, load_rota
from fleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """All of it, as it was at one time."""

    registry: Registry
    links: Links
    adopted: CoreRegistry
    rota: Rota | None  # None: there is none
    bad_rota: str | None  # why it stays as it was: a rota that cannot be used keeps nobody from treating


def read_site(settings: Settings) -> Site:
    """All of it, or nothing: what cannot be used must be found before anything is changed.

    Raises:
        BadRegistry, OSError, ValueError: it cannot be used.
    """
    registry = load_registry(settings.site_dir)
    rota, bad_rota = _rota(settings.site_dir, registry.time_zone)
    links = _links(settings.site_dir, registry)
    return Site(registry, links, core_registry(registry, settings.lease_ttl_ms), rota, bad_rota)


def _rota(site_dir: Path, time_zone: str) -> tuple[Rota | None, str | None]:
    try:
        found = load_rota(site_dir)
    except BadRota as bad:
        return None, str(bad)
    return None if found is None else core_rota(found, time_zone), None


def _links(site_dir: Path, registry: Registry) -> Links:
    """Every device's keys.

    Raises:
        OSError, ValueError: the site key is missing, or is none.
    """
    with (site_dir / "site.key").open("rb"):  # without it nobody could be heard, and that is no site without devices
        return site_links(site_dir, registry)


Stamps = list[tuple[int, int, int] | None]


def stamps_of(site_dir: Path) -> Stamps:
    """What tells one version of the registry, its keys and its rota from another.

    Raises:
        OSError: the folder cannot be looked at.
    """
    return [_stamp(site_dir / name) for name in (FILE_NAME, "site.key", "site.key.old", ROTA_FILE_NAME)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from another; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
