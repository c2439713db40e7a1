"""What is due is shown as it is reckoned, whatever is another since: the moment, the list, the meter, the device."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from fleet.api.dues_shown import DuesShown
from fleet.core.meter import Mark, Meter
from fleet.core.registry import CheckKind, DeviceCheck, FirmwareMin
from fleet.views import due_rows
from tests.core.clinic import HOUR_S, Clinic
from tests.core.test_due import DAY_S, SUNDAY, model

CHECKS = {
    CheckKind.CALIBRATION: DeviceCheck(done=SUNDAY - timedelta(days=60), days=model(100), hours=model(50.0)),
    CheckKind.SAFETY: DeviceCheck(done=SUNDAY - timedelta(days=3), sessions=model(40)),
}


def agrees(clinic: Clinic, shown: DuesShown) -> list[dict[str, object]]:
    """The rows of stim-12, which are those that are reckoned anew."""
    registered = clinic.registry.devices["stim-12"]
    rows = shown.of(clinic.state, registered, clinic.wall_s)
    assert rows == due_rows(clinic.state, registered, clinic.wall_s)
    return rows


def test_it_follows_the_moment_to_the_second() -> None:
    """Over forty days, and around both moments of a certificate: thirty days ahead, and its end."""
    clinic, shown, said = Clinic(), DuesShown(), []
    begin_s = clinic.wall_s
    clinic.changes_device("stim-12", checks=CHECKS, due_wall_s=begin_s + 31 * DAY_S + 0.5 * HOUR_S)
    around = [day * DAY_S + 0.5 * HOUR_S + second for day in (1, 31) for second in (-1.0, 0.0, 1.0)]
    for after_s in sorted([*(hour * HOUR_S for hour in range(40 * 24)), *around]):
        clinic.wall_s = begin_s + after_s
        said.append([(row["check"], row["soon"], row["overdue"]) for row in agrees(clinic, shown)])
    certificate = [{check: (soon, overdue) for check, soon, overdue in one}["certificate"] for one in said]
    assert list(dict.fromkeys(certificate)) == [(False, False), (True, False), (True, True)]


def test_it_follows_what_the_device_ran_what_it_says_of_itself_and_what_was_recorded() -> None:
    clinic, shown = Clinic(), DuesShown()
    clinic.changes_device("stim-12", checks=CHECKS)
    seen = [agrees(clinic, shown)]
    clinic.ready("stim-12")
    clinic.changes_device("stim-12", firmware=FirmwareMin(version="1.1"))
    seen.append(agrees(clinic, shown))
    clinic.says("stim-12", clinic.stims["stim-12"].birth(firmware="1.1"))
    seen.append(agrees(clinic, shown))
    done = {kind: replace(check, done=SUNDAY - timedelta(days=1)) for kind, check in CHECKS.items()}
    clinic.changes_device("stim-12", checks=done)
    seen.append(agrees(clinic, shown))
    clinic.state.durable.meters["stim-12"] = Meter(marks=(Mark(day=SUNDAY, used_s=49.0 * HOUR_S, sessions=38),))
    seen.append(agrees(clinic, shown))
    assert all(one != other for one, other in pairwise(seen)), "each was news"
