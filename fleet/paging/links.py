"""The link in a message by which whoever got it says that they have it: made and checked. Pure, but for the key's file.

The rules of this file:
- A link is worth something for one message to one person about one alarm, until it ends. Who holds it is taken for that
  person: it went to their telephone. So it may do two things only, both of which the core decides on: say "I see to
  it", or "I cannot".
- It is signed (HMAC-SHA256, 16 bytes of it) with a key that never leaves the fleet's folder. Nothing in it is secret.
- That it is used once is remembered by whoever serves it (`fleet.api.links`).

kind (1 byte: alarm or test alarm) | page id (16) | alarm id (16) | end (4, Unix seconds) | person | signature (16)
"""

import hmac
import os
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

KEY_NAME = "links.key"
KEY_BYTES = 32
SIGNATURE_BYTES = 16
TOKEN_CHARS_MAX = 200
PATH = "/l"
_HEAD = struct.Struct(">c16s16sI")
_ALARM, _DRILL = b"a", b"t"
_SALT = b"stimfleet link v1"


class BadLink(ValueError):
    """It is none of ours."""


class LinkEnded(ValueError):
    """It was one of ours; its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link stands for. Ids are hex; `ends_s` is Unix time, in whole seconds."""

    page_id: str
    alarm_id: str
    person: str
    ends_s: int
    drill: bool = False


def link_token(key: bytes, link: Link) -> str:
    """The link as it stands in an address."""
    kind = _DRILL if link.drill else _ALARM
    ids = bytes.fromhex(link.page_id), bytes.fromhex(link.alarm_id)
    body = _HEAD.pack(kind, *ids, link.ends_s) + link.person.encode()
    return urlsafe_b64encode(body + _signature(key, body)).decode().rstrip("=")


def read_token(key: bytes, token: str, now_s: float) -> Link:
    """What a link stands for.

    Raises:
        BadLink: it was not made with this key, or was changed.
        LinkEnded: at `now_s` (Unix time) it is over.
    """
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise BadLink("the link is not one of ours")
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as error:
        raise BadLink("the link is not one of ours") from error
    body, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    # A second spelling of the same bytes would be a second link for whoever remembers the first.
    is_plain = urlsafe_b64encode(raw).decode().rstrip("=") == token
    if len(body) < _HEAD.size or not is_plain or not hmac.compare_digest(signature, _signature(key, body)):
        raise BadLink("the link is not one of ours")
    kind, page_id, alarm_id, ends_s = _HEAD.unpack_from(body)
    link = Link(
        page_id=page_id.hex(),
        alarm_id=alarm_id.hex(),
        person=body[_HEAD.size :].decode(),
        ends_s=ends_s,
        drill=kind == _DRILL,
    )
    if now_s >= ends_s:
        raise LinkEnded("the link has ended")
    return link


def link_key(data_dir: Path) -> bytes:
    """The key of the fleet's folder, made by whoever needs it first.

    Raises:
        OSError: it can neither be read nor made.
    """
    path = data_dir / KEY_NAME
    with suppress(FileExistsError):
        beside = path.with_name(f".{KEY_NAME}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)  # whole, and never in the place of another one
        finally:
            beside.unlink()
    return path.read_bytes()


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _SALT + body, sha256)[:SIGNATURE_BYTES]
