"""The rota as several people edit it: each change says which version it is of, so that nobody undoes another's.

What is typed in as the way to somebody may hold a password. It goes into a file of the secrets' folder, by a name of
its own, and is never shown again; what is said of it is `told_of`. A method of a change that says nothing about where
it leads goes on leading where it did.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.pki.durable import make_folder, only_one, write_secret
from fleet.rota.entries import A_URL, KEY_CHARS_MIN, Kind, MethodEntry, RotaFile
from fleet.rota.file import FILE_NAME, SECRETS_FOLDER, BadRota, destination, load_rota, parse_rota, save_rota

NONE_YET = "none"  # the version where there is no rota
TYPED_IN = "page-"  # what the names of secrets begin with that came in here
CHARS_MAX = 2_000
Document = dict[str, Any]


class ChangedMeanwhile(Exception):
    """The rota is another than the one that was to be changed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is on the disk; `rota` None: there is none, or, by `errors`, it cannot be used."""

    version: str
    rota: RotaFile | None
    errors: tuple[str, ...] = ()


def stored(site_dir: Path) -> Stored:
    """The rota of a site, as it is.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        version = sha256((site_dir / FILE_NAME).read_bytes()).hexdigest()[:32]
    except FileNotFoundError:
        return Stored(NONE_YET, None)
    try:
        return Stored(version, load_rota(site_dir))
    except BadRota as bad:
        return Stored(version, None, tuple(bad.errors))


def replace_rota(site_dir: Path, document: Document, version: str) -> Stored:
    """Put `document` in the place of the rota of that version, whole or not at all. Its methods are those of
    `rota.json`, or have a `destination`, or neither: then they lead where they did.

    Raises:
        ChangedMeanwhile: it is of another version by now.
        BadRota: with every error.
        OSError: the disk refuses; nothing was changed.
    """
    with only_one(site_dir):
        before = stored(site_dir)
        if before.version != version:
            raise ChangedMeanwhile
        typed_in, errors = _settled(document, before.rota)
        try:
            rota = parse_rota(json.dumps(document), site_dir / FILE_NAME)
        except BadRota as bad:
            raise BadRota(site_dir / FILE_NAME, [*errors, *bad.errors]) from bad
        errors += _unreadable(site_dir, rota, typed_in)
        if errors:
            raise BadRota(site_dir / FILE_NAME, errors)
        folder = site_dir / SECRETS_FOLDER
        make_folder(folder)
        for name, url in typed_in.items():
            write_secret(folder / name, url.encode() + b"\n")
        save_rota(site_dir, rota)
        _forget(folder, {*_secrets_of(rota), *_secrets_of(before.rota)})
        return stored(site_dir)


def _settled(document: Document, before: RotaFile | None) -> tuple[dict[str, str], list[str]]:
    """Turn every method into one of `rota.json`, in place; the secrets to write by their names, and what is wrong."""
    known = {} if before is None else {(person.id, one.id): one for person in before.people for one in person.methods}
    typed_in: dict[str, str] = {}
    errors = []
    for person, method in _methods(document):
        said = method.pop("destination", None)
        place = known.get((person, method.get("id", "")))
        if said is not None:
            url, _, key = said.partition("\n")
            where = f"The method {person}/{method['id']}"
            if len(said) > CHARS_MAX or not A_URL.fullmatch(url):
                errors.append(f"{where} has a destination that is no URL, like ntfy://host.")
            if method["kind"] == Kind.WEBHOOK and len(key.strip()) < KEY_CHARS_MIN:
                errors.append(f"{where} needs a signing key of {KEY_CHARS_MIN} characters or more.")
            name = TYPED_IN + secrets.token_hex(8)
            typed_in[name] = said
            method.update(url=None, secret=name)
        elif method.get("url") is None and method.get("secret") is None and place is not None:
            method.update(url=place.url, secret=place.secret)
    return typed_in, errors


def _methods(document: Document) -> Iterator[tuple[str, Document]]:
    return ((person["id"], method) for person in document["people"] for method in person["methods"])


def _unreadable(site_dir: Path, rota: RotaFile, typed_in: dict[str, str]) -> list[str]:
    errors = []
    for person in rota.people:
        for method in person.methods:
            try:
                if method.secret not in typed_in:
                    destination(site_dir, method)
            except (OSError, UnicodeDecodeError):
                errors.append(
                    f"The method {person.id}/{method.id} has a secret {method.secret!r} that cannot be read: "
                    "type in where it leads, or have the file put there."
                )
    return errors


def _secrets_of(rota: RotaFile | None) -> Iterator[str]:
    people = () if rota is None else rota.people
    return (method.secret for person in people for method in person.methods if method.secret is not None)


def _forget(folder: Path, needed: set[str]) -> None:
    """What was typed in and leads nowhere any more. What the rota before this one needs stays: it may be being read."""
    for file in folder.glob(f"{TYPED_IN}*"):
        if file.name not in needed:
            file.unlink()


def told_of(site_dir: Path, method: MethodEntry) -> str | None:
    """Where a message goes, as far as anybody may be told: a service or a host. None: it cannot be read."""
    try:
        url = destination(site_dir, method).partition("\n")[0].strip()
        split = urlsplit(url)
        if method.kind is Kind.APPRISE:  # its parts are tokens, whatever their place
            return split.scheme
        return f"{split.scheme}://{split.hostname or ''}"
    except (OSError, ValueError):
        return None
