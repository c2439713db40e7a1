"""Test vectors of permission: small stories of samples sent and leases that came back."""

from collections.abc import Iterator
from typing import Any

from broker.contract.permission import Permission, Sent, SentSamples, Unanswerable, extended, first_permission, fresh
from broker.wire.examples import SESSION_ID

Vector = dict[str, Any]
OTHER_SESSION_ID = "0dd5e551" * 4

_Step = tuple[Any, ...]


def _sent(seq: int, at_s: float, session_id: str | None = SESSION_ID) -> _Step:
    return "sent", seq, at_s, session_id


def _lease(answers: int, at_s: float, ttl_ms: int = 5000, session_id: str = SESSION_ID) -> _Step:
    return "lease", answers, at_s, ttl_ms, session_id


def _authorise(answers: int, at_s: float) -> _Step:
    return "authorisation", answers, at_s


_STORIES: tuple[tuple[str, int, tuple[_Step, ...]], ...] = (
    ("a lease counts from the sending of its sample, not from its arrival", 5000, (_sent(1, 100.0), _lease(1, 101.5))),
    ("each newer answer extends", 5000, (_sent(1, 100.0), _lease(1, 100.1), _sent(2, 100.5), _lease(2, 100.6))),
    ("a repeated lease extends nothing", 5000, (_sent(1, 100.0), _lease(1, 100.1), _lease(1, 103.0))),
    (
        "an overtaken lease extends nothing",
        5000,
        (_sent(1, 100.0), _sent(2, 100.5), _lease(2, 100.6), _lease(1, 100.7)),
    ),
    ("a lease that arrives when it has run out is worth nothing", 5000, (_sent(1, 100.0), _lease(1, 105.0))),
    ("and a moment before, it is worth that moment", 5000, (_sent(1, 100.0), _lease(1, 104.75))),
    ("the authorisation's lease time bounds it", 4000, (_sent(1, 100.0), _lease(1, 100.1, 10_000))),
    ("the lease's own time bounds it", 10_000, (_sent(1, 100.0), _lease(1, 100.1, 250))),
    ("ten seconds bound them both", 10_000, (_sent(1, 100.0), _lease(1, 100.1, 10_000))),
    (
        "a shorter lease shortens nothing",
        10_000,
        (_sent(1, 100.0), _lease(1, 100.1, 10_000), _sent(2, 100.5), _lease(2, 100.6, 4000)),
    ),
    ("a sample that was never sent", 5000, (_sent(1, 100.0), _lease(2, 100.1))),
    ("another session's lease", 5000, (_sent(1, 100.0), _lease(1, 100.1, 5000, OTHER_SESSION_ID))),
    ("a sample of no live session", 5000, (_sent(1, 100.0, None), _lease(1, 100.1))),
    ("a sample of the session before", 5000, (_sent(1, 100.0, OTHER_SESSION_ID), _lease(1, 100.1))),
    ("a sample that is forgotten after 30 s", 5000, (_sent(1, 100.0), _sent(2, 130.5), _lease(1, 130.6))),
    ("an authorisation within 30 s of its sample", 5000, (_sent(1, 100.0, None), _authorise(1, 129.75))),
    ("an authorisation 30 s after its sample", 5000, (_sent(1, 100.0, None), _authorise(1, 130.0))),
    ("an authorisation that answers nothing known", 5000, (_sent(1, 100.0, None), _authorise(2, 100.1))),
)


def permission() -> Iterator[Vector]:
    """Every story, played."""
    for story in _STORIES:
        yield _played(*story)


def _played(name: str, lease_ttl_ms: int, steps: tuple[_Step, ...]) -> Vector:
    """Play a story and note what came of each step."""
    samples = SentSamples()
    granted = first_permission(SESSION_ID, lease_ttl_ms)
    played: list[Vector] = []
    for step in steps:
        match step:
            case ("sent", seq, at_s, session_id):
                samples = samples.noted(Sent(seq, at_s, session_id))
                played.append({"sent": {"seq": seq, "live_session_id": session_id}, "at_s": at_s})
            case ("lease", answers, at_s, ttl_ms, session_id):
                outcome = extended(granted, samples.find(answers), session_id, ttl_ms, at_s)
                lease = {"answers": answers, "ttl_ms": ttl_ms, "session_id": session_id}
                played.append({"lease": lease, "at_s": at_s, "expect": _outcome(outcome)})
                granted = outcome if isinstance(outcome, Permission) else granted
            case ("authorisation", answers, at_s):
                why_not = fresh(samples.find(answers), at_s)
                expect = {"fresh": True} if why_not is None else {"refused": why_not.value}
                played.append({"authorisation": {"answers": answers}, "at_s": at_s, "expect": expect})
    return {"name": name, "session_id": SESSION_ID, "lease_ttl_ms": lease_ttl_ms, "steps": played}


def _outcome(outcome: Permission | Unanswerable) -> Vector:
    if isinstance(outcome, Unanswerable):
        return {"refused": outcome.value}
    return {"allowed_until_s": outcome.until_s}
