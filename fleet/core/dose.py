"""The dose ledger: what a client has had, by the clinic's local dates, and what the rules make of it (H06, H07).

The rules of this file:
- A session is reserved from its authorisation until it is settled: it counts as if it had been given in full.
- Settled, it counts once current has flowed for 60 s: by the device's record where that is whole; else by the longer
  of that record and the fleet's own time; where nobody knows, it counts. Every doubt is for the longer rest.
- How often is counted per modality. The rest between two sessions is the longer of their two, whichever they are.
- Experience is the other way round: only a device's own record makes somebody who is no novice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from broker.contract.dose import DOSE_RULES, REST_DAYS_MAX, WEEK_DAYS, DoseRules
from broker.contract.limits import exceeds
from broker.contract.plan import Modality, Plan
from broker.contract.shapes import Strict
from fleet.core.refusals import Refusal, Rule, RuleLayer

COUNTS_FROM_S = 60.0
# What may run on between two samples that the fleet saw: the longest lease, and its ramp.
UNSEEN_S = 11.0
KEPT_DAYS = REST_DAYS_MAX + 1  # no rule looks further back
# What a first session protects from has begun to come back after 8 weeks: docs/decisions/2026-11-25-dose.md.
NOVICE_AGAIN_DAYS = 56

Rules = Mapping[Modality, DoseRules]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose(Strict):
    """One session of a client. `day` is the date of its start; until it is seen to start, of its authorisation.

    `ran_s` is the fleet's own time of running, once it is over; None: not known. `on_time_s` is the device's, `whole`
    where its record has no gaps.
    """

    session_id: str
    device: str
    modality: Modality
    day: date
    reserved_s: float
    started: bool = False
    settled: bool = False
    timed: bool = True  # the fleet's clock ran through
    ran_s: float | None = None
    on_time_s: float = 0.0
    whole: bool = False

    @property
    def flowed_s(self) -> float | None:
        """The longest that current may have flowed, in seconds; None: nobody knows."""
        if self.whole:
            return self.on_time_s
        if self.ran_s is None or not self.timed:
            return None
        return max(self.ran_s + UNSEEN_S, self.on_time_s)

    @property
    def counts(self) -> bool:
        """Whether it is one of the sessions that a week may have, and the next has to rest from it."""
        flowed_s = self.flowed_s if self.settled else None
        return flowed_s is None or flowed_s >= COUNTS_FROM_S

    @property
    def proven(self) -> bool:
        """Whether the client is known to have had it."""
        return self.on_time_s >= COUNTS_FROM_S

    def told(self, on_time_s: float, gaps: int) -> "Dose":
        """With a record of the device's: of several the longest, so that no later word makes less of it."""
        longest_s = max(self.on_time_s, on_time_s)
        return replace(self, settled=True, on_time_s=longest_s, whole=self.whole or not gaps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience(Strict):
    """A series of sessions of one modality without a break of 8 weeks: its first and its last day."""

    since: date
    last: date

    def with_session(self, day: date) -> "Experience":
        """Of these and one more. After a break everything begins anew; what was before it is no part of the series."""
        if (day - self.last).days >= NOVICE_AGAIN_DAYS:
            return Experience(since=day, last=day)
        if (self.since - day).days >= NOVICE_AGAIN_DAYS:
            return self
        return Experience(since=min(self.since, day), last=max(self.last, day))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDoses(Strict):
    """What the ledger holds of a client: single sessions for as long as a rule may need them, then the experience."""

    sessions: tuple[Dose, ...] = ()
    experience: dict[Modality, Experience] = field(default_factory=dict)

    def experienced(self) -> dict[Modality, Experience]:
        """All that is proven, the single sessions included."""
        found = dict(self.experience)
        for dose in sorted(self.sessions, key=lambda dose: dose.day):
            if dose.proven:
                known = found.get(dose.modality, Experience(since=dose.day, last=dose.day))
                found[dose.modality] = known.with_session(dose.day)
        return found


NOTHING = ClientDoses()


def experienced_since(doses: ClientDoses, modality: Modality, today: date) -> date | None:
    """The first day of the series that a client is in; None for a novice, and after 8 weeks without."""
    known = doses.experienced().get(modality)
    return None if known is None or (today - known.last).days >= NOVICE_AGAIN_DAYS else known.since


def minds_experience(rules: DoseRules) -> bool:
    """Whether these rules ask what a client is used to. Where they do not, it need not be remembered."""
    return min(rules.first_duration_s_max, rules.conditioning_duration_s_max) < rules.duration_s_max


# --- the rules ------------------------------------------------------------------------------------------------------


def refusals(doses: ClientDoses, rules: Rules, plan: Plan, today: date) -> Iterator[Refusal]:
    """Every dose rule that speaks against a session of this plan today."""
    again_on = possible_from(doses, rules, plan.modality, today)
    for refusal in _by_the_calendar(doses, rules, plan.modality, today):
        yield replace(refusal, again_on=again_on)
    yield from _by_duration(doses, rules, plan, today)


def possible_from(doses: ClientDoses, rules: Rules, modality: Modality, today: date) -> date:
    """The first date from today on which no calendar rule refuses, by what is known today."""
    day = today
    while any(_by_the_calendar(doses, rules, modality, day)):
        day += timedelta(days=1)
    return day


def in_a_week(doses: ClientDoses, modality: Modality, day: date) -> int:
    """How many sessions of a modality count in the 7 dates that end with `day`."""
    return sum(
        dose.counts and dose.modality is modality and (day - dose.day).days < WEEK_DAYS for dose in doses.sessions
    )


def _by_the_calendar(doses: ClientDoses, rules: Rules, modality: Modality, day: date) -> Iterator[Refusal]:
    count, most = in_a_week(doses, modality, day), rules[modality].sessions_per_7_days_max
    if count >= most:
        layer = _layer(most, DOSE_RULES[modality].sessions_per_7_days_max)
        yield _refusal(Rule.DOSE_WEEK, layer, "sessions_in_7_days", count, most)
    resting = [
        (dose.day + timedelta(days=_days_apart(rules, modality, dose.modality)), dose)
        for dose in doses.sessions
        if dose.counts
    ]
    until, latest = max(resting, key=lambda rest: rest[0], default=(day, None))
    if latest is not None and until > day:
        apart = _days_apart(rules, modality, latest.modality)
        layer = _layer(apart, _days_apart(DOSE_RULES, modality, latest.modality))
        yield _refusal(Rule.DOSE_REST, layer, f"days_since_{latest.modality}", (day - latest.day).days, apart)


def _days_apart(rules: Rules, one: Modality, other: Modality) -> int:
    """How far apart the dates of two sessions have to be."""
    return max(rules[one].rest_days_min, rules[other].rest_days_min) + 1


def _by_duration(doses: ClientDoses, rules: Rules, plan: Plan, today: date) -> Iterator[Refusal]:
    """What the clinic allows at most, and what a client is used to. The domain's own length is no matter of dose."""
    ours, domain = rules[plan.modality], DOSE_RULES[plan.modality]
    if ours.duration_s_max < domain.duration_s_max and exceeds(plan.duration_s, ours.duration_s_max):
        yield _refusal(Rule.DURATION, RuleLayer.CLINIC, "duration_s", plan.duration_s, ours.duration_s_max)
    since = experienced_since(doses, plan.modality, today)
    if since is None:
        rule, most_s, outer_s = Rule.DOSE_FIRST, ours.first_duration_s_max, domain.first_duration_s_max
    elif (today - since).days < ours.conditioning_days:
        rule, most_s = Rule.DOSE_CONDITIONING, ours.conditioning_duration_s_max
        outer_s = domain.conditioning_duration_s_max
    else:
        return
    if most_s < ours.duration_s_max and exceeds(plan.duration_s, most_s):
        yield _refusal(rule, _layer(most_s, outer_s), "duration_s", plan.duration_s, most_s)


def _layer(ours: float, domain: float) -> RuleLayer:
    return RuleLayer.DOMAIN if ours == domain else RuleLayer.CLINIC


def _refusal(rule: Rule, layer: RuleLayer, quantity: str, value: float, limit: float) -> Refusal:
    return Refusal(rule=rule, layer=layer, quantity=quantity, value=float(value), limit=float(limit))
