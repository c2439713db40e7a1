"""Plain words for people: what a journaled event says, and why a request was refused. Tables, no decisions."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.words import alarms as alarm_words
from fleet.words import due as due_words

Body = Mapping[str, Any]

SWITCH_OFF = "NOT confirmed: switch it off at the wall"


def milliseconds(seconds: float | None) -> str:
    """A latency for people; one that was never heard of says so."""
    return "not heard" if seconds is None else f"{seconds * 1000.0:.0f} ms"


def _who(body: Body) -> str:
    return str(body.get("device") or "site")


def _session(body: Body) -> str:
    return f"session {str(body['session_id'])[:8]}"


def _stop_ordered(body: Body) -> str:
    stop = body["stop"]
    what = "every device of the site" if body["device"] == "all" else body["device"]
    return f"{what}: stop ordered by {stop['issued_by']} ({stop['cause']}: {body['reason']})"


def _stop_confirmed(body: Body) -> str:
    if body["amplitude_ma"] is None:
        return f"{body['device']}: a person at the device has seen that it is off; nothing was measured"
    measured = f"zero current measured ({body['amplitude_ma']:.2f} mA)"
    if body["cause_to_sent_s"] is None:
        return f"{body['device']}: not known to be sent, {measured}"
    # A stop of the whole site has no receipts, and one that zero has overtaken is missed by nobody.
    receipt_s = body["sent_to_received_s"]
    received = "" if receipt_s is None else f"received after {milliseconds(receipt_s)}, "
    return (
        f"{body['device']}: sent after {milliseconds(body['cause_to_sent_s'])}, {received}"
        f"{measured} after {milliseconds(body['sent_to_zero_s'])}"
    )


def _reported(body: Body) -> str:
    event = body["event"]
    said = str(event["kind"]).replace("_", " ")
    cause = f" ({event['cause']})" if event["cause"] and event["cause"] != event["kind"] else ""
    detail = _detail(event["detail"] or {})
    return f"{body['device']}: {said}{cause}" + (f", {detail}" if detail else "")


def _detail(detail: Body) -> str:
    if "quantity" in detail:  # a reading and the bound it was judged by
        value = "no reading" if detail["value"] is None else _short(detail["value"])
        bound = "" if detail["limit"] is None else f" against {_short(detail['limit'])}"
        return f"{detail['quantity']} {value}{bound}"
    return ", ".join(f"{name} {_short(value)}" for name, value in detail.items() if value is not None)


def _settings(body: Body) -> str:
    settings = body["settings"]
    tighter = [
        f"{name} {_short(limit['value'])} ({limit['layer']})"
        for name, limit in settings["limits"].items()
        if limit["layer"] != "envelope"
    ]
    said = [settings["room"], *(["out of service"] if settings["service_hold"] else []), *tighter]
    return f"{body['device']}: settings {settings['version']}: {', '.join(said)}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(amplitude_ma: float | None) -> str:
    return "no reading" if amplitude_ma is None else f"{_short(amplitude_ma)} mA"


def _ended(body: Body) -> str:
    numbers = body["ended"]
    counted = "" if numbers is None else f", {numbers['elapsed_s']:.0f} s, peak {numbers['peak_ma']:.1f} mA"
    if numbers is not None and numbers["gaps"] and not numbers["elapsed_s"]:  # its agent died in it
        counted = ", the device has no record of it"
    return f"{_session(body)} ended: {body['cause'] or 'cause unknown'}{counted}"


# The machinery's own business.
QUIET = frozenset(
    {
        "FleetNumberRaised",
        "RegistryAdopted",
        "DeviceEnrolled",
        "DeviceBorn",
        "AuthorisationAccepted",
        "BaselineMeasured",
        "StopPublished",
        "HoldCleared",
    }
)
# By event name.
_EVENT_WORDS: dict[str, Callable[[Body], str]] = {
    "FleetTookOver": lambda body: f"fleet instance {body['fleet_n']} is in charge",
    "DrainOrdered": lambda body: f"draining: nothing new is authorised ({body['issued_by']})",
    "DrainLifted": lambda body: f"no longer draining: sessions are authorised again ({body['issued_by']})",
    "FleetClockStepped": lambda body: (
        f"the fleet host's clock has stepped {ahead_words(body['step_s'])} ahead: nothing new is authorised until it "
        "is put right, or accepted (`stimfleet clock`)"
    ),
    "FleetClockAgreed": lambda body: "the fleet host's clock is right again: sessions are authorised again",
    "FleetClockAccepted": lambda body: (
        f"the fleet host's clock is accepted by {body['issued_by']} ({body['reason']}), "
        f"{ahead_words(body['after_wall_s'] - body['before_wall_s'])} ahead of the time until then"
    ),
    "SecurityNoticed": lambda body: f"{_who(body)}: bad input on {body['channel'] or 'no channel'}: {body['reason']}",
    "DeviceBooted": lambda body: f"{_who(body)}: agent started (boot {body['boot_n']})",
    "DeviceLost": lambda body: f"{_who(body)}: lost, no word from it",
    "DeviceReturned": lambda body: f"{_who(body)}: is there",
    "SettingsIssued": _settings,
    "DeviceReported": _reported,
    "EventConflicted": lambda body: (
        f"{_who(body)}: two different events under one number, {body['event']['n']} of spool "
        f"{body['event']['spool_id']}; the second is {body['event']['event_id']}"
    ),
    "EventUnreadable": lambda body: (
        f"{_who(body)}: event {body['n']} of spool {body['spool_id']} cannot be read; the device sets it aside "
        f"(payload SHA-256 {body['payload_sha256']})"
    ),
    "SpoolGapFound": lambda body: f"{_who(body)}: events {body['from_n']} to {body['to_n']} are missing",
    "SessionRefused": lambda body: f"{_who(body)}: session refused, {len(body['refusals'])} reasons",
    "SessionAuthorised": lambda body: f"{_who(body)}: session {body['authorisation']['session_id'][:8]} authorised",
    "SessionDeclined": lambda body: f"{_session(body)} refused by the device: {body['reason'] or 'no reason given'}",
    "SessionExpired": lambda body: f"{_session(body)} was not started in time",
    "SessionCancelled": lambda body: f"{_session(body)} cancelled by {body['issued_by']}",
    "CancelOvertaken": lambda body: f"{_session(body)} had started before the cancel came: it runs",
    "SessionAdvanced": lambda body: f"{_session(body)} is {body['to']}",
    "LimitExceeded": lambda body: (
        f"{_who(body)}: {body['quantity']} {_short(body['value'])} is beyond {_short(body['limit']['value'])} "
        f"(set by {body['limit']['layer']})"
    ),
    "SensorFlatlined": lambda body: f"{_who(body)}: the same current {body['readings']} times in a row",
    "SessionWithheld": lambda body: f"{_session(body)} gets no more leases: {body['reason']}",
    "OutputUnpermitted": lambda body: (
        f"{_who(body)}: output without permission ({body['phase']}, {_measured(body['amplitude_ma'])})"
    ),
    "SessionEnded": _ended,
    "SessionLost": lambda body: f"{_session(body)} lost: its agent is gone",
    "SessionCleared": lambda body: f"{_session(body)} cleared: reset at the device",
    "StopOrdered": _stop_ordered,
    "StopPushedAgain": lambda body: (
        f"{'every device of the site' if body['device'] == 'all' else body['device']}: stop pushed again by "
        f"{body['issued_by']} ({body['reason']})"
    ),
    "StopReceived": lambda body: f"{_who(body)}: stop received after {milliseconds(body['sent_to_received_s'])}",
    "StopFoundLive": lambda body: f"{_who(body)}: {body['phase']} after a stop, {_measured(body['amplitude_ma'])}",
    "StopConfirmed": _stop_confirmed,
    "StopUnconfirmed": lambda body: f"{body['room']}, {body['device']}: stop {SWITCH_OFF}",
    "HoldReleased": lambda body: f"{body['device'] or 'site'}: hold released by {body['issued_by']}",
    "HoldLifted": lambda body: f"{_who(body)}: hold lifted; its latch waits for a person there",
    "AlarmRaised": alarm_words.raised_words,
    "AlarmChanged": alarm_words.changed_words,
    "AlarmCleared": alarm_words.cleared_words,
    "ZeroConfirmed": alarm_words.zero_words,
    **alarm_words.EVENT_WORDS,
}


def event_words(name: str, body: Body) -> str | None:
    """What an event says to people; None for one that is the machinery's own business."""
    words = _EVENT_WORDS.get(name)
    return None if words is None else words(body)


def status_words(status: Body) -> list[str]:
    """The fleet service itself, line by line."""
    rows = [
        ("broker", "connected" if status["connected"] else "NOT connected: nobody is leased"),
        ("journal", f"{status['journal_position']} events"),
        ("sessions", "draining: nothing new is authorised" if status["draining"] else "are authorised"),
        *_clock_rows(status["clock_step_s"]),
        ("outbox", f"{status['outbox']} messages wait for the broker"),
        ("http", status["http"]),
    ]
    if status["journal_refusing"]:
        rows.append(("disk", "it REFUSES: nothing is authorised, no receipts; stops still go out"))
    for name in ("refused", "refused_by_core", "undelivered"):
        rows += [(name.replace("_", " "), f"{reason}: {count}") for reason, count in sorted(status[name].items())]
    who = f"site {status['site']}, fleet instance {status['fleet_n']}, process {status['pid']}"
    return [who, *(f"{name:<16}{words}" for name, words in rows)]


def _clock_rows(step_s: float | None) -> list[tuple[str, str]]:
    if step_s is None:
        return []
    return [("clock", f"it STEPPED {ahead_words(step_s)} ahead: nothing is authorised; see `stimfleet clock`")]


def ahead_words(seconds: float) -> str:
    """`5 min`, `26.0 h`, `12.0 days`."""
    if seconds >= 3 * 86_400.0:
        return f"{seconds / 86_400.0:.1f} days"
    return f"{seconds / 3600.0:.1f} h" if seconds >= 3570.0 else f"{seconds / 60.0:.0f} min"


_RULE_WORDS: dict[str, str] = {
    "screening_absolute": "{quantity} rules stimulation out, and nobody can override it",
    "screening_relative": "{quantity} needs the recorded override of a named clinician",
    "screening_override": "{quantity} is no clinician of this clinic and cannot override",
    "screening_age": "the screening is too old",
    "screening": "the screening does not pass",
    "placement": "electrodes must not go there: {quantity}",
    "duration": "the duration is outside what this modality allows",
    "limit": "{quantity} is {beyond} its limit",
    "dose_week": "the client has had {value} of the {limit} sessions that 7 days may have",
    "dose_rest": "too soon after the client's last session (days since: {value}, at least {limit})",
    "dose_first": "this is too long for a first session, and for one after 8 weeks without",
    "dose_conditioning": "this is too long while the client is being conditioned",
    "operator_unknown": "the operator is not on the clinic's list",
    "operator_instruction": "the operator's instruction on this model has run out, or never was",
    "device_unknown": "there is no such device",
    "device_struck_off": "the device is struck off",
    "device_due": "{due}",
    "device_identity": "serial or model of the device are not the registered ones",
    "device_not_fresh": "no fresh word from the device",
    "device_not_idle": "the device is not idle",
    "device_latched": "the device is latched: reset it there",
    "device_held": "the device is held: release it first",
    "device_in_session": "the device is in another session",
    "device_settings": "the device does not have the current settings yet",
    "device_battery": "the battery is too low",
    "room": "the device stands in another room",
    "client_in_session": "the client is in another session",
    "draining": "the fleet is draining: nothing new is authorised",
    "clock_in_doubt": (
        "the fleet host's clock has stepped ahead: put it right, or `stimfleet clock accept` if it is right now"
    ),
    "clock_not_in_doubt": "the fleet host's clock is not in doubt: there is nothing to accept",
    "device_speaks": "the device is heard: what it measures counts",
    "nothing_open": "nothing is open there",
    "session_unknown": "there is no such session",
    "session_over": "the session is over",
    "session_running": "the session runs: stop it instead",
    "no_hold": "there is no hold",
    "stop_unconfirmed": "zero current has not been measured yet",
    "alarm_unknown": "there is no such alarm",
    "alarm_over": "the alarm is over",
    "alarm_never_shelved": "{quantity} is never shelved: acknowledge it, and see to it",
    "shelf_end": "a shelf ends later than now, and at most 8 h from now (seconds ahead: {value}, at most {limit})",
    "not_shelved": "the alarm is not shelved",
    "page_unknown": "there is no such message, or what came of it is known already",
    "no_rota": "there is no rota, so nobody can be told: `stimfleet rota import FILE`",
    "person_unknown": "nobody of that id is on the rota",
    "in_service_hold": "the device is out of service: `stimfleet provision service-hold ... off` comes first",
}


def refusal_words(refusal: Body) -> str:
    """One refusal: the rule in words, its numbers, from when on it would not refuse, and who made it."""
    named, value, limit = str(refusal["quantity"] or "it"), refusal["value"], refusal["limit"]
    template = _RULE_WORDS[refusal["rule"]]
    number, bound = ("?" if figure is None else _short(float(figure)) for figure in (value, limit))
    # A quantity with a number carries its unit (`peak_ma`); without one it names what was found (`implanted_device`).
    words = template.format(
        due=due_words.refused_words(named, value, limit),
        quantity=named if value is not None else named.replace("_", " "),
        beyond="below" if value is not None and limit is not None and value < limit else "beyond",
        value=number,
        limit=bound,
    )
    if value is not None and "{value}" not in template and "{due}" not in template:
        words += f": {number}" + ("" if limit is None else f" against {bound}")
    again_on = refusal.get("again_on")  # refusals from before this was said have none
    waiting = "" if again_on is None else f"; possible again from {again_on}"
    return f"{words}{waiting} [{refusal['layer']}]"
