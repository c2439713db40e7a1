"""A decision of the core as lines that a person can read."""

from typing import assert_never

from fleet.core import effects, events
from fleet.core.decide import Decision
from tests.core.alarm_lines import ABOUT_PEOPLE, people_line

ALARMS = (
    events.AlarmRaised,
    events.AlarmChanged,
    events.AlarmCleared,
    events.ZeroConfirmed,
    *ABOUT_PEOPLE,
)


def in_words(decision: Decision, *, alarms: bool = True) -> list[str]:
    """A decision as lines, in order; without what it says of alarms in stories that are about something else."""
    return [
        *(_line(event) for event in decision.events if alarms or not isinstance(event, ALARMS)),
        *(f"! {_effect(effect)}" for effect in decision.at_once),
        *(f"> {_effect(effect)}" for effect in decision.after_commit),
    ]


def _line(event: events.Event) -> str:
    return people_line(event) if isinstance(event, ABOUT_PEOPLE) else _event(event)


def _event(event: events.Event) -> str:
    name = type(event).__name__
    match event:
        case events.AlarmRaised() | events.AlarmChanged() | events.AlarmCleared():
            return _alarm(event)
        case events.ZeroConfirmed(device=device, by=by):
            return f"{name} {device} {by}"
        case events.SessionAdvanced(to=to):
            return f"{name} {to}"
        case events.SessionEnded(to=to, cause=cause):
            return f"{name} {to} {cause}"
        case events.SessionWithheld(reason=reason) | events.SecurityNoticed(reason=reason):
            return f"{name} {reason}"
        case events.LimitExceeded(quantity=quantity):
            return f"{name} {quantity}"
        case events.StopOrdered(device=device, stop=stop):
            return f"{name} {device} {stop.cause}"
        case events.StopConfirmed(device=device, by=by):
            return f"{name} {device} {by}"
        case events.StopUnconfirmed(device=device, room=room):
            return f"{name} {room} {device}"
        case events.StopReceived(device=device) | events.DeviceLost(device=device) | events.HoldLifted(device=device):
            return f"{name} {device}"
        case events.DeviceReported(event=said):
            return f"{name} {said.kind}"
        case _:
            return name


def _alarm(event: events.AlarmRaised | events.AlarmChanged | events.AlarmCleared) -> str:
    """`AlarmRaised A03 medium room-4/stim-12 on`; a group lists its devices, and who joined or left."""
    place = f"{event.room}/{event.device}" if event.device is not None else event.room or "site"
    words = f"{type(event).__name__} {event.code} {event.priority} {place} {event.signal}"
    match event:
        case events.AlarmRaised(members=members) if members:
            return f"{words}: {' '.join(members)}"
        case events.AlarmChanged(joined=joined, left=left) if joined or left:
            return f"{words}: {' '.join([f'+{name}' for name in joined] + [f'-{name}' for name in left])}"
        case events.AlarmCleared(grouped_into=into) if into is not None:
            return f"{words} grouped"
        case _:
            return words


def _effect(effect: effects.Effect) -> str:
    match effect:
        case effects.SendLease(device, lease):
            return f"lease {device} {lease.answers}"
        case effects.SendStop(device, stop):
            return f"stop {device} {stop.cause}{' hold' if stop.hold else ''}"
        case effects.SendReceipt(device, receipt):
            return f"receipt {device} {receipt.upto}"
        case effects.SendSettings(device, settings):
            return f"settings {device} {settings.version}"
        case effects.SendRelease(device, release):
            return f"release {device} {release.scope} {','.join(release.holds)}"
        case effects.SendAuthorisation(device, _):
            return f"authorisation {device}"
        case effects.SendCancel(device, _):
            return f"cancel {device}"
        case effects.ClearRetained(device, _):
            return f"clear {device}"
        case effects.Count(_, _, reason):
            return f"count {reason}"
        case effects.Answer(_, reply):
            return _reply(reply)
        case _:
            assert_never(effect)


def _reply(reply: effects.Reply) -> str:
    match reply:
        case effects.Refused(refusals):
            return f"refused {', '.join(refusal.rule for refusal in refusals)}"
        case effects.Granted():
            return "granted"
        case effects.Ordered():
            return "ordered"
        case _:
            assert_never(reply)
