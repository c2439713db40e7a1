"""What a press at the device may do: why not, in words for the person who pressed. Pure judgements, no effects."""

from collections.abc import Iterable
from math import inf

from agents.state import Session, State, is_held, is_latched, not_ready, pads
from agents.steps import Press, Pressed
from broker.contract.causes import ResetBy
from broker.contract.limits import Contact, Limit, allowed_peak_ma, setting_step_max_ma
from broker.contract.messages import Phase

RESET_AFTER_S = 3.0  # with the cause gone and zero measured
STEP_MA_MIN = 0.1  # of a raise: a smaller one cannot be felt; zero, negative and NaN are no steps

_Rows = Iterable[tuple[bool, str]]

_HELD = "A hold of the fleet is on this device; the front desk releases it: stimfleet release DEVICE."
_WHERE: dict[Press, frozenset[Phase]] = {
    Press.ARM: frozenset({Phase.AUTHORISED}),
    Press.DISARM: frozenset({Phase.ARMED}),
    Press.START: frozenset({Phase.ARMED}),
    Press.RAISE: frozenset({Phase.RUNNING}),
    Press.LOWER: frozenset({Phase.RUNNING}),
    Press.PAUSE: frozenset({Phase.RUNNING}),
    Press.RESUME: frozenset({Phase.PAUSED}),
    Press.STOP: frozenset({Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING}),
    Press.STOP_BUTTON: frozenset(Phase),
    Press.RESET: frozenset({Phase.LATCHED}),
}
# Why a press does nothing in a phase in which it has no meaning, and what does.
_NOT_NOW: dict[Phase, str] = {
    Phase.IDLE: "Nothing is authorised: ask for a session first.",
    Phase.AUTHORISED: "Not armed: arm first.",
    Phase.ARMED: "Armed, not running yet: start first.",
    Phase.RUNNING: "It is running already: pause or stop it first.",
    Phase.PAUSED: "Paused, the setting is 0: resume or stop.",
    Phase.STOPPING: "It is stopping: wait until zero has been measured.",
    Phase.LATCHED: "Latched: reset first.",
    Phase.FAULT: "The stimulator does not answer, or zero has not been measured yet: check its power and its cable.",
}
_NOTHING_TO: dict[tuple[Press, Phase], str] = {
    (Press.ARM, Phase.ARMED): "Armed already: start, or disarm.",
    (Press.DISARM, Phase.AUTHORISED): "Not armed: there is nothing to disarm.",
    **{
        (Press.STOP, phase): "There is no session to stop, and nothing flows."
        for phase in (Phase.IDLE, Phase.LATCHED, Phase.FAULT)
    },
    **{
        (Press.RESET, phase): "Not latched: there is nothing to reset."
        for phase in (Phase.IDLE, Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.FAULT)
    },
}


def refusal(state: State, pressed: Pressed) -> str | None:
    """Why a press does nothing, in words; None when it counts."""
    if state.phase not in _WHERE[pressed.press]:
        return _NOTHING_TO.get((pressed.press, state.phase), _NOT_NOW[state.phase])
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
            yield not state.watch.zero_measured, "Zero current has not been measured yet: wait a moment."
        case Press.RAISE:
            yield from _raises(state, pressed)
        case Press.LOWER:
            yield not 0.0 < pressed.step_ma < inf, "Lower by more than 0 mA."  # however little: less is always free
        case Press.RESET:
            yield from _resets(state, pressed)
        case _:
            return


def _begins(state: State) -> _Rows:
    why = not_ready(state)
    yield is_latched(state), "Latched: reset first."
    yield is_held(state), _HELD
    yield why is not None, f"Not ready: {why}."


def _flows(state: State) -> _Rows:
    session = _session(state)
    contact = pads(state)
    yield contact is not Contact.GOOD, f"The electrodes do not read as good ({contact.value}): check the pads."
    yield not session.permission.allows(state.now_s), "The fleet has not leased output: wait for the link."


def _raises(state: State, pressed: Pressed) -> _Rows:
    session = _session(state)
    ceiling = ceiling_ma(session)
    yield not pressed.step_ma >= STEP_MA_MIN, f"At least {STEP_MA_MIN} mA a step."
    yield (
        session.contact is not Contact.GOOD,
        f"The electrodes do not read as good ({session.contact.value}): check the pads.",
    )
    rise = session.limits.setting_rise_ma_per_s_max.value
    yield rise <= 0.0, "The limits allow no raising: ask for a session with another plan."
    yield state.now_s < session.raise_from_s - 1e-6, "Too fast: wait a moment."
    yield session.setting_ma >= ceiling.value, f"{ceiling.value:.1f} mA is the limit ({ceiling.layer.value})."


def _resets(state: State, pressed: Pressed) -> _Rows:
    needs_engineer = state.durable.reset_by is ResetBy.ENGINEER
    yield (
        needs_engineer and pressed.who is not ResetBy.ENGINEER,
        "An engineer has to reset this, with the engineer's PIN.",
    )
    yield pressed.who is ResetBy.NOBODY, "Only a person with a key resets."
    yield is_held(state), _HELD
    yield state.self_test is not None, f"The self-test failed: {state.self_test}. Start the agent again to repeat it."
    is_early = state.now_s - state.trouble_s < RESET_AFTER_S
    yield is_early, "The cause has to be gone, and zero measured, for 3 s: wait, then press again."


def ceiling_ma(session: Session) -> Limit:
    return allowed_peak_ma(session.limits, session.plan)


def raised_ma(session: Session, step_ma: float) -> float:
    """The setting after a raise: the step no larger than allowed from here, the setting no higher than the ceiling."""
    step_ma = min(step_ma, setting_step_max_ma(session.setting_ma, session.limits))
    return min(session.setting_ma + step_ma, ceiling_ma(session).value)


def raised_words(session: Session, step_ma: float) -> str:
    """What a raise came to, and why it was less than was pressed for. `session` is as it was before."""
    setting_ma, ceiling = raised_ma(session, step_ma), ceiling_ma(session)
    if setting_ma >= session.setting_ma + step_ma - 1e-6:
        return f"Setting {setting_ma:.1f} mA."
    if setting_ma >= ceiling.value:
        return f"Setting {setting_ma:.1f} mA, the limit ({ceiling.layer.value})."
    largest_ma = setting_step_max_ma(session.setting_ma, session.limits)
    return f"Setting {setting_ma:.1f} mA: raised by {largest_ma:g} mA, the largest step here."


def _session(state: State) -> Session:
    assert state.session is not None, "this phase has a session"
    return state.session
