"""Whether both connections carry: what goes out on the safety connection must come back on the intake connection.

The echo also says whose it is: an instance that hears a younger one's echo was replaced. "Session taken over" does not
tell, because a broker says it to whoever was connected first: Mosquitto 2.0.21 also to the younger instance when an
older one comes back, Mosquitto 2.0.11 to nobody (both measured).
"""

import json
from collections.abc import Callable

PERIOD_S = 0.5
MISSES_MAX = 2  # in a row


class TakenOver(Exception):
    """Another, younger fleet instance runs this site: this one ends and is not started again."""


class Echo:
    """Beats every 0.5 s and listens for its own beat. One for all connections of a process.

    `fleet_n` gives this instance's number, `instance` is random hex: of two with one number the larger is the younger.
    """

    def __init__(self, instance: str, fleet_n: Callable[[], int]) -> None:
        self._instance = instance
        self._fleet_n = fleet_n
        self._beat_n = 0
        self._heard_n = 0
        self._first_n = 0

    def begin(self) -> None:
        """Both connections are new: what was missed before does not count."""
        self._first_n = self._beat_n + 1

    def beat(self) -> bytes:
        """The next beat to publish."""
        self._beat_n += 1
        return json.dumps({"instance": self._instance, "fleet_n": self._fleet_n(), "n": self._beat_n}).encode()

    @property
    def misses(self) -> int:
        """Beats in a row, sent before the next one is due, that have not come back."""
        return self._beat_n - max(self._heard_n, self._first_n - 1)

    @property
    def silent(self) -> bool:
        return self.misses >= MISSES_MAX

    def heard(self, payload: bytes) -> bool:
        """Take in what came back; whether it was an echo at all.

        Raises:
            TakenOver: it is that of a younger instance.
        """
        try:
            said = json.loads(payload)
            instance, fleet_n, beat_n = said["instance"], said["fleet_n"], said["n"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        if not isinstance(instance, str) or type(fleet_n) is not int or type(beat_n) is not int:
            return False
        if instance == self._instance:
            self._heard_n = max(self._heard_n, min(beat_n, self._beat_n))
        elif (fleet_n, instance) > (self._fleet_n(), self._instance):
            raise TakenOver(f"fleet instance number {fleet_n} runs this site")
        return True
