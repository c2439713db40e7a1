"""What a demo shows: everything, where there are devices and time enough; else it says what did not fit."""

from itertools import pairwise

import pytest

from demo.day import Button
from demo.incidents import LEAD_S, OWN_PROCESS, TARGET_MA, Demo, Kind, a_demo
from demo.papers import names

SEEDS = range(30)
AT_DEVICES = set(Kind) - {Kind.CONTRAINDICATION, Kind.EXCESS_DENSITY, Kind.TOO_EARLY}


def kinds(demo: Demo) -> set[Kind]:
    return {incident.kind for incident in demo.incidents}


def test_the_same_seed_gives_the_same_demo_and_another_one_another() -> None:
    assert a_demo(names(12), 60.0, 3) == a_demo(names(12), 60.0, 3)
    assert a_demo(names(12), 60.0, 3) != a_demo(names(12), 60.0, 4)


@pytest.mark.parametrize("seconds", [30.0, 60.0, 75.0])
def test_twelve_devices_show_everything_once_on_devices_of_their_own(seconds: float) -> None:
    for seed in SEEDS:
        demo = a_demo(names(12), seconds, seed)
        assert sorted(incident.kind for incident in demo.incidents) == sorted(Kind)
        assert demo.left_out == ()
        befallen = [incident.device for incident in demo.incidents if incident.kind in AT_DEVICES]
        assert len(set(befallen)) == len(befallen)
        assert demo.alone == {incident.device for incident in demo.incidents if incident.kind in OWN_PROCESS}
        assert len({visit.client for visit in demo.visits}) == len(demo.visits), "each session has a client of its own"


@pytest.mark.parametrize("seconds", [10.0, 12.0, 14.0, 16.0])
def test_however_short_a_demo_is_planned_and_what_does_not_fit_is_said(seconds: float) -> None:
    """The command takes 10 s and more."""
    for seed in SEEDS:
        demo = a_demo(names(12), seconds, seed)
        assert {Kind.CONTRAINDICATION, Kind.EXCESS_DENSITY} <= kinds(demo)
        missing = set(Kind) - kinds(demo)
        assert len(demo.left_out) == len(missing)
        assert (Kind.TOO_EARLY in missing) == (demo.visits == ())


def test_where_something_happens_a_session_was_begun_in_time_and_it_comes_to_rest() -> None:
    for seed in SEEDS:
        demo = a_demo(names(12), 45.0, seed)
        for incident in demo.incidents:
            if incident.kind in AT_DEVICES:
                first = demo.of(incident.device)[0]
                assert first.at_s == pytest.approx(max(0.0, incident.at_s - LEAD_S), abs=0.11)
                assert incident.at_s <= 45.0 - 2.0 - 4.0


def test_at_least_six_sessions_overlap_and_every_plan_is_of_five_minutes_and_longer() -> None:
    for seed in SEEDS:
        demo = a_demo(names(12), 60.0, seed)
        firsts = [demo.of(device)[0] for device in names(12)]
        assert sum(1 for visit in firsts if visit.at_s <= 6.0) >= 6
        assert min(visit.plan.duration_s for visit in demo.visits) >= 300.0
        for visit in demo.visits:
            raises = [step.by_ma for step in visit.steps if step.press is Button.RAISE]
            assert sum(raises) == TARGET_MA


def test_the_client_who_comes_again_is_being_treated_somewhere_else() -> None:
    for seed in SEEDS:
        demo = a_demo(names(12), 60.0, seed)
        (again,) = (incident for incident in demo.incidents if incident.kind is Kind.TOO_EARLY)
        (first,) = (visit for visit in demo.visits if visit.client == again.client)
        assert first.device != again.device
        assert first.at_s + 3.0 < again.at_s


def test_five_devices_are_enough_for_everything_an_electrode_lifts_where_a_stop_is_pushed_later() -> None:
    for seed in SEEDS:
        demo = a_demo(names(5), 60.0, seed)
        assert kinds(demo) == set(Kind)
        lifts, stop = ({i.kind: i for i in demo.incidents}[kind] for kind in (Kind.ELECTRODE_LIFTS, Kind.STOP_PUSHED))
        assert lifts.device == stop.device
        assert lifts.at_s + 8.0 <= stop.at_s


def test_fewer_devices_show_less_and_say_what_is_left_out() -> None:
    demo = a_demo(names(1), 60.0, 0)
    assert kinds(demo) == {Kind.CONTRAINDICATION, Kind.EXCESS_DENSITY, Kind.ELECTRODE_LIFTS, Kind.STOP_PUSHED}
    assert demo.alone == frozenset()
    assert demo.left_out == (
        "Not in this demo: a link that is cut; that takes one more device (--devices).",
        "Not in this demo: an agent that is killed; that takes one more device (--devices).",
        "Not in this demo: an output above its limit; that takes one more device (--devices).",
        "Not in this demo: an output that sticks; that takes one more device (--devices).",
        "Not in this demo: a client who comes again too early; that takes two devices (--devices).",
    )


def test_a_short_demo_shows_less_and_says_how_long_it_would_take() -> None:
    demo = a_demo(names(12), 16.0, 0)
    assert kinds(demo) & AT_DEVICES == {Kind.OUTPUT_STUCK}
    assert "Not in this demo: a link that is cut; that takes 24 s (--for)." in demo.left_out
    assert "Not in this demo: a pushed stop; that takes 19 s (--for)." in demo.left_out
    assert len(demo.left_out) == 5


def test_afterwards_people_are_treated_in_peace() -> None:
    for seed in range(5):
        demo, usual = a_demo(names(12), 60.0, seed, 7_200.0), a_demo(names(12), 60.0, seed)
        assert demo.incidents == usual.incidents
        assert demo.visits[: len(usual.visits)] == usual.visits
        for device in names(12):
            calm = [visit for visit in demo.of(device) if visit.at_s > 60.0]
            assert 2 <= len(calm) <= 12
            assert calm[-1].at_s <= 7_260.0
            for before, after in pairwise(calm):
                assert after.at_s >= before.at_s + before.plan.duration_s + 60.0
