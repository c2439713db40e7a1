"""What a field means where its name and unit do not say everything: class, field, words for the published document."""

from typing import Any

_BOOT = "Which start of the agent: durable, 1 at the first ever, higher at every start."
_FLEET = "Which fleet instance: drop the message when this is lower than the highest accepted so far."
_ANSWERS = "The `seq` of the sample that this answers; its worth counts from when the agent sent that sample."
_COMMAND = "Random, one a command. One that is known repeats its stored outcome and does nothing else."
_AT = "Wall clock in UTC, for people; nothing is decided by it."
_SESSION = "The session's id, as the authorisation gave it."
_SPOOL = "Random id of the agent's event store; a new one begins where the old one is lost or went back in time."
_VERSION = "Version of the settings in force; 0 where there are none yet."

FIELD_WORDS: dict[str, dict[str, str]] = {
    "Birth": {
        "boot_n": _BOOT,
        "seq": "The `seq` of the next sample. The fleet ignores a birth with a lower one than the last of this boot.",
        "fleet_n": "The highest fleet instance heard and accepted; 0 where none was.",
        "spool_id": _SPOOL,
        "oldest_n": "The lowest `n` that the spool still holds, or the next `n` where it is empty.",
        "serial": "Of the stimulator, as provisioned: another one is another device to the fleet.",
        "profile": "The limits of this model of stimulator.",
        "capabilities": "New keys that this agent understands, by name.",
        "settings_version": _VERSION,
        "latched": "Why the device is latched; null: it is not.",
        "holds": "The holds that the device obeys now; the fleet repeats what should be there and is not.",
        "conditions": "What is wrong at the moment.",
        "session_id": "The session that is authorised or live; null: none.",
        "at": _AT,
    },
    "Holds": {
        "device": "Ids of stops retained on this device's own topic, newest last.",
        "all": "Ids of stops retained on the site-wide topic, newest last.",
        "service": "Taken out of service by settings; only a release with scope `service` lifts it.",
        "more": "There were over 16 in a scope: these are not all.",
    },
    "Presence": {"boot_n": _BOOT, "online": "False in the will and on a clean disconnect. It decides nothing."},
    "Telemetry": {
        "boot_n": _BOOT,
        "seq": "Rises by one with each sample, from a random 48-bit number at each boot.",
        "at": _AT,
        "session_id": "The session that is authorised or live; null: none.",
        "elapsed_s": "Running time of the session, pauses excluded; never decreases.",
        "setting_ma": "What the therapist set; ON phases ramp from 0 to it. While stopping, what is left of it.",
        "amplitude_ma": "Peak measured over the last max(100 ms, one pulse period); null: no reading, never zero.",
        "pulse_width_us": "Per phase, as planned; 0 without a session.",
        "frequency_hz": "As planned; 0 without a session.",
        "impedance_ohm": "From pulses or test pulses; null while neither flows, or where nothing is read.",
        "lease_margin_s": "What is left of the permission, negative when it has run out; null before the first lease.",
        "settings_version": "The fleet judges the sample by the settings of this version; 0 where there are none yet.",
        "late": "Taken while the link was down: charted, never answered.",
    },
    "Event": {
        "boot_n": "The boot in which it happened.",
        "spool_id": _SPOOL,
        "n": "1, 2, 3 ... in this spool, over boots too; a receipt covers numbers up to one.",
        "event_id": "Random; the same when the event is sent again.",
        "at": _AT,
        "boottime_s": "Boot time at which it happened, in the boot that `boot_n` names.",
        "session_id": "The session that it belongs to; null: none.",
        "cause": "Why, where a cause of the table is behind it; null otherwise.",
        "detail": "Belongs to the kind: see `allOf`.",
    },
    "SessionEnded": {
        "elapsed_s": "Running time, pauses excluded.",
        "on_time_s": "Time in which current flowed.",
        "peak_ma": "The highest peak measured.",
        "charge_uc": "Of one phase, summed over all pulses.",
        "gaps": "Stretches of over 0.25 s without a reading; nothing is interpolated over them.",
    },
    "Measured": {
        "quantity": "What was measured, with its unit last, e.g. `impedance_ohm`.",
        "value": "Null: there was no reading, and that is the fault.",
        "limit": "What it was judged against; for an electrode the baseline, null where there is none.",
    },
    "HoldChanged": {"hold_id": "Null for scope `service`, which has no id."},
    "CommandRefused": {
        "channel": "The last part of the topic.",
        "command_id": "Null where it is not known or not believed.",
    },
    "ClockStepped": {"step_s": "How far the wall clock moved against boot time; positive: ahead."},
    "SpoolDropped": {"from_n": "The first number that is gone.", "to_n": "The last number that is gone."},
    "Ack": {
        "boot_n": _BOOT,
        "command_id": "Of the command or stop.",
        "reason": "Null unless refused.",
        "amplitude_ma": "With a stop's `done`: the measured peak, below 1 mA. Null otherwise.",
        "at": _AT,
    },
    "Lease": {
        "fleet_n": _FLEET,
        "boot_n": "Of the answered sample; another one than the agent's makes the lease worthless.",
        "session_id": _SESSION,
        "answers": _ANSWERS,
        "ttl_ms": "Output is allowed until this long after the answered sample was sent, never longer than "
        "`lease_ttl_ms` of the authorisation.",
    },
    "Authorisation": {
        "fleet_n": _FLEET,
        "boot_n": "Of the answered sample; another one than the agent's is refused.",
        "answers": _ANSWERS,
        "command_id": _COMMAND,
        "session_id": "Random, chosen by the fleet; every message of the session carries it.",
        "client": "Pseudonym of who is treated: no name.",
        "operator": "The therapist who asked.",
        "room": "Refused unless it is the room of the newest settings.",
        "rule_set": "Version of the rules by which the fleet decided.",
        "limits": "Of clinic and plan; the agent tightens its own by them.",
        "start_within_s": "Must be running within this time after the answered sample was sent, else the authorisation "
        "is worth nothing.",
        "pause_total_s": "All pauses of the session together may last this long; then it ends as `pause_timeout`.",
        "lease_ttl_ms": "No lease of this session is worth more than this after its sample was sent.",
        "issued_at": _AT,
    },
    "Plan": {
        "electrode_area_cm2": "Of the smallest pad.",
        "pulse_width_us": "Per phase of a symmetric biphasic pulse.",
        "setting_ma_max": "The setting may be raised to this, limits permitting.",
        "duration_s": "Of running time, pauses excluded.",
        "on_s": "Of each ON phase at full strength, between its two ramps.",
        "off_s": "Between two ON phases; 0: always on.",
        "ramp_up_s": "From 0 to the setting at the beginning of each ON phase.",
        "ramp_down_s": "From the setting to 0 at the end of each ON phase.",
    },
    "Cancel": {
        "boot_n": "Another one than the agent's is refused.",
        "command_id": _COMMAND,
        "session_id": _SESSION,
    },
    "Stop": {
        "command_id": "Acknowledged `received`, and `done` once zero is measured. A known one stops again.",
        "hold": "Stay off until released: the message is retained, and the hold is kept on disk.",
        "issued_by": "For people.",
        "issued_at": _AT,
    },
    "Release": {
        "fleet_n": _FLEET,
        "boot_n": "Another one than the agent's is refused.",
        "answers": _ANSWERS,
        "command_id": _COMMAND,
        "holds": "Ids of the holds to lift; empty for scope `service`.",
        "issued_by": "For people.",
    },
    "Settings": {
        "version": "Replaces a lower one; an equal or lower one does nothing.",
        "capabilities": "New keys that the fleet understands, by name.",
        "room": "Where the device is: an authorisation for another room is refused.",
        "idle_period_s": "Of telemetry outside the live phases.",
        "live_period_s": "Of telemetry in the live phases.",
        "limits": "Of the clinic for this device; looser than the device's own changes nothing.",
        "service_hold": "True takes the device out of service; false lifts nothing, a release does.",
    },
    "Unreadable": {"n": "Of the event.", "payload_sha256": "Of the payload as it was received."},
    "Receipt": {
        "spool_id": "Another one than the agent's: the receipt does nothing.",
        "upto": "Every event up to this number may be deleted; 0: none yet.",
        "unreadable": "Set these aside for a person and report them as `spool_dropped`.",
    },
}


def described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a class with the words of its fields. A draft 7 reference stands alone: it is wrapped."""
    words = FIELD_WORDS.get(name)
    if words is None:
        return schema
    properties = {
        field: _with_words(property_, words[field]) if field in words else property_
        for field, property_ in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _with_words(property_: dict[str, Any], words: str) -> dict[str, Any]:
    if "$ref" in property_:
        return {"description": words, "allOf": [property_]}
    return {**property_, "description": words}
