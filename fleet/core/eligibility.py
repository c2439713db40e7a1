"""Whether a session may be authorised: every rule that refuses, at once (domain.md "Screening", "Dose rules").

A table of checks, each a question about one thing; the answer to a request is all of their refusals together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broker.contract.limits import BATTERY_START_PCT, ENVELOPE, Limits, breaches, exceeds, falls_short
from broker.contract.messages import Phase
from broker.contract.plan import EXCLUDED_SITES, Modality
from broker.contract.topics import ALL
from fleet.core import dose, due, presence, stops
from fleet.core.fold_doses import local_day
from fleet.core.inputs import RequestSession
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.registry import RegisteredDevice
from fleet.core.screening import ABSOLUTE, SCREENING_VALID_S, Screened, ScreeningOutcome
from fleet.core.state import Device, State
from fleet.core.turn import Turn

SCREENING_AHEAD_S = 60.0  # clocks of the clinic's own screens may be apart so far
# Seconds, both included. The envelope's 5 minutes are the floor of either.
DURATION_S: dict[Modality, tuple[float, float]] = {Modality.NMES: (300.0, 1800.0), Modality.WB_EMS: (0.0, 1200.0)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with what is known about it."""

    turn: Turn
    request: RequestSession
    registered: RegisteredDevice | None
    device: Device

    @property
    def state(self) -> State:
        return self.turn.state


def _refusal(
    rule: Rule, layer: RuleLayer, quantity: str | None = None, value: float | None = None, limit: float | None = None
) -> Refusal:
    return Refusal(rule=rule, layer=layer, quantity=quantity, value=value, limit=limit)


def _of_device(
    rule: Rule, quantity: str | None = None, value: float | None = None, limit: float | None = None
) -> Refusal:
    return _refusal(rule, RuleLayer.DEVICE, quantity, value, limit)


# --- the client -----------------------------------------------------------------------------------------------------


def _screening(asked: _Asked) -> Iterator[Refusal]:
    screening = asked.request.screening
    clinician = asked.state.durable.registry.operators.get(screening.override_by or "")
    overridden = clinician is not None and clinician.clinician
    if screening.override_by is not None and not overridden:
        yield _refusal(Rule.SCREENING_OVERRIDE, RuleLayer.DOMAIN, screening.override_by)
    for finding in screening.findings:
        if finding in ABSOLUTE:
            yield _refusal(Rule.SCREENING_ABSOLUTE, RuleLayer.DOMAIN, finding.value)
        elif not overridden:
            yield _refusal(Rule.SCREENING_RELATIVE, RuleLayer.DOMAIN, finding.value)


def _screening_age(asked: _Asked) -> Iterator[Refusal]:
    age_s = asked.turn.wall_s - asked.request.screening.at_wall_s
    if not -SCREENING_AHEAD_S <= age_s <= SCREENING_VALID_S:
        yield _refusal(Rule.SCREENING_AGE, RuleLayer.DOMAIN, "screening_age_s", age_s, SCREENING_VALID_S)


def _client(asked: _Asked) -> Iterator[Refusal]:
    if any(session.client == asked.request.client for session in asked.state.open_sessions()):
        yield _refusal(Rule.CLIENT_IN_SESSION, RuleLayer.FLEET)


def _dose(asked: _Asked) -> Iterator[Refusal]:
    """What the client has had, on whichever device, and is used to."""
    durable = asked.state.durable
    doses = durable.doses.get(asked.request.client, dose.NOTHING)
    today = local_day(durable, asked.turn.wall_s)
    yield from dose.refusals(doses, durable.registry.clinic.dose, asked.request.plan, today)


# --- the plan -------------------------------------------------------------------------------------------------------


def _placement(asked: _Asked) -> Iterator[Refusal]:
    body_site = asked.request.plan.body_site
    if body_site in EXCLUDED_SITES:
        yield _refusal(Rule.PLACEMENT, RuleLayer.DOMAIN, body_site.value)


def _duration(asked: _Asked) -> Iterator[Refusal]:
    plan = asked.request.plan
    least_s, most_s = DURATION_S[plan.modality]
    if falls_short(plan.duration_s, least_s):
        yield _refusal(Rule.DURATION, RuleLayer.DOMAIN, "duration_s", plan.duration_s, least_s)
    if exceeds(plan.duration_s, most_s):
        yield _refusal(Rule.DURATION, RuleLayer.DOMAIN, "duration_s", plan.duration_s, most_s)


def _layers(asked: _Asked) -> list[Limits]:
    """What bounds output on this device, outermost first."""
    device, registered = asked.device, asked.registered
    return [
        limits
        for limits in (
            ENVELOPE,
            None if device.birth is None else device.birth.profile,
            None if registered is None else registered.profile,
            asked.state.durable.registry.clinic.limits,
            None if device.settings is None else device.settings.limits,
        )
        if limits is not None
    ]


def _limits(asked: _Asked) -> Iterator[Refusal]:
    found = [breach for limits in _layers(asked) for breach in breaches(asked.request.plan, limits)]
    for breach in dict.fromkeys(found):
        layer = RuleLayer(breach.limit.layer.value)
        yield _refusal(Rule.LIMIT, layer, breach.quantity, breach.value, breach.limit.value)


# --- the operator ---------------------------------------------------------------------------------------------------


def _operator(asked: _Asked) -> Iterator[Refusal]:
    operator = asked.state.durable.registry.operators.get(asked.request.operator)
    if operator is None:
        yield _refusal(Rule.OPERATOR_UNKNOWN, RuleLayer.CLINIC)
    elif asked.registered is not None:
        until_s = operator.instructed_until_wall_s.get(asked.registered.model)
        if until_s is None or asked.turn.wall_s >= until_s:
            model = asked.registered.model
            yield _refusal(Rule.OPERATOR_INSTRUCTION, RuleLayer.CLINIC, model, asked.turn.wall_s, until_s)


# --- the device -----------------------------------------------------------------------------------------------------


def _listed(asked: _Asked) -> Iterator[Refusal]:
    registered = asked.registered
    if registered is None:
        yield _refusal(Rule.DEVICE_UNKNOWN, RuleLayer.CLINIC)
        return
    if registered.struck_off:
        yield _refusal(Rule.DEVICE_STRUCK_OFF, RuleLayer.CLINIC)
    if registered.service_hold:
        yield _refusal(Rule.IN_SERVICE_HOLD, RuleLayer.CLINIC)
    yield from due.refusals(asked.state.durable, registered, asked.turn.wall_s)
    if asked.request.room != registered.room:
        yield _refusal(Rule.ROOM, RuleLayer.CLINIC, registered.room)


def _fresh(asked: _Asked) -> bool:
    return presence.liveness(asked.state, asked.device.device, asked.turn.now_s) is presence.Liveness.FRESH


def _born(asked: _Asked) -> Iterator[Refusal]:
    """What the device said of itself on this boot."""
    birth, registered = asked.device.birth, asked.registered
    if birth is None or birth.boot_n != asked.device.boot_n:
        if _fresh(asked):  # else `_heard` says it: one doubt, one reason
            yield _of_device(Rule.DEVICE_NOT_FRESH, "birth")
        return
    if registered is not None and (birth.serial, birth.model) != (registered.serial, registered.model):
        yield _of_device(Rule.DEVICE_IDENTITY, "serial" if birth.serial != registered.serial else "model")
    if birth.latched is not None:
        yield _of_device(Rule.DEVICE_LATCHED, birth.latched.value)
    if birth.holds:
        yield _of_device(Rule.DEVICE_HELD, "birth")


def _heard(asked: _Asked) -> Iterator[Refusal]:
    """What its newest sample shows. Without one there is nothing to answer."""
    name = asked.device.device
    seen = asked.state.newest(name)
    if seen is None or not _fresh(asked):
        silent_s = None if seen is None else asked.turn.now_s - seen.received_s
        yield _of_device(Rule.DEVICE_NOT_FRESH, "silent_s", silent_s, presence.STALE_AFTER_S)
        return
    sample = seen.sample
    if sample.phase is not Phase.IDLE:
        yield _of_device(Rule.DEVICE_NOT_IDLE, sample.phase.value)
    settings = asked.device.settings
    if settings is None or sample.settings_version != settings.version:
        wanted = None if settings is None else float(settings.version)
        yield _of_device(Rule.DEVICE_SETTINGS, "settings_version", float(sample.settings_version), wanted)
    if sample.battery_pct is None or falls_short(sample.battery_pct, BATTERY_START_PCT):
        yield _of_device(Rule.DEVICE_BATTERY, "battery_pct", sample.battery_pct, BATTERY_START_PCT)


def _free(asked: _Asked) -> Iterator[Refusal]:
    """What the fleet itself has going on with it."""
    name = asked.device.device
    durable = asked.state.durable
    if durable.draining:
        yield _refusal(Rule.DRAINING, RuleLayer.FLEET)
    if durable.clock_step_s is not None:
        yield _refusal(Rule.CLOCK_IN_DOUBT, RuleLayer.FLEET, "clock_step_s", durable.clock_step_s)
    if name in durable.holds or ALL in durable.holds or stops.pursued(asked.turn, name):
        yield _refusal(Rule.DEVICE_HELD, RuleLayer.FLEET)
    session = asked.state.session_on(asked.device)
    if session is not None and session.open:
        yield _refusal(Rule.DEVICE_IN_SESSION, RuleLayer.FLEET)


CHECKS: tuple[Callable[[_Asked], Iterator[Refusal]], ...] = (
    _screening,
    _screening_age,
    _placement,
    _duration,
    _limits,
    _client,
    _dose,
    _operator,
    _listed,
    _born,
    _heard,
    _free,
)


def refusals(turn: Turn, request: RequestSession) -> tuple[Refusal, ...]:
    """Everything that speaks against a request; empty when nothing does."""
    asked = _Asked(turn, request, turn.state.registered(request.device), turn.state.device(request.device))
    return tuple(refusal for check in CHECKS for refusal in check(asked))


def limits_for(turn: Turn, request: RequestSession) -> Limits:
    """The strictest of every layer, each limit with the layer that set it."""
    asked = _Asked(turn, request, turn.state.registered(request.device), turn.state.device(request.device))
    outermost, *inner = _layers(asked)
    for limits in inner:
        outermost = outermost.tightened(limits)
    return outermost


def screened(request: RequestSession, found: tuple[Refusal, ...]) -> Screened:
    """All of a screening that is kept: its outcome, rule set and time. Never its answers."""
    screening = request.screening
    if any(refusal.rule in _SCREENING_RULES for refusal in found):
        outcome = ScreeningOutcome.REFUSED
    else:
        outcome = ScreeningOutcome.PASSED_BY_OVERRIDE if screening.findings else ScreeningOutcome.PASSED
    return Screened(
        outcome=outcome,
        rule_set=screening.rule_set,
        at_wall_s=screening.at_wall_s,
        override_by=screening.override_by,
    )


_SCREENING_RULES = frozenset(
    {Rule.SCREENING_ABSOLUTE, Rule.SCREENING_RELATIVE, Rule.SCREENING_OVERRIDE, Rule.SCREENING_AGE}
)


def for_the_journal(found: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    """Refusals without a client's answers: those of screening become one."""
    plain = Refusal(rule=Rule.SCREENING, layer=RuleLayer.DOMAIN)
    return tuple(dict.fromkeys(plain if refusal.rule in _SCREENING_RULES else refusal for refusal in found))
