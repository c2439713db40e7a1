"""The dose rules once more, by brute force: from all that ever happened to a client's sessions, nothing forgotten.

What the domain says, applied to the raw events of the journal each time anew; it shares nothing with the ledger.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fleet.core import events as e

# at most in 7 days | dates apart | longest | longest first, by domain.md
RULES = {"nmes": (3, 2, 1800.0, 1800.0), "wb_ems": (1, 5, 1200.0, 720.0)}
BREAK_DAYS = 56  # then a client is a novice again


@dataclass(frozen=True)
class Had:
    """One session as far as it matters: when, which, whether it counts, whether it is proven."""

    modality: str
    day: date
    counts: bool
    proven: bool


def day_of(event: Any, zone: str) -> date:
    return datetime.fromtimestamp(event.wall_s, ZoneInfo(zone)).date()


def had(journal: list[e.Event], client: str, zone: str) -> list[Had]:
    """Everything that a client ever had, or has reserved."""
    found, boot = [], ""
    for n, event in enumerate(journal):
        if isinstance(event, e.FleetTookOver):
            boot = event.host_boot
        if isinstance(event, e.SessionAuthorised) and event.authorisation.client == client:
            story = _Story(event, boot, zone)
            for later in journal[n + 1 :]:
                story.goes_on(later)
            found += story.told()
    return found


class _Story:
    """One session, from its authorisation on."""

    def __init__(self, authorised: e.SessionAuthorised, boot: str, zone: str) -> None:
        self.authorised, self.boot, self.zone = authorised, boot, zone
        self.session_id = authorised.authorisation.session_id
        self.state, self.since_s, self.ran_s = "authorised", authorised.now_s, 0.0
        self.started: date | None = None
        self.is_given_back = self.is_settled = False
        self.is_timed = True
        self.reports: list[tuple[float, int]] = []  # seconds of current, gaps

    def goes_on(self, event: e.Event) -> None:
        match event:
            case e.FleetTookOver(host_boot=boot):
                if boot != self.boot and self.state not in {"authorised", *OVER}:
                    self.is_timed = False
                self.boot = boot
            case e.DeviceReported(device=device, event=said):
                numbers: Any = said.detail
                if device == self.authorised.device and said.session_id == self.session_id and numbers is not None:
                    self._reported(numbers.on_time_s, numbers.gaps)
            case e.OutputUnpermitted(session_id=session_id, device=device):
                if session_id == self.session_id and device == self.authorised.device:
                    self._goes_on_by_itself(event)
            case _ if getattr(event, "session_id", None) == self.session_id:
                self._moves(event)
            case _:
                pass

    def _reported(self, on_time_s: float, gaps: int) -> None:
        if self.is_given_back and on_time_s == 0.0:
            return
        self.is_given_back, self.is_settled = False, True
        self.reports.append((on_time_s, gaps))

    def _goes_on_by_itself(self, event: e.OutputUnpermitted) -> None:
        """What it has reported as its end was none: current flows on this day."""
        self.started = day_of(event, self.zone)
        self.is_given_back = self.is_timed = False
        self.is_settled = self.state in OVER
        self.reports = [(on_time_s, max(gaps, 1)) for on_time_s, gaps in self.reports]

    def _moves(self, event: Any) -> None:
        to = _state_after(event, self.state)
        if to != self.state:
            self.ran_s += event.now_s - self.since_s if self.state == "running" else 0.0
            self.state, self.since_s = to, event.now_s
        if to in {"running", "paused"}:
            self.started, self.is_given_back = self.started or day_of(event, self.zone), False
        if isinstance(event, e.SessionDeclined | e.SessionExpired | e.SessionCancelled):
            self.is_given_back = True
        if isinstance(event, e.SessionEnded) and (event.ended is not None or event.cause != "reboot"):
            self.is_settled = True

    def told(self) -> list[Had]:
        """What it comes to; nothing where it was given back."""
        if self.is_given_back:
            return []
        is_whole = any(gaps == 0 for _, gaps in self.reports)
        known_s = max((on_time_s for on_time_s, _ in self.reports), default=0.0)
        at_most_s = known_s if is_whole else max(self.ran_s + 11.0, known_s) if self.is_timed else float("inf")
        counts = not self.is_settled or at_most_s >= 60.0
        day = self.started or day_of(self.authorised, self.zone)
        return [Had(self.authorised.authorisation.plan.modality.value, day, counts, known_s >= 60.0)]


OVER = {"refused", "expired", "cancelled", "completed", "aborted", "stopped_latched", "cleared"}
_NAMED = {
    e.SessionDeclined: "refused",
    e.SessionExpired: "expired",
    e.SessionCancelled: "cancelled",
    e.CancelOvertaken: "running",
    e.SessionLost: "lost",
    e.SessionCleared: "cleared",
}


def _state_after(event: Any, state: str) -> str:
    if isinstance(event, e.SessionAdvanced | e.SessionEnded):
        return event.to.value
    return _NAMED.get(type(event), state)


# --- the rules ------------------------------------------------------------------------------------------------------


def refused(sessions: list[Had], modality: str, duration_s: float, today: date) -> dict[str, Any]:
    """Rule to what a person may be told: value, limit and the first date on which no rule of the calendar refuses.

    Where two earlier sessions are in the way for equally long, either may be named: hence sets.
    """
    found: dict[str, Any] = {}
    again_on = today
    while _by_calendar(sessions, modality, again_on):
        again_on += timedelta(days=1)
    for rule, figures in _by_calendar(sessions, modality, today).items():
        found[rule] = {(*figure, again_on) for figure in figures}
    longest_s, first_s = RULES[modality][2:]
    if _is_novice(sessions, modality, today) and first_s < longest_s and duration_s > first_s:
        found["dose_first"] = {(duration_s, first_s, None)}
    return found


def _by_calendar(sessions: list[Had], modality: str, day: date) -> dict[str, set[tuple[float, float]]]:
    counted = [one for one in sessions if one.counts]
    week = [one for one in counted if one.modality == modality and one.day > day - timedelta(days=7)]
    found: dict[str, set[tuple[float, float]]] = {}
    if len(week) >= RULES[modality][0]:
        found["dose_week"] = {(len(week), RULES[modality][0])}
    apart = [((day - one.day).days, max(RULES[modality][1], RULES[one.modality][1])) for one in counted]
    missing = max((least - days for days, least in apart), default=0)
    if missing > 0:
        found["dose_rest"] = {(days, least) for days, least in apart if least - days == missing}
    return found


def _is_novice(sessions: list[Had], modality: str, today: date) -> bool:
    """Nothing proven in the last 8 weeks."""
    days = [one.day for one in sessions if one.proven and one.modality == modality]
    return not days or (today - max(days)).days >= BREAK_DAYS
