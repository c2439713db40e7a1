"""A rota for the browser tests: two people who take turns, a pager that is played by the test, and mail to nowhere."""

from datetime import date, timedelta
from pathlib import Path

from demo.processes import await_that
from fleet.core.alarm_events import Priority
from fleet.rota.entries import DrillEntry, Kind, MethodEntry, PersonEntry, QuietEntry, RotaFile, RotationEntry
from fleet.rota.file import save_rota
from tests.browser.house import House
from tests.browser.visitor import Visitor

ACT = [Priority.HIGH, Priority.MEDIUM]


def monday() -> date:
    """Of the week before: whoever is second has it now."""
    today = date.today()  # noqa: DTZ011 # the rota is the clinic's, which is this host's in the tests
    return today - timedelta(days=today.weekday() + 7)


def a_rota() -> RotaFile:
    def by_mail(name: str) -> MethodEntry:
        return MethodEntry(
            id="mail", kind=Kind.APPRISE, url=f"mailto://mail.invalid?to={name}@clinic.invalid", priorities=ACT
        )

    def person(name: str) -> PersonEntry:
        return PersonEntry(id=name, name=name.title(), methods=[by_mail(name)])

    return RotaFile(
        people=[person("oskar"), person("petra"), person("quinn")],
        rotations=[RotationEntry(id="on-call", people=["petra", "oskar"], first_day=monday(), hand_over="08:00")],
        rungs={Priority.HIGH: [["on-call"], ["quinn"], ["everyone"]], Priority.MEDIUM: [["on-call"], ["quinn"]]},
        quiet_hours=QuietEntry(begin="22:00", end="06:00"),
        drill=DrillEntry(every_days=7, at="10:00"),
    )


def begin_duty(house: House, visitor: Visitor) -> None:
    """Put it in its place, and wait until the fleet has it."""
    save_rota(Path(house.clinic.site_dir), a_rota())
    await_that("the fleet has the rota", lambda: visitor.ask("rota").get("in_use"), 15.0)


def end_duty(house: House, visitor: Visitor) -> None:
    """As it was: no rota, and a fleet that knows it."""
    (Path(house.clinic.site_dir) / "rota.json").unlink()
    await_that("the fleet has none", lambda: visitor.ask("people")["people"] == [], 15.0)
