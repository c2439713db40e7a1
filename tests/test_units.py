"""The systemd units start what there is: their command lines are understood, and no start is repeated in vain."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

import stimfleet
from broker.pki.registry_file import load_registry
from broker.pki.site import provision_site, rotate_site_key
from fleet import service, web
from fleet.paging import pager
from fleet.recording import recorder

UNITS = Path(__file__).parent.parent / "deploy" / "systemd"


def lines(unit: str) -> list[str]:
    """A unit's settings, continued lines joined."""
    text = (UNITS / unit).read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if "=" in line and not line.startswith("#")]


def values(unit: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in lines(unit) if line.startswith(f"{name}=")]


UNITS_OF_COMMANDS = [
    "stimfleet-fleet.service",
    "stimfleet-agent@.service",
    "stimfleet-web.service",
    "stimfleet-recorder.service",
    "stimfleet-pager.service",
]


@pytest.mark.parametrize("unit", UNITS_OF_COMMANDS)
def test_the_command_line_is_understood(unit: str) -> None:
    environment = dict(entry.split("=", 1) for entry in values(unit, "Environment"))
    (command,) = values(unit, "ExecStart")
    words = shlex.split(re.sub(r"\$\{(\w+)\}", lambda name: environment[name[1]], command).replace("%i", "stim-01"))
    assert words[0] == "/opt/stimfleet/.venv/bin/stimfleet"
    arguments = stimfleet.parser().parse_args(words[1:])
    assert callable(arguments.run)
    assert arguments.data_dir == Path(environment["DATA_DIR"].replace("%i", "stim-01"))


def test_a_fleet_that_was_taken_over_or_refused_or_has_no_journal_to_lead_from_is_not_started_again() -> None:
    (given_up,) = values("stimfleet-fleet.service", "RestartPreventExitStatus")
    no_use = {service.EXIT_TAKEN_OVER, service.EXIT_REFUSED, service.EXIT_JOURNAL}
    assert {int(status) for status in given_up.split()} == no_use


def test_the_web_server_gives_way_to_the_fleet_and_is_started_again_unless_it_was_refused() -> None:
    assert values("stimfleet-web.service", "Nice") == ["10"]
    assert values("stimfleet-web.service", "Restart") == ["always"]
    assert values("stimfleet-web.service", "RestartPreventExitStatus") == [str(web.EXIT_REFUSED)]


def test_the_web_server_may_read_no_private_key_of_the_site_and_write_to_no_list(tmp_path: Path) -> None:
    site, now = tmp_path / "site", datetime(2026, 11, 25, tzinfo=UTC)
    provision_site(site, tmp_path / "ca", "north", now=now)
    rotate_site_key(site)
    keys = [path for path in site.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) >= 4
    (folder,) = values("stimfleet-web.service", "ReadWritePaths")
    of_site = Path(folder.removeprefix("-"))

    def named(setting: str) -> list[Path]:
        words = [word for line in values("stimfleet-web.service", setting) for word in line.split()]
        return [site / Path(word.removeprefix("-")).relative_to(of_site) for word in words]

    hidden = named("InaccessiblePaths")
    for key in keys:
        assert any(key == path or path in key.parents for path in hidden), key
    assert {path.name for path in named("ReadOnlyPaths")} >= {"registry.json", "web.toml", "fleet.toml", "pager.toml"}
    assert site / "rota.json" not in [*hidden, *named("ReadOnlyPaths")]


@pytest.mark.parametrize(
    "unit",
    ["stimfleet-fleet.service", "stimfleet-agent@.service", "stimfleet-recorder.service", "stimfleet-pager.service"],
)
def test_the_watchdog_kills_and_the_start_is_repeated_for_ever(unit: str) -> None:
    assert values(unit, "Type") == ["notify"]
    assert values(unit, "WatchdogSignal") == ["SIGKILL"]
    assert values(unit, "Restart") == ["always"]
    assert values(unit, "StartLimitIntervalSec") == ["0"]


def test_a_recorder_that_was_refused_is_not_started_again() -> None:
    assert values("stimfleet-recorder.service", "RestartPreventExitStatus") == [str(recorder.EXIT_REFUSED)]


def test_a_pager_is_started_again_unless_that_cannot_help() -> None:
    (given_up,) = values("stimfleet-pager.service", "RestartPreventExitStatus")
    assert {int(status) for status in given_up.split()} == {pager.EXIT_REFUSED, pager.EXIT_JOURNAL}
    assert values("stimfleet-pager.service", "Nice") == ["10"]
    (watchdog_s,) = values("stimfleet-pager.service", "WatchdogSec")
    assert int(watchdog_s) > 2 * pager.LIFE_S


def test_what_reads_along_gives_way_to_the_fleet() -> None:
    (nice,) = values("stimfleet-recorder.service", "Nice")
    assert int(nice) == 10


@pytest.mark.parametrize("unit", ["stimfleet-pager.service", "stimfleet-recorder.service"])
def test_what_reads_along_sees_no_key_of_the_site(unit: str, tmp_path: Path) -> None:
    """Every private key of a site, also in the middle of a rotation, lies below a path that the unit does not see."""
    site_dir = tmp_path / "site"
    provision_site(site_dir, tmp_path / "ca", "north", now=datetime.now(UTC))
    rotate_site_key(site_dir)
    hidden = [
        site_dir / Path(path.removeprefix("-")).relative_to("/etc/stimfleet/site")
        for value in values(unit, "InaccessiblePaths")
        for path in value.split()
    ]
    keys = [path for path in site_dir.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert {path.name for path in keys} >= {"site.key", "site.key.old", "fleet-safety.key"}
    assert [path for path in keys if not any(path.is_relative_to(one) for one in hidden)] == []
    assert load_registry(site_dir).site == "north"
    assert not any((site_dir / name).is_relative_to(one) for name in ("registry.json", "rota.json") for one in hidden)
