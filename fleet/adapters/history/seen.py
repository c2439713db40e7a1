"""Which samples have been written already: what a store without a unique index needs so that none is there twice."""

from bisect import bisect_right
from collections import OrderedDict

BOOTS_MAX = 2_000  # of all devices together, those heard longest ago forgotten first
SPANS_MAX = 200  # of one boot: so many gaps


class Seen:
    """Sequence numbers by device and boot, as spans without a gap: one for a device that loses nothing."""

    def __init__(self) -> None:
        self._boots: OrderedDict[tuple[str, int], list[list[int]]] = OrderedDict()

    def has(self, device: str, boot_n: int, seq: int) -> bool:
        """Whether that sample was added."""
        spans = self._boots.get((device, boot_n), [])
        at = bisect_right(spans, [seq, 2**63]) - 1
        return at >= 0 and spans[at][0] <= seq <= spans[at][1]

    def add(self, device: str, boot_n: int, seq: int) -> None:
        """Remember a sample."""
        spans = self._boots.setdefault((device, boot_n), [])
        self._boots.move_to_end((device, boot_n))
        if spans and spans[-1][1] + 1 == seq:  # nearly always
            spans[-1][1] = seq
        elif not self.has(device, boot_n, seq):
            _insert(spans, seq)
            if len(spans) > SPANS_MAX:
                del spans[0]
        if len(self._boots) > BOOTS_MAX:
            self._boots.popitem(last=False)


def _insert(spans: list[list[int]], seq: int) -> None:
    at = bisect_right(spans, [seq, 2**63])
    before = spans[at - 1] if at else None
    after = spans[at] if at < len(spans) else None
    if before is not None and before[1] + 1 == seq:
        before[1] = seq
        if after is not None and after[0] == seq + 1:
            before[1] = after[1]
            del spans[at]
    elif after is not None and after[0] == seq + 1:
        after[0] = seq
    else:
        spans.insert(at, [seq, seq])
