"""From when until when a device's output may flow: what people pressed, against everything that ends it.

A session is usable once, by one start, and over with its end. A latch, a stop and a hold bar every start and resume
until a person pressed reset at the device, for a hold after somebody has released it. What runs when permission or its
agent is gone is latched with that.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from demo.evidence import Authorised, CutOff, Evidence, Reported, authorised, reported
from demo.people import Pressed

TICK_S: Final = 0.05
RAMP_S: Final = 1.0
RELAY_S: Final = 0.2
A01_S: Final = 1.0
WATCHDOG_S: Final = 0.5
SECOND_TIMER_S: Final = 5.0
TAKEN_S: Final = 0.3  # from a person's press until the device has followed, and has answered
BACK_S: Final = 0.2  # the least pause before a new connection: a link that is back for less answers no new sample
RECONNECTS_S: Final = 10.0  # a device that can be reached again is connected
SLOWEST_PULSE_S: Final = 1.0
# By cause; what is not listed is zero at once.
_RAMPS: Final = dict.fromkeys(
    ("completed", "therapist_stop", "pause_timeout", "battery_empty", "cancelled", "session_cap", "lease_lost"), RAMP_S
)
_BEGIN: Final = frozenset({"start", "resume"})
_LATCH_WHAT_RUNS: Final = frozenset({"permission", "watchdog"})


@dataclass(frozen=True, slots=True)
class End:
    """From `at_s` on there is a reason to end; from `by_s` on nothing may flow.

    From `over_s` on the session cannot be resumed, and from `bars_s` until `until_s` nothing can begin. `session_id`
    None: whichever session there is.
    """

    at_s: float
    by_s: float
    rule: str
    what: str
    over_s: float = math.inf
    bars_s: float = math.inf
    until_s: float = -math.inf
    session_id: str | None = None

    def concerns(self, session: Authorised, begun_s: float) -> bool:
        """Whether it ends what was begun then; what came before does so only while it bars."""
        return self.session_id in {None, session.session_id} and max(self.at_s, self.until_s) > begun_s

    def bars(self, session: Authorised, begun_s: float) -> bool:
        return self.session_id in {None, session.session_id} and self.bars_s <= begun_s < self.until_s


@dataclass(frozen=True, slots=True)
class Span:
    """Output may flow from `from_s` until `end`; `session` is what was allowed."""

    from_s: float
    end: End
    session: Authorised


@dataclass(frozen=True, slots=True)
class Vain:
    """A start or resume that allows nothing, and why."""

    at_s: float
    what: str


@dataclass(slots=True)
class _Use:
    """A session that was started."""

    session: Authorised
    over_s: float = math.inf
    flowed_s: float = 0.0


@dataclass(slots=True)
class Allowance:
    """Of one device."""

    evidence: Evidence
    device: str
    sessions: tuple[Authorised, ...] = field(init=False)
    told: tuple[Reported, ...] = field(init=False)
    presses: tuple[Pressed, ...] = field(init=False)
    cuts: tuple[CutOff, ...] = field(init=False)
    ends: tuple[End, ...] = field(init=False)
    spans: tuple[Span, ...] = field(init=False)
    vain: tuple[Vain, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = tuple(authorised(self.evidence.journal, self.device))
        self.told = tuple(reported(self.evidence.journal, self.device))
        own = (press for press in self.evidence.presses if press.device == self.device)
        self.presses = tuple(sorted(own, key=lambda press: press.sent_s))
        self.cuts = tuple(_joined(cut for cut in self.evidence.cut_off if cut.device in {None, self.device}))
        self.ends = tuple(sorted(self._ends(), key=lambda end: end.by_s))
        begun = tuple(self._begun())
        self.spans = tuple(each for each in begun if isinstance(each, Span))
        self.vain = tuple(each for each in begun if isinstance(each, Vain))

    # --- what begins ------------------------------------------------------------------------------------------------

    def _begun(self) -> Iterator[Span | Vain]:
        """What each start and resume allows, in order."""
        use, used = None, set[str]()
        latched_until_s = -math.inf
        for press in self.presses:
            if press.button not in _BEGIN or press.accepted is False:
                continue
            if press.button == "start":
                use = self._started(press, used)
            why = self._in_vain(use, press.sent_s, latched_until_s)
            if use is None or why is not None:
                yield Vain(press.sent_s, f"after a {press.button} {why}")
                continue
            end = self._earliest_end(use, press.sent_s)
            use.flowed_s += max(0.0, end.at_s - press.sent_s)
            use.over_s = min(use.over_s, end.over_s)
            if end.rule in _LATCH_WHAT_RUNS:
                use.over_s = min(use.over_s, end.at_s)
                latched_until_s = self._reset_after(end.at_s)
            yield Span(press.sent_s, end, use.session)

    def _started(self, press: Pressed, used: set[str]) -> _Use | None:
        """The newest session, if nobody has started it yet; a start without an answer may not have been taken.

        What ends sessions ends it from its authorisation on, started or not.
        """
        session = self.session_at(press.sent_s)
        if session is None or session.session_id in used:
            return None
        if press.accepted:
            used.add(session.session_id)
        over_s = (end.over_s for end in self.ends if end.concerns(session, session.at_s))
        return _Use(session, min(over_s, default=math.inf))

    def _in_vain(self, use: _Use | None, at_s: float, latched_until_s: float) -> str | None:
        """Why nothing can begin."""
        if use is None:
            return "without a session that nobody had started"
        if at_s >= use.over_s:
            return "of a session that was over"
        if at_s < latched_until_s or any(end.bars(use.session, at_s) for end in self.ends):
            return "while latched, held or without permission"
        return None

    def _earliest_end(self, use: _Use, begun_s: float) -> End:
        left_s = use.session.plan["duration_s"] - use.flowed_s + SECOND_TIMER_S + RAMP_S
        by_s = begun_s + left_s
        out_of_time = End(begun_s, by_s, "time", "after the session's time was over", over_s=by_s)
        ends = (end for end in self.ends if end.concerns(use.session, begun_s))
        return min((out_of_time, *ends), key=lambda end: end.by_s)

    def session_at(self, at_s: float) -> Authorised | None:
        return next((session for session in reversed(self.sessions) if session.at_s <= at_s), None)

    # --- what ends --------------------------------------------------------------------------------------------------

    def _ends(self) -> Iterator[End]:
        yield from self._ends_by_people()
        yield from self._ends_by_the_agent()
        yield from self._ends_by_the_fleet()
        for gone in self.evidence.gone:
            if gone.device == self.device:
                by_s = gone.at_s + WATCHDOG_S + 2.0 * TICK_S
                yield End(gone.at_s, by_s, "watchdog", "after the agent was gone", over_s=gone.at_s)
        for cut in self.cuts:
            ttl_s = self._ttl_s(cut.from_s)
            if cut.until_s > cut.from_s + ttl_s:
                by_s = cut.from_s + ttl_s + TICK_S + RAMP_S
                what = "after nothing could be answered any more"
                yield End(cut.from_s, by_s, "permission", what, bars_s=by_s, until_s=cut.until_s)

    def _ends_by_people(self) -> Iterator[End]:
        """Counted from when they pressed: a panel that answers late puts nothing off."""
        for press in self.presses:
            if not press.accepted:
                continue
            at_s, what = press.sent_s, f"after {press.button} was pressed"
            by_s = at_s + TAKEN_S + self._period_s(at_s) + self._relay_s(at_s)
            if press.button == "pause":
                yield End(at_s, by_s, "pause", what)
            elif press.button == "stop_button":
                yield End(at_s, by_s, "pause", what, over_s=at_s, bars_s=at_s, until_s=self._reset_after(at_s))
            elif press.button == "stop":
                yield End(at_s, by_s + RAMP_S, "end", what, over_s=at_s)
            elif press.button == "reset":
                yield End(at_s, at_s, "reset", "after a reset, without a start", over_s=at_s)

    def _relay_s(self, at_s: float) -> float:
        """An output that somebody made stick ends when the relay opens."""
        stuck = (each for each in self.evidence.suffered if each.device == self.device and each.kind == "output_stuck")
        return RELAY_S if any(fault.from_s <= at_s + TAKEN_S for fault in stuck) else 0.0

    def _ends_by_the_agent(self) -> Iterator[End]:
        for event in self.told:
            at_s = event.at_s
            by_s = at_s + _RAMPS.get(event.cause or "", 0.0) + self._period_s(at_s) + RELAY_S + 2.0 * TICK_S
            if event.kind == "session_paused":
                yield End(at_s, by_s, "pause", "in a pause")
            elif event.kind == "latched":
                until_s, what = self._reset_after(at_s), f"latched ({event.cause})"
                yield End(at_s, by_s, "end", what, over_s=at_s, bars_s=at_s, until_s=until_s)
            elif event.kind == "session_ended":
                what = f"after the session had ended ({event.cause})"
                session_id = event.session_id if self._is_mine(event.session_id) else None
                yield End(at_s, at_s + TICK_S, "end", what, over_s=at_s, session_id=session_id)

    def _ends_by_the_fleet(self) -> Iterator[End]:
        for told in self.evidence.journal:
            now_s = float(told.body.get("now_s", 0.0))
            if told.name == "StopOrdered" and told.body["device"] in {self.device, "all"}:
                stop = told.body["stop"]
                ramp_s, is_held = _RAMPS.get(stop["cause"], 0.0), bool(stop.get("hold", True))
                yield self._stopped(now_s, ramp_s, "a stop was ordered", is_held)
            elif told.name == "SessionWithheld" and self._is_mine(told.body["session_id"]):
                by_s = now_s + self._ttl_s(now_s) + TICK_S + RAMP_S
                what, session_id = "after leases were withheld", told.body["session_id"]
                yield End(now_s, by_s, "permission", what, by_s, by_s, math.inf, session_id)  # for good
        for pushed in self.evidence.pushed:
            if pushed.device in {None, self.device}:
                yield self._stopped(pushed.at_s, 0.0, "a stop was pushed", is_held=True)

    def _stopped(self, at_s: float, ramp_s: float, what: str, is_held: bool) -> End:
        """Obeyed within A01's time. One that cannot arrive: that long after the device is back, or when permission runs
        out, whichever is first; a session that is stopped is leased no more.
        """
        rule, by_s = "stop", at_s + ramp_s + self._period_s(at_s) + A01_S
        cut = next((cut for cut in self.cuts if cut.from_s <= at_s <= cut.until_s), None)
        if cut is not None:
            by_s += cut.until_s - at_s + RECONNECTS_S
            permitted_s = cut.from_s + self._ttl_s(at_s) + TICK_S + RAMP_S
            if permitted_s <= by_s:
                rule, by_s = "permission", max(at_s, permitted_s)
        until_s = self._reset_after(self._released_after(at_s) if is_held else at_s)
        return End(at_s, by_s, rule, f"after {what}", over_s=by_s, bars_s=by_s, until_s=until_s)

    def _released_after(self, at_s: float) -> float:
        """When somebody released the holds of then; infinity: nobody did."""
        releases = (each.at_s for each in self.evidence.released if each.device in {None, self.device})
        return min((released_s for released_s in releases if released_s > at_s), default=math.inf)

    def _reset_after(self, at_s: float) -> float:
        """When somebody reset the device, perhaps without an answer; infinity: nobody did."""
        resets = (press.sent_s for press in self.presses if press.button == "reset" and press.accepted is not False)
        return min((reset_s for reset_s in resets if reset_s > at_s), default=math.inf)

    def _period_s(self, at_s: float) -> float:
        session = self.session_at(at_s)
        return SLOWEST_PULSE_S if session is None else session.pulse_period_s

    def _ttl_s(self, at_s: float) -> float:
        session = self.session_at(at_s)
        return 0.0 if session is None else session.lease_ttl_s

    def _is_mine(self, session_id: str | None) -> bool:
        return any(session.session_id == session_id for session in self.sessions)


def _joined(cuts: Iterable[CutOff]) -> Sequence[CutOff]:
    """Cuts between which nothing can have been answered are one."""
    joined: list[CutOff] = []
    for cut in sorted(cuts, key=lambda cut: cut.from_s):
        last = joined[-1] if joined else None
        if last is not None and cut.from_s < last.until_s + BACK_S:
            joined[-1] = CutOff(last.device, last.from_s, max(last.until_s, cut.until_s))
        else:
            joined.append(cut)
    return joined
