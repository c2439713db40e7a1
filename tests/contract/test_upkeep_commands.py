"""What is checked on devices, as it is typed: said back in words, refused where it would be ignored or cannot be."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.pki.checks import DoneCheck, Every, Upkeep
from broker.pki.registry_file import load_registry
from tests.contract.test_commandline import Shell, shell, site

__all__ = ["shell", "site"]  # fixtures

FOLLOWS = "The fleet reads this by itself: what is overdue lets no session start, and is told of 30 days ahead.\n"


def test_a_clinic_says_once_for_a_model_how_often_and_is_told_what_was_never_recorded(site: Shell) -> None:
    status, out, _ = site(
        "provision model-check generic calibration --every-days 365 --every-hours 500 --every-sessions 1000000"
    )
    assert (status, out) == (
        0,
        "Devices of model generic: calibration every 365 days or 500 hours or 1000000 sessions.\n"
        "stim-1: calibration every 365 days or 500 hours or 1000000 sessions, never recorded: no session is started "
        "there until it is.\n" + FOLLOWS,
    )
    status, out, _ = site("provision check stim-1 calibration --done 2026-11-01")
    assert (status, out) == (
        0,
        "stim-1: calibration every 365 days or 500 hours or 1000000 sessions, last done on 2026-11-01: due on "
        "2027-11-01.\n" + FOLLOWS,
    )
    registry = load_registry(site.folder / "site")
    assert registry.upkeep == {"generic": Upkeep({"calibration": Every(365, 500.0, 1_000_000)})}
    assert registry.devices["stim-1"].checks == {"calibration": DoneCheck(date(2026, 11, 1))}

    # What is not named stays, and what is only asked for changes nothing.
    site("provision model-check generic calibration --every-days 1")
    before = (site.folder / "site" / "registry.json").read_bytes()
    said = "Devices of model generic: calibration every 1 day or 500 hours or 1000000 sessions.\n"
    assert site("provision model-check generic calibration") == (0, said, "")
    assert site("provision model-check generic safety") == (0, "Devices of model generic: safety not needed.\n", "")
    status, out, _ = site("provision check stim-1 calibration")
    assert out.endswith("last done on 2026-11-01: due on 2026-11-02.\n")
    assert site("provision check stim-1 safety") == (0, "stim-1: safety not needed, never recorded.\n", "")
    assert (site.folder / "site" / "registry.json").read_bytes() == before


def test_a_single_device_may_be_checked_more_often_and_not_less(site: Shell) -> None:
    site("provision model-check generic safety --every-days 365 --every-sessions 2000")
    status, out, err = site("provision check stim-1 safety --every-days 366")
    assert (status, out) == (1, "")
    assert err == (
        "The safety check of stim-1 cannot be due every 366 days, less often than the 365 of model generic: a device "
        "may only be checked more often.\n"
    )
    status, out, _ = site("provision check stim-1 safety --every-days 90 --every-hours 50.5 --done 2026-11-01")
    assert out.startswith(
        "stim-1: safety every 90 days or 50.5 hours or 2000 sessions, last done on 2026-11-01: due on 2027-01-30.\n"
    )
    # The model's may become the stricter one later; the device's own is still there, and may be taken away.
    site("provision model-check generic safety --every-days 60")
    assert "every 60 days or 50.5 hours" in site("provision check stim-1 safety")[1]
    status, out, _ = site("provision check stim-1 safety --as-model")
    assert out == (
        "stim-1: safety every 60 days or 2000 sessions, last done on 2026-11-01: due on 2026-12-31.\n" + FOLLOWS
    )
    assert site("provision model-check generic safety --never")[1] == (
        "Devices of model generic: safety not needed.\n" + FOLLOWS
    )
    assert site("provision check stim-1 safety")[1] == "stim-1: safety not needed, last done on 2026-11-01.\n"


def test_the_day_of_a_check_is_the_clinics_and_not_to_come(site: Shell) -> None:
    today = datetime.now(ZoneInfo("Europe/Vienna")).date()
    tomorrow = today + timedelta(days=1)
    status, out, err = site(f"provision check stim-1 safety --done {tomorrow + timedelta(days=1)}")
    assert (status, out) == (1, "")
    assert "cannot have been done on" in err
    assert site(f"provision check stim-1 safety --done {today}")[0] == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("check stim-9 safety --done 2026-11-01", "The site north has no device stim-9."),
        ("check stim-1 safety --every-days 0", "every 0 days, which is not from 1 to 3650"),
        ("check stim-1 safety --every-hours nan", "every nan hours, which is not from 1 to 100000"),
        ("check stim-1 safety --every-sessions 1000001", "which is not from 1 to 1e+06"),
        ("check stim-1 safety --done 1999-12-31", "which is not from 2000 to 2999"),
        ("model-check other safety --every-days 30", "has no device of model other; its models: generic."),
        ("model-check generic safety --every-days 30 --never", "cannot be needed every so often and never"),
        ("model-check generic safety --every-days 99999", "which is not from 1 to 3650"),
        ("firmware generic --minimum v2", "The firmware 'v2' must be numbers with dots between, such as 2.1."),
        ("firmware other --minimum 2", "has no device of model other"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(site: Shell, line: str, says: str) -> None:
    before = (site.folder / "site" / "registry.json").read_bytes()
    status, out, err = site(f"provision {line}")
    assert (status, out) == (1, "")
    assert says in err
    assert (site.folder / "site" / "registry.json").read_bytes() == before


def test_a_day_that_is_none_and_a_check_that_is_none_are_refused_as_typed(
    site: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, says in (
        ("provision check stim-1 safety --done soon", "'soon' is no day like 2027-01-31"),
        ("provision check stim-1 blessing", "invalid choice: 'blessing'"),
        ("provision firmware generic", "one of the arguments --minimum --any is required"),
    ):
        with pytest.raises(SystemExit):
            site(line)
        assert says in capsys.readouterr().err


def test_the_oldest_firmware_of_a_model(site: Shell) -> None:
    assert site("provision firmware generic --minimum 2.1 --by 2026-12-31")[1] == (
        "Devices of model generic need firmware 2.1 after 2026-12-31.\n" + FOLLOWS
    )
    assert load_registry(site.folder / "site").upkeep["generic"] == Upkeep({}, "2.1", date(2026, 12, 31))
    assert site("provision firmware generic --minimum 2.2")[1].startswith(
        "Devices of model generic need firmware 2.2 from now on.\n"
    )
    assert site("provision firmware generic --any")[1] == (
        "Devices of model generic may have any firmware.\n" + FOLLOWS
    )
    assert load_registry(site.folder / "site").upkeep["generic"] == Upkeep()
