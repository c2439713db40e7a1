"""What the fleet says, as it comes in: verified, told apart, passed on at once. Nothing here waits, grows or raises.

A stop goes straight to the control loop, whatever else is under way; the rest is believed only under a good MAC. What
is dropped is counted by reason, and the first of a burst is reported as an event, without anything of its payload.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from broker.contract import messages
from broker.contract.messages import CommandRefusal, CommandRefused, Receipt, Scope
from broker.contract.topics import CHANNELS, Address, Channel, Direction, Retained
from broker.wire.mac import LinkKeys
from broker.wire.sealed import Cleared, Opener, Received, Refused, Stopped

_log = logging.getLogger(__name__)
BURST_S: Final = 60.0  # what is dropped for one reason on one channel is one burst until it has been quiet so long
_INBOX_FULL: Final = "inbox_full"

ToControl = messages.Authorisation | messages.Lease | messages.Cancel | messages.Release | messages.Settings


class Hears(Protocol):
    """The control loop's ears; see `agents.control.Control`."""

    def hear(self, message: ToControl, retained: bool = False) -> bool: ...

    def hear_stop(self, scope: Scope, stop: messages.Stop | None, hold_id: str, retained: bool = False) -> None: ...

    def connected(self) -> None: ...


@dataclass(slots=True)
class _Burst:
    last_s: float


@dataclass(slots=True)
class Downlink:
    """One device's ear. `keys` are its own, under every kid that is valid now.

    `on_receipt` and `on_refused` are called at once and must not block. `dropped` counts per (channel, reason).
    """

    site: str
    device: str
    keys: dict[str, LinkKeys]
    control: Hears
    on_receipt: Callable[[Receipt], None]
    on_refused: Callable[[CommandRefused], None]
    boottime_s: Callable[[], float]
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    _bursts: dict[tuple[str, CommandRefusal], _Burst] = field(default_factory=dict)

    def hear(self, topic: str, payload: bytes, user_properties: Iterable[tuple[str, str]], *, retained: bool) -> None:
        opened = Opener(self.site, Direction.DOWNLINK, {self.device: self.keys}).open(topic, payload, user_properties)
        match opened:
            case Stopped(address=address, hold_id=hold_id, fields=stop, why_bare=why_bare):
                self.control.hear_stop(Scope.ALL if address.is_site_wide else Scope.DEVICE, stop, hold_id, retained)
                if why_bare is not None:  # obeyed all the same
                    self._drop(address, str(why_bare), CommandRefusal.NOT_AUTHENTIC)
            case Received(address=address, message=message):
                self._pass_on(address, message, retained)
            case Cleared():
                pass  # the broker forgot a retained message: that says nothing
            case Refused(address=address, reason=reason, authentic=authentic):
                self._drop(
                    address, str(reason), CommandRefusal.UNREADABLE if authentic else CommandRefusal.NOT_AUTHENTIC
                )
            case _:
                assert_never(opened)

    def _pass_on(self, address: Address, message: messages.Message, retained: bool) -> None:
        if retained and CHANNELS[address.channel].retained is Retained.NEVER:
            self._drop(address, "retained", CommandRefusal.RETAINED)
            return
        match message:
            case Receipt():
                self.on_receipt(message)
            case (
                messages.Authorisation()
                | messages.Lease()
                | messages.Cancel()
                | messages.Release()
                | messages.Settings()
            ):
                if not self.control.hear(message, retained):
                    self.dropped[address.channel, _INBOX_FULL] += 1
            case messages.Stop() | messages.Birth() | messages.Presence() | messages.Telemetry():
                raise AssertionError("a stop is Stopped, and uplinks are refused as going the wrong way")
            case messages.Event() | messages.Ack():
                raise AssertionError("uplinks are refused as going the wrong way")
            case _:
                assert_never(message)

    def _drop(self, address: Address | None, reason: str, refusal: CommandRefusal) -> None:
        channel: Channel | str = "unknown" if address is None else address.channel
        self.dropped[str(channel), reason] += 1
        now_s = self.boottime_s()
        burst = self._bursts.get((str(channel), refusal))
        self._bursts[str(channel), refusal] = _Burst(now_s)
        if burst is not None and now_s - burst.last_s < BURST_S:
            return
        _log.warning("dropped a message on %s: %s", channel, reason)
        self.on_refused(CommandRefused(str(channel), None, refusal))
