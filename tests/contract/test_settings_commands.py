"""What a clinic sets, as it is typed: said back in words, and refused by name where it would be ignored."""

from pathlib import Path

import pytest

from broker.pki.clinic import ClinicSettings
from broker.pki.registry_file import load_registry
from tests.contract.test_commandline import Shell, shell, site

__all__ = ["shell", "site"]  # fixtures

FOLLOWS = (
    "The fleet reads this by itself. What is tighter holds at once, also for sessions that run; what is looser, from "
    "the next session on.\n"
)


def test_a_clinic_says_what_it_wants_and_is_told_what_it_has(site: Shell) -> None:
    usual = (
        "The clinic's limits: the envelope's, nothing tighter.\n"
        "A device reports every 5 s, in a session every 0.5 s.\n"
        "A session starts within 120 s; its pauses last 600 s in all.\n"
        "A lease lasts 5000 ms.\n"
    )
    assert site("provision clinic") == (0, usual, "")
    status, out, _ = site(
        "provision clinic --limit session_s_max=1200 --limit peak_ma_max=80 --live-period-s 0.25 --idle-period-s 2 "
        "--start-within-s 60 --pause-total-s 300 --lease-ttl-ms 6000"
    )
    assert (status, out) == (
        0,
        "The clinic's limits: peak_ma_max 80 (clinic), session_s_max 1200 (clinic).\n"
        "A device reports every 2 s, in a session every 0.25 s.\n"
        "A session starts within 60 s; its pauses last 300 s in all.\n"
        "A lease lasts 6000 ms.\n"
        "How long a start may wait and pauses may last is said to each session when it is authorised.\n" + FOLLOWS,
    )
    registry = load_registry(site.folder / "site")
    assert registry.clinic_limits == {"peak_ma_max": 80.0, "session_s_max": 1200.0}
    assert registry.clinic == ClinicSettings(2.0, 0.25, 60.0, 300.0, 6_000)

    # What is not named stays.
    assert site("provision clinic --no-limit peak_ma_max")[0] == 0
    registry = load_registry(site.folder / "site")
    assert registry.clinic_limits == {"session_s_max": 1200.0}
    assert registry.clinic == ClinicSettings(2.0, 0.25, 60.0, 300.0, 6_000)


def test_the_layers_of_a_device_are_told_with_who_set_them(site: Shell) -> None:
    assert site("provision model generic --limit pulse_width_us_max=400")[1] == (
        "The limits of model generic: pulse_width_us_max 400 (model). "
        "What its devices say of themselves may be stricter.\n" + FOLLOWS
    )
    site("provision clinic --limit peak_ma_max=80")
    assert site("provision settings stim-1 --limit frequency_hz_max=60 --limit ramp_up_s_min=1")[1] == (
        "The limits of stim-1 (generic, room-1): peak_ma_max 80 (clinic), pulse_width_us_max 400 (model), "
        "frequency_hz_max 60 (settings), ramp_up_s_min 1 (settings). What it says of itself may be stricter.\n"
        + FOLLOWS
    )
    before = (site.folder / "site" / "registry.json").read_bytes()
    status, out, _ = site("provision settings stim-1")
    assert (status, out.count("\n")) == (0, 1), "without options it only shows them"
    assert (site.folder / "site" / "registry.json").read_bytes() == before


def test_tightening_an_outer_layer_never_waits_for_an_inner_one(site: Shell) -> None:
    site("provision settings stim-1 --limit peak_ma_max=60")
    assert site("provision clinic --limit peak_ma_max=50")[0] == 0
    assert "peak_ma_max 50 (clinic)" in site("provision settings stim-1")[1]
    # Loosened again outside, the device's own is still there.
    site("provision clinic --no-limit peak_ma_max")
    assert "peak_ma_max 60 (settings)" in site("provision settings stim-1")[1]


def test_out_of_service_and_back_says_what_it_means(site: Shell) -> None:
    status, out, _ = site("provision service-hold stim-1 on")
    assert (status, out.splitlines()) == (
        0,
        [
            "stim-1 is out of service; the fleet tells it by itself.",
            "A session that runs there is stopped at once, and nothing new is authorised.",
        ],
    )
    assert load_registry(site.folder / "site").devices["stim-1"].service_hold
    status, out, _ = site("provision service-hold stim-1 off")
    assert (status, "It stays held until somebody says: stimfleet release --service stim-1\n" in out) == (0, True)
    assert not load_registry(site.folder / "site").devices["stim-1"].service_hold


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "provision clinic --limit peak_ma_max=131",
            "The clinic: peak_ma_max cannot be 131, looser than the 130 of the envelope",
        ),
        ("provision clinic --limit ramp_up_s_min=0.4", "looser than the 0.5 of the envelope layer"),
        ("provision clinic --limit peak_ma_max=nan", "peak_ma_max cannot be nan, which is not from 0 to 1e+06"),
        ("provision clinic --limit peak_ma_max=-1", "peak_ma_max cannot be -1, which is not from"),
        ("provision clinic --limit ramp_up_s_min=inf", "ramp_up_s_min cannot be inf"),
        ("provision clinic --limit loudness=1", "There is no limit loudness; there are peak_ma_max, "),
        ("provision clinic --no-limit peak_ma_max", "The clinic has no limit peak_ma_max of its own"),
        ("provision clinic --no-limit loudness", "There is no limit loudness"),
        ("provision clinic --limit peak_ma_max=5 --limit peak_ma_max=6", "named twice"),
        (
            "provision settings stim-1 --limit pulse_width_us_max=300 --no-limit pulse_width_us_max",
            "cannot be set and taken away at once",
        ),
        (
            "provision clinic --limit frequency_hz_min=50 --limit frequency_hz_max=40",
            "frequency_hz_min 50 is above frequency_hz_max 40: nothing could be treated",
        ),
        ("provision settings stim-1 --limit pulse_width_us_max=30", "pulse_width_us_min 40 is above"),
        ("provision settings stim-1 --limit peak_ma_max=90", "looser than the 80 of the clinic layer"),
        ("provision settings stim-1 --limit frequency_hz_max=110", "looser than the 100 of the model layer"),
        ("provision settings stim-9 --limit peak_ma_max=9", "has no device stim-9"),
        ("provision settings stim-2 --limit peak_ma_max=9", "stim-2 is struck off"),
        ("provision service-hold stim-9 on", "has no device stim-9"),
        ("provision model bench --limit peak_ma_max=9", "has no device of model bench; its models: generic"),
        ("provision clinic --idle-period-s 0.5", "The clinic's idle_period_s cannot be 0.5, which is not from 1 to 10"),
        ("provision clinic --idle-period-s 11", "which is not from 1 to 10"),
        ("provision clinic --idle-period-s nan", "idle_period_s cannot be nan"),
        ("provision clinic --live-period-s 0.04", "live_period_s cannot be 0.04, which is not from 0.05 to 0.5"),
        ("provision clinic --live-period-s 0.6", "which is not from 0.05 to 0.5"),
        ("provision clinic --start-within-s 5", "which is not from 10 to 3600"),
        ("provision clinic --pause-total-s 700", "which is not from 0 to 600"),
        ("provision clinic --lease-ttl-ms 3999", "lease_ttl_ms cannot be 3999, which is not from 4000 to 10000"),
        ("provision clinic --lease-ttl-ms 10001", "which is not from 4000 to 10000"),
    ],
)
def test_what_would_be_ignored_or_cannot_be_is_refused_by_name_and_changes_nothing(
    site: Shell, line: str, words: str
) -> None:
    site("provision device stim-2 --room room-1 --serial s2 --model generic --out stim-2")
    site("provision revoke stim-2")
    site("provision clinic --limit pulse_width_us_min=40")
    site("provision model generic --limit frequency_hz_max=100")
    if line.startswith("provision settings"):
        site("provision clinic --limit peak_ma_max=80")
    before = (site.folder / "site" / "registry.json").read_bytes()
    status, out, err = site(line)
    assert (status, out) == (1, "")
    assert words in err
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert (site.folder / "site" / "registry.json").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("provision clinic --limit peak_ma_max", "'peak_ma_max' is not like peak_ma_max=60"),
        ("provision clinic --limit peak_ma_max=high", "'high' is no number"),
        ("provision clinic --lease-ttl-ms 5000.5", "invalid int value: '5000.5'"),
        ("provision service-hold stim-1 perhaps", "invalid choice: 'perhaps'"),
    ],
)
def test_what_is_no_option_is_said_with_the_option(
    site: Shell, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        site(line)
    assert words in capsys.readouterr().err


def test_every_limit_can_be_set_and_taken_away(site: Shell, tmp_path: Path) -> None:
    from broker.contract.limits import ENVELOPE, LIMIT_NAMES

    for name in LIMIT_NAMES:
        outer = getattr(ENVELOPE, name).value
        tighter = outer * 2 if name.endswith("_min") else outer / 2
        assert site(f"provision settings stim-1 --limit {name}={tighter}")[0] == 0
        assert load_registry(tmp_path / "site").devices["stim-1"].limits == {name: tighter}
        assert site(f"provision settings stim-1 --no-limit {name}")[0] == 0
    assert load_registry(tmp_path / "site").devices["stim-1"].limits == {}


def test_a_clinic_says_when_it_is_open(site: Shell) -> None:
    usual = "".join(f"{day} 08:00-18:00\n" for day in ("mon", "tue", "wed", "thu", "fri")) + "sat closed\nsun closed\n"
    assert site("provision hours") == (0, usual, "")
    assert load_registry(site.folder / "site").opening_hours == {}
    assert site("provision hours sat=08:00-12:00 mon=")[1] == (
        "mon closed\ntue 08:00-18:00\nwed 08:00-18:00\nthu 08:00-18:00\nfri 08:00-18:00\nsat 08:00-12:00\nsun closed\n"
    )
    # What is not named stays.
    assert "sat 08:00-12:00\n" in site("provision hours sun=10:00-24:00")[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("sat=12:00-08:00", "The opening hours cannot be set: sat says '12:00-08:00', which ends before it begins."),
        ("sat=8-12", "The opening hours cannot be set: sat says '8-12', which is nothing like 08:00-18:00."),
        ("samstag=08:00-12:00", "The opening hours cannot be set: 'samstag' is no weekday of mon"),
    ],
)
def test_hours_that_are_none_are_refused(site: Shell, words: str, why: str) -> None:
    refused, _, said = site(f"provision hours {words}")
    assert (refused, why in said) == (1, True)
    assert load_registry(site.folder / "site").opening_hours == {}


def test_hours_without_a_weekday_are_no_hours(site: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        site("provision hours 08:00-18:00")
    assert "'08:00-18:00' is not like mon=08:00-18:00" in capsys.readouterr().err
