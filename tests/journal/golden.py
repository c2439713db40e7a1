"""Journals that were written before: every class of event, as it was stored, and the state that they fold to.

    python -m tests.journal.golden             adds a journal for the events that none has yet, in their present version
    python -m tests.journal.golden --states    writes the states anew, where the fold was changed on purpose

Journals are only ever added: what stands in one is what clinics have on their disks. A change of an event's fields is a
new version with an `upgrade` of the old one (fleet/stored.py), and then this command adds a journal that has it.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import sqlalchemy as sa

from fleet.adapters.journal.rows import EVENTS, Row, Tip, next_row, open_database
from fleet.core.events import Event
from fleet.core.state import Durable, State
from fleet.stored import FOLD
from tests.core.long_day import a_long_day

FOLDER = Path(__file__).with_name("golden")
LONG_DAY = FOLDER / "AuthorisationAccepted-1.jsonl"  # the first that was stored: it has every event of its time
COMMAND = "python -m tests.journal.golden"
AT = "2026-11-25T09:00:00.000Z"
Key = tuple[str, int]


def journals() -> list[Path]:
    return sorted(FOLDER.glob("*.jsonl"))


def rows_of(journal: Path) -> list[Row]:
    """The rows of a stored journal."""
    rows = []
    for line in journal.read_text().splitlines():
        row = json.loads(line)
        rows.append(Row(**{**row, "body": row["body"].encode(), "hash": bytes.fromhex(row["hash"])}))
    return rows


def state_file(journal: Path) -> Path:
    return journal.with_suffix(".state.json")


def database_of(journal: Path, path: Path) -> Path:
    """A real journal file with these rows."""
    engine = open_database(path, create=True)
    with engine.begin() as connection:
        connection.execute(sa.insert(EVENTS), [asdict(row) for row in rows_of(journal)])
    engine.dispose()
    return path


def folded(journal: Path) -> Durable:
    state = State()
    for row in rows_of(journal):
        FOLD.evolve(state, FOLD.forms.load(row.position, row.name, row.version, row.body))
    return state.durable


def differences(golden: Any, now: Any, where: str = "state") -> Iterator[str]:
    """Where a state is not what it was. What it has learnt to hold since is none: only what was known is compared."""
    if is_dataclass(now) and isinstance(golden, dict):
        for name, value in golden.items():
            if name in {field.name for field in fields(now)}:
                yield from differences(value, getattr(now, name), f"{where}.{name}")
            else:
                yield f"{where} has no {name} any more"
    elif isinstance(now, dict) and isinstance(golden, dict):
        if golden.keys() != now.keys():
            yield f"{where} has {sorted(map(str, now))}, it was {sorted(golden)}"
        else:
            for key, value in golden.items():
                yield from differences(value, now[key], f"{where}[{key}]")
    elif isinstance(now, tuple | list | frozenset) and isinstance(golden, list):
        if len(golden) != len(now):
            yield f"{where} has {len(now)} entries, it was {len(golden)}"
        elif not isinstance(now, frozenset):
            for index, (was, value) in enumerate(zip(golden, now, strict=True)):
                yield from differences(was, value, f"{where}[{index}]")
    elif golden != _as_json(now):
        yield f"{where} is {now!r}, it was {golden!r}"


def _as_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def missing() -> set[Key]:
    """The events that no stored journal has in their present version."""
    stored = {(row.name, row.version) for journal in journals() for row in rows_of(journal)}
    return {(one.__name__, one.version) for one in get_args(Event)} - stored


def add() -> Path | None:
    """Store the long day, up to the last of the events that are missing; None where nothing is."""
    wanted = missing()
    if not wanted:
        return None
    name, version = min(wanted)
    tip, rows = Tip(), []
    for event in a_long_day().journal:
        row = next_row(tip, AT, *FOLD.forms.dump(event))
        rows.append(row)
        tip = Tip(row.position, row.hash)
        wanted.discard((row.name, row.version))
        if not wanted:
            break
    assert not wanted, f"the long day (tests/core/long_day.py) has none of these: {sorted(wanted)}"
    journal = FOLDER / f"{name}-{version}.jsonl"
    with journal.open("x") as lines:
        for row in rows:
            lines.write(json.dumps({**asdict(row), "body": row.body.decode(), "hash": row.hash.hex()}) + "\n")
    store_state(journal)
    return journal


def store_state(journal: Path) -> None:
    """What each row changes in the state, and the whole of it at the end."""
    state, before, changes = State(), dict[str, Any](), []
    for row in rows_of(journal):
        FOLD.evolve(state, FOLD.forms.load(row.position, row.name, row.version, row.body))
        after = flat(state.durable)
        changed = {where: value for where, value in after.items() if where not in before or before[where] != value}
        changes.append({"changed": changed, "gone": sorted(before.keys() - after.keys())})
        before = after
    whole = json.loads(FOLD.adapter.dump_json(state.durable))
    lines = ",\n".join(json.dumps(change) for change in changes)
    state_file(journal).write_text(f'{{"changes": [\n{lines}\n],\n"state": {json.dumps(whole, indent=1)}}}\n')


def flat(durable: Durable) -> dict[str, Any]:
    """Every single value of a state, by where it stands."""
    found: dict[str, Any] = {}

    def visit(value: Any, where: str) -> None:
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        if entries is None:
            found[where] = value
        else:
            for name, entry in entries:
                visit(entry, f"{where}.{name}".lstrip("."))

    visit(json.loads(FOLD.adapter.dump_json(durable)), "")
    return found


def main(words: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    if words == ["--states"]:
        for journal in journals():
            store_state(journal)
        sys.stdout.write(
            f"{len(journals())} states written anew: look at every line that changed before you commit it\n"
        )
        return
    added = add()
    sys.stdout.write("every event is in a stored journal\n" if added is None else f"added {added.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
