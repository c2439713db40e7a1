"""What may not be in the books of a demo whatever flowed: stops without a measured zero, sessions lost by themselves,
events twice, more heard than was sent. Pure; each is a violation beside those of the observer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from demo.allowance import RECONNECTS_S
from demo.evidence import Evidence, reported
from demo.observer import Violation
from fleet.adapters.journal.reading import Told

BY_DEVICE: Final = frozenset({"ack", "telemetry"})  # what confirms measured zero; a person confirms what he sees
EventKey = tuple[str, str, int]  # device, spool, number


def unexpected(evidence: Evidence) -> Iterator[Violation]:
    """Stops that were never confirmed and sessions that were lost, where nobody injected a reason for it."""
    yield from _unconfirmed(evidence)
    for device in evidence.devices:
        for event in reported(evidence.journal, device):
            if event.kind == "lease_lost" and not _may_lose_its_lease(evidence, device, event.at_s):
                what = "a session was lost for want of a lease, and nobody had cut or killed anything"
                yield Violation(device, event.at_s, "lease", what, 0.0, 0.0)


def stops_followed(journal: Iterable[Told]) -> dict[tuple[str, str], Told]:
    """Each stop once for every device on which it is followed, by command and device."""
    return {
        (told.body["stop"]["command_id"], target["device"]): told
        for told in journal
        if told.name == "StopOrdered"
        for target in told.body["targets"]
    }


def stops_confirmed(journal: Iterable[Told]) -> dict[tuple[str, str], Told]:
    """The first confirmation of measured zero of each, by command and device."""
    confirmed: dict[tuple[str, str], Told] = {}
    for told in journal:
        if told.name == "StopConfirmed" and told.body["by"] in BY_DEVICE:
            confirmed.setdefault((told.body["command_id"], told.body["device"]), told)
    return confirmed


def journaled(journal: Iterable[Told]) -> Counter[EventKey]:
    """How often each event of a device is in the journal."""
    return Counter(
        (told.body["device"], told.body["event"]["spool_id"], told.body["event"]["n"])
        for told in journal
        if told.name == "DeviceReported"
    )


def miscounted(rows: Mapping[EventKey, int], newest_n: Mapping[tuple[str, str], int], lost: int) -> Iterator[Violation]:
    """`newest_n` by device and spool: the numbers from 1 to it were given. `lost` is of telemetry."""
    for (device, spool_id, n), times in rows.items():
        if times > 1:
            yield _miscount(device, f"event {n} is in the journal {times} times")
        if not 1 <= n <= newest_n.get((device, spool_id), 0):
            yield _miscount(device, f"event {n} is in the journal, and its spool has never given that number")
    if lost < 0:
        yield _miscount("all", f"the fleet heard {-lost} samples more than were published")


def _miscount(device: str, what: str) -> Violation:
    return Violation(device, 0.0, "count", what, 0.0, 0.0)


def _unconfirmed(evidence: Evidence) -> Iterator[Violation]:
    """But for a device whose output sticks, or whose agent is gone: it says so when it can."""
    excused = {each.device for each in evidence.suffered if each.kind == "output_stuck"}
    excused |= {each.device for each in evidence.gone}
    confirmed = stops_confirmed(evidence.journal)
    for (command_id, device), ordered in stops_followed(evidence.journal).items():
        if (command_id, device) not in confirmed and device not in excused:
            what = f"zero was never measured after a stop ({ordered.body['stop']['cause']})"
            yield Violation(device, float(ordered.body["now_s"]), "unconfirmed", what, 0.0, 0.0)


def _may_lose_its_lease(evidence: Evidence, device: str, at_s: float) -> bool:
    is_cut = any(
        cut.device in {None, device} and cut.from_s <= at_s <= cut.until_s + RECONNECTS_S for cut in evidence.cut_off
    )
    return is_cut or any(gone.device == device and gone.at_s <= at_s for gone in evidence.gone)
