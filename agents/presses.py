"""What a press at the device may do: why not, in words for the person who pressed. Pure judgements, no effects."""

from collections.abc import Iterable

from agents.state import Session, State, is_held, is_latched, not_ready, pads
from agents.steps import Press, Pressed
from broker.contract.causes import ResetBy
from broker.contract.limits import Contact, Limit, allowed_peak_ma, setting_step_max_ma
from broker.contract.messages import Phase

RESET_AFTER_S = 3.0  # with the cause gone and zero measured
STEP_MA_MIN = 0.1  # a smaller step cannot be felt; zero, negative and NaN are no steps

_Rows = Iterable[tuple[bool, str]]

_WHERE: dict[Press, tuple[frozenset[Phase], str]] = {
    Press.ARM: (frozenset({Phase.AUTHORISED}), "Nothing is authorised, or it is armed already."),
    Press.DISARM: (frozenset({Phase.ARMED}), "Not armed."),
    Press.START: (frozenset({Phase.ARMED}), "Not armed."),
    Press.RAISE: (frozenset({Phase.RUNNING}), "Not running."),
    Press.LOWER: (frozenset({Phase.RUNNING}), "Not running."),
    Press.PAUSE: (frozenset({Phase.RUNNING}), "Not running."),
    Press.RESUME: (frozenset({Phase.PAUSED}), "Not paused."),
    Press.STOP: (
        frozenset({Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}),
        "There is no session to stop.",
    ),
    Press.STOP_BUTTON: (frozenset(Phase), ""),
    Press.RESET: (frozenset({Phase.LATCHED}), "Not latched, or not yet at measured zero."),
}


def refusal(state: State, pressed: Pressed) -> str | None:
    """Why a press does nothing, in words; None when it counts."""
    phases, words = _WHERE[pressed.press]
    if state.phase not in phases:
        return words
    return next((why for is_so, why in _rows(state, pressed) if is_so), None)


def _rows(state: State, pressed: Pressed) -> _Rows:
    match pressed.press:
        case Press.ARM:
            yield state.arming is not None, "Arming is under way."
            yield from _begins(state)
        case Press.START:
            yield from _begins(state)
            yield from _flows(state)
        case Press.RESUME:
            yield from _flows(state)
            yield not state.watch.zero_measured, "Zero current has not been measured yet."
        case Press.RAISE:
            yield from _raises(state, pressed)
        case Press.LOWER:
            yield not pressed.step_ma >= STEP_MA_MIN, f"At least {STEP_MA_MIN} mA a step."
        case Press.RESET:
            yield from _resets(state, pressed)
        case _:
            return


def _begins(state: State) -> _Rows:
    why = not_ready(state)
    yield is_latched(state), "Latched: reset first."
    yield is_held(state), "A hold of the fleet is on this device."
    yield why is not None, f"Not ready: {why}."


def _flows(state: State) -> _Rows:
    session = _session(state)
    contact = pads(state)
    yield contact is not Contact.GOOD, f"The electrodes do not read as good: {contact.value}."
    yield not session.permission.allows(state.now_s), "The fleet has not leased output: wait for the link."


def _raises(state: State, pressed: Pressed) -> _Rows:
    session = _session(state)
    ceiling = ceiling_ma(session)
    yield not pressed.step_ma >= STEP_MA_MIN, f"At least {STEP_MA_MIN} mA a step."
    yield session.contact is not Contact.GOOD, f"The electrodes do not read as good: {session.contact.value}."
    rise = session.limits.setting_rise_ma_per_s_max.value
    yield rise <= 0.0, "The limits allow no raising."
    yield state.now_s < session.raise_from_s - 1e-6, "Too fast: wait a moment."
    yield session.setting_ma >= ceiling.value, f"{ceiling.value:.1f} mA is the limit ({ceiling.layer.value})."


def _resets(state: State, pressed: Pressed) -> _Rows:
    needs_engineer = state.durable.reset_by is ResetBy.ENGINEER
    yield needs_engineer and pressed.who is not ResetBy.ENGINEER, "An engineer has to reset this."
    yield pressed.who is ResetBy.NOBODY, "Only a person with a key resets."
    yield is_held(state), "A hold of the fleet is on this device."
    yield state.self_test is not None, f"The self-test failed: {state.self_test}. Start the agent again to repeat it."
    is_early = state.now_s - state.trouble_s < RESET_AFTER_S
    yield is_early, "The cause has to be gone, and zero measured, for 3 s."


def ceiling_ma(session: Session) -> Limit:
    return allowed_peak_ma(session.limits, session.plan)


def raised_ma(session: Session, step_ma: float) -> float:
    """The setting after a raise: the step no larger than allowed from here, the setting no higher than the ceiling."""
    step_ma = min(step_ma, setting_step_max_ma(session.setting_ma, session.limits))
    return min(session.setting_ma + step_ma, ceiling_ma(session).value)


def _session(state: State) -> Session:
    assert state.session is not None, "this phase has a session"
    return state.session
