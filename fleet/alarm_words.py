"""Plain words for alarms: what each code means, and what to do about it, in one line. Tables, no decisions.

The runbook has a heading for every code (dashboards/runbook.md).
"""

from collections.abc import Mapping
from typing import Any

from fleet import due_words

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
}
# Where the quantity that is to blame says something else than its code, and nothing more is known.
_WORDS_OF: dict[tuple[str, str], tuple[str, str]] = {
    ("A09", "session_overran"): (
        "by its device's record, a session lasted longer than it was authorised for while nobody heard it",
        "See to the patient; call an engineer.",
    ),
}
# Whoever reads A01 is to go, not to read; for A07 nothing more is known; A11 has said it already.
_WITHOUT_WHY = frozenset({"A01", "A07", "A11"})
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
    return _WORDS_OF.get(_known(alarm)) or _WORDS[alarm["code"]]


def alarm_words(alarm: Body) -> str:
    """`HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall.`"""
    what, to_do = _words(alarm)
    why = "" if alarm["code"] in _WITHOUT_WHY or _known(alarm) in _WORDS_OF else why_words(alarm["why"])
    because = f" ({why})" if why else ""
    return f"{alarm['priority'].upper()} {where_words(alarm)}: {what}{because}. {to_do}"


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
