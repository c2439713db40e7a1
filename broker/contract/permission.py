"""The lease's arithmetic: permission that runs out by itself (contract.md "Freshness" and rule 1).

Pure and shared: the agent enforces with it, test vectors are made from it. All times are boot time in seconds, and
only ever of one side's clock: a permission's worth is counted from when the agent *sent* the answered sample.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import StrEnum

LEASE_TTL_MS_MAX = 10_000
SAMPLE_KEPT_S = 30.0  # authorisation and release are worth this long after the sample they answer


class Unanswerable(StrEnum):
    """Why an answer allows nothing."""

    OTHER_BOOT = "other_boot"
    OLD_FLEET = "old_fleet"
    UNKNOWN_SAMPLE = "unknown_sample"
    STALE = "stale"
    OTHER_SESSION = "other_session"
    NOT_NEWER = "not_newer"  # a repeated or overtaken lease


@dataclass(frozen=True, slots=True)
class Sent:
    """A live sample as its agent remembers it: when it was sent, and the live session it spoke for, if any."""

    seq: int
    sent_s: float
    live_session_id: str | None


@dataclass(frozen=True, slots=True)
class SentSamples:
    """The samples of the last 30 s, oldest first and `seq` rising. Bounded by age and by count."""

    samples: tuple[Sent, ...] = ()
    count_max: int = 1024

    def noted(self, sample: Sent) -> "SentSamples":
        """With a sample that is about to be sent; without those that are too old to be answered."""
        first = max(0, len(self.samples) + 1 - self.count_max)
        while first < len(self.samples) and self.samples[first].sent_s < sample.sent_s - SAMPLE_KEPT_S:
            first += 1
        return replace(self, samples=(*self.samples[first:], sample))

    def find(self, seq: int) -> Sent | None:
        index = bisect_left(self.samples, seq, key=lambda sample: sample.seq)
        found = self.samples[index] if index < len(self.samples) else None
        return found if found is not None and found.seq == seq else None


@dataclass(frozen=True, slots=True)
class Permission:
    """What a session may do, until when. `until_s` before now means: nothing."""

    session_id: str
    lease_ttl_ms: int  # of the authorisation
    answered_seq: int  # of the newest lease accepted; -1 before the first
    until_s: float

    def margin_s(self, now_s: float) -> float:
        """What is left at `now_s`; negative when it has run out."""
        return self.until_s - now_s

    def allows(self, now_s: float) -> bool:
        return now_s < self.until_s


def first_permission(session_id: str, lease_ttl_ms: int) -> Permission:
    """The permission of a session that has not had a lease: none."""
    return Permission(session_id, lease_ttl_ms, answered_seq=-1, until_s=float("-inf"))


def worth_s(ttl_ms: int, lease_ttl_ms: int) -> float:
    """How long after its sample was sent a lease is worth something, in seconds."""
    return min(ttl_ms, lease_ttl_ms, LEASE_TTL_MS_MAX) / 1000.0


def extended(
    permission: Permission, sample: Sent | None, session_id: str, ttl_ms: int, now_s: float
) -> Permission | Unanswerable:
    """The permission after a lease that answers `sample` (None: not remembered), or why the lease allows nothing.

    A lease never shortens what an earlier one gave: taking permission away is a stop's or silence's work.
    """
    if session_id != permission.session_id:
        return Unanswerable.OTHER_SESSION
    if sample is None:
        return Unanswerable.UNKNOWN_SAMPLE
    if sample.live_session_id != permission.session_id:
        return Unanswerable.OTHER_SESSION
    if sample.seq <= permission.answered_seq:
        return Unanswerable.NOT_NEWER
    until_s = sample.sent_s + worth_s(ttl_ms, permission.lease_ttl_ms)
    if until_s <= now_s:
        return Unanswerable.STALE
    return Permission(permission.session_id, permission.lease_ttl_ms, sample.seq, max(permission.until_s, until_s))


def fresh(sample: Sent | None, now_s: float) -> Unanswerable | None:
    """Whether an authorisation or release that answers `sample` is still worth something; why not, otherwise."""
    if sample is None:
        return Unanswerable.UNKNOWN_SAMPLE
    return None if now_s - sample.sent_s < SAMPLE_KEPT_S else Unanswerable.STALE
