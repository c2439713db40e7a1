"""The observer: what the stimulators truly put out, held against the invariants of a session (domain.md "Session").

It believes nobody who says that all is well. Output may begin when a person pressed start or resume, by that person's
own record (and was not refused), in a session that is neither used up nor latched, and from then on it has to end by
the earliest of everything that ends it, whoever says so (`demo.allowance`):

    rule          nothing may flow later than
    start         (nobody pressed start, nothing was authorised, or the device was latched or held)
    pause         the press + one pulse period + 300 ms, or the device's own word + 200 ms for the relay + two ticks
    end           an ending's ramp and the same; a session that is told as ended is at zero
    stop          a stop that was ordered or pushed: its ramp + one pulse period + 1 s (A01); one that cannot arrive:
                  that long after the device is back, or when permission runs out, whichever is first
    permission    the last sample that could be answered + lease + tick + ramp (contract.md rule 1)
    watchdog      0.5 s and a tick after the agent was gone
    time          the plan's duration + the 5 s of the fleet's second timer + a ramp
    reset         a reset: it starts nothing
    answer        (a panel that answers a pause or a stop later than 300 ms after it was pressed)
    peak, setting (more than 1.1 times the allowed peak, or what people raised it to, and 1 mA)
    rise          (steeper than the ramp of the ON phase and 5 mA/s of the setting)

An injected hardware fault is excused for the first 200 ms. Its own arithmetic, not that of agents or core.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from agents.simulation.trace import Trace
from demo.allowance import TAKEN_S, TICK_S, Allowance, Span
from demo.evidence import Authorised, Evidence
from demo.people import Pressed

FAULT_EXCUSED_S: Final = 0.2
LOWERED_S: Final = 0.2  # until a lower setting shows
RISE_MA_PER_S: Final = 5.0
LOAD_OHM: Final = 500.0
_ANSWERED: Final = frozenset({"pause", "stop", "stop_button"})  # what may not wait
_JUST_AFTER_S: Final = 1e-6
_ONE_S: Final = 1.0  # breaches of one rule with no more than this between them are one


@dataclass(frozen=True, slots=True)
class Violation:
    """A breach: where, when (boot time), which rule, what it was, how long, and how much flowed at most."""

    device: str
    at_s: float
    rule: str
    what: str
    for_s: float
    ma: float


@dataclass(frozen=True, slots=True)
class _Flow:
    """A stretch in which pulses had one amplitude."""

    from_s: float
    to_s: float
    ma: float


def observe(evidence: Evidence) -> tuple[Violation, ...]:
    """Every breach, in order of time."""
    found = [violation for device in evidence.devices for violation in _Watch(evidence, device).violations()]
    return tuple(sorted(found, key=lambda violation: (violation.at_s, violation.device)))


def allowed_peak_ma(session: Authorised) -> float:
    """The highest peak that plan and limits allow: by peak, rms, density and energy (domain.md "Output physics")."""
    width_s, frequency_hz = session.plan["pulse_width_us"] * 1e-6, session.plan["frequency_hz"]
    rms_of_peak = math.sqrt(2.0 * width_s * frequency_hz)
    limits = session.limits
    bounds: tuple[float, ...] = (
        session.plan["setting_ma_max"],
        limits["peak_ma_max"],
        limits["rms_ma_max"] / rms_of_peak,
        limits["density_ma_cm2_max"] * session.plan["electrode_area_cm2"] / rms_of_peak,
        1000.0 * math.sqrt(limits["pulse_energy_mj_max"] / 1000.0 / (LOAD_OHM * 2.0 * width_s)),
    )
    return min(bounds)


@dataclass(slots=True)
class _Watch:
    """One device."""

    evidence: Evidence
    device: str
    allowed: Allowance = field(init=False)
    steps: tuple[Pressed, ...] = field(init=False)  # raise and lower, as far as they may have been taken
    settings: tuple[tuple[float, float], ...] = field(init=False)  # as the device tells them: from when, mA
    lowered_s: tuple[float, ...] = field(init=False)  # when a setting may have come down

    def __post_init__(self) -> None:
        self.allowed = Allowance(self.evidence, self.device)
        changes = (each for each in self.allowed.told if each.kind == "setting_changed")
        self.settings = tuple(sorted((each.at_s, float(each.detail["setting_ma"])) for each in changes))
        self.steps = tuple(
            press
            for press in self.allowed.presses
            if (press.button == "raise" and press.accepted is not False) or (press.button == "lower" and press.accepted)
        )
        shown = [set_s + LOWERED_S for set_s, _ in self.settings]
        shown += [press.sent_s + TAKEN_S for press in self.steps if press.button == "lower"]
        self.lowered_s = tuple(sorted(at_s + _JUST_AFTER_S for at_s in shown))

    def violations(self) -> Iterator[Violation]:
        yield from _merged(self._late_answers())
        trace = self.evidence.traces.get(self.device)
        if trace is None or not trace.rows:
            yield Violation(self.device, 0.0, "observed", "no true output was recorded", 0.0, 0.0)
            return
        flows = tuple(_flows(trace, self.evidence.until_s))
        yield from _merged([*self._outside(flows), *self._too_much(flows), *self._too_steep(trace, flows)])

    # --- what breaks a rule -----------------------------------------------------------------------------------------

    def _late_answers(self) -> Iterator[Violation]:
        """Also none at all, unless the agent was gone."""
        for press in self.allowed.presses:
            took_s = press.answered_s - press.sent_s
            if press.button not in _ANSWERED or press.accepted is False or took_s <= TAKEN_S:
                continue
            if press.accepted is None and self._is_gone(press.answered_s):
                continue
            how = "not answered within" if press.accepted is None else "answered after"
            yield Violation(
                self.device, press.sent_s, "answer", f"{press.button} was {how} {took_s:.1f} s", took_s, 0.0
            )

    def _is_gone(self, at_s: float) -> bool:
        return any(gone.device == self.device and gone.at_s <= at_s for gone in self.evidence.gone)

    def _outside(self, flows: tuple[_Flow, ...]) -> Iterator[Violation]:
        """Output where none may be."""
        may = [(span.from_s, span.end.by_s) for span in self.allowed.spans if span.end.by_s > span.from_s]
        for flow in flows:
            for from_s, to_s in _without(flow.from_s, flow.to_s, [*may, *self._excused()]):
                rule, what = self._forbidden_by(from_s)
                yield Violation(self.device, from_s, rule, f"output {what}", to_s - from_s, flow.ma)

    def _forbidden_by(self, at_s: float) -> tuple[str, str]:
        """Rule and words: by the last that happened of ends, presses in vain, and resets of what had run."""
        allowed = self.allowed
        happened = [(span.end.by_s, span.end.rule, span.end.what) for span in allowed.spans]
        resets = (end for end in allowed.ends if end.rule == "reset")
        first_s = min((by_s for by_s, _, _ in happened), default=math.inf)
        happened += [(end.at_s, end.rule, end.what) for end in resets if end.at_s > first_s]
        happened += [(vain.at_s, "start", vain.what) for vain in allowed.vain]
        before = [each for each in happened if each[0] <= at_s]
        return max(before)[1:] if before else ("start", "without a start")

    def _too_much(self, flows: tuple[_Flow, ...]) -> Iterator[Violation]:
        """More than the limits allow, or than the therapist set."""
        for flow in flows:
            for from_s, to_s in self._by_setting(flow):
                span = _span_at(self.allowed.spans, from_s)
                if span is None:
                    continue
                peak_ma, set_ma = allowed_peak_ma(span.session), self._set_ma(span, from_s)
                for bound_ma, rule, what in (
                    (peak_ma, "peak", f"more than the allowed peak of {peak_ma:.1f} mA"),
                    (set_ma, "setting", f"more than the {set_ma:.1f} mA that were set"),
                ):
                    if flow.ma > 1.1 * bound_ma + 1.0:
                        for begins_s, ends_s in _without(from_s, to_s, self._excused()):
                            yield Violation(self.device, begins_s, rule, what, ends_s - begins_s, flow.ma)

    def _by_setting(self, flow: _Flow) -> Iterator[tuple[float, float]]:
        """A stretch, cut where the setting was lowered: an output that never changes has only one beginning."""
        first, beyond = bisect_right(self.lowered_s, flow.from_s), bisect_left(self.lowered_s, flow.to_s)
        inside = self.lowered_s[first:beyond]
        yield from zip((flow.from_s, *inside), (*inside, flow.to_s), strict=True)

    def _set_ma(self, span: Span, at_s: float) -> float:
        """The strongest setting whose pulses may be seen at `at_s`: what people raised it to since the start or resume,
        and no more than the device itself says; lowering takes a moment, as raising does.
        """
        return min(self._pressed_ma(span, at_s), self._told_ma(span, at_s))

    def _pressed_ma(self, span: Span, at_s: float) -> float:
        """From 0. A raise without an answer may have been taken; a lower counts when it was."""
        level_ma = 0.0
        for press in self.steps[bisect_left(self.steps, span.from_s, key=_sent) :]:
            if press.sent_s > at_s:
                break
            if press.button == "raise":
                level_ma += press.by_ma
            elif press.sent_s < at_s - TAKEN_S:
                level_ma = max(0.0, level_ma - press.by_ma)
        return level_ma

    def _told_ma(self, span: Span, at_s: float) -> float:
        first = bisect_left(self.settings, (at_s - LOWERED_S,)) - 1
        beyond = bisect_left(self.settings, (at_s + TICK_S,))
        lately = self.settings[max(0, first) : beyond]
        return max((ma for set_s, ma in lately if set_s >= span.from_s), default=0.0)

    def _too_steep(self, trace: Trace, flows: tuple[_Flow, ...]) -> Iterator[Violation]:
        """Seen over one pulse, and over 0.3 s: the ON phase's ramp, and the rise of the setting on top of it."""
        excused = self._excused()
        for flow in flows:
            span = _span_at(self.allowed.spans, flow.from_s)
            if span is None or any(from_s <= flow.from_s <= to_s + 0.3 for from_s, to_s in excused):
                continue
            plan, period_s = span.session.plan, span.session.pulse_period_s
            ramp_s = max(plan["ramp_up_s"], span.session.limits["ramp_up_s_min"])
            for window_s in (period_s, 0.3 + period_s):
                rise_ma = flow.ma - trace.at(flow.from_s - window_s)
                of_ramp_ma = self._set_ma(span, flow.from_s) * window_s / ramp_s
                of_setting_ma = RISE_MA_PER_S * (window_s + 2.0 * TICK_S)  # which rises in steps of a tick
                if rise_ma > of_ramp_ma + of_setting_ma + 0.3:
                    what = f"rose by {rise_ma:.1f} mA within {1000.0 * window_s:.0f} ms"
                    yield Violation(self.device, flow.from_s, "rise", what, window_s, flow.ma)

    def _excused(self) -> list[tuple[float, float]]:
        return [
            (fault.from_s, fault.from_s + FAULT_EXCUSED_S)
            for fault in self.evidence.suffered
            if fault.device == self.device
        ]


# --- arithmetic of spans --------------------------------------------------------------------------------------------


def _sent(press: Pressed) -> float:
    return press.sent_s


def _span_at(spans: Iterable[Span], at_s: float) -> Span | None:
    """The newest span that covers a moment."""
    return max(
        (span for span in spans if span.from_s <= at_s <= span.end.by_s), key=lambda span: span.from_s, default=None
    )


def _flows(trace: Trace, until_s: float) -> Iterator[_Flow]:
    """The stretches in which something flowed; the last one lasts as long as anybody looked."""
    rows = trace.rows
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        if row.true_ma > 0.0:
            yield _Flow(row.at_s, max(row.at_s, until_s) if following is None else following.at_s, row.true_ma)


def _without(from_s: float, to_s: float, allowed: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """What is left of a stretch beside all that is allowed."""
    for begins_s, ends_s in sorted(allowed):
        if ends_s < from_s or begins_s > to_s:
            continue
        if begins_s > from_s:
            yield from_s, begins_s
        from_s = max(from_s, ends_s)
        if from_s >= to_s:
            return
    yield from_s, to_s


def _merged(found: Iterable[Violation]) -> Iterator[Violation]:
    """Breaches of one rule that follow each other closely are one: from its first moment, with its worst."""
    open_by_rule: dict[str, Violation] = {}
    for each in sorted(found, key=lambda violation: violation.at_s):
        before = open_by_rule.get(each.rule)
        if before is not None and each.at_s <= before.at_s + before.for_s + _ONE_S:
            for_s = max(before.for_s, each.at_s + each.for_s - before.at_s)
            open_by_rule[each.rule] = replace(before, for_s=for_s, ma=max(before.ma, each.ma))
            continue
        if before is not None:
            yield before
        open_by_rule[each.rule] = each
    yield from open_by_rule.values()
