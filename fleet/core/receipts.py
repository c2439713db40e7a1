"""The devices' own events: each accepted once, and receipted when it is in the journal (contract.md, rule 6).

Receipts are cumulative per (device, spool). What was accepted is known by ranges; of the newest few the id as well,
so that another event under the same n is told from a repetition.
"""

from broker.contract.messages import Birth, Event, Receipt
from broker.contract.topics import Channel
from fleet.core import budget
from fleet.core.effects import Count, SendReceipt
from fleet.core.events import DeviceReported, EventConflicted, EventUnreadable, SpoolGapFound
from fleet.core.fold_devices import UNREADABLE_KEPT, covered, spool_of
from fleet.core.inputs import Unreadable
from fleet.core.state import Spool
from fleet.core.turn import BURST_S, Turn

# Ahead of a gap an agent sends nothing: it drains in order. So this is room for reordering, not for hoarding.
RANGES_MAX = 64
# A full list of unreadable events has reached an agent that sends the next one again after this time.
LISTED_AFTER_S = 2.0


def report(turn: Turn, device: str, event: Event) -> bool:
    """Take in an event; True where it is new. Repetitions are receipted again: the first receipt may be lost. One above
    the device's budget is not receipted, and its agent tells it again.
    """
    spool = spool_of(turn.state.durable, device, event.spool_id)
    new = not covered(spool, event.n)
    if new and (_too_far_ahead(turn, device, spool, event.n) or not budget.admits_event(turn, device, event)):
        return False
    if new:
        turn.happened(DeviceReported(**turn.at, device=device, event=event))
    else:
        _repeated(turn, device, spool, event)
    _receipt(turn, device, event.spool_id)
    return new


def _repeated(turn: Turn, device: str, spool: Spool, event: Event) -> None:
    """An event that was accounted for already, or another one under its number: one record a burst of each number.

    Agents repeat what was not receipted, a window of 64: older ids are forgotten.
    """
    _not_taken(turn, device, spool)
    if dict(spool.recent).get(event.n, event.event_id) == event.event_id:
        return
    if turn.due(f"conflict/{device}/{spool.spool_id}/{event.n}", BURST_S):
        turn.happened(EventConflicted(**turn.at, device=device, event=event))
    turn.refused(device, Channel.EVENT, "event_conflict")


def _too_far_ahead(turn: Turn, device: str, spool: Spool, n: int) -> bool:
    """Whether there is no room to remember it by; then there is no receipt, and it comes again."""
    if len(spool.beyond) < RANGES_MAX or n == spool.upto + 1:
        return False
    turn.at_once(Count(device, Channel.EVENT, "too_far_ahead"))
    return True


def quarantine(turn: Turn, device: str, heard: Unreadable) -> None:
    """An event that could not be read. Without its number it cannot be receipted, only noticed.

    The receipt that covers it has to list it, or the agent would delete it as accepted. A list that is full is sent
    as it is, up to here and no further; when the agent sends the next one again it has taken it, and a new list begins.
    """
    turn.refused(device, Channel.EVENT, "unreadable")
    birth = turn.state.device(device).birth
    spool_id = heard.spool_id or (None if birth is None else birth.spool_id)
    if spool_id is None or heard.n is None:
        return
    spool = spool_of(turn.state.durable, device, spool_id)
    if covered(spool, heard.n):
        _not_taken(turn, device, spool)
    else:
        if _too_far_ahead(turn, device, spool, heard.n):
            return
        if len(spool.unreadable) >= UNREADABLE_KEPT and not _list_taken(turn, device, spool):
            _receipt(turn, device, spool_id)
            return
        if not budget.admits(turn, device, Channel.EVENT):
            return
        turn.happened(
            EventUnreadable(**turn.at, device=device, spool_id=spool_id, n=heard.n, payload_sha256=heard.payload_sha256)
        )
    _receipt(turn, device, spool_id)


def _waiting(device: str, spool: Spool) -> str:
    return f"unreadable/{device}/{spool.spool_id}"


def _list_taken(turn: Turn, device: str, spool: Spool) -> bool:
    """Whether the agent has had the receipt that lists them all, by its going on with what comes after them."""
    if any(listed.n > spool.upto for listed in spool.unreadable):
        return False
    since_s = turn.state.fleeting.sent_s.get(_waiting(device, spool))
    if since_s is None:
        turn.state.fleeting.note_sent(_waiting(device, spool), turn.now_s)
        return False
    if turn.now_s - since_s < LISTED_AFTER_S:
        return False
    del turn.state.fleeting.sent_s[_waiting(device, spool)]
    return True


def _not_taken(turn: Turn, device: str, spool: Spool) -> None:
    """An agent that repeats what was receipted has not heard the receipt: the waiting begins again."""
    if _waiting(device, spool) in turn.state.fleeting.sent_s:
        turn.state.fleeting.note_sent(_waiting(device, spool), turn.now_s)


def oldest_known(turn: Turn, device: str, birth: Birth) -> None:
    """A birth names the oldest event that the device still has: what is missing below it is lost, and named."""
    spool = spool_of(turn.state.durable, device, birth.spool_id)
    if birth.oldest_n > spool.upto + 1:
        turn.happened(
            SpoolGapFound(
                **turn.at,
                device=device,
                spool_id=birth.spool_id,
                from_n=spool.upto + 1,
                to_n=birth.oldest_n - 1,
            )
        )


def _receipt(turn: Turn, device: str, spool_id: str) -> None:
    spool = spool_of(turn.state.durable, device, spool_id)
    turn.after_commit(SendReceipt(device, Receipt(spool_id, spool.upto, spool.unreadable)))
