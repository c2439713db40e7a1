"""One object, each of its keys once: of two equal ones the last would win in silence, and people read the first."""

from typing import Any


class KeyTwice(ValueError):
    """A key is twice in one object; `key` says which."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key[:40]!r} is there twice in one object")
        self.key = key


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads(text, object_pairs_hook=unique)`.

    >>> unique([("do", "status"), ("do", "stop")])
    Traceback (most recent call last):
    broker.unique_keys.KeyTwice: 'do' is there twice in one object

    Raises:
        KeyTwice
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyTwice(key)
        found[key] = value
    return found
