"""The prose of the published document: `rules.md`, with the figures and tables of the contract's code put in.

A name in braces in `rules.md` is a figure or table of here, so that no number of the code is written twice.
"""

from collections.abc import Iterable
from importlib.resources import files

from broker.contract import limits
from broker.contract.causes import CONSEQUENCES, Cause, Consequence, Ending, ResetBy
from broker.contract.limits import ENVELOPE, GENERIC_PROFILE, LIMIT_NAMES, rms_envelope_ma

_MEANING: dict[str, str] = {
    "peak_ma_max": "peak current, set and measured",
    "pulse_width_us_min": "pulse width per phase, at least",
    "pulse_width_us_max": "pulse width per phase",
    "frequency_hz_min": "pulses per second, at least",
    "frequency_hz_max": "pulses per second",
    "rms_ma_max": "root mean square current during ON time",
    "density_ma_cm2_max": "rms current per area of the smallest pad",
    "pulse_energy_mj_max": "energy of one biphasic pulse into the load",
    "setting_step_ma_max": "one raise of the setting by the therapist",
    "setting_rise_ma_per_s_max": "raises of the setting over time",
    "ramp_up_s_min": "ramp of each ON phase from 0 to the setting, at least",
    "session_s_max": "running time of a session, pauses excluded",
    "pause_s_max": "one pause",
}
_ENDING: dict[Ending, str] = {
    Ending.COMPLETES: "completes",
    Ending.ABORTS: "ends",
    Ending.LATCHES: "ends and latches",
    Ending.PAUSES: "pauses",
}
# What brings a cause about where its name does not say it, as the agent sees it.
_WHEN: dict[Cause, str] = {
    Cause.COMPLETED: "the time is reached",
    Cause.THERAPIST_STOP: "normal stop at the device",
    Cause.PAUSE_TIMEOUT: "paused for too long",
    Cause.BATTERY_EMPTY: "battery below its end",
    Cause.CANCELLED: "cancelled before running, or settings that the pulse does not keep",
    Cause.PATIENT_STOP: "hand switch, or stop button at the device; latches without a session too",
    Cause.EMERGENCY_STOP: "pushed by the fleet; what cannot be believed",
    Cause.RULE_STOP: "a rule of the fleet; a new service hold in a live phase",
    Cause.SESSION_CAP: "the fleet's second timer",
    Cause.LEASE_LOST: "permission ran out in running",
    Cause.OVER_LIMIT: "measured peak over the limit",
    Cause.OUTPUT_STUCK: "not zero when it is due; the relay opens; latches without a session too",
    Cause.ELECTRODE_OPEN: "contact open while running",
    Cause.ELECTRODE_SHORT: "contact short while running",
    Cause.ELECTRODE_DEGRADED: "contact beyond degraded while running",
    Cause.SENSOR_FROZEN: "frozen or silent sensor while output is on",
    Cause.OVER_TEMPERATURE: "output stage too warm, in a live phase",
    Cause.SELF_TEST_FAILED: "a check of the stimulator or the agent fails; the record on disk is damaged",
    Cause.WATCHDOG_TRIPPED: (
        "the stimulator's own watchdog ended output, or its output is off for 1 s, ordered on; "
        "the agent was held up for 1 s in running"
    ),
    Cause.REBOOT: "the agent starts and finds the marker of a live session",
}


def rules_text() -> str:
    """The rules as Markdown."""
    text = files("broker.wire").joinpath("rules.md").read_text(encoding="utf-8")
    # Only these: other braces in the text stand for themselves.
    for name, value in _figures().items():
        text = text.replace(f"{{{name}}}", value)
    return text


def limits_table() -> str:
    """Every limit, what it bounds, and its envelope and generic profile."""
    rows = (
        (f"`{name}`", _MEANING[name], f"{getattr(ENVELOPE, name).value:g}", f"{getattr(GENERIC_PROFILE, name).value:g}")
        for name in LIMIT_NAMES
    )
    return _table(("limit", "of what", "envelope", "generic model"), rows)


def causes_table() -> str:
    """Every cause: when, how fast, and what follows."""
    rows = (
        (f"`{cause}`", _WHEN[cause], f"{row.ramp_s:g}", _ENDING[row.ending], _reset(row))
        for cause, row in CONSEQUENCES.items()
    )
    return _table(("cause", "when", "ramp at most, s", "the session", "reset by"), rows)


def _reset(row: Consequence) -> str:
    who = "-" if row.reset_by is ResetBy.NOBODY else row.reset_by.value
    if row.engineer_from_nth_in_24_h is not None:
        who = f"{who}; engineer from number {row.engineer_from_nth_in_24_h} within 24 h"
    return f"release, then {who}" if row.holds else who


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures() -> dict[str, str]:
    return {
        "CAUSES": causes_table(),
        "LIMITS": limits_table(),
        "RMS_ENVELOPE": f"{rms_envelope_ma(400.0):g} mA up to 400 Hz and {rms_envelope_ma(1500.0):g} mA up to 1500 Hz",
        "WINDOW_TEXT": "the last max(100 ms, one pulse period)",
        **{
            name: f"{getattr(limits, name):g}"
            for name in (
                "BATTERY_START_PCT",
                "BATTERY_END_PCT",
                "OVER_TEMPERATURE_C",
                "PAUSE_TOTAL_S",
                "ZERO_MA",
                "LOAD_OHM",
                "RELATIVE_TOLERANCE",
                "SESSION_S_MIN",
                "NO_READING_S",
            )
        },
        "FROZEN_READINGS": str(limits.FROZEN_READINGS),
    }
