"""The rota on disk: `rota.json`, beside `registry.json` in the site's folder, its owner's only.

Reading is strict: whatever is not exactly as written here is refused, with one sentence for each error that names the
place. The rota is judged as a whole: every name must be known, every rung must be able to reach somebody. What the core
is given of it has no address and no secret in it; whoever delivers reads those from here (`destination`).

{"people": [{"id": "anna", "name": "Anna", "methods": [{"id": "phone", "kind": "apprise", "secret": "anna-phone"}]}],
 "rotations": [{"id": "on-call", "people": ["anna"], "first_day": "2026-11-23", "hand_over": "08:00"}],
 "rungs": {"high": [["on-call"], ["everyone"]], "medium": [["on-call"]]}}
"""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from broker.pki.durable import write_secret
from fleet.core import rota as core
from fleet.core.alarm_events import Priority
from fleet.rota.entries import MethodEntry, RotaFile, Rungs
from fleet.rota.whole import wrong

FILE_NAME = "rota.json"
SECRETS_FOLDER = "secrets"  # of the site's folder: a file a secret, its owner's only, which holds the whole URL


class BadRota(ValueError):
    """The rota cannot be used as it is. `errors`: a sentence each, which says where and why."""

    def __init__(self, where: Path, errors: list[str]) -> None:
        super().__init__(f"The rota {where} cannot be used: {' '.join(errors)}")
        self.errors = errors


@cache
def _adapter() -> TypeAdapter[RotaFile]:
    return TypeAdapter(RotaFile)


# --- reading and writing ----------------------------------------------------------------------------------------------


def load_rota(path: Path) -> RotaFile | None:
    """Read `path`, the file or the site's folder; None: a folder without one.

    Raises:
        BadRota: it cannot be read, or is not exactly a rota.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if path.is_dir():
            return None
        raise BadRota(file, ["It is not there."]) from error
    except OSError as error:
        raise BadRota(file, [f"It cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise BadRota(file, ["It is not UTF-8 text."]) from error
    return parse_rota(text, file)


def parse_rota(text: str, where: Path) -> RotaFile:
    """The rota that `text` is, judged as a whole; `where` is named in what is wrong with it.

    Raises:
        BadRota: it is not exactly a rota, or does not hold together.
    """
    try:
        json.loads(text, object_pairs_hook=_unique)
        rota = _adapter().validate_json(text, strict=True)
    except json.JSONDecodeError as error:
        raise BadRota(where, [f"It is not JSON: {error.msg} in line {error.lineno}."]) from error
    except RecursionError as error:
        raise BadRota(where, ["It is nested too deeply."]) from error
    except _Twice as twice:
        raise BadRota(where, [str(twice)]) from twice
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise BadRota(where, [_sentence(one) for one in found]) from error
    errors = wrong(rota)  # as a whole, once its shape is right
    if errors:
        raise BadRota(where, errors)
    return rota


def rota_bytes(rota: RotaFile) -> bytes:
    """As it stands in its file."""
    return _adapter().dump_json(rota, indent=2) + b"\n"


def save_rota(site_dir: Path, rota: RotaFile) -> None:
    """Write it into its site's folder, whole or not at all, for its owner only."""
    write_secret(site_dir / FILE_NAME, rota_bytes(rota))


class _Twice(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _Twice(f"{twice[0]!r} is there twice in one object.")
    return dict(pairs)


def _sentence(error: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    return f"The rota{place}: {error['msg'].removeprefix('Value error, ')}."


# --- as the core and the pager want it --------------------------------------------------------------------------------


def minutes(local: str) -> int:
    """
    >>> minutes("08:30")
    510
    """
    hours, rest = local.split(":")
    return int(hours) * 60 + int(rest)


def moment(local: str, zone: ZoneInfo) -> float:
    """Unix seconds at which the clinic's clocks show that; the first time where they do so twice."""
    return datetime.fromisoformat(local).replace(tzinfo=zone).timestamp()


def core_rota(rota: RotaFile, time_zone: str) -> core.Rota:
    """What the core is told of it: nothing about where a message goes."""
    zone = ZoneInfo(time_zone)
    return core.Rota(
        people={
            person.id: core.Person(
                person=person.id,
                name=person.name,
                methods=tuple(
                    core.Method(method=method.id, kind=method.kind.value, priorities=tuple(method.priorities))
                    for method in person.methods
                ),
            )
            for person in rota.people
        },
        rotations={
            rotation.id: core.Rotation(
                rotation=rotation.id,
                people=tuple(rotation.people),
                first_day=rotation.first_day,
                hand_over_local_min=minutes(rotation.hand_over),
                last_day=rotation.last_day,
                overrides=tuple(
                    core.Override(
                        person=one.person, from_wall_s=moment(one.begin, zone), until_wall_s=moment(one.end, zone)
                    )
                    for one in rotation.overrides
                ),
            )
            for rotation in rota.rotations
        },
        rungs=_rungs(rota.rungs),
        engineer_rungs=_rungs(rota.engineer_rungs),
        quiet=None
        if rota.quiet_hours is None
        else core.Quiet(from_local_min=minutes(rota.quiet_hours.begin), until_local_min=minutes(rota.quiet_hours.end)),
        digest_local_min=minutes(rota.digest_at),
        drill_every_days=rota.drill.every_days,
        drill_local_min=minutes(rota.drill.at),
        proven_within_days=rota.proven_within_days,
    )


def _rungs(rungs: Rungs) -> dict[Priority, core.Rungs]:
    return {priority: tuple(tuple(names) for names in of) for priority, of in rungs.items()}


def destination(site_dir: Path, method: MethodEntry) -> str:
    """The URL that a message goes to. A secret: never log it, never show it.

    Raises:
        OSError: the file that holds it cannot be read.
    """
    if method.url is not None:
        return method.url
    return (site_dir / SECRETS_FOLDER / str(method.secret)).read_text(encoding="utf-8").strip()
