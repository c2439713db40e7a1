"""Plain words for alarms: what each code means, and what to do about it, in one line. Tables, no decisions.

The runbook has a heading for every code (dashboards/runbook.md).
"""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.words import due as due_words

Body = Mapping[str, Any]

NAMED_MAX = 6  # devices of a group that are named; the rest is counted

# What is the case, and what to do. A full stop ends both.
_WORDS: dict[str, tuple[str, str]] = {
    "A01": ("output not confirmed zero", "Switch it off at the wall."),
    "A02": ("output beyond a limit, or without permission", "See to the patient; do not reset it before you know why."),
    "A03": ("emergency stop", "See to the patient; then release the hold and reset it at the device."),
    "A04": (
        "session stopped, its permission or its agent was lost",
        "See to the patient; reset it at the device.",
    ),
    "A05": ("electrode fault", "Check the pads and the skin; resume at the device."),
    "A06": ("an attempt beyond a limit was refused", "Check the plan against the limits."),
    "A07": ("offline", "Check its power and its network."),
    "A08": ("battery low", "Charge it after this session."),
    "A09": ("messages that are not this site's, or a clock that stepped", "Call an engineer."),
    "A10": ("nobody has accepted the page in its time", "See to the alarm that it is about: the next rung is told."),
    "A12": ("the way from an alarm to a person is unproven", "Call an engineer: somebody may not be told."),
    "A13": ("samples are not kept", "See what `stimfleet recorder --status` says; nobody is treated otherwise for it."),
}
# Where the quantity that is to blame says something else than its code, and nothing more is known.
_WORDS_OF: dict[tuple[str, str], tuple[str, str]] = {
    ("A09", "session_overran"): (
        "by its device's record, a session lasted longer than it was authorised for while nobody heard it",
        "See to the patient; call an engineer.",
    ),
    ("A09", "too_many"): (
        "it tells more than any device has to tell",
        "Use another device; call an engineer.",
    ),
}
# The fleet host's own clock: an alarm of the site. A device's is beside it in the table of codes.
_HOST_CLOCK = (
    "the fleet host's clock has stepped ahead, nothing new is authorised",
    "Put it right, or `stimfleet clock accept` if it is right now.",
)
_A12: dict[str, tuple[str, str]] = {
    "no_rota": ("there is no rota, so nobody is told", "Import one: `stimfleet rota import FILE`."),
    "pager_silent": ("whoever delivers messages is not heard", "Start `stimfleet pager`; until then watch the screen."),
    "delivery_failed": (
        "the last messages were delivered to nobody",
        "Watch the screen; see in the pager's log why they fail.",
    ),
    "heartbeat_missing": (
        "the dead-man's switch outside does not take the heartbeat",
        "Check the way out of the house: messages may not get out either.",
    ),
    "cover_gap_in_s": ("nobody is on call from then on", "Fill the gap in the rota."),
    "drill_failed": ("a test alarm was not delivered, or not answered", "Call that person another way; test again."),
    "not_proven_for_days": ("a way to a person is untested", "Run a drill, and have it answered."),
}
_WORDS_OF.update({("A12", quantity): words for quantity, words in _A12.items()})
_A13: dict[str, tuple[str, str]] = {
    "store_refuses": (
        "samples are not kept, their disk or store takes nothing",
        "Make room for the history: `stimfleet recorder --status` says what refuses. Sessions and the journal go on.",
    ),
    "samples_dropped": (
        "samples were dropped for good",
        "See what `stimfleet recorder --status` says; they are gaps in charts, and the journal has every event.",
    ),
    "store_waits": (
        "the store of the samples is away, they wait on the recorder's disk",
        "See what `stimfleet recorder --status` says, and start InfluxDB; nothing is lost while the disk has room.",
    ),
    "recorder_silent": (
        "the recorder is gone, samples are not kept",
        "Start `stimfleet recorder`; see its log.",
    ),
}
_WORDS_OF.update({("A13", quantity): words for quantity, words in _A13.items()})
# Whoever reads A01 is to go, not to read; for A07 nothing more is known; A11 has said it already.
_WITHOUT_WHY = frozenset({"A01", "A07", "A11"})
_WITH_NUMBER = frozenset({("A12", "cover_gap_in_s"), ("A12", "not_proven_for_days")})
_CAUSES: dict[str, str] = {
    "output_stuck": "stuck",
    "patient_stop": "pressed at the device",
    "emergency_stop": "pushed",
    "session_lost": "its agent is gone",
    "struck_off_unseen": "struck off, and nobody has seen it off",
    "reboot": "its agent has started again",
    "amplitude_ma": "no reading of its current",
}


def where_words(alarm: Body) -> str:
    """`Room room-4, stim-12`; a group names its devices."""
    members = list(alarm.get("members") or ())
    if alarm["device"] is not None:
        room = "Room unknown" if alarm["room"] is None else f"Room {alarm['room']}"
        return f"{room}, {alarm['device']}"
    place = "Site" if alarm["room"] is None else f"Room {alarm['room']}"
    if not members:
        return place
    more = f" and {len(members) - NAMED_MAX} more" if len(members) > NAMED_MAX else ""
    return f"{place}, {len(members)} devices ({', '.join(members[:NAMED_MAX])}{more})"


def why_words(why: Body) -> str:
    """Its cause and its number, as far as there are any."""
    cause, quantity, value = why["cause"], why["quantity"], why["value"]
    if quantity == "cover_gap_in_s":
        return f"in {value / 3600.0:.0f} h" if value > 0.0 else "now"
    if quantity == "not_proven_for_days":
        return f"for {value:.0f} days"
    if quantity is not None and quantity.endswith("_rung"):  # A10: the code that it is about
        return f"{quantity.removesuffix('_rung')}, rung {value:.0f}"
    name = cause or (quantity if value is None else None)
    named = [_CAUSES.get(name, name.replace("_", " "))] if name else []
    if value is not None and quantity != "waited_s":
        bound = "" if why["limit"] is None else f" against {why['limit']:.4g}"
        named.append(f"{quantity} {value:.4g}{bound}")
    return ", ".join(named)


def _known(alarm: Body) -> tuple[str, str]:
    return alarm["code"], alarm["why"]["quantity"]


def _words(alarm: Body) -> tuple[str, str]:
    if alarm["code"] == "A11":
        return due_words.alarm_words(alarm["why"])
    if _known(alarm) == ("A09", "clock_step_s") and alarm["device"] is None:
        return _HOST_CLOCK
    return _WORDS_OF.get(_known(alarm)) or _WORDS[alarm["code"]]


def alarm_words(alarm: Body) -> str:
    """`HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall.`"""
    what, to_do = _words(alarm)
    told = alarm["code"] in _WITHOUT_WHY or (_known(alarm) in _WORDS_OF and _known(alarm) not in _WITH_NUMBER)
    why = "" if told else why_words(alarm["why"])
    because = f" ({why})" if why else ""
    return f"{alarm['priority'].upper()} {where_words(alarm)}: {what}{because}. {to_do}"


def over_words(alarm: Body) -> str:
    """`Room room-4, stim-12: output not confirmed zero.`"""
    return f"{where_words(alarm)}: {_words(alarm)[0]}."


def raised_words(body: Body) -> str:
    return f"alarm {body['code']} {alarm_words(body)}"


def changed_words(body: Body) -> str:
    moved = [f"{name} joined" for name in body["joined"]] + [f"{name} is well again" for name in body["left"]]
    said = moved or [f"now {body['priority']}, {str(body['signal']).replace('_', ' ')}"]
    named = ", ".join(said[:NAMED_MAX]) + (f" and {len(said) - NAMED_MAX} more" if len(said) > NAMED_MAX else "")
    return f"alarm {body['code']} {where_words(body)}: {named}"


def cleared_words(body: Body) -> str:
    over = "goes on as one alarm with others" if body["grouped_into"] else "over"
    return f"alarm {body['code']} {where_words(body)}: {_words(body)[0]}: {over}"


def zero_words(body: Body) -> str:
    if body["amplitude_ma"] is None:
        return f"{body['device']}: a person at the device has seen that it is off; nothing was measured"
    return f"{body['device']}: zero current measured ({body['amplitude_ma']:.2f} mA)"


# --- people and messages ----------------------------------------------------------------------------------------------


def _of(body: Body) -> str:
    return f"alarm {body['code']} {where_words(body)}"


def _paged(body: Body) -> str:
    what = {"trigger": "told", "acknowledge": "told that somebody has it", "resolve": "told that it is over"}
    drill = "test alarm: " if body["drill"] else f"{_of(body)}: "
    rung = f", rung {body['rung']}" if body["rung"] else ""
    return f"{drill}{body['person']} is to be {what[body['act']]} by {body['method']}{rung}"


def _digest(body: Body) -> str:
    said = [f"{line['code']} {where_words(line)}" for line in body["alarms"][:NAMED_MAX]]
    more = body["more"] + len(body["alarms"]) - len(said)
    return f"digest for {body['person']} by {body['method']}: {', '.join(said)}" + (f" and {more} more" if more else "")


def _arrived(body: Body) -> str:
    late = ", after it had been given up" if body["late"] else ""
    return f"message to {body['person']} by {body['method']}: delivered after {body['after_s']:.1f} s{late}"


def _proven(body: Body) -> str:
    by = f" by {body['issued_by']}" if body.get("issued_by") else ""  # what is old does not say
    return f"test alarm to {body['person']}: answered{by}, {body['method']} is proven"


def _missed(body: Body) -> str:
    return (
        f"message to {body['person']} by {body['method']}: NOT delivered after {body['after_s']:.1f} s ({body['why']})"
    )


_AGAIN: dict[str, str] = {
    "acknowledgement_over": "its acknowledgement has run out",
    "shelf_over": "it is off its shelf",
    "joined": "another device has joined it",
}

EVENT_WORDS: dict[str, Callable[[Body], str]] = {
    "AlarmAcknowledged": lambda body: f"{_of(body)}: acknowledged by {body['issued_by']}",
    "AlarmAccepted": lambda body: f"{_of(body)}: {body['issued_by']} sees to it",
    "AlarmRejected": lambda body: f"{_of(body)}: {body['issued_by']} cannot ({body['reason']})",
    "AlarmShelved": lambda body: f"{_of(body)}: shelved by {body['issued_by']} ({body['reason']})",
    "AlarmUnshelved": lambda body: f"{_of(body)}: taken off its shelf by {body['issued_by']}",
    "AlarmCommented": lambda body: f"{_of(body)}: {body['issued_by']} writes: {body['text']}",
    "AlarmSounded": lambda body: f"{_of(body)}: sounds again, {_AGAIN[body['reason']]}",
    "RungReached": lambda body: f"{_of(body)}: rung {body['rung']} {'reaches NOBODY' if body['nobody'] else 'is told'}",
    "PageDue": _paged,
    "DigestDue": _digest,
    "PageArrived": _arrived,
    "PageMissed": _missed,
    "RotaAdopted": lambda body: "rota taken up" if body["rota"] else "there is NO rota: nobody is told",
    "DrillOrdered": lambda body: (
        f"test alarm to {body['person'] or 'everybody'}, by {body['issued_by'] or 'the calendar'}"
    ),
    "ChannelProven": _proven,
    "DrillUnanswered": lambda body: f"test alarm: {body['person']} has NOT answered by {body['method']}",
    "StoreFailed": lambda body: f"recorder: {_A13[body['trouble']][0]}",
    "StoreTook": lambda body: "recorder: the store takes what it is given",
    "RecorderEnded": lambda body: "recorder: ended in order, nothing more is kept",
}
