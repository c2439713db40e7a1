"""Devices come up, and sessions begin, as in a clinic: through births, settings, the control socket and telemetry."""

import itertools
import secrets
from collections.abc import Sequence

from broker.contract.messages import Phase
from demo.processes import DidNotHappen
from tests.bench.crowd import Crowd, at
from tests.bench.device import Device

AT_A_TIME = 100  # sessions that begin together
TRIES, TRY_S = 12, 5.0
_asked = itertools.count(1)


class NotAuthorised(Exception):
    """The fleet refused a session that nothing speaks against."""


def come_up(crowd: Crowd) -> None:
    """Every device is born and has its settings, and the fleet has heard it idle."""
    for device in crowd.devices.values():
        device.comes_up(at())
    crowd.until("settings for every device", lambda: all(d.settings_version for d in crowd.devices.values()))
    crowd.until("the broker has every birth", lambda: not crowd.unacknowledged)
    show(crowd, list(crowd.devices.values()))


def show(crowd: Crowd, devices: Sequence[Device]) -> None:
    """One sample of each; on return the fleet has judged them. (What people ask overtakes telemetry.)"""
    for _ in range(TRIES):
        if _judges(crowd, devices):
            return
        # Telemetry is QoS 0: a fleet that had just lost its connection did not hear it.
        crowd.counts["samples_shown_again"] += len(devices)
    raise DidNotHappen(f"after {TRIES} tries: the fleet has judged {len(devices)} samples")


def _judges(crowd: Crowd, devices: Sequence[Device]) -> bool:
    heard = judged(crowd) + len(devices)
    crowd.speak(devices)
    try:
        crowd.until("the fleet has judged the samples", lambda: judged(crowd) >= heard, TRY_S)
    except DidNotHappen:
        return False
    return True


def judged(crowd: Crowd) -> int:
    """Samples that the fleet has judged, by its own count."""
    status = crowd.site.ask(op="status")
    return int(status["heard"].get("telemetry", 0)) - int(status["inbox"])


def begin(crowd: Crowd, devices: Sequence[Device]) -> None:
    """A session on each, asked for at the control socket, armed and started at the device: all run on return."""
    for first in range(0, len(devices), AT_A_TIME):
        several = devices[first : first + AT_A_TIME]
        show(crowd, list(crowd.devices.values()) if first % (AT_A_TIME * 5) == 0 else several)  # nobody is forgotten
        _begin_together(crowd, several)


def _begin_together(crowd: Crowd, devices: Sequence[Device]) -> None:
    for device in devices:
        ask_for_one(crowd, device)
    crowd.until("authorisations arrive", lambda: all(device.phase is Phase.AUTHORISED for device in devices))
    for step in (Device.arms, Device.starts):
        for device in devices:
            step(device, at())
        _leased_once_more(crowd, devices)


def _leased_once_more(crowd: Crowd, devices: Sequence[Device]) -> None:
    before = [device.leased for device in devices]
    show(crowd, devices)
    crowd.until("a lease for each", lambda: all(d.leased > n for d, n in zip(devices, before, strict=True)))


def ask_for_one(crowd: Crowd, device: Device) -> None:
    """Ask for a session of a client who was never here.

    Raises:
        NotAuthorised: with what the fleet said.
    """
    client = f"client-{next(_asked)}-{secrets.token_hex(4)}"
    answer = crowd.site.request_session(device.name, device.room, client)
    if not answer["ok"]:
        raise NotAuthorised(f"{device.name}: {answer['text']}")
