"""What no sequence may bring about in alarms: two for one thing, one that ends too early, a journal that grows."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import Condition, EventKind, Phase
from broker.contract.topics import Channel
from fleet.core import inputs
from fleet.core.alarm_table import ROWS
from fleet.core.events import AlarmChanged, AlarmCleared, AlarmRaised, Event, StopUnconfirmed
from fleet.core.evolve import evolve
from fleet.core.fold_alarms import PAST_KEPT
from fleet.core.inputs import Rejected
from fleet.core.state import State
from fleet.core.store_events import StoreTrouble
from tests.core.adversary import NAMES, World
from tests.core.crowd import Crowd
from tests.core.moves import Moves, moves, perform

AlarmEvent = AlarmRaised | AlarmChanged | AlarmCleared

# --- what devices say, right or wrong -------------------------------------------------------------------------------

LATCHED = (None, Cause.OVER_LIMIT, Cause.OUTPUT_STUCK, Cause.LEASE_LOST, Cause.PATIENT_STOP, Cause.RULE_STOP)
FAULTS = (
    (EventKind.OVER_LIMIT, Cause.OVER_LIMIT),
    (EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK),
    (EventKind.LEASE_LOST, Cause.LEASE_LOST),
    (EventKind.STOP_PRESSED, Cause.PATIENT_STOP),
    (EventKind.ELECTRODE_OPEN, Cause.ELECTRODE_OPEN),
    (EventKind.BATTERY_LOW, None),
    (EventKind.LATCH_RESET, None),
    (EventKind.SESSION_RESUMED, None),
)
AT = ("2026-11-22T11:00:00.000Z", "2026-11-22T12:00:00.000Z", "2026-11-22T13:00:00.000Z")


class Says:
    """A device says something of itself."""

    @staticmethod
    def birth(world: World, name: str, latched: Cause | None, conditions: tuple[Condition, ...], at: str) -> None:
        stim = world.clinic.stims[name]
        stim.latched = latched
        world.receive(name, stim.birth(conditions=conditions, at=at))

    @staticmethod
    def event(world: World, name: str, fault: tuple[EventKind, Cause | None], at: str) -> None:
        kind, cause = fault
        world.receive(name, replace(world.clinic.stims[name].event(kind, cause), at=at))

    @staticmethod
    def sample(world: World, name: str, **shown: Any) -> None:
        sample = world.clinic.stims[name].sample(**shown)
        world.recorded.append((name, sample))
        world.receive(name, sample)

    @staticmethod
    def battery(world: World, name: str, percent: float) -> None:
        Says.sample(world, name, battery_pct=percent)

    @staticmethod
    def rejected(world: World, name: str | None) -> None:
        clinic = world.clinic
        world.heard(Rejected(name, Channel.EVENT, "malformed", clinic.now_s, clinic.wall_s))


says = st.one_of(
    st.tuples(
        st.just(Says.birth),
        st.sampled_from(NAMES),
        st.sampled_from(LATCHED),
        st.sampled_from(((), (Condition.ELECTRODE_OPEN,), (Condition.BATTERY_LOW,))),
        st.sampled_from(AT),
    ),
    st.tuples(st.just(Says.event), st.sampled_from(NAMES), st.sampled_from(FAULTS), st.sampled_from(AT)),
    st.tuples(st.just(Says.battery), st.sampled_from(NAMES), st.sampled_from((4.0, 9.0, 15.0, 90.0))),
    st.tuples(st.just(Says.rejected), st.sampled_from((*NAMES, None, "nobody"))),
    st.tuples(st.just(Moves.store), st.sampled_from((*StoreTrouble, None))),
    st.tuples(st.just(Moves.recorder_ends)),
    st.tuples(st.just(Moves.time), st.sampled_from((0.3, 1.0, 11.0, 31.0, 320.0))),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(says, says, moves), min_size=10, max_size=80))
def test_no_sequence_clears_an_alarm_too_early_or_opens_it_twice(sequence: list[tuple[Any, ...]]) -> None:
    """The rules (`alarm_rules`) are checked after every decision; the journal leads to the same alarms."""
    world = World()
    for move in sequence:
        perform(world, move)
    folded = State()
    for event in world.clinic.journal:
        evolve(folded, event)
    assert folded.durable.alarms == world.state.durable.alarms
    assert folded.durable == world.state.durable
    opened = {event.alarm_id for event in world.clinic.journal if isinstance(event, AlarmRaised)}
    over = {event.alarm_id for event in world.clinic.journal if isinstance(event, AlarmCleared)}
    assert {alarm.alarm_id for alarm in world.state.durable.alarms.values()} == opened - over
    assert len(over) == sum(isinstance(event, AlarmCleared) for event in world.clinic.journal)


# --- flapping -------------------------------------------------------------------------------------------------------

Face = tuple[Any, ...]  # what is done, over and over
FLAPS: dict[str, tuple[Face, Face]] = {
    "latched and not": (
        (Says.birth, "stim-12", Cause.LEASE_LOST, (), AT[1]),
        (Says.birth, "stim-12", None, (), AT[1]),
    ),
    "over the limit and reset": (
        (Says.event, "stim-12", (EventKind.OVER_LIMIT, Cause.OVER_LIMIT), AT[1]),
        (Says.event, "stim-12", (EventKind.LATCH_RESET, None), AT[1]),
    ),
    "stuck and not": (
        (Says.birth, "stim-12", Cause.OUTPUT_STUCK, (), AT[1]),
        (Says.birth, "stim-12", None, (), AT[1]),
    ),
    "pad off and on": (
        (Says.birth, "stim-12", None, (Condition.ELECTRODE_OPEN,), AT[1]),
        (Says.birth, "stim-12", None, (), AT[1]),
    ),
    "battery around its bound": ((Says.battery, "stim-12", 19.9), (Says.battery, "stim-12", 22.5)),
    "battery around ten percent": ((Says.battery, "stim-12", 9.9), (Says.battery, "stim-12", 10.1)),
    "forged": ((Says.rejected, "stim-12"), (Says.rejected, "nobody")),
    "a store that blinks": ((Moves.store, StoreTrouble.REFUSES), (Moves.store, None)),
    "a store that fails and a recorder that ends": ((Moves.store, StoreTrouble.WAITS), (Moves.recorder_ends,)),
    "a disk around its last byte": ((Moves.store, StoreTrouble.WAITS), (Moves.store, StoreTrouble.REFUSES)),
    "stopped and released": ((Moves.stop_and_release, "stim-12"), (Moves.sample, "stim-12")),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(FLAPS)),
    st.floats(min_value=0.02, max_value=30.0),
    st.floats(min_value=0.02, max_value=30.0),
    st.booleans(),
)
def test_whatever_flaps_at_any_rate_the_journal_and_the_state_are_bounded(
    what: str, there_s: float, gone_s: float, in_session: bool
) -> None:
    world = World()
    clinic = world.clinic
    if in_session:
        world.treats("stim-12", "c-4711")
    began_s, rows_before = clinic.now_s, len(clinic.journal)
    for n in range(120):
        face_s = (there_s, gone_s)[n % 2]
        perform(world, FLAPS[what][n % 2])
        for _ in range(min(4, int(face_s / 0.25))):  # the clock goes on ticking, and the device speaks
            world.passes(0.25)
            Says.sample(world, "stim-12")
        world.passes(max(0.0, face_s - 1.0))
    lasted_s = clinic.now_s - began_s
    rows = [event for event in clinic.journal[rows_before:] if isinstance(event, AlarmEvent)]
    count = Counter((event.code, event.device, event.room) for event in rows)
    for (code, _, _), found in count.items():
        # Raised, risen, lowered and cleared: each once in the row's off-delay, or in the second of A01.
        assert found <= 4 * (1 + lasted_s / max(1.0, ROWS[code].off_delay_s)), (code, found, lasted_s)
    durable, places = world.state.durable, len(NAMES) + 1
    assert len(durable.alarms) <= len(ROWS) * places
    assert set(world.state.fleeting.gone_s) <= set(durable.alarms)
    assert len(durable.moments) <= 2 * places
    assert len(durable.past_alarms) <= PAST_KEPT


def test_a_fast_flap_is_one_alarm_that_stays() -> None:
    world = World()
    there, gone = FLAPS["latched and not"]
    for _ in range(2_000):
        perform(world, there)
        perform(world, gone)
        world.passes(0.05)
    rows = [event for event in world.clinic.journal if isinstance(event, AlarmEvent)]
    # Forty births a second are more than a device has to tell: that is an alarm of its own (core/budget.py).
    assert [(type(row).__name__, row.code) for row in rows] == [("AlarmRaised", "A04"), ("AlarmRaised", "A09")]


def test_a_store_that_blinks_fast_is_no_alarm_and_one_that_lasts_is_not_cleared_by_a_blink() -> None:
    world = World()
    for _ in range(2_000):
        Moves.store(world, StoreTrouble.REFUSES)
        world.passes(0.05)
        Moves.store(world, None)
        world.passes(0.05)
    assert [row for row in world.clinic.journal if isinstance(row, AlarmEvent) and row.code == "A13"] == []
    Moves.store(world, StoreTrouble.REFUSES)
    for _ in range(70):
        world.passes(1.0)
    for _ in range(500):
        Moves.store(world, None)
        world.passes(1.0)
        Moves.store(world, StoreTrouble.REFUSES)
        world.passes(1.0)
    rows = [event for event in world.clinic.journal if isinstance(event, AlarmEvent) and event.code == "A13"]
    assert [type(row).__name__ for row in rows] == ["AlarmRaised"]


# --- a storm --------------------------------------------------------------------------------------------------------


def names_of(events: tuple[Event, ...] | list[Event]) -> Counter[str]:
    return Counter(type(event).__name__ for event in events)


def test_h19_in_a_storm_of_500_losses_the_one_output_that_is_not_zero_is_its_own_alarm_in_the_same_turn() -> None:
    crowd = Crowd(500)
    in_session = [f"stim-{n}" for n in range(0, 500, 2)]
    crowd.ready()
    crowd.treats(in_session)
    crowd.all_speak()
    heard_s = crowd.now_s
    # A stop is pushed for one of them, and then nothing is heard of anybody any more.
    crowd.now_s = heard_s + 28.98
    crowd.pushes_stop("stim-250")
    crowd.sent(crowd.open_stop(), "0011223344556601")
    crowd.now_s = heard_s
    decision = crowd.decides(inputs.Tick(heard_s + 30.01, crowd.wall_s + 30.01))
    assert names_of(decision.events) == {
        "StopUnconfirmed": 1,
        "DeviceLost": 500,
        "SessionLost": 250,
        "AlarmRaised": 2,
    }
    assert isinstance(decision.events[0], StopUnconfirmed)
    output, lost = (event for event in decision.events if isinstance(event, AlarmRaised))
    # First, alone, and naming the room.
    assert (output.code, output.device, output.room, output.members) == ("A01", "stim-250", "room-25", {})
    assert (lost.code, lost.device, lost.room, sorted(lost.members)) == ("A04", None, None, sorted(in_session))
    # Five minutes on, those without a session are one alarm, too.
    crowd.now_s = heard_s + 30.01
    before = len(crowd.journal)
    for _ in range(400):
        crowd.after(1.0)
    (offline,) = crowd.journal[before:]
    assert isinstance(offline, AlarmRaised)
    assert (offline.code, len(offline.members)) == ("A07", 250)
    # The network is back, and every device with it, one by one: a row a second at most, and not one for each.
    before = len(crowd.journal)
    for n, (name, stim) in enumerate(crowd.stims.items()):
        stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
        crowd.decides(inputs.Received(name, stim.sample(), crowd.now_s, crowd.wall_s))
        if n % 25 == 24:
            crowd.after(1.0)
    for _ in range(15):
        crowd.all_speak()
        crowd.after(1.0)
    told = names_of(crowd.journal[before:])
    assert told["AlarmRaised"] == 0
    assert told["AlarmChanged"] + told["AlarmCleared"] <= 2 * 35
    # What is left is the hold of the stop that was pushed.
    assert list(crowd.state.durable.alarms) == ["A03/stim-250"]


def test_h19_events_of_500_devices_that_lost_their_leases_are_few_alarms() -> None:
    """The broker was away: each device reports for itself, within some seconds."""
    crowd = Crowd(500)
    crowd.ready()
    for n, (name, stim) in enumerate(crowd.stims.items()):
        said = stim.event(EventKind.LEASE_LOST, Cause.LEASE_LOST)
        crowd.decides(inputs.Received(name, said, crowd.now_s + n * 0.01, crowd.wall_s))
    rows = [event for event in crowd.journal if isinstance(event, AlarmEvent)]
    # Two by themselves, the room's, the site's, and one row for each that joins.
    assert len(rows) <= 500 + 10
    assert list(crowd.state.durable.alarms) == ["A04/all"]
    assert len(crowd.state.durable.alarms["A04/all"].members) == 500
