"""`rota.json`: what stands in it means what it says, and whatever is wrong is said at once, each in one sentence."""

import copy
import json
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fleet.core.alarm_events import Priority
from fleet.core.attention_events import RotaAdopted
from fleet.core.rota import Override, Quiet
from fleet.rota.file import FILE_NAME, BadRota, core_rota, destination, load_rota, save_rota
from fleet.stored import FOLD

Document = dict[str, Any]

ROTA: Document = {
    "people": [
        {
            "id": "anna",
            "name": "Anna",
            "methods": [
                {"id": "phone", "kind": "apprise", "secret": "anna-phone"},
                {"id": "mail", "kind": "apprise", "url": "mailto://mail.north.example", "priorities": ["low", "info"]},
            ],
        },
        {"id": "ben", "name": "Ben", "methods": [{"id": "hook", "kind": "webhook", "url": "https://hook.example/b"}]},
    ],
    "rotations": [
        {
            "id": "on-call",
            "people": ["anna", "ben"],
            "first_day": "2026-11-23",
            "hand_over": "08:00",
            "last_day": "2027-11-22",
            "overrides": [
                {"person": "ben", "begin": "2026-12-24T08:00", "end": "2026-12-26T20:30"},
                {"person": None, "begin": "2026-12-31T18:00", "end": "2027-01-01T08:00"},
            ],
        }
    ],
    "rungs": {"high": [["on-call"], ["everyone"]], "medium": [["on-call"], ["ben"]], "low": [["anna"]]},
    "engineer_rungs": {"medium": [["ben"]]},
    "quiet_hours": {"begin": "20:00", "end": "07:00"},
    "digest_at": "07:15",
    "drill": {"every_days": 14, "at": "10:30"},
    "proven_within_days": 28,
}


def written(folder: Path, document: Any) -> Path:
    path = folder / FILE_NAME
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def errors_of(folder: Path, document: Any) -> list[str]:
    with pytest.raises(BadRota) as bad:
        load_rota(written(folder, document))
    return bad.value.errors


def test_what_stands_in_it_is_what_the_core_is_given(tmp_path: Path) -> None:
    rota = load_rota(written(tmp_path, ROTA))
    assert rota is not None
    core = core_rota(rota, "Europe/Berlin")
    anna = core.people["anna"]
    assert (anna.name, [method.method for method in anna.methods]) == ("Anna", ["phone", "mail"])
    assert anna.methods[0].priorities == (Priority.HIGH, Priority.MEDIUM), "where nothing is said"
    rotation = core.rotations["on-call"]
    assert (rotation.first_day, rotation.hand_over_local_min, rotation.last_day) == (
        date(2026, 11, 23),
        480,
        date(2027, 11, 22),
    )
    # Winter in Berlin: an hour ahead of UTC.
    assert rotation.overrides == (
        Override(person="ben", from_wall_s=1_798_095_600.0, until_wall_s=1_798_313_400.0),
        Override(person=None, from_wall_s=1_798_736_400.0, until_wall_s=1_798_786_800.0),
    )
    assert core.rungs[Priority.HIGH] == (("on-call",), ("everyone",))
    assert core.engineer_rungs == {Priority.MEDIUM: (("ben",),)}
    assert core.quiet == Quiet(from_local_min=1200, until_local_min=420)
    assert (core.digest_local_min, core.drill_every_days, core.drill_local_min, core.proven_within_days) == (
        435,
        14,
        630,
        28,
    )


def test_nothing_of_where_a_message_goes_comes_into_the_core_or_the_journal(tmp_path: Path) -> None:
    rota = load_rota(written(tmp_path, ROTA))
    assert rota is not None
    _, _, body = FOLD.forms.dump(RotaAdopted(now_s=1.0, wall_s=1.0, rota=core_rota(rota, "UTC")))
    for secret in (b"anna-phone", b"mailto", b"hook.example", b"://"):
        assert secret not in body


def test_a_destination_is_the_url_or_what_the_secret_holds(tmp_path: Path) -> None:
    rota = load_rota(written(tmp_path, ROTA))
    assert rota is not None
    phone, mail = rota.people[0].methods
    assert destination(tmp_path, mail) == "mailto://mail.north.example"
    with pytest.raises(FileNotFoundError):
        destination(tmp_path, phone)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "anna-phone").write_text("ntfys://token@push.example/anna\n")
    assert destination(tmp_path, phone) == "ntfys://token@push.example/anna"


def test_it_is_written_for_its_owner_only_and_reads_back_the_same(tmp_path: Path) -> None:
    rota = load_rota(written(tmp_path, ROTA))
    assert rota is not None
    site = tmp_path / "site"
    site.mkdir()
    save_rota(site, rota)
    assert stat.S_IMODE((site / FILE_NAME).stat().st_mode) == 0o600
    assert load_rota(site) == rota


def test_a_folder_without_one_has_none(tmp_path: Path) -> None:
    assert load_rota(tmp_path) is None
    with pytest.raises(BadRota, match=r"It is not there\."):
        load_rota(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"people": [], "people": []}', "'people' is there twice in one object."),
        ("[]", "The rota"),
    ],
)
def test_what_is_no_rota_at_all_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (error,) = errors_of(tmp_path, text)
    assert said in error


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(BadRota, match=r"It is not UTF-8 text\."):
        load_rota(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(BadRota, match=r"It cannot be read: Is a directory\."):
        load_rota(tmp_path)


def put(*path: Any, to: Any) -> Callable[[Document], None]:
    """Another value at a place of the document."""

    def change(document: Document) -> None:
        at: Any = document
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = to

    return change


PERSON = ROTA["people"][1]
TURN = ("rotations", 0)
METHOD = ("people", 0, "methods", 0)
WRONG: list[tuple[Callable[[Document], None], str]] = [
    (put("people", 0, "id", to="Anna B"), "The rota.people[0].id: "),
    (put("people", 0, "age", to=44), "The rota.people[0].age: "),
    (put(*METHOD, "kind", to="pigeon"), "The rota.people[0].methods[0].kind: "),
    (put(*TURN, "hand_over", to="24:00"), "The rota.rotations[0].hand_over: "),
    (put(*TURN, "first_day", to="2026-02-30"), "The rota.rotations[0].first_day: "),
    (put("rungs", to={"urgent": [["anna"]]}), "The rota.rungs.urgent"),
    (put("proven_within_days", to=0), "The rota.proven_within_days: "),
    (put("drill", to={"every_days": 7.5}), "The rota.drill.every_days: "),
    (put("people", to=[*ROTA["people"], PERSON]), "'ben' names more than one person or rotation."),
    (put("people", to=[*ROTA["people"], {**PERSON, "id": "on-call"}]), "'on-call' names more than one person"),
    (put("people", to=[*ROTA["people"], {**PERSON, "id": "everyone"}]), "'everyone' is a word of the rota's own"),
    (put("people", 0, "methods", 1, "id", to="phone"), "The person anna has two methods 'phone'."),
    (put(*METHOD, "url", to="ntfy://x/y"), "The method anna/phone needs either a url or a secret."),
    (put(*METHOD, "secret", to=None), "The method anna/phone needs either a url or a secret."),
    (put("people", 1, "methods", 0, "url", to="hook"), "The method ben/hook has a url that is none"),
    (
        put("people", 1, "methods", 0, "url", to="mailtos://ben:pw@mail.example"),
        "The method ben/hook has a password in its url: put the url into a file of its own",
    ),
    (put(*METHOD, "priorities", to=[]), "The method anna/phone must name each priority"),
    (put(*METHOD, "priorities", to=["high", "high", "medium"]), "The method anna/phone must name each priority"),
    (put(*TURN, "people", to=[]), "The rotation on-call has nobody in it."),
    (
        put(*TURN, "people", to=["anna", "dora"]),
        "The rotation on-call names 'dora', who is nobody of the rota's people.",
    ),
    (put(*TURN, "overrides", 0, "person", to="dora"), "The rotation on-call names 'dora'"),
    (put(*TURN, "last_day", to="2026-11-23"), "The rotation on-call ends before it begins."),
    (
        put(*TURN, "overrides", 0, "end", to="2026-12-24T08:00"),
        "an override that ends at 2026-12-24T08:00",
    ),
    (put(*TURN, "overrides", 0, "end", to="2026-19-39T08:00"), "which is no moment like 2026-12-24T08:00."),
    (put("rungs", "medium", to=[]), "The rota has no rungs for medium priority: somebody must be told."),
    (put("rungs", "high", 0, to=[]), "Rung 1 of rungs.high names nobody."),
    (put("rungs", "high", 1, to=["dora"]), "Rung 2 of rungs.high names 'dora', which is neither"),
    (put("rungs", "low", 0, to=["ben"]), "Rung 1 of rungs.low: ben has no method for low priority."),
    (put("engineer_rungs", "medium", 0, to=["zoe"]), "Rung 1 of engineer_rungs.medium names 'zoe'"),
    (put("proven_within_days", to=13), "proven_within_days is shorter than the drill's every_days"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said for _, said in WRONG])
def test_each_error_is_a_sentence_that_names_the_place(
    tmp_path: Path, change: Callable[[Document], None], said: str
) -> None:
    document = copy.deepcopy(ROTA)
    change(document)
    errors = errors_of(tmp_path, document)
    assert any(said in error for error in errors), errors
    assert all(error.endswith(".") and "\n" not in error for error in errors)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    document = copy.deepcopy(ROTA)
    for person in document["people"]:
        for method in person["methods"]:
            method["priorities"] = ["low"]
    document["rotations"][0]["people"] = ["zoe"]
    errors = errors_of(tmp_path, document)
    assert "Nobody has a method for high priority, so A01, which goes to everyone, would reach nobody." in errors
    assert "The rotation on-call names 'zoe', who is nobody of the rota's people." in errors
    assert "Rung 2 of rungs.medium: ben has no method for medium priority." in errors
