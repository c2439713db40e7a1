"""Refusals are values: which rule, which layer, which limit, which number (style.md)."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from broker.contract.shapes import Strict


class Rule(StrEnum):
    """Everything that may refuse a request. `explain` words follow the same names."""

    SCREENING_ABSOLUTE = "screening_absolute"
    SCREENING_RELATIVE = "screening_relative"
    SCREENING_OVERRIDE = "screening_override"  # by somebody who is no clinician of this clinic
    SCREENING_AGE = "screening_age"
    SCREENING = "screening"  # what the journal keeps of the three above
    PLACEMENT = "placement"
    DURATION = "duration"
    LIMIT = "limit"
    DOSE_WEEK = "dose_week"  # as many sessions as a week may have
    DOSE_REST = "dose_rest"  # too soon after the last one
    DOSE_FIRST = "dose_first"  # too long for a novice
    DOSE_CONDITIONING = "dose_conditioning"  # too long for somebody who is still being conditioned
    OPERATOR_UNKNOWN = "operator_unknown"
    OPERATOR_INSTRUCTION = "operator_instruction"
    DEVICE_UNKNOWN = "device_unknown"
    DEVICE_STRUCK_OFF = "device_struck_off"
    DEVICE_DUE = "device_due"
    DEVICE_IDENTITY = "device_identity"  # serial or model are not the registered ones
    DEVICE_NOT_FRESH = "device_not_fresh"
    DEVICE_NOT_IDLE = "device_not_idle"
    DEVICE_LATCHED = "device_latched"
    DEVICE_HELD = "device_held"
    DEVICE_IN_SESSION = "device_in_session"
    DEVICE_SETTINGS = "device_settings"
    DEVICE_BATTERY = "device_battery"
    ROOM = "room"
    CLIENT_IN_SESSION = "client_in_session"
    DRAINING = "draining"
    CLOCK_IN_DOUBT = "clock_in_doubt"  # the fleet host's own has stepped ahead
    CLOCK_NOT_IN_DOUBT = "clock_not_in_doubt"  # nothing to accept
    SESSION_UNKNOWN = "session_unknown"
    SESSION_OVER = "session_over"
    SESSION_RUNNING = "session_running"  # a cancel is for sessions that have not started: stop it instead
    NO_HOLD = "no_hold"
    STOP_UNCONFIRMED = "stop_unconfirmed"  # zero has not been measured yet, so nothing is lifted
    DEVICE_SPEAKS = "device_speaks"  # it is heard: what it measures counts, not what anybody says
    NOTHING_OPEN = "nothing_open"
    ALARM_UNKNOWN = "alarm_unknown"
    ALARM_OVER = "alarm_over"
    ALARM_NEVER_SHELVED = "alarm_never_shelved"  # A01 to A03
    SHELF_END = "shelf_end"  # it must be ahead, and not further than 8 h
    NOT_SHELVED = "not_shelved"
    PAGE_UNKNOWN = "page_unknown"  # no such attempt, or what came of it is known already
    NO_ROTA = "no_rota"  # nobody can be told anything
    PERSON_UNKNOWN = "person_unknown"
    IN_SERVICE_HOLD = "in_service_hold"  # the registry still says so


class RuleLayer(StrEnum):
    """Who made the rule: the five layers of limits, and those that have no number on the wire."""

    ENVELOPE = "envelope"
    MODEL = "model"
    CLINIC = "clinic"
    PLAN = "plan"
    SETTINGS = "settings"
    DOMAIN = "domain"  # domain.md: screening, placement, modality
    DEVICE = "device"  # what the device is in at this moment
    FLEET = "fleet"  # what the fleet is doing at this moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal(Strict):
    """One rule that refused. `quantity` carries its unit (`peak_ma`) or names what was found; numbers where there are
    any. `again_on` is the first local date on which no calendar rule would refuse, where waiting is of use.
    """

    rule: Rule
    layer: RuleLayer
    quantity: str | None = None
    value: float | None = None
    limit: float | None = None
    again_on: date | None = None
