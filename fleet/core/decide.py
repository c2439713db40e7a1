"""The whole behaviour of the fleet has one address: `decide`.

The rules of this file:
- `decide(state, input)` decides, and folds what it decided into `state` as it goes (with `evolve`): the shell calls
  `evolve` only to rebuild from the journal. `state.durable` is always the fold of every event ever returned.
- Nothing that was not returned has happened. Events are in order; so are effects, within their two groups.
- The shell performs `at_once` immediately, appends `events` to the journal, and performs `after_commit` once they
  (and all before them) are committed. If the journal cannot be written, `at_once` still goes out.
- Same state, same inputs: same decisions, to the byte. No clock, no randomness, no I/O.
"""

from typing import assert_never

from broker.contract.messages import Ack, Birth, Event, Presence, Telemetry
from broker.contract.topics import CHANNEL_OF, Channel
from fleet.core import (
    alarms,
    attention,
    budget,
    clock,
    configuration,
    house,
    leases,
    paging,
    presence,
    proof,
    receipts,
    releases,
    requests,
    sessions,
    stops,
    store,
    withdrawals,
)
from fleet.core.alarm_inputs import Asked, OfAlarm, OfPager, OfRecorder, Recorded, Reported, RotaChanged
from fleet.core.effects import Count
from fleet.core.evolve import evolve
from fleet.core.inputs import (
    AcceptClock,
    CancelSession,
    ConfirmOff,
    Drain,
    Input,
    PushStop,
    Received,
    RegistryChanged,
    Rejected,
    ReleaseHold,
    RequestSession,
    StopCleared,
    StopSent,
    Tick,
    TookOver,
    Undrain,
    Unreadable,
)
from fleet.core.state import Device, State
from fleet.core.turn import Decision, Turn

__all__ = ["Decision", "decide", "evolve"]

_Person = RequestSession | CancelSession | PushStop | ConfirmOff | ReleaseHold | Drain | Undrain | AcceptClock
_Wire = Rejected | Unreadable | StopSent | StopCleared


def decide(state: State, heard: Input) -> Decision:
    """Decide on one input, and fold the decision into `state`."""
    match heard:
        case Received():
            turn = Turn(state, heard.received_s, heard.wall_s)
            _received(turn, heard)
        case Tick():
            turn = Turn(state, heard.now_s, heard.wall_s)
            stops.chase(turn)
            clock.look(turn)
            releases.clear(turn)
            sessions.pass_time(turn)
            withdrawals.out_of_service(turn)
            presence.look(turn)
            _waiting_births(turn)
        case (
            RequestSession()
            | CancelSession()
            | PushStop()
            | ConfirmOff()
            | ReleaseHold()
            | Drain()
            | Undrain()
            | AcceptClock()
        ):
            turn = Turn(state, heard.now_s, heard.wall_s)
            _asked(turn, heard)
        case Rejected() | Unreadable():
            turn = Turn(state, heard.received_s, heard.wall_s)
            _told_by_the_edge(turn, heard)
        case StopSent() | StopCleared():
            turn = Turn(state, heard.sent_s, heard.wall_s)
            _told_by_the_edge(turn, heard)
        case OfAlarm() | OfPager() | OfRecorder() | RotaChanged():
            turn = Turn(state, heard.now_s, heard.wall_s)
            _about_alarms(turn, heard)
        case RegistryChanged():
            turn = Turn(state, heard.now_s, heard.wall_s)
            house.registry_changed(turn, heard)
        case TookOver():
            turn = Turn(state, heard.now_s, heard.wall_s, heard.host_boot)
            house.took_over(turn, heard)
        case _:
            assert_never(heard)
    if turn.events:
        alarms.follow(turn)
    if isinstance(heard, Tick):
        proof.look(turn)
        alarms.look(turn)
        paging.look(turn)
    if turn.events:
        paging.follow(turn)
        _pay(turn, heard)
    return turn.decision()


def _about_alarms(turn: Turn, heard: Asked | Reported | Recorded | RotaChanged) -> None:
    match heard:
        case OfAlarm():
            attention.asked(turn, heard)
        case OfPager():
            proof.reported(turn, heard)
        case OfRecorder():
            store.told(turn, heard)
        case RotaChanged():
            proof.rota_changed(turn, heard)
        case _:
            assert_never(heard)


def _asked(turn: Turn, heard: _Person) -> None:
    match heard:
        case RequestSession():
            clock.look(turn)
            requests.requested(turn, heard)
        case CancelSession():
            sessions.cancel(turn, heard)
        case PushStop():
            stops.pushed(turn, heard)
        case ConfirmOff():
            sessions.confirm_off(turn, heard)
        case ReleaseHold():
            releases.requested(turn, heard)
        case Drain():
            house.drain(turn, heard)
        case Undrain():
            house.undrain(turn, heard)
        case AcceptClock():
            clock.accept(turn, heard)
        case _:
            assert_never(heard)


def _told_by_the_edge(turn: Turn, heard: _Wire) -> None:
    match heard:
        case StopSent():
            stops.sent(turn, heard)
        case StopCleared():
            releases.cleared(turn, heard)
        case Rejected():
            turn.refused(heard.device, heard.channel, heard.reason)
        case Unreadable():
            if presence.known(turn, heard.device, Channel.EVENT) is not None:
                receipts.quarantine(turn, heard.device, heard)
        case _:
            assert_never(heard)


def _received(turn: Turn, heard: Received) -> None:
    message = heard.message
    channel = CHANNEL_OF[type(message)]
    device = presence.known(turn, heard.device, channel)
    if device is None:
        return
    if heard.retained and not isinstance(message, Birth | Presence):
        turn.refused(heard.device, channel, "retained")
        return
    match message:
        case Telemetry():
            _sample(turn, device, message)
        case Birth():
            _birth(turn, device, message, retained=heard.retained)
        case Event():
            if receipts.report(turn, heard.device, message):
                sessions.reported(turn, heard.device, message)
        case Ack():
            _ack(turn, device, message)
        case Presence():
            pass  # a hint: it decides nothing
        case _:
            assert_never(message)


def _sample(turn: Turn, device: Device, sample: Telemetry) -> None:
    match presence.place(turn, device, sample):
        case presence.Standing.NEWEST:
            _newest(turn, turn.state.device(device.device), sample)
        case presence.Standing.OVERTAKEN | presence.Standing.LATE as standing:
            if standing is presence.Standing.OVERTAKEN:  # by a newer one, or it is one that was heard already
                turn.at_once(Count(device.device, Channel.TELEMETRY, "overtaken"))
            leases.judge_only(turn, device, sample)
        case presence.Standing.REFUSED:
            pass  # counted and noticed where it was found
        case _ as never:
            assert_never(never)


def _newest(turn: Turn, device: Device, sample: Telemetry) -> None:
    name = device.device
    if stops.pursued(turn, name):
        stops.seen(turn, name, sample)
    session = sessions.follow(turn, device, sample)
    if session is not None:
        turn.state.fleeting.unpermitted_s.pop(name, None)
        leases.answer(turn, device, session, sample)
    else:
        leases.judge_only(turn, device, sample)
        sessions.unpermitted(turn, device, sample)
    if device.releases:
        releases.remind(turn, device)
    # None: its birth came before it was on the list, and was not believed. Its settings bring about another.
    if device.settings is None or device.settings.version != sample.settings_version:
        configuration.agree(turn, name, sample.settings_version)


def _birth(turn: Turn, device: Device, birth: Birth, *, retained: bool) -> None:
    name = device.device
    if not presence.born(turn, device, birth, retained=retained):
        return
    receipts.oldest_known(turn, name, birth)
    configuration.agree(turn, name, birth.settings_version)
    stops.hold_again(turn, name, birth)
    releases.born(turn, turn.state.device(name))
    releases.remind(turn, turn.state.device(name))


def _pay(turn: Turn, heard: Input) -> None:
    """What follows from a device's own words is paid for by that device."""
    if isinstance(heard, Received | Unreadable):
        budget.spend(turn, heard.device, len(turn.events))


def _waiting_births(turn: Turn) -> None:
    """What was above the budget, and is not any more."""
    for device, waiting in budget.births_due(turn):
        before_n = len(turn.events)
        _birth(turn, device, waiting.birth, retained=waiting.retained)
        budget.spend(turn, device.device, len(turn.events) - before_n)


def _ack(turn: Turn, device: Device, ack: Ack) -> None:
    if ack.boot_n != device.boot_n:
        return
    stops.acknowledged(turn, device.device, ack)
    sessions.acknowledged(turn, device, ack)
