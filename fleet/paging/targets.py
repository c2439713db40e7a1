"""Where a message goes: the rota's methods with their addresses, read anew whenever their files are others.

Addresses are secrets: they are in no log, no error, no `repr` and no journal. A file that holds one must be its owner's
only. Of a signed webhook the file has two lines: the address, and the signing key.

The last rota that was good is kept beside the pager's own files: the fleet goes on with the one in its journal when
`rota.json` is broken by hand, and so must whoever delivers, after a restart too. Secrets are not in it.
"""

import logging
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from broker.pki.durable import write_secret
from fleet.adapters.notify.alertmanager import send_alert
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.webhook import send_webhook
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import channel
from fleet.rota.entries import KEY_CHARS_MIN, Kind, MethodEntry, RotaFile
from fleet.rota.file import FILE_NAME, SECRETS_FOLDER, BadRota, destination, load_rota, rota_bytes

log = logging.getLogger(__name__)
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Target:
    """One method of one person, as it is delivered by."""

    kind: Kind
    address: str = field(repr=False)
    key: str = field(default="", repr=False)

    def deliver(self, message: Message, within_s: float, walltime: Callable[[], float]) -> None:
        """Hand a message over.

        Raises:
            NotDelivered
        """
        match self.kind:
            case Kind.APPRISE:
                from fleet.adapters.notify.apprise_url import send_by_apprise

                send_by_apprise(self.address, message, within_s)
            case Kind.ALERTMANAGER:
                send_alert(self.address, message, within_s, walltime)
            case Kind.WEBHOOK:
                send_webhook(self.address, self.key, message, within_s, walltime)


@dataclass(slots=True)
class Targets:
    """The site's. `kept`: where the last good rota is kept; None: nowhere."""

    site_dir: Path
    kept: Path | None = None
    _rota: RotaFile | None = None
    _stamp: Stamp = None
    _in_kept: RotaFile | None = None

    def of(self, person: str, method: str) -> Target:
        """Where a person is told by a method.

        Raises:
            NotDelivered: nowhere, and why.
        """
        for known in self._current().people:
            for entry in known.methods:
                if (known.id, entry.id) == (person, method):
                    return self._target(entry)
        raise NotDelivered("the rota has no such method any more", again=False)

    def ways(self, priority: Priority) -> list[tuple[str, str]]:
        """Everybody's ways for what is of this priority: person and method.

        Raises:
            NotDelivered: there is no rota.
        """
        people = self._current().people
        return [(one.id, way.id) for one in people for way in one.methods if priority in way.priorities]

    def warm_up(self) -> None:
        """Load what the rota's methods send by, before it is needed: Apprise only where somebody is told by it."""
        with suppress(NotDelivered):  # there is none
            _load_ways(self._current())

    def keep(self) -> None:
        """Keep the rota as it is now for whoever comes after. Not at a message: none waits for the disk.

        What a method that is new sends by is loaded too.
        """
        with suppress(NotDelivered):  # there is none
            rota = self._current()
            _load_ways(rota)
            if self.kept is None or rota == self._in_kept:
                return
            try:
                write_secret(self.kept, rota_bytes(rota))
            except OSError as error:  # tried again at the next look
                log.error("the last good rota cannot be kept in %s: %s", self.kept.name, error.strerror)
            else:
                self._in_kept = rota

    def checked(self) -> list[tuple[str, str, str | None]]:
        """Every method of the rota: whose, of which kind, and what stands against it; None: nothing that is seen here.

        Raises:
            NotDelivered: there is no rota to look at.
        """
        found: list[tuple[str, str, str | None]] = []
        for person in self._current().people:
            for entry in person.methods:
                why: str | None = None
                try:
                    self._target(entry)
                except NotDelivered as failed:
                    why = failed.why
                found.append((channel(person.id, entry.id), entry.kind.value, why))
        return found

    def secret(self, name: str) -> str:
        """What a file of the site's secrets holds.

        Raises:
            NotDelivered: it cannot be used.
        """
        return self._secret(MethodEntry(id=name, kind=Kind.WEBHOOK, secret=name))

    def _current(self) -> RotaFile:
        """One that cannot be used changes nothing, as in the fleet."""
        try:
            stamp = _stamp(self.site_dir / FILE_NAME)
            if stamp != self._stamp or self._rota is None:
                self._rota, self._stamp = load_rota(self.site_dir) or self._rota, stamp
        except (BadRota, OSError) as error:
            if self._rota is None:
                self._rota = self._last_good()
                if self._rota is None:
                    raise NotDelivered("the rota cannot be read", again=False) from None
                log.error("the rota cannot be used: people are told by the last that could: %s", error)
        if self._rota is None:
            raise NotDelivered("there is no rota", again=False)
        return self._rota

    def _last_good(self) -> RotaFile | None:
        try:
            return None if self.kept is None else load_rota(self.kept)
        except BadRota:
            return None

    def _target(self, entry: MethodEntry) -> Target:
        said = self._secret(entry)
        if entry.kind is not Kind.WEBHOOK:
            return Target(entry.kind, said)
        address, _, key = said.partition("\n")
        if len(key.strip()) < KEY_CHARS_MIN:
            raise NotDelivered(f"its secret needs a second line: a signing key of {KEY_CHARS_MIN} or more", again=False)
        return Target(entry.kind, address.strip(), key.strip())

    def _secret(self, entry: MethodEntry) -> str:
        try:
            if entry.secret is not None:
                self._check_private(self.site_dir / SECRETS_FOLDER / entry.secret)
            return destination(self.site_dir, entry)
        except UnicodeDecodeError:
            raise NotDelivered("its secret is no text", again=False) from None
        except OSError as error:
            raise NotDelivered(f"its secret cannot be read: {error.strerror}", again=False) from None

    def _check_private(self, path: Path) -> None:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise NotDelivered(f"the file {path.name} is open to others: chmod 600", again=False)


def _load_ways(rota: RotaFile) -> None:
    """Load what its people are told by. What cannot be loaded fails with each message by it, and ends nothing else."""
    if any(way.kind is Kind.APPRISE for one in rota.people for way in one.methods):
        try:
            from fleet.adapters.notify import apprise_url

            apprise_url.warm_up()
        except Exception:  # whatever it is: everybody else is told all the same
            log.exception("Apprise cannot be loaded: nobody is told by it until it can be")


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
