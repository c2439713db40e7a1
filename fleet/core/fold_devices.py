"""What events change about the house, its devices and their spools."""

from dataclasses import replace
from typing import Any

from broker.contract import messages
from fleet.core import events as e
from fleet.core import fold_alarms, fold_attention, fold_doses, fold_store, fold_use, steady
from fleet.core.state import NO_BOOT, NO_SEQ, Device, Durable, Spool

SETTINGS_KEPT = 4  # older versions by which a sample may still be judged
SPOOLS_KEPT = 4  # of a device: a new one means that its disk was lost or went back in time
RECENT_KEPT = 64  # accepted events of a spool whose id is remembered
UNREADABLE_KEPT = 32  # a receipt lists no more


def _change(durable: Durable, device: str, **changes: Any) -> None:
    known = durable.devices.get(device) or Device(device=device)
    durable.devices[device] = replace(known, **changes)


# --- the house ------------------------------------------------------------------------------------------------------


def took_over(durable: Durable, event: e.FleetTookOver) -> None:
    if durable.host_boot != event.host_boot:
        fold_use.lose_time(durable, event.wall_s)
        _rebase(durable, event.now_s)
        steady.anchor(durable, event.now_s, event.wall_s)
    durable.fleet_n = event.fleet_n
    durable.host_boot = event.host_boot
    durable.took_over_s = event.now_s


def _rebase(durable: Durable, now_s: float) -> None:
    """The host booted: times of its earlier boot mean nothing now. Sessions still have the device's own timer
    (`elapsed_s`); everything else counts from now.
    """
    fold_doses.lose_time(durable)
    for name, session in durable.sessions.items():
        durable.sessions[name] = replace(session, since_s=now_s, answered_s=now_s)
    for name, device in durable.devices.items():
        durable.devices[name] = replace(device, settings_since_s=now_s)
    for name, stop in durable.stops.items():
        pursuits = {
            device: pursuit if pursuit.urgent_s is None else replace(pursuit, urgent_s=now_s)
            for device, pursuit in stop.pursuits.items()
        }
        durable.stops[name] = replace(stop, ordered_s=now_s, sent_s=None, pursuits=pursuits)
    fold_alarms.rebase(durable, now_s)
    fold_attention.rebase(durable, now_s)
    fold_store.rebase(durable, now_s)


def number_raised(durable: Durable, event: e.FleetNumberRaised) -> None:
    durable.fleet_n = event.fleet_n


def drain_ordered(durable: Durable, event: e.DrainOrdered) -> None:
    durable.draining = True


def drain_lifted(durable: Durable, event: e.DrainLifted) -> None:
    durable.draining = False


def registry_adopted(durable: Durable, event: e.RegistryAdopted) -> None:
    durable.registry = event.registry


# --- devices --------------------------------------------------------------------------------------------------------


def enrolled(durable: Durable, event: e.DeviceEnrolled) -> None:
    # Settings versions go on rising, and holds stay: both are the fleet's own, not the memory of the device. What is
    # known of its spools stays too: a new disk has a new one, a restored disk tells nothing twice.
    _change(durable, event.device, enrolment=event.enrolment, boot_n=NO_BOOT, seq_floor=NO_SEQ, birth=None)


def booted(durable: Durable, event: e.DeviceBooted) -> None:
    _change(durable, event.device, boot_n=event.boot_n, seq_floor=NO_SEQ)


def born(durable: Durable, event: e.DeviceBorn) -> None:
    _change(durable, event.device, birth=event.birth)


def lost(durable: Durable, event: e.DeviceLost) -> None:
    _change(durable, event.device, lost=True)


def returned(durable: Durable, event: e.DeviceReturned) -> None:
    _change(durable, event.device, lost=False)


def settings_issued(durable: Durable, event: e.SettingsIssued) -> None:
    device = durable.devices.get(event.device) or Device(device=event.device)
    older = (*(() if device.settings is None else (device.settings,)), *device.older_settings)
    _change(
        durable,
        event.device,
        settings=event.settings,
        settings_since_s=event.now_s,
        older_settings=older[:SETTINGS_KEPT],
    )
    _outgrow(durable, device.session_id, older[SETTINGS_KEPT:])


def _outgrow(durable: Durable, session_id: str | None, dropped: tuple[messages.Settings, ...]) -> None:
    """Settings that are dropped are still a limit of the session that they came in."""
    session = None if session_id is None else durable.sessions.get(session_id)
    if session is None or not session.open:
        return
    for settings in dropped:
        if settings.version > session.settings_version:
            outgrown = settings.limits if session.outgrown is None else session.outgrown.tightened(settings.limits)
            durable.sessions[session.session_id] = replace(session, outgrown=outgrown)


def heard_up_to(durable: Durable, device: str, boot_n: int, seq: int) -> None:
    """A sample of this boot is in the journal by its number: nothing up to it is new any more."""
    known = durable.devices.get(device)
    if known is not None and known.boot_n == boot_n and seq > known.seq_floor:
        _change(durable, device, seq_floor=seq)


# --- spools ---------------------------------------------------------------------------------------------------------


def covered(spool: Spool, n: int) -> bool:
    """Whether n is accounted for already."""
    return n <= spool.upto or any(first <= n <= last for first, last in spool.beyond)


def _covering(spool: Spool, from_n: int, to_n: int) -> Spool:
    """The spool with a range accounted for; ranges that touch become one, and those that touch `upto` raise it."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((*spool.beyond, (from_n, to_n))):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    upto = spool.upto
    if merged[0][0] <= upto + 1:
        upto = max(upto, merged.pop(0)[1])
    return replace(spool, upto=upto, beyond=tuple(merged))


def _keep(durable: Durable, device: str, spool: Spool) -> None:
    spools = dict(durable.devices[device].spools) if device in durable.devices else {}
    spools[spool.spool_id] = spool
    while len(spools) > SPOOLS_KEPT:
        del spools[next(iter(spools))]
    _change(durable, device, spools=spools)


def spool_of(durable: Durable, device: str, spool_id: str) -> Spool:
    """What is known of a spool; an empty one where nothing is."""
    known = durable.devices.get(device)
    return (None if known is None else known.spools.get(spool_id)) or Spool(spool_id=spool_id)


def reported(durable: Durable, event: e.DeviceReported) -> None:
    said = event.event
    spool = spool_of(durable, event.device, said.spool_id)
    spool = _covering(spool, said.n, said.n)
    if isinstance(said.detail, messages.SpoolDropped):
        # Only what lies before the report itself: what is still to come cannot have been dropped.
        dropped = range(said.detail.from_n, min(said.detail.to_n, said.n - 1) + 1)
        if dropped:
            spool = _covering(spool, dropped.start, dropped.stop - 1)
            spool = replace(spool, unreadable=tuple(u for u in spool.unreadable if u.n not in dropped))
    recent = (*spool.recent, (said.n, said.event_id))[-RECENT_KEPT:]
    _keep(durable, event.device, replace(spool, recent=recent))


def unreadable(durable: Durable, event: e.EventUnreadable) -> None:
    spool = _covering(spool_of(durable, event.device, event.spool_id), event.n, event.n)
    # A full list has been receipted, and waited for: receipts.py.
    listed = () if len(spool.unreadable) >= UNREADABLE_KEPT else spool.unreadable
    listed = (*listed, messages.Unreadable(event.n, event.payload_sha256))
    _keep(durable, event.device, replace(spool, unreadable=listed))


def gap_found(durable: Durable, event: e.SpoolGapFound) -> None:
    spool = spool_of(durable, event.device, event.spool_id)
    _keep(durable, event.device, _covering(spool, event.from_n, event.to_n))
