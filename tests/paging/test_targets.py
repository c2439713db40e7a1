"""Where a message goes: by the rota as it is now, with secrets that nobody else can read."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import stimfleet
from fleet.adapters.notify.message import NotDelivered
from fleet.core.alarm_events import Priority
from fleet.paging.targets import Targets
from fleet.rota.entries import Kind
from tests.paging.house import KEY, rota, webhook
from tests.paging.receivers import HttpReceiver
from tests.paging.test_lane import message


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    written(tmp_path, rota(anna=webhook("anna"), ben={"id": "pager", "kind": "alertmanager", "url": "http://am:9093"}))
    secret(tmp_path, "anna-phone", f"https://hooks.example/t0ken\n{KEY}\n")
    return tmp_path


def written(site: Path, said: dict[str, Any]) -> None:
    beside = site / "rota.new"
    beside.write_text(json.dumps(said))
    beside.replace(site / "rota.json")


def secret(site: Path, name: str, text: str, mode: int = 0o600) -> None:
    (site / "secrets" / name).write_text(text)
    (site / "secrets" / name).chmod(mode)


def why(targets: Targets, person: str = "anna", method: str = "phone") -> str:
    with pytest.raises(NotDelivered) as failed:
        targets.of(person, method)
    return failed.value.why


def test_a_method_is_found_with_its_address_and_shows_neither(site: Path) -> None:
    targets = Targets(site)
    target = targets.of("anna", "phone")
    assert (target.kind, target.address, target.key) == (Kind.WEBHOOK, "https://hooks.example/t0ken", KEY)
    assert "t0ken" not in repr(target)
    assert KEY not in repr(target)
    assert targets.of("ben", "pager").address == "http://am:9093"
    assert why(targets, "cleo") == why(targets, "anna", "pager") == "the rota has no such method any more"


def test_everybodys_ways_by_what_they_are_for(site: Path) -> None:
    quiet = {**webhook("ben"), "priorities": ["medium"]}
    mail = {**webhook("anna"), "id": "mail", "priorities": ["high", "low"]}
    people = rota(anna=webhook("anna"), ben=quiet, cleo=webhook("cleo"))
    people["people"][0]["methods"].append(mail)
    people["rungs"] = {"high": [["anna"]], "medium": [["ben"]]}
    written(site, people)
    assert Targets(site).ways(Priority.HIGH) == [("anna", "phone"), ("anna", "mail"), ("cleo", "phone")]
    (site / "rota.json").unlink()
    with pytest.raises(NotDelivered, match="the rota cannot be read"):
        Targets(site).ways(Priority.HIGH)


def test_another_rota_counts_from_the_next_message_on_and_a_broken_one_does_not(site: Path) -> None:
    targets = Targets(site)
    targets.of("ben", "pager")
    written(site, rota(ben={"id": "pager", "kind": "alertmanager", "url": "http://other:9093"}))
    assert targets.of("ben", "pager").address == "http://other:9093"
    assert why(targets) == "the rota has no such method any more"
    written(site, {"people": "everybody"})
    assert targets.of("ben", "pager").address == "http://other:9093"
    (site / "rota.json").unlink()
    assert targets.of("ben", "pager").address == "http://other:9093"


@pytest.mark.parametrize("broken", ['{"people": "everybody"}', "{", None])
def test_a_rota_broken_by_hand_and_then_a_reboot_leave_people_reachable(
    site: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The fleet goes on with the rota in its journal: what it orders is delivered by the last that was good."""
    kept = site / "pager.rota.json"
    Targets(site, kept).keep()
    assert "t0ken" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    (site / "rota.json").unlink()
    if broken is not None:
        (site / "rota.json").write_text(broken)
    again = Targets(site, kept)
    assert again.of("anna", "phone").address == "https://hooks.example/t0ken"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    written(site, rota(ben=webhook("anna")))
    again.keep()
    assert why(again) == "the rota has no such method any more"
    assert why(Targets(site / "nowhere", kept)) == "the rota has no such method any more", "the newest is kept"
    first = kept.stat().st_ino
    again.keep()
    assert kept.stat().st_ino == first, "what is kept already is not written again"


def test_a_disk_that_keeps_no_rota_and_a_kept_one_that_is_none(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = site / "gone" / "pager.rota.json"
    targets = Targets(site, kept)
    targets.keep()
    assert targets.of("anna", "phone").key == KEY
    assert "cannot be kept" in caplog.text
    written(site, {"people": "everybody"})
    assert why(Targets(site, kept)) == "the rota cannot be read"
    (site / "nonsense").write_text("{")
    assert why(Targets(site, site / "nonsense")) == "the rota cannot be read"


def test_a_secret_that_was_exchanged_counts_at_once(site: Path) -> None:
    targets = Targets(site)
    targets.of("anna", "phone")
    secret(site, "anna-phone", f"https://hooks.example/new\n{KEY}")
    assert targets.of("anna", "phone").address == "https://hooks.example/new"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_secret_that_others_may_read_is_none(site: Path, mode: int) -> None:
    secret(site, "anna-phone", f"https://hooks.example/t0ken\n{KEY}", mode)
    assert why(Targets(site)) == "the file anna-phone is open to others: chmod 600"


@pytest.mark.parametrize("text", ["https://hooks.example/t0ken", f"https://hooks.example/t0ken\n{KEY[:15]}", ""])
def test_a_webhook_needs_a_signing_key(site: Path, text: str) -> None:
    secret(site, "anna-phone", text)
    assert why(Targets(site)) == "its secret needs a second line: a signing key of 16 or more"


def test_what_is_not_there_is_said_without_where(site: Path) -> None:
    (site / "secrets" / "anna-phone").unlink()
    assert why(Targets(site)) == "its secret cannot be read: No such file or directory"
    (site / "secrets" / "anna-phone").write_bytes(b"\xff\xfe")
    (site / "secrets" / "anna-phone").chmod(0o600)
    assert why(Targets(site)) == "its secret is no text"
    assert why(Targets(site / "nowhere")) == "the rota cannot be read"
    (site / "empty").mkdir()
    assert why(Targets(site / "empty")) == "the rota cannot be read"
    written(site, {"people": []})
    assert why(Targets(site)) == "the rota cannot be read"


def test_an_apprise_that_cannot_be_loaded_ends_nothing(
    site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot() -> None:
        raise ImportError("no such plugin")

    monkeypatch.setattr("fleet.adapters.notify.apprise_url.warm_up", cannot)
    written(site, rota(cleo={"id": "chat", "kind": "apprise", "url": "json://127.0.0.1/"}))
    targets = Targets(site)
    targets.warm_up()
    targets.keep()
    assert caplog.text.count("Apprise cannot be loaded: nobody is told by it") == 2


def test_each_kind_is_delivered_by_its_own_way(site: Path) -> None:
    with HttpReceiver() as receiver:
        people = rota(
            anna=webhook("anna"),
            ben={"id": "pager", "kind": "alertmanager", "url": receiver.url},
            cleo={"id": "chat", "kind": "apprise", "url": receiver.url.replace("http", "json")},
        )
        written(site, people)
        secret(site, "anna-phone", f"{receiver.url}/hook\n{KEY}")
        targets, page = Targets(site), replace(message("a1" * 16))
        # The last takes the alert, which counts, and is no Alertmanager otherwise.
        for person, method in (("anna", "phone"), ("cleo", "chat"), ("ben", "pager")):
            targets.of(person, method).deliver(page, 2.0, lambda: 1_795_597_200.0)
    assert [post.path for post in receiver.posted] == ["/hook", "/", "/api/v2/alerts"]


@pytest.mark.parametrize("way", ["webhook", "apprise"])
def test_only_where_somebody_is_told_by_apprise_it_is_loaded_and_then_before_it_is_needed(site: Path, way: str) -> None:
    """All that it can send by comes along; a pager whose people have webhooks starts without."""
    methods = {"webhook": webhook("anna"), "apprise": {"id": "chat", "kind": "apprise", "url": "json://127.0.0.1/"}}
    program = f"""
import sys
from pathlib import Path
from fleet.paging.pager import Targets
targets = Targets(Path({str(site)!r}))
targets.warm_up()
print("apprise" in sys.modules, "apprise.plugins.custom_json" in sys.modules)
(targets.site_dir / "rota.json").write_text(sys.argv[1])
targets.keep()
print("apprise" in sys.modules, "apprise.plugins.custom_json" in sys.modules)
"""
    written(site, rota(anna=webhook("anna")))
    command = [sys.executable, "-c", program, json.dumps(rota(anna=methods[way]))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = str(way == "apprise")
    assert done.stdout.split() == ["False", "False", loaded, loaded]


def test_the_address_of_the_dead_mans_switch_is_a_secret_like_the_others(site: Path) -> None:
    secret(site, "heartbeat", "https://switch.example/t0ken\n")
    assert Targets(site).secret("heartbeat") == "https://switch.example/t0ken"
    (site / "secrets" / "heartbeat").chmod(0o644)
    with pytest.raises(NotDelivered, match="chmod 600"):
        Targets(site).secret("heartbeat")


def test_a_check_looks_at_every_way_and_tells_nobody(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["pager", f"--site-dir={site}", f"--data-dir={site}", "--check"]
    assert stimfleet.main(check) == 0
    assert capsys.readouterr().out.splitlines() == [
        "anna/phone               webhook        can be used: a drill proves it",
        "ben/pager                alertmanager   can be used: a drill proves it",
    ]
    (site / "secrets" / "anna-phone").chmod(0o644)
    assert stimfleet.main(check) == 1
    said = capsys.readouterr().out
    assert "anna/phone               webhook        the file anna-phone is open to others: chmod 600" in said
    assert "t0ken" not in said
    (site / "rota.json").unlink()
    assert stimfleet.main(check) == 1
    assert capsys.readouterr().err == "Nobody can be told: the rota cannot be read.\n"
    (site / "pager.toml").write_text("colour = 'red'")
    assert stimfleet.main(check) == 78
