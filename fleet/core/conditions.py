"""The alarm conditions: one pure predicate on the state a code, present or not (domain.md "Alarms").

Each is asked about one place: a device, or the site. It answers with why, or with None. What a device says of itself
(`Signs`) counts while the clinic has it on its list; what the fleet itself has going on counts for everybody. A
predicate is told of the alarm that is open there, because a doubt leaves things as they are: right after a start
nothing has been heard yet, and nothing is cleared for that.
"""

from dataclasses import dataclass

from broker.contract.causes import CONSEQUENCES, AlarmCode, Cause
from broker.contract.limits import BATTERY_START_PCT
from broker.contract.topics import CHANNELS, Channel
from fleet.core import due as due_dates
from fleet.core.alarm_events import Priority, Why
from fleet.core.alarm_state import NO_SIGNS, SITE, Alarm, Signs, key
from fleet.core.attention_state import Attention
from fleet.core.fold_alarms import ELECTRODE, place_of
from fleet.core.registry import RegisteredDevice
from fleet.core.rota import DAY_S
from fleet.core.session_events import SessionState
from fleet.core.state import Durable, Session, State
from fleet.core.store_events import Recorder, StoreTrouble

_lost_after_s = CHANNELS[Channel.TELEMETRY].lost_after_s
assert _lost_after_s is not None
LOST_AFTER_S: float = _lost_after_s

STAYS_S = 900.0  # what lasts for a moment is shown this long after the last time: a quarter of an hour
BATTERY_MEDIUM_PCT = 10.0
BATTERY_RECOVERED_PCT = 2.0  # above the bound: a reading at it is one occurrence
UNPAGED_S = 900.0  # a clinic that is being set up is not told at once that it has no rota
DELIVERY_FAILED_N = 3  # messages in a row, to whomever: then it is the delivery that fails, and not one telephone
PAGER_SILENT_S = 180.0  # whoever delivers speaks twice a minute
RECORDER_SILENT_S = 300.0  # whoever records speaks once a minute; its supervisor has started it again long before
STORE_FAILS_S = 60.0  # a store that blinks calls nobody
STORE_TAKES_S = 30.0  # and one that takes a batch in between is not well

# What latched it says which alarm. Output that was stuck has an A01 of its own until zero is measured, and then stays
# what it was: output without permission, for an engineer.
ALARM_OF: dict[Cause, AlarmCode | None] = {
    cause: AlarmCode.A02 if row.alarm is AlarmCode.A01 else row.alarm for cause, row in CONSEQUENCES.items()
}


@dataclass(frozen=True, slots=True)
class Present:
    """A condition that is there. `priority` None: its ordinary one; `since_s` None: since now."""

    why: Why
    priority: Priority | None = None
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The state, and when it is looked at (`Turn`)."""

    state: State
    now_s: float
    wall_s: float
    clock_s: float

    @property
    def durable(self) -> Durable:
        return self.state.durable

    def listed(self, place: str) -> RegisteredDevice | None:
        """A device that may speak: on the clinic's list and not struck off."""
        registered = self.durable.registry.devices.get(place)
        return None if registered is None or registered.struck_off else registered

    def signs(self, place: str) -> Signs:
        return self.durable.signs.get(place, NO_SIGNS)

    def session(self, place: str) -> Session | None:
        device = self.durable.devices.get(place)
        return None if device is None else self.state.session_on(device)


# --- A01 to A04: output, stops and leases ---------------------------------------------------------------------------


def zero_unconfirmed(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A01: a stop whose zero is not confirmed in its time, or an output that its device calls stuck."""
    for command_id in look.durable.pursued.get(place, ()):
        stop = look.durable.stops[command_id]
        if stop.pursuits[place].unconfirmed:
            return Present(Why(cause=stop.stop.cause))
    return None if look.signs(place).stuck_s is None else Present(Why(cause=Cause.OUTPUT_STUCK))


def output_wrong(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A02: high until zero is measured; then until the latch is reset and the hold is released."""
    stopped = _stopped_for(look, place, AlarmCode.A02)
    cause = stopped or _held_for(look, place, AlarmCode.A02) or _latched_for(look, place, AlarmCode.A02)
    unzeroed = look.signs(place).unzeroed_s is not None
    if cause is None and not unzeroed:
        return None
    return Present(Why(cause=cause), None if stopped is not None or unzeroed else Priority.MEDIUM)


def emergency_stop(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A03: pressed at the device, or pushed; until the latch and the holds are gone. The site's is about its hold."""
    if place == SITE:
        return _site_stopped(look)
    code = AlarmCode.A03
    cause = _stopped_for(look, place, code) or _held_for(look, place, code) or _latched_for(look, place, code)
    return None if cause is None else Present(Why(cause=cause))


def _site_stopped(look: Look) -> Present | None:
    """A stop for all, or for a name that nobody registered."""
    durable = look.durable
    scopes = [stop.device for stop in durable.stops.values()] + list(durable.holds)
    found = any(place_of(durable, scope) == SITE for scope in scopes)
    return Present(Why(cause=Cause.EMERGENCY_STOP)) if found else None


def permission_lost(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A04: latched because permission ran out or the agent had gone; or a live session whose agent is gone now, or
    whose device was struck off: that the session is given up says nothing about the output.
    """
    session = look.session(place)
    if session is not None and session.state is SessionState.LOST:
        return Present(Why(quantity="session_lost"))
    if look.signs(place).struck_off_s is not None and not (session is not None and session.live):
        return Present(Why(quantity="struck_off_unseen"))
    cause = _latched_for(look, place, AlarmCode.A04)
    return None if cause is None else Present(Why(cause=cause))


def _stopped_for(look: Look, place: str, code: AlarmCode) -> Cause | None:
    """The cause of an open stop of this very device."""
    stops = [look.durable.stops[command_id] for command_id in look.durable.pursued.get(place, ())]
    causes = [stop.stop.cause for stop in stops if stop.device == place]
    return next((cause for cause in causes if ALARM_OF[cause] is code), None)


def _held_for(look: Look, place: str, code: AlarmCode) -> Cause | None:
    causes = [hold.stop.cause for hold in look.durable.holds.get(place, ())]
    return next((cause for cause in causes if ALARM_OF[cause] is code), None)


def _latched_for(look: Look, place: str, code: AlarmCode) -> Cause | None:
    """By the device's own word, or by how its newest session ended: until a reset is seen."""
    if look.listed(place) is None:
        return None
    causes = list(look.signs(place).causes)
    session = look.session(place)
    if session is not None and session.state is SessionState.STOPPED_LATCHED and session.cause is not None:
        causes.append(session.cause)
    return next((cause for cause in causes if ALARM_OF[cause] is code), None)


# --- A05 to A08 -------------------------------------------------------------------------------------------------------


def electrode_fault(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A05: pads that ended output, while the session lasts and has not gone on."""
    session = look.session(place)
    if session is None or not session.live or look.listed(place) is None:
        return None
    cause = next((cause for cause in look.signs(place).causes if cause in ELECTRODE), None)
    return None if cause is None else Present(Why(cause=cause))


def attempt_refused(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A06: something beyond a limit was asked for, and refused by the fleet or by the device."""
    return _lately(look, key(AlarmCode.A06, place))


def offline(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A07: lost, without a session that says more (A04). It counts from the last word."""
    lost_s, session = look.signs(place).lost_s, look.session(place)
    if lost_s is None or look.listed(place) is None or (session is not None and session.open):
        return None
    return Present(Why(quantity="offline"), since_s=lost_s - LOST_AFTER_S)


def battery(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A08: low in a session, by the newest sample or by the device's word; or a session that it has ended."""
    session, signs = look.session(place), look.signs(place)
    if session is None or look.listed(place) is None:
        return None
    if not session.live:
        ended = session.cause is Cause.BATTERY_EMPTY and Cause.BATTERY_EMPTY in signs.causes
        return Present(Why(cause=Cause.BATTERY_EMPTY), Priority.MEDIUM) if ended else None
    seen = look.state.newest(place)
    percent = None if seen is None else seen.sample.battery_pct
    if percent is None:
        return Present(Why(quantity="battery_pct")) if signs.battery_low or alarm is not None else None
    bound = BATTERY_START_PCT if alarm is None else BATTERY_START_PCT + BATTERY_RECOVERED_PCT
    if percent >= bound and not signs.battery_low:
        return None
    why = Why(quantity="battery_pct", value=percent, limit=BATTERY_START_PCT)
    return Present(why, Priority.MEDIUM if percent < BATTERY_MEDIUM_PCT else None)


# --- A09 and A11: for engineers ---------------------------------------------------------------------------------------


def not_ours(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A09: forged, replayed, foreign or malformed messages; a stepped clock; two devices of one name. At the site also
    the fleet host's own clock, for as long as it is in doubt.
    """
    if place == SITE and look.durable.clock_step_s is not None:
        return Present(Why(quantity="clock_step_s", value=look.durable.clock_step_s))
    return _lately(look, key(AlarmCode.A09, place))


def _lately(look: Look, moment: str) -> Present | None:
    last_s = look.durable.moments.get(moment)
    return None if last_s is None or look.now_s - last_s >= STAYS_S else Present(Why())


def due(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A11: from 30 days ahead; overdue refuses every request. The site's is about its operators' instruction."""
    if place != SITE:
        registered = look.listed(place)
        if registered is None or not due_dates.is_soon(look.state, registered, look.wall_s):
            return None
        if alarm is not None:  # that it lasts is all: `due_why` says what is most pressing when somebody looks
            return Present(alarm.why)
    why = due_why(look.durable, place, look.wall_s)
    return None if why is None else Present(why)


def due_why(durable: Durable, place: str, wall_s: float) -> Why | None:
    """What is the most pressing at a place, as of `wall_s`."""
    if place == SITE:
        return due_dates.instruction_why(durable, wall_s)
    registered = durable.registry.devices.get(place)
    if registered is None or registered.struck_off:
        return None
    pressing = due_dates.most_pressing(durable, registered, wall_s)
    return None if pressing is None else pressing.why


# --- A10 and A12: whether anybody is told -----------------------------------------------------------------------------


def unaccepted(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A10: a page went on to the next rung, because nobody accepted it in its time; as grave as what it is about."""
    attention = look.durable.attention
    if place == SITE:
        found = [one for one in attention.values() if one.device is None and climbed(one)]
    else:
        ours = (attention.get(key(code, place)) for code in AlarmCode)
        found = [one for one in ours if one is not None and climbed(one)]
    if not found:
        return None
    gravest = min(found, key=lambda one: list(Priority).index(one.priority))
    return Present(Why(quantity=f"{gravest.code}_rung", value=float(gravest.rung)), gravest.priority)


def climbed(one: Attention) -> bool:
    """Whether it sounds, beyond its first rung."""
    return one.rung > 1 and one.rung_s is not None and one.cleared_s is None


def path_unproven(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A12: nobody would be told, or nobody knows whether somebody would."""
    if place != SITE:
        return None
    durable, fleeting = look.durable, look.state.fleeting
    if durable.rota is None:
        since_s = durable.unpaged_s
        known = since_s is not None and look.now_s - since_s >= UNPAGED_S
        return Present(Why(quantity="no_rota")) if known else None
    if look.now_s - max(fleeting.pager_s, durable.took_over_s) >= PAGER_SILENT_S:
        return Present(Why(quantity="pager_silent"))
    if delivery_fails(durable):
        return Present(Why(quantity="delivery_failed", value=float(durable.missed_n)))
    if fleeting.heartbeat is False:
        return Present(Why(quantity="heartbeat_missing"))
    if fleeting.gap_wall_s is not None:
        return Present(Why(quantity="cover_gap_in_s", value=max(0.0, fleeting.gap_wall_s - look.clock_s)))
    return _ways_in_doubt(look, durable.rota.proven_within_days)


def delivery_fails(durable: Durable) -> bool:
    """Whether the last calls and tests were delivered to nobody. One that arrives ends it."""
    return durable.missed_n >= DELIVERY_FAILED_N


def _ways_in_doubt(look: Look, days: int) -> Present | None:
    """A test that failed, or that is too old. While another way is good that is no reason to call somebody: he who is
    on leave answers no test.
    """
    proofs = look.durable.proofs.values()
    oldest_s, newest_s = look.clock_s - days * DAY_S, look.clock_s + DAY_S  # beyond that the clock was ahead
    tested = [proof.proven_wall_s or proof.since_wall_s for proof in proofs if proof.failed is None]
    good_n = sum(oldest_s < at_wall_s <= newest_s for at_wall_s in tested)
    if good_n == len(proofs):
        return None
    failed = len(tested) < len(proofs)
    why = Why(quantity="drill_failed") if failed else Why(quantity="not_proven_for_days", value=float(days))
    return Present(why, Priority.LOW if good_n else None)


# --- A13: whether samples are kept ------------------------------------------------------------------------------------


def samples_not_kept(look: Look, place: str, alarm: Alarm | None) -> Present | None:
    """A13: the store does not keep what its recorder is given, or a recorder is gone that was not asked to end. Without
    one nothing is missed: a clinic need not have it. Of one that has gone its last word counts.
    """
    recorder = look.durable.recorder
    if place != SITE or recorder is None:
        return None
    if recorder.trouble is not None:
        priority = None if _is_grave(look, recorder, alarm) else Priority.LOW
        return Present(Why(quantity=recorder.trouble.value), priority, since_s=recorder.since_s)
    if look.now_s - max(look.state.fleeting.recorder_s, look.durable.took_over_s) >= RECORDER_SILENT_S:
        return Present(Why(quantity="recorder_silent"), Priority.LOW)
    return None


def _is_grave(look: Look, recorder: Recorder, alarm: Alarm | None) -> bool:
    """Whether the store has refused for a minute, whatever was wrong before. While the alarm stands for that, until it
    has been something else for half a minute.
    """
    refuses, lasts_s = recorder.trouble is StoreTrouble.REFUSES, look.now_s - recorder.this_since_s
    if alarm is not None and alarm.priority is not Priority.LOW:
        return refuses or lasts_s < STORE_TAKES_S
    return refuses and lasts_s >= STORE_FAILS_S
