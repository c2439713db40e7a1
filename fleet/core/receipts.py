"""The devices' own events: each accepted once, and receipted when it is in the journal (contract.md, rule 6).

Receipts are cumulative per (device, spool). What was accepted is known by ranges; of the newest few the id as well,
so that another event under the same n is told from a repetition.
"""

from broker.contract.messages import Birth, Event, Receipt
from broker.contract.topics import Channel
from fleet.core.effects import Count, SendReceipt
from fleet.core.events import DeviceReported, EventConflicted, EventUnreadable, SpoolGapFound
from fleet.core.fold_devices import covered, spool_of
from fleet.core.inputs import Unreadable
from fleet.core.turn import Turn

# Ahead of a gap an agent sends nothing: it drains in order. So this is room for reordering, not for hoarding.
RANGES_MAX = 64


def report(turn: Turn, device: str, event: Event) -> bool:
    """Take in an event; True where it is new. Repetitions are receipted again: the first receipt may be lost."""
    spool = spool_of(turn.state.durable, device, event.spool_id)
    new = not covered(spool, event.n)
    if new and len(spool.beyond) >= RANGES_MAX and event.n != spool.upto + 1:
        turn.at_once(Count(device, Channel.EVENT, "too_far_ahead"))  # no receipt: it comes again
        return False
    if new:
        turn.happened(DeviceReported(**turn.at, device=device, event=event))
    elif dict(spool.recent).get(event.n, event.event_id) != event.event_id:
        turn.happened(EventConflicted(**turn.at, device=device, event=event))
        turn.refused(device, Channel.EVENT, "event_conflict")
    _receipt(turn, device, event.spool_id)
    return new


def quarantine(turn: Turn, device: str, heard: Unreadable) -> None:
    """An event that could not be read. Without its number it cannot be receipted, only noticed."""
    turn.refused(device, Channel.EVENT, "unreadable")
    birth = turn.state.device(device).birth
    spool_id = heard.spool_id or (None if birth is None else birth.spool_id)
    if spool_id is None or heard.n is None:
        return
    if not covered(spool_of(turn.state.durable, device, spool_id), heard.n):
        turn.happened(
            EventUnreadable(**turn.at, device=device, spool_id=spool_id, n=heard.n, payload_sha256=heard.payload_sha256)
        )
    _receipt(turn, device, spool_id)


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
