"""The rota as several people edit it: versions, what was typed in, and what is told of where a way leads."""

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.rota.entries import Kind, MethodEntry
from fleet.rota.file import BadRota, load_rota, save_rota
from fleet.rota.store import ChangedMeanwhile, replace_rota, stored, told_of


def document(**way: Any) -> dict[str, Any]:
    """One person with one way, who is told of everything that has to be acted on."""
    method = {"id": "phone", "kind": "apprise", "priorities": ["high", "medium"], **way}
    return {
        "people": [{"id": "anna", "name": "Anna", "methods": [method]}],
        "rungs": {"high": [["anna"]], "medium": [["anna"]]},
    }


def secrets(site: Path) -> set[str]:
    return {path.read_text() for path in (site / "secrets").iterdir()}


def test_what_was_typed_in_is_kept_apart_and_forgotten_one_change_after_it_is_needed(tmp_path: Path) -> None:
    first = replace_rota(tmp_path, document(destination="ntfy://host/one"), "none")
    second = replace_rota(tmp_path, document(destination="ntfy://host/two"), first.version)
    assert secrets(tmp_path) == {"ntfy://host/one\n", "ntfy://host/two\n"}, "the pager may be reading the first"
    third = replace_rota(tmp_path, {**document(), "digest_at": "06:00"}, second.version)
    assert secrets(tmp_path) == {"ntfy://host/two\n"}
    assert "host" not in (tmp_path / "rota.json").read_text()
    assert third.rota == load_rota(tmp_path)


def test_a_file_that_somebody_put_there_is_never_forgotten(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "anna-phone").write_text("mailto://u:p@host")
    first = replace_rota(tmp_path, document(secret="anna-phone"), "none")
    second = replace_rota(tmp_path, document(destination="ntfy://host/one"), first.version)
    replace_rota(tmp_path, {**document(), "digest_at": "06:00"}, second.version)
    assert (tmp_path / "secrets" / "anna-phone").exists()


def test_an_import_in_between_is_another_version_too(tmp_path: Path) -> None:
    first = replace_rota(tmp_path, document(destination="ntfy://host/one"), "none")
    assert first.rota is not None
    imported = json.loads((tmp_path / "rota.json").read_text())
    imported["digest_at"] = "06:30"
    (tmp_path / "other.json").write_text(json.dumps(imported))
    found = load_rota(tmp_path / "other.json")
    assert found is not None
    save_rota(tmp_path, found)
    with pytest.raises(ChangedMeanwhile):
        replace_rota(tmp_path, document(), first.version)
    assert stored(tmp_path).rota == found


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ({}, "The method anna/phone needs either a url or a secret."),
        ({"secret": "no-such"}, "The method anna/phone has a secret 'no-such' that cannot be read"),
        ({"destination": "phone number"}, "The method anna/phone has a destination that is no URL"),
        ({"destination": "ntfy://" + "x" * 2_000}, "The method anna/phone has a destination that is no URL"),
        ({"kind": "webhook", "destination": "https://host/hook\nshort"}, "needs a signing key of 16 characters"),
    ],
)
def test_a_way_that_leads_nowhere_is_refused_and_nothing_is_written(
    tmp_path: Path, way: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadRota) as refused:
        replace_rota(tmp_path, document(**way), "none")
    assert any(says in error for error in refused.value.errors), refused.value.errors
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("kind", "url", "told"),
    [
        (Kind.APPRISE, "tgram://123:token/chat", "tgram"),
        (Kind.APPRISE, "mailtos://user:pass@host?to=anna@clinic.example", "mailtos"),
        (Kind.ALERTMANAGER, "https://user:pass@alerts.clinic.example:9093/path?t=1", "https://alerts.clinic.example"),
        (
            Kind.WEBHOOK,
            "https://desk.clinic.example/hook?t=1\nkey-of-sixteen-characters",
            "https://desk.clinic.example",
        ),
        (Kind.WEBHOOK, "https://[broken\nkey-of-sixteen-characters", None),
    ],
)
def test_of_where_it_leads_nothing_secret_is_told(tmp_path: Path, kind: Kind, url: str, told: str | None) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "way").write_text(url)
    assert told_of(tmp_path, MethodEntry(id="way", kind=kind, secret="way")) == told
    assert told_of(tmp_path, MethodEntry(id="way", kind=kind, secret="gone")) is None
