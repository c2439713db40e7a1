"""The observer: what the stimulators truly put out, held against the invariants of a session (domain.md "Session").

It believes nobody who says that all is well. Output may begin when a person pressed start or resume, by that person's
own record (and was not refused), and from then on it has to end by the earliest of everything that ends it, whoever
says so:

    rule          nothing may flow later than
    start         (nobody pressed start, or nothing was authorised)
    pause         the pause + one pulse period + 200 ms (by then the relay has opened) + two ticks
    end           an ending's ramp and the same; a session that is told as ended is at zero
    stop          a stop that was ordered or pushed: its ramp + one pulse period + 1 s (A01)
    permission    the last sample that could be answered + lease + tick + ramp (contract.md rule 1)
    watchdog      0.5 s and a tick after the agent was gone
    time          the plan's duration + the 5 s of the fleet's second timer + a ramp
    reset         a reset: it starts nothing
    peak, setting (more than 1.1 times the allowed peak, or what was set, and 1 mA)
    rise          (steeper than the ramp of the ON phase and 5 mA/s of the setting)

An injected hardware fault is excused for the first 200 ms. Its own arithmetic, not that of agents or core.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from agents.simulation.trace import Trace
from demo.evidence import Authorised, Evidence, Reported, authorised, reported

TICK_S: Final = 0.05
RAMP_S: Final = 1.0
RELAY_S: Final = 0.2
A01_S: Final = 1.0
WATCHDOG_S: Final = 0.5
SECOND_TIMER_S: Final = 5.0
FAULT_EXCUSED_S: Final = 0.2
LOWERED_S: Final = 0.2  # until a lower setting shows
RISE_MA_PER_S: Final = 5.0
LOAD_OHM: Final = 500.0
SLOWEST_PULSE_S: Final = 1.0
# By cause; what is not listed is zero at once.
_RAMPS: Final = dict.fromkeys(
    ("completed", "therapist_stop", "pause_timeout", "battery_empty", "cancelled", "session_cap", "lease_lost"), RAMP_S
)
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
class _End:
    """From `at_s` on there is a reason to end; from `by_s` on nothing may flow."""

    at_s: float
    by_s: float
    rule: str
    what: str


@dataclass(frozen=True, slots=True)
class _Span:
    """Output may flow from `from_s` until `end`; `session` is what was allowed."""

    from_s: float
    end: _End
    session: Authorised


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
    sessions: tuple[Authorised, ...] = field(init=False)
    told: tuple[Reported, ...] = field(init=False)
    settings: list[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = tuple(authorised(self.evidence.journal, self.device))
        self.told = tuple(reported(self.evidence.journal, self.device))
        changes = [each for each in self.told if each.kind == "setting_changed"]
        self.settings = sorted((each.at_s, float(each.detail["setting_ma"])) for each in changes)

    def violations(self) -> Iterator[Violation]:
        trace = self.evidence.traces.get(self.device)
        if trace is None or not trace.rows:
            yield Violation(self.device, 0.0, "observed", "no true output was recorded", 0.0, 0.0)
            return
        ends = sorted(self._ends(), key=lambda end: end.by_s)
        spans = tuple(self._spans(ends))
        found = [*self._outside(trace, spans, ends), *self._too_much(trace, spans), *self._too_steep(trace, spans)]
        yield from _merged(found)

    # --- from when until when something may flow --------------------------------------------------------------------

    def _spans(self, ends: list[_End]) -> Iterator[_Span]:
        flowed_s = 0.0
        for press in self.evidence.presses:
            if press.device != self.device or press.accepted is False or press.button not in {"start", "resume"}:
                continue
            session = self._session_at(press.sent_s)
            if session is None:
                continue  # whatever flows was never authorised
            flowed_s = 0.0 if press.button == "start" else flowed_s
            left_s = session.plan["duration_s"] - flowed_s + SECOND_TIMER_S + RAMP_S
            out_of_time = _End(press.sent_s, press.answered_s + left_s, "time", "after the session's time was over")
            end = min((out_of_time, *(end for end in ends if end.at_s > press.sent_s)), key=lambda end: end.by_s)
            flowed_s += max(0.0, end.at_s - press.sent_s)
            yield _Span(press.sent_s, end, session)

    def _session_at(self, at_s: float) -> Authorised | None:
        return next((session for session in reversed(self.sessions) if session.at_s <= at_s), None)

    def _ends(self) -> Iterator[_End]:
        yield from self._ends_by_people()
        yield from self._ends_by_the_agent()
        yield from self._ends_by_the_fleet()
        for gone in self.evidence.gone:
            if gone.device == self.device:
                by_s = gone.at_s + WATCHDOG_S + 2.0 * TICK_S
                yield _End(gone.at_s, by_s, "watchdog", "after the agent was gone")
        for cut in self.evidence.cut_off:
            ttl_s = self._ttl_s(cut.from_s)
            if cut.device in {None, self.device} and cut.until_s > cut.from_s + ttl_s:
                by_s = cut.from_s + ttl_s + TICK_S + RAMP_S
                yield _End(cut.from_s, by_s, "permission", "after nothing could be answered any more")

    def _ends_by_people(self) -> Iterator[_End]:
        for press in self.evidence.presses:
            if press.device != self.device or not press.accepted:
                continue
            if press.button in {"pause", "stop_button"}:
                yield self._ended(press.answered_s, 0.0, "pause", f"after {press.button} was pressed")
            elif press.button == "stop":
                yield self._ended(press.answered_s, RAMP_S, "end", "after stop was pressed")
            elif press.button == "reset":
                yield _End(press.sent_s, press.sent_s, "reset", "after a reset, without a start")

    def _ends_by_the_agent(self) -> Iterator[_End]:
        for event in self.told:
            if event.kind == "session_paused":
                yield self._ended(event.at_s, 0.0, "pause", "in a pause")
            elif event.kind == "latched":
                yield self._ended(event.at_s, _RAMPS.get(event.cause or "", 0.0), "end", f"latched ({event.cause})")
            elif event.kind == "session_ended":
                yield _End(event.at_s, event.at_s + TICK_S, "end", f"after the session had ended ({event.cause})")

    def _ends_by_the_fleet(self) -> Iterator[_End]:
        for told in self.evidence.journal:
            now_s = float(told.body.get("now_s", 0.0))
            if told.name == "StopOrdered" and told.body["device"] in {self.device, "all"}:
                yield from self._stopped(now_s, _RAMPS.get(told.body["stop"]["cause"], 0.0), "a stop was ordered")
            elif told.name == "SessionWithheld" and self._is_mine(told.body["session_id"]):
                by_s = now_s + self._ttl_s(now_s) + TICK_S + RAMP_S
                yield _End(now_s, by_s, "permission", "after leases were withheld")
        for pushed in self.evidence.pushed:
            if pushed.device in {None, self.device}:
                yield from self._stopped(pushed.at_s, 0.0, "a stop was pushed")

    def _stopped(self, at_s: float, ramp_s: float, what: str) -> Iterator[_End]:
        """A stop that cannot arrive ends nothing: then permission runs out."""
        if not any(cut.concerns(self.device, at_s) for cut in self.evidence.cut_off):
            yield _End(at_s, at_s + ramp_s + self._period_s(at_s) + A01_S, "stop", f"after {what}")

    def _ended(self, at_s: float, ramp_s: float, rule: str, what: str) -> _End:
        return _End(at_s, at_s + ramp_s + self._period_s(at_s) + RELAY_S + 2.0 * TICK_S, rule, what)

    def _period_s(self, at_s: float) -> float:
        session = self._session_at(at_s)
        return SLOWEST_PULSE_S if session is None else session.pulse_period_s

    def _ttl_s(self, at_s: float) -> float:
        session = self._session_at(at_s)
        return 0.0 if session is None else session.lease_ttl_s

    def _is_mine(self, session_id: str) -> bool:
        return any(session.session_id == session_id for session in self.sessions)

    # --- what breaks a rule -----------------------------------------------------------------------------------------

    def _outside(self, trace: Trace, spans: tuple[_Span, ...], ends: list[_End]) -> Iterator[Violation]:
        """Output where none may be."""
        allowed = [(span.from_s, span.end.by_s) for span in spans]
        for flow in _flows(trace):
            for from_s, to_s in _without(flow.from_s, flow.to_s, [*allowed, *self._excused()]):
                last = max((span for span in spans if span.end.by_s <= from_s), key=_ended_by, default=None)
                rule, what = ("start", "without a start") if last is None else (last.end.rule, last.end.what)
                resets = [end for end in ends if end.rule == "reset" and last is not None and end.at_s <= from_s]
                if resets and last is not None and resets[-1].at_s > last.end.by_s:
                    rule, what = "reset", resets[-1].what
                yield Violation(self.device, from_s, rule, f"output {what}", to_s - from_s, flow.ma)

    def _too_much(self, trace: Trace, spans: tuple[_Span, ...]) -> Iterator[Violation]:
        """More than the limits allow, or than the therapist set."""
        for flow in _flows(trace):
            span = _span_at(spans, flow.from_s)
            if span is None:
                continue
            peak_ma, set_ma = allowed_peak_ma(span.session), self._set_ma(span, flow.from_s)
            for bound_ma, rule, what in (
                (peak_ma, "peak", f"more than the allowed peak of {peak_ma:.1f} mA"),
                (set_ma, "setting", f"more than the {set_ma:.1f} mA that were set"),
            ):
                if flow.ma > 1.1 * bound_ma + 1.0:
                    for from_s, to_s in _without(flow.from_s, flow.to_s, self._excused()):
                        yield Violation(self.device, from_s, rule, what, to_s - from_s, flow.ma)

    def _set_ma(self, span: _Span, at_s: float) -> float:
        """The strongest setting whose pulses may be seen at `at_s`: lowering takes a moment, as raising does."""
        first = bisect_left(self.settings, (at_s - LOWERED_S,)) - 1
        beyond = bisect_left(self.settings, (at_s + TICK_S,))
        lately = self.settings[max(0, first) : beyond]
        return max((ma for set_s, ma in lately if set_s >= span.from_s), default=0.0)

    def _too_steep(self, trace: Trace, spans: tuple[_Span, ...]) -> Iterator[Violation]:
        """Seen over one pulse, and over 0.3 s: the ON phase's ramp, and the rise of the setting on top of it."""
        excused = self._excused()
        for flow in _flows(trace):
            span = _span_at(spans, flow.from_s)
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


def _ended_by(span: _Span) -> float:
    return span.end.by_s


def _span_at(spans: Iterable[_Span], at_s: float) -> _Span | None:
    """The newest span that covers a moment."""
    return max(
        (span for span in spans if span.from_s <= at_s <= span.end.by_s), key=lambda span: span.from_s, default=None
    )


def _flows(trace: Trace) -> Iterator[_Flow]:
    """The stretches in which something flowed; the last one has no end yet, and counts as a moment."""
    rows = trace.rows
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        if row.true_ma > 0.0:
            yield _Flow(row.at_s, row.at_s if following is None else following.at_s, row.true_ma)


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
