"""The engineer's PIN: what separates a therapist's reset from an engineer's (domain.md, table of causes).

It is a barrier against haste, not against malice: who may write the device's data folder may also replace the file.
The folder and the panel's socket belong to the agent's own account; what they are worth is what that account is worth.
"""

import hashlib
import hmac
import json
import os
import secrets
import shlex
from pathlib import Path
from typing import Final

PIN_CHARS_MIN: Final = 6
PIN_CHARS_MAX: Final = 64
_FILE: Final = "engineer-pin.json"
_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}  # about 50 ms: a PIN is short, so guessing must be slow


class PinRefused(Exception):
    """The text is one sentence for people."""


def set_pin(data_dir: Path, pin: str, old_pin: str | None = None) -> None:
    """Set the PIN; to change it, the old one is needed.

    Raises:
        PinRefused: too short, too long or not printable, or the old one is wrong.
    """
    if not (PIN_CHARS_MIN <= len(pin) <= PIN_CHARS_MAX and pin.isprintable()):
        raise PinRefused(f"An engineer's PIN has {PIN_CHARS_MIN} to {PIN_CHARS_MAX} printable characters.")
    path = data_dir / _FILE
    if path.exists() and (old_pin is None or not is_pin(data_dir, old_pin)):
        raise PinRefused("There is a PIN already; give the old one to change it.")
    salt = secrets.token_bytes(16)
    kept = {"salt": salt.hex(), "scrypt": _hashed(pin, salt).hex()}
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(kept, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def has_pin(data_dir: Path) -> bool:
    return (data_dir / _FILE).exists()


def is_pin(data_dir: Path, pin: str) -> bool:
    """Whether this is the PIN. Slow on purpose: not for the event loop.

    Raises:
        PinRefused: no PIN has been set, or its file is damaged.
    """
    try:
        kept = json.loads((data_dir / _FILE).read_text(encoding="ascii"))
        salt, expected = bytes.fromhex(kept["salt"]), bytes.fromhex(kept["scrypt"])
    except FileNotFoundError as error:
        raise PinRefused(
            "No engineer's PIN is set on this device; an engineer sets it with "
            f"`stimfleet device engineer-pin{data_dir_option(data_dir)}`."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise PinRefused(f"The file {_FILE} of this device is damaged; remove it and set the PIN anew.") from error
    return hmac.compare_digest(_hashed(pin, salt), expected)


def data_dir_option(data_dir: Path) -> str:
    """What makes a `stimfleet device` command mean this device wherever it is typed, as a shell takes it."""
    return f" --data-dir {shlex.quote(str(data_dir.absolute()))}"


def _hashed(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, dklen=32, **_SCRYPT)
