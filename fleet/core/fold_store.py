"""What events change about the recorder and its store."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fleet.core import store_events as s
from fleet.core.state import Durable


def failed(durable: Durable, event: s.StoreFailed) -> None:
    before = durable.recorder
    lasts = before is not None and before.trouble is not None
    since_s = before.since_s if before is not None and lasts else event.now_s
    durable.recorder = s.Recorder(trouble=event.trouble, since_s=since_s, this_since_s=event.now_s)


def took(durable: Durable, event: s.StoreTook) -> None:
    durable.recorder = s.Recorder(trouble=None, since_s=event.now_s, this_since_s=event.now_s)


def ended(durable: Durable, event: s.RecorderEnded) -> None:
    durable.recorder = None


def rebase(durable: Durable, now_s: float) -> None:
    """The host booted: the delays count anew, and the recorder has time to speak."""
    if durable.recorder is not None:
        durable.recorder = replace(durable.recorder, since_s=now_s, this_since_s=now_s)


FOLDS: dict[type[Any], Callable[[Durable, Any], None]] = {
    s.StoreFailed: failed,
    s.StoreTook: took,
    s.RecorderEnded: ended,
}
