"""Journals written by earlier programs still read, and fold to the same state. See golden.py for what to do."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, get_args

import pytest

from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored
from fleet.adapters.journal.forms import Form, Forms, grown
from fleet.adapters.journal.restore import Fold, verify_journal
from fleet.adapters.journal.writer import Journal
from fleet.core.device_events import DrainOrdered
from fleet.core.events import Event
from fleet.core.happened import Happened
from fleet.core.state import Durable, State
from fleet.stored import FOLD, OLDER
from tests.adapters.test_journal import Disk
from tests.journal import golden
from tests.journal.golden import (
    COMMAND,
    LONG_DAY,
    database_of,
    differences,
    flat,
    journals,
    missing,
    rows_of,
    state_file,
)

NEW_VERSION = (
    "What is on the disks of clinics cannot change. Give the class a higher `version`, its old form a row in OLDER of "
    f"fleet/stored.py with an `upgrade`, and run `{COMMAND}`, which adds a journal that has the new one."
)
NEW_FOLD = (
    "If the fold was changed on purpose, raise `version` of FOLD in fleet/stored.py, so that no old snapshot is used, "
    f"and run `{COMMAND} --states`."
)


def opened(path: Path, fold: Fold[State, Durable] = FOLD) -> State:
    journal: Journal[State, Durable] = Journal(path, fold, Disk())
    journal.close()
    return journal.restored.state


def test_every_event_is_in_a_stored_journal() -> None:
    assert journals()
    assert not missing(), f"No stored journal has {sorted(missing())}: run `{COMMAND}` and commit what it adds."


@pytest.mark.parametrize("journal", journals(), ids=lambda path: path.stem)
def test_what_was_stored_still_reads_and_would_be_stored_the_same(journal: Path) -> None:
    present = {(one.__name__, one.version) for one in get_args(Event)}
    for row in rows_of(journal):
        where = f"{journal.name}, row {row.position}, {row.name} version {row.version}"
        try:
            event = FOLD.forms.load(row.position, row.name, row.version, row.body)
        except (JournalCorrupt, UnknownStored) as error:
            raise AssertionError(f"{where} {error.text}. {NEW_VERSION}") from error
        if (row.name, row.version) in present:
            assert FOLD.forms.dump(event)[2] == row.body, f"{where} would be stored differently now. {NEW_VERSION}"


@pytest.mark.parametrize("journal", journals(), ids=lambda path: path.stem)
def test_it_folds_to_the_state_that_it_was(tmp_path: Path, journal: Path) -> None:
    path = database_of(journal, tmp_path / "journal.db")
    assert verify_journal(path).rows == len(rows_of(journal))
    found = list(differences(json.loads(state_file(journal).read_text())["state"], opened(path).durable))
    assert found == [], f"{journal.name} folds to another state now. {NEW_FOLD}"


@pytest.mark.parametrize("journal", journals(), ids=lambda path: path.stem)
def test_each_event_changes_what_it_did(journal: Path) -> None:
    state = State()
    stored = json.loads(state_file(journal).read_text())["changes"]
    for row, change in zip(rows_of(journal), stored, strict=True):
        FOLD.evolve(state, FOLD.forms.load(row.position, row.name, row.version, row.body))
        now = flat(state.durable)
        otherwise = {
            where: now.get(where, "gone") for where, value in change["changed"].items() if now.get(where) != value
        }
        otherwise |= {where: now[where] for where in change["gone"] if where in now}
        said = f"{journal.name}, row {row.position}: a {row.name} leaves {otherwise}, which it did not."
        assert not otherwise, f"{said} {NEW_FOLD}"


def test_what_is_missing_is_added_beside_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a new class of event has come: here all from the first DrainOrdered on."""
    lines = LONG_DAY.read_text().splitlines(keepends=True)
    cut = next(row.position for row in rows_of(LONG_DAY) if row.name == "DrainOrdered") - 1
    (tmp_path / LONG_DAY.name).write_text("".join(lines[:cut]))
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    new = missing()
    assert ("DrainOrdered", 1) in new
    added = golden.add()
    assert added is not None
    assert added.name == f"{min(new)[0]}-1.jsonl"
    assert (tmp_path / LONG_DAY.name).read_text() == "".join(lines[:cut]), "what was there is as it was"
    assert not missing()
    assert {(row.name, row.version) for row in rows_of(added)} >= new
    assert verify_journal(database_of(added, tmp_path / "journal.db")).rows == len(rows_of(added))
    assert golden.add() is None


def test_a_state_that_is_not_what_it_was_is_found() -> None:
    """The comparison itself: it finds what changed at any depth, and lets a state learn something new."""
    known = Durable(fleet_n=7, draining=True)
    was = json.loads(FOLD.adapter.dump_json(known))
    assert list(differences(was, known)) == []
    del was["holds"]
    assert list(differences(was, known)) == [], "what is new in a state is no difference"
    assert list(differences(was, replace(known, fleet_n=8))) == ["state.fleet_n is 8, it was 7"]
    assert list(differences({**was, "rooms": {}}, known)) == ["state has no rooms any more"]
    other = {**was, "clearing": {"stim-01": "x"}}
    assert list(differences(other, known)) == ["state.clearing has [], it was ['stim-01']"]


# --- versions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainExplained(Happened):
    """What DrainOrdered may be one day."""

    version: ClassVar[int] = 2
    issued_by: str
    why: str = "not said"


def evolve(state: State, event: Event | DrainExplained) -> State:
    """The fold of that day."""
    if isinstance(event, DrainExplained):
        event = DrainOrdered(now_s=event.now_s, wall_s=event.wall_s, issued_by=event.issued_by)
    return FOLD.evolve(state, event)


GROWN = grown(DrainExplained, 1)
RENAMED = Form(
    DrainExplained, "DrainExplained", 1, lambda old: DrainExplained(**{**old, "issued_by": old["issued_by"].upper()})
)


@pytest.mark.parametrize("older", [GROWN, RENAMED])
def test_an_event_of_an_older_version_folds_to_the_same_state(tmp_path: Path, older: Form) -> None:
    """A program of a later day, in which an order to drain has a reason, reads what ours wrote and writes its own."""
    path = database_of(LONG_DAY, tmp_path / "journal.db")
    present = [Form(one, one.__name__, one.version) for one in get_args(Event) if one is not DrainOrdered]
    old = replace(older, name="DrainOrdered")
    new = Form(DrainExplained, "DrainOrdered", DrainExplained.version)
    later = replace(FOLD, forms=Forms([*present, *OLDER, new, old]), evolve=evolve)
    assert opened(path, later).durable == opened(path).durable

    (row,) = (row for row in rows_of(LONG_DAY) if row.name == "DrainOrdered")
    read = later.forms.load(row.position, row.name, row.version, row.body)
    said = json.loads(row.body)["issued_by"]
    assert read.why == "not said"
    assert read.issued_by == (said if older is GROWN else said.upper())
    assert later.forms.dump(read)[:2] == ("DrainOrdered", 2)
    with pytest.raises(UnknownStored, match="is a DrainOrdered version 2, unknown to this program"):
        FOLD.forms.load(1, *later.forms.dump(read))  # a program that went back


@pytest.mark.parametrize("old", [{}, {"issued_by": 3, "surprise": 1}, []])
def test_what_no_version_ever_held_is_damage_and_no_crash(old: object) -> None:
    forms = Forms([Form(DrainOrdered, "DrainOrdered", 1, lambda old: DrainOrdered(**old))])
    with pytest.raises(JournalCorrupt, match="row 5: holds no DrainOrdered version 1"):
        forms.load(5, "DrainOrdered", 1, json.dumps(old).encode())


def test_every_event_can_be_told_from_every_other() -> None:
    names = [one.__name__ for one in get_args(Event)]
    assert len(names) == len(set(names))
    assert all({"now_s", "wall_s"} <= {field.name for field in fields(one)} for one in get_args(Event))
