"""The broker's commands as they are typed: what they do, and what they say when they do not."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from broker.commandline import add_commands
from broker.mosquitto.local import LocalMosquitto
from broker.pki.registry_file import load_registry
from broker.wire.asyncapi import document
from broker.wire.vectors import vectors


class Shell:
    """Types commands in a folder and reads what they print."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, line: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser(prog="stimfleet")
        add_commands(parser.add_subparsers(required=True))
        args = parser.parse_args(line.split())
        status = args.run(args)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


@pytest.fixture
def site(shell: Shell) -> Shell:
    assert shell("provision site north --time-zone Europe/Vienna --host mqtt.clinic --broker-port 18883")[0] == 0
    assert shell("provision device stim-1 --room room-1 --serial s1 --model generic --out stim-1")[0] == 0
    return shell


def test_a_clinic_is_set_up_by_four_commands(site: Shell) -> None:
    status, out, _ = site("provision operator ana --instructed generic=2027-01-31 --instructed rehastim2=2027-06-30")
    assert (status, out) == (0, "Operator ana is instructed on generic until 2027-01-31, rehastim2 until 2027-06-30.\n")
    registry = load_registry(site.folder / "site")
    assert (registry.site, registry.time_zone, registry.broker_port) == ("north", "Europe/Vienna", 18883)
    assert (list(registry.devices), list(registry.operators)) == (["stim-1"], ["ana"])
    assert (site.folder / "stim-1" / "device.key").exists()
    assert "user stim-1\n" in (site.folder / "site" / "broker" / "acl").read_text()


def test_a_device_is_told_where_its_folder_goes(site: Shell) -> None:
    status, out, err = site("provision device stim-2 --room room-1 --serial s2 --model generic --out stim-2")
    assert (status, err) == (0, "")
    assert "hand stim-2 to it and keep no copy" in out
    assert "No broker of this site could be told on this machine" in out


def test_revoking_without_a_broker_to_tell_says_that_the_rights_go_on_and_fails(site: Shell) -> None:
    status, out, err = site("provision revoke stim-1")
    assert (status, out) == (1, "Device stim-1 is struck off, for good.\n")
    assert "rights at the broker go on until the broker gets that list and reloads it" in err
    assert load_registry(site.folder / "site").devices["stim-1"].struck_off
    assert "stim-1" not in (site.folder / "site" / "broker" / "acl").read_text()


def test_revoking_is_obeyed_by_a_broker_that_runs_here(site: Shell) -> None:
    with LocalMosquitto(site.folder / "site"):
        assert site("provision revoke stim-1")[1].splitlines()[1] == "The broker on this machine obeys the new list."


def test_renewing_a_device_its_key_and_the_end_of_the_overlap(site: Shell) -> None:
    assert site("provision renew stim-1 --out renewed")[0] == 0
    assert site("provision renew stim-1 --out renewed --new-key")[0] == 0
    assert len(load_registry(site.folder / "site").devices["stim-1"].public_keys) == 2
    status, out, _ = site("provision renew stim-1 --finish")
    assert (status, out) == (
        0,
        (
            "Only the newest key of stim-1 is good from now on, to the fleet and to the device; "
            "restart the fleet or have it reload.\n"
            "The broker still lets in whoever has the old key and certificate, until that runs out: "
            "where it may be stolen, strike the device off with `stimfleet provision revoke stim-1`.\n"
        ),
    )
    assert len(load_registry(site.folder / "site").devices["stim-1"].public_keys) == 1


def test_a_second_new_key_waits_for_the_end_of_the_first_renewal(site: Shell) -> None:
    assert site("provision renew stim-1 --out renewed --new-key")[0] == 0
    status, _, err = site("provision renew stim-1 --out again --new-key")
    assert (status, "end that renewal with --finish" in err) == (1, True)
    assert site("provision renew stim-1 --finish")[0] == 0
    assert site("provision renew stim-1 --out again --new-key")[0] == 0


def test_a_device_with_a_new_disk_is_enrolled_anew(site: Shell) -> None:
    for n, nth in ((2, "2nd"), (3, "3rd"), (4, "4th")):
        status, out, _ = site("provision enrol stim-1")
        assert (status, out.splitlines()[0]) == (0, f"Device stim-1 is enrolled anew, for the {nth} time.")
        assert "forgets its boots and spools" in out
        assert load_registry(site.folder / "site").devices["stim-1"].enrolled_n == n


def test_a_device_moves_into_another_room(site: Shell) -> None:
    status, out, _ = site("provision move stim-1 --room room-2")
    assert (status, out.startswith("Device stim-1 belongs to room-2 from now on")) == (0, True)
    device = load_registry(site.folder / "site").devices["stim-1"]
    assert (device.room, device.enrolled_n) == ("room-2", 1)


def test_a_clinic_tightens_its_dose_rules_and_sees_what_holds(site: Shell) -> None:
    assert site("provision dose --modality wb_ems") == (
        0,
        (
            "wb_ems: at most 1 in any 7 days, at least 4 whole days between two sessions,\n"
            "at most 1200 s, the first 720 s; for 70 days from the first 1200 s. Nothing is changed.\n"
        ),
        "",
    )
    assert load_registry(site.folder / "site").dose_rules == {}
    assert site("provision dose --modality nmes --sessions-per-7-days 2")[0] == 0
    status, out, _ = site("provision dose --modality nmes --rest-days 2 --duration-s 900")
    assert (status, out.splitlines()) == (
        0,
        [
            "nmes: at most 2 in any 7 days, at least 2 whole days between two sessions,",
            "at most 900 s, the first 900 s; for 0 days from the first 900 s. The fleet reads this by itself.",
        ],
    )
    assert load_registry(site.folder / "site").dose_rules == {
        "nmes": {"sessions_per_7_days_max": 2, "rest_days_min": 2, "duration_s_max": 900.0}
    }
    # Back to the domain's own: no looser than that.
    assert site("provision dose --modality nmes --sessions-per-7-days 3")[0] == 0
    status, out, err = site("provision dose --modality nmes --sessions-per-7-days 4")
    assert (status, out) == (1, "")
    assert err == ("The dose rules of nmes cannot be set: sessions_per_7_days_max is 4, looser than the domain's 3.\n")
    assert load_registry(site.folder / "site").dose_rules["nmes"]["sessions_per_7_days_max"] == 3


@pytest.mark.parametrize("identity", ["fleet-intake", "fleet-safety", "server"])
def test_renewing_a_service(site: Shell, identity: str) -> None:
    status, out, _ = site(f"provision renew {identity}")
    assert (status, out.startswith(f"New certificate of {identity}: ")) == (0, True)


def test_a_missing_service_certificate(site: Shell) -> None:
    (site.folder / "site" / "services" / "fleet-intake.crt").unlink()
    status, out, _ = site("provision service fleet-intake")
    assert (status, out) == (0, "Certificate of fleet-intake: site/services/fleet-intake.crt\n")


def test_rotating_the_site_key(site: Shell) -> None:
    status, out, _ = site("provision rotate")
    assert (status, "Give site/site.pub to every device" in out) == (0, True)
    assert site("provision rotate --finish") == (0, "The old site key is good no more.\n", "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("provision site north", "already holds a site"),
        ("provision device stim-1 --room r --serial s9 --model generic --out x", "is provisioned already; renew it"),
        ("provision device all --room r --serial s9 --model generic --out x", "is reserved"),
        (
            "provision device stim-2 --room r --serial s9 --model g --out x --ca-dir gone",
            "The CA folder gone cannot be",
        ),
        ("provision service fleet-intake", "already has a certificate"),
        ("provision renew stim-1", "Name the folder for the device's new papers with --out"),
        ("provision renew stim-9 --out x", "has no device stim-9"),
        ("provision rotate --finish", "no rotation is under way"),
        ("provision revoke stim-9", "has no device stim-9"),
        ("provision enrol stim-9", "has no device stim-9"),
        ("provision move stim-9 --room r", "has no device stim-9"),
        ("provision dose --modality nmes --rest-days 0", "rest_days_min is 0, looser than the domain's 1"),
        ("provision dose --modality nmes --duration-s 20", "is 20.0, which is no number from 300 to 1800"),
        ("provision dose --modality nmes --site-dir nowhere", "holds no site"),
        ("provision move stim-1 --room Room", "The room 'Room' must be"),
        ("asyncapi --out nowhere/x", "nowhere/x cannot be used: No such file or directory."),
        ("vectors --out nowhere/x", "nowhere/x cannot be used: No such file or directory."),
        ("broker --bind no.such.host.invalid", "There is no address no.such.host.invalid to listen on"),
        ("provision revoke stim-1 --site-dir nowhere", "holds no site"),
        ("broker --site-dir nowhere", "The registry nowhere cannot be read"),
        ("provision device stim-2 --room r --serial s9 --model g --out site/registry.json", "cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_on_stderr(site: Shell, line: str, words: str) -> None:
    status, out, err = site(line)
    assert (status, out) == (1, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("instructed", ["generic", "generic=soon", "=2027-02-30"])
def test_a_day_that_is_none_is_refused_with_an_example(
    site: Shell, instructed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        site(f"provision operator ana --instructed {instructed}")
    assert "2027-01-31" in capsys.readouterr().err


def test_the_brokers_configuration_can_be_had_without_running_it(site: Shell) -> None:
    status, out, _ = site("broker --configure-only --bind 0.0.0.0 --port 28883 --user mosquitto")
    text = (site.folder / "site" / "broker" / "mosquitto.conf").read_text()
    assert (status, "mosquitto.conf" in out) == (0, True)
    assert "listener 28883 0.0.0.0\n" in text
    assert "user mosquitto\n" in text
    for line in ("allow_anonymous false", "require_certificate true", "use_identity_as_username true"):
        assert f"{line}\n" in text


@pytest.mark.parametrize(("command", "expected"), [("asyncapi", document), ("vectors", vectors)])
def test_the_documents_are_printed_or_written(shell: Shell, command: str, expected: object) -> None:
    assert callable(expected)
    status, out, _ = shell(command)
    assert (status, json.loads(out)) == (0, expected())
    assert shell(f"{command} --out file.json") == (0, "Written to file.json.\n", "")
    assert (shell.folder / "file.json").read_text() == out


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import argparse, sys; from broker.commandline import add_commands\n"
        "add_commands(argparse.ArgumentParser().add_subparsers())\n"
        "print(sorted({'cryptography', 'pydantic', 'paho', 'gmqtt', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
