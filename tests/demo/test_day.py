"""A clinic day: the same seed gives the same day, within what a therapist may do; a file holds it strictly."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo.day import DAY_S_MAX, TOO_DENSE, USUAL, Button, Day, PushedStop, Step, Visit, a_day
from demo.papers import names
from demo.script import BadScript, day_from, text_of

DEVICES = names(12)
SEEDS = range(20)


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    assert a_day(DEVICES, 3600.0, 4) == a_day(DEVICES, 3600.0, 4)
    assert a_day(DEVICES, 3600.0, 4) != a_day(DEVICES, 3600.0, 5)


def test_what_happens_at_one_device_does_not_depend_on_the_others() -> None:
    assert a_day(DEVICES, 3600.0, 4).of("stim-03") == a_day(("stim-03",), 3600.0, 4).of("stim-03")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_is_one_that_people_could_have(seed: int) -> None:
    day = a_day(DEVICES, 3600.0, seed)
    assert day.devices == set(DEVICES)
    assert len({visit.client for visit in day.visits}) == len(day.visits), "nobody comes twice"
    begins_s = [visit.at_s for visit in day.visits] + [stop.at_s for stop in day.stops]
    assert min(begins_s) >= 0.0
    assert max(begins_s) < 3600.0
    for visit in day.visits:
        presses = [step.press for step in visit.steps]
        is_refused = bool(visit.findings) or visit.plan == TOO_DENSE
        assert presses[:2] == ([] if is_refused else [Button.ARM, Button.START])
        assert set(presses[2:]) <= {Button.RAISE, Button.LOWER, Button.PAUSE, Button.RESUME, Button.STOP}
        assert Button.STOP not in presses[:-1]
        _never_beyond_the_rules(visit)


def _never_beyond_the_rules(visit: Visit) -> None:
    """2 mA a step below 20 mA, 1 mA from there; never beyond the plan; from zero after a pause."""
    setting_ma = 0.0
    for step in visit.steps:
        if step.press is Button.RAISE:
            assert step.by_ma <= (2.0 if setting_ma < 20.0 else 1.0)
            setting_ma += step.by_ma
            assert setting_ma <= visit.plan.setting_ma_max
        elif step.press is Button.LOWER:
            setting_ma = max(0.0, setting_ma - step.by_ma)
        elif step.press is Button.PAUSE:
            setting_ma = 0.0


def test_visits_of_a_device_follow_each_other() -> None:
    for seed in SEEDS:
        day = a_day(DEVICES, DAY_S_MAX / 10, seed)
        for device in DEVICES:
            visits = day.of(device)
            begins_s = [visit.at_s for visit in visits]
            assert begins_s == sorted(begins_s)
            assert len(visits) > 3


def test_over_many_days_everything_occurs() -> None:
    visits = [visit for seed in SEEDS for visit in a_day(DEVICES, 3600.0, seed).visits]
    stops = [stop for seed in SEEDS for stop in a_day(DEVICES, 3600.0, seed).stops]
    assert any(visit.findings for visit in visits)
    assert any(visit.plan == TOO_DENSE for visit in visits)
    assert {visit.plan.duration_s for visit in visits if visit.steps} == {300.0, 600.0, 900.0, 1200.0}
    assert {step.press for visit in visits for step in visit.steps} == set(Button) - {Button.STOP_BUTTON}
    assert stops


# --- in a file ------------------------------------------------------------------------------------------------------


def test_a_day_survives_its_file(tmp_path: Path) -> None:
    day = a_day(DEVICES, 1800.0, 7)
    (tmp_path / "day.json").write_text(text_of(day))
    assert day_from(tmp_path / "day.json") == day


def test_a_short_script_by_hand(tmp_path: Path) -> None:
    (tmp_path / "day.json").write_text(
        '{"visits": [{"at_s": 1, "device": "stim-01", "client": "client-1", '
        '"steps": [{"after_s": 0.5, "press": "arm"}, {"after_s": 1, "press": "raise", "by_ma": 2}]}], '
        '"stops": [{"at_s": 9, "device": "stim-01"}]}'
    )
    steps = (Step(after_s=0.5, press=Button.ARM), Step(after_s=1.0, press=Button.RAISE, by_ma=2.0))
    assert day_from(tmp_path / "day.json") == Day(
        visits=(Visit(at_s=1.0, device="stim-01", client="client-1", plan=USUAL, steps=steps),),
        stops=(PushedStop(at_s=9.0, device="stim-01"),),
    )


def a_script(**changes: Any) -> dict[str, Any]:
    visit = {"at_s": 1.0, "device": "stim-01", "client": "client-1", "steps": [{"after_s": 1.0, "press": "arm"}]}
    return {"visits": [visit | changes]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no clinic day: Invalid JSON"),
        ("[]", "is no clinic day: "),
        ("{}", "is no clinic day: visits: Field required"),
        ('{"visits": [], "lunch": 1}', "is no clinic day: lunch: "),
        (json.dumps(a_script(at_s="soon")), "is no clinic day: visits[0].at_s: Input should be a valid number"),
        (json.dumps(a_script(at_s=-1)), "is no clinic day: visits[0].at_s: Input should be greater than or equal to 0"),
        (json.dumps(a_script(device="Stim 1")), "is no clinic day: visits[0].device: "),
        (json.dumps(a_script(client="x")), "is no clinic day: visits[0].client: "),
        (json.dumps(a_script(findings=["grumpy"])), "is no clinic day: visits[0].findings[0]: "),
        (json.dumps(a_script(plan={"modality": "nmes"})), "is no clinic day: visits[0].plan.body_site: Field required"),
        (json.dumps(a_script(steps=[{"after_s": 1, "press": "hit"}])), "is no clinic day: visits[0].steps[0].press: "),
        (json.dumps(a_script(steps=[{"after_s": 1, "press": "raise", "by_ma": 20}])), "visits[0].steps[0].by_ma: "),
        ("[" * 100_000, "is no clinic day: Invalid JSON"),
    ],
)
def test_a_script_that_is_none_says_where_and_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "day.json"
    path.write_text(text)
    with pytest.raises(BadScript) as bad:
        day_from(path)
    assert says in str(bad.value)
    assert str(bad.value).startswith(f"The script {path} ")
    assert "\n" not in str(bad.value)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadScript, match="cannot be read: No such file or directory"):
        day_from(tmp_path / "day.json")
