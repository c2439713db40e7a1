"""Whether a rota holds together: every name known, every rung able to reach somebody. A sentence for each error."""

from collections.abc import Iterator
from datetime import datetime

from fleet.core.alarm_events import Priority
from fleet.core.rota import EVERYONE
from fleet.rota.entries import A_URL, WITH_PASSWORD, MethodEntry, PersonEntry, RotaFile, RotationEntry, Rungs

TO_ACT = (Priority.HIGH, Priority.MEDIUM)


def wrong(rota: RotaFile) -> list[str]:
    """Everything that is wrong with it, at once; empty: nothing."""
    return [
        *_names(rota),
        *(error for person in rota.people for error in _person(person)),
        *(error for rotation in rota.rotations for error in _rotation(rota, rotation)),
        *_must_have(rota),
        *_rungs(rota, "rungs", rota.rungs),
        *_rungs(rota, "engineer_rungs", rota.engineer_rungs),
    ]


def _names(rota: RotaFile) -> Iterator[str]:
    names = [person.id for person in rota.people] + [rotation.id for rotation in rota.rotations]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name!r} names more than one person or rotation."
    if EVERYONE in names:
        yield f"{EVERYONE!r} is a word of the rota's own: name nobody so."


def _person(person: PersonEntry) -> Iterator[str]:
    ids = [method.id for method in person.methods]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"The person {person.id} has two methods {name!r}."
    for method in person.methods:
        yield from _method(f"The method {person.id}/{method.id}", method)


def _method(where: str, method: MethodEntry) -> Iterator[str]:
    if (method.url is None) == (method.secret is None):
        yield f"{where} needs either a url or a secret."
    if method.url is not None and not A_URL.fullmatch(method.url):
        yield f"{where} has a url that is none, like ntfy://host/topic."
    if method.url is not None and WITH_PASSWORD.match(method.url):
        yield f"{where} has a password in its url: put the url into a file of its own, and name that as its secret."
    if not method.priorities or len(set(method.priorities)) < len(method.priorities):
        yield f"{where} must name each priority that it is for once, and at least one."


def _rotation(rota: RotaFile, rotation: RotationEntry) -> Iterator[str]:
    where, known = f"The rotation {rotation.id}", {person.id for person in rota.people}
    named = [*rotation.people, *(one.person for one in rotation.overrides if one.person is not None)]
    if not rotation.people:
        yield f"{where} has nobody in it."
    for name in sorted(set(named) - known):
        yield f"{where} names {name!r}, who is nobody of the rota's people."
    if rotation.last_day is not None and rotation.last_day <= rotation.first_day:
        yield f"{where} ends before it begins."
    for one in rotation.overrides:
        if not _is_moment(one.begin) or not _is_moment(one.end):
            yield f"{where} has an override from {one.begin} to {one.end}, which is no moment like 2026-12-24T08:00."
        elif one.end <= one.begin:
            yield f"{where} has an override that ends at {one.end}, before it begins at {one.begin}."


def _is_moment(local: str) -> bool:
    try:
        datetime.fromisoformat(local)
    except ValueError:
        return False
    return True


def _must_have(rota: RotaFile) -> Iterator[str]:
    for priority in TO_ACT:
        if not rota.rungs.get(priority):
            yield f"The rota has no rungs for {priority.value} priority: somebody must be told."
    if not any(Priority.HIGH in method.priorities for person in rota.people for method in person.methods):
        yield "Nobody has a method for high priority, so A01, which goes to everyone, would reach nobody."
    if rota.proven_within_days < rota.drill.every_days:
        yield "proven_within_days is shorter than the drill's every_days: between two drills every way is unproven."


def _rungs(rota: RotaFile, field: str, rungs: Rungs) -> Iterator[str]:
    people = {person.id: person for person in rota.people}
    rotations = {rotation.id: rotation for rotation in rota.rotations}
    for priority, of in rungs.items():
        for number, names in enumerate(of, start=1):
            where = f"Rung {number} of {field}.{priority.value}"
            if not names:
                yield f"{where} names nobody."
            for name in names:
                if name == EVERYONE:
                    continue
                if name not in people and name not in rotations:
                    yield f"{where} names {name!r}, which is neither a person nor a rotation."
                members = rotations[name].people if name in rotations else [name]
                for member in members:
                    if member in people and not _reaches(people[member], priority):
                        yield f"{where}: {member} has no method for {priority.value} priority."


def _reaches(person: PersonEntry, priority: Priority) -> bool:
    return any(priority in method.priorities for method in person.methods)
