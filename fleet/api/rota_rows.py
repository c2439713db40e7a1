"""The rota, and what follows from it, as rows that JSON can hold. Where a message truly goes is in none of them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fleet.api.window import wall_words
from fleet.core.alarm_events import Priority
from fleet.core.rota import Rota, Rungs, people_of
from fleet.core.state import State
from fleet.reports.cover import Gap, Turn, next_change_s
from fleet.rota.entries import RotaFile
from fleet.rota.store import told_of
from fleet.views import people_rows

DAY_S = 86_400.0
Ways = dict[tuple[str, str], str | None]  # by person and method: the service or host that it leads to
Document = dict[str, Any]


def method_rows(site_dir: Path, rota: RotaFile) -> Ways:
    """Where each method leads, as far as anybody may be told. Reads the site's secrets: not for an event loop."""
    return {(person.id, one.id): told_of(site_dir, one) for person in rota.people for one in person.methods}


def rota_row(rota: RotaFile, ways: Ways) -> Document:
    """The rota as it may be shown: of a way its secret's name, and where it leads in general."""
    row = asdict(rota)
    for person in row["people"]:
        for method in person["methods"]:
            del method["url"]
            method["to"] = ways[person["id"], method["id"]]
            method["kind"] = method["kind"].value
            method["priorities"] = [one.value for one in method["priorities"]]
    for rotation in row["rotations"]:
        rotation["first_day"] = rotation["first_day"].isoformat()
        if rotation["last_day"] is not None:
            rotation["last_day"] = rotation["last_day"].isoformat()
    for field in ("rungs", "engineer_rungs"):
        row[field] = {priority.value: rungs for priority, rungs in row[field].items()}
    return row


def rung_rows(rota: Rota, now_s: float, until_s: float, zone: ZoneInfo) -> list[Document]:
    """Who each rung reaches now, and who next, up to a moment."""
    return [
        _rung_row(rota, priority, engineers, number, names, now_s, until_s, zone)
        for engineers, of in ((False, rota.rungs), (True, rota.engineer_rungs))
        for priority in Priority
        for number, names in enumerate(_of(of, priority), start=1)
    ]


def _of(rungs: dict[Priority, Rungs], priority: Priority) -> Rungs:
    return rungs.get(priority, ())


def _rung_row(
    rota: Rota,
    priority: Priority,
    engineers: bool,
    number: int,
    names: tuple[str, ...],
    now_s: float,
    until_s: float,
    zone: ZoneInfo,
) -> Document:
    def named(at_s: float) -> list[Document]:
        return [{"person": one, "name": rota.people[one].name} for one in people_of(rota, names, at_s, zone)]

    change_s = next_change_s(rota, names, now_s, until_s, zone)
    return {
        "priority": priority.value,
        "engineers": engineers,
        "rung": number,
        "names": list(names),
        "people": named(now_s),
        "next": None if change_s is None else {"at": wall_words(change_s), "people": named(change_s)},
    }


def turn_row(turn: Turn) -> Document:
    """One turn of a rotation."""
    return {
        "rotation": turn.rotation,
        "person": turn.person,
        "from_at": wall_words(turn.from_s),
        "until_at": wall_words(turn.until_s),
        "override": turn.override,
    }


def gap_row(gap: Gap) -> Document:
    """One gap in cover."""
    return {
        "priority": gap.priority.value,
        "engineers": gap.engineers,
        "from_at": wall_words(gap.from_s),
        "until_at": wall_words(gap.until_s),
    }


def person_rows(state: State, ways: Ways) -> list[Document]:
    """Everybody on the rota that the fleet has, with what came of test alarms."""
    durable = state.durable
    rota = durable.rota
    within_s = 0.0 if rota is None else rota.proven_within_days * DAY_S
    sending = {(page.person, page.method) for page in durable.pages.values() if page.drill and not page.silent}
    waiting = {(drill.person, drill.method): drill.until_s for drill in durable.drills.values()}
    rows = people_rows(state)
    for row in rows:
        for way in row["methods"]:
            key = row["person"], way["method"]
            proof = durable.proofs["/".join(key)]
            until_s = waiting.get(key)
            way["last_proven_at"] = way.pop("last_proven")
            way["proven_until"] = None if proof.proven_wall_s is None else wall_words(proof.proven_wall_s + within_s)
            way["to"] = ways.get(key)
            way["drill"] = "sending" if key in sending else "waiting" if until_s is not None else None
            way["drill_until"] = None if until_s is None else wall_words(durable.wall_s + (until_s - durable.now_s))
    return rows
