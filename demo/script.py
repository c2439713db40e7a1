"""A clinic day in a file: strict JSON, as `stimfleet simulate --print-day` writes it.

    {"visits": [{"at_s": 2.0, "device": "stim-01", "client": "client-9d20", "plan": {...}, "findings": [],
                 "steps": [{"after_s": 1.5, "press": "arm", "by_ma": 1.0}, ...]}],
     "stops": [{"at_s": 90.0, "device": "stim-01", "released_after_s": 5.0}]}

`plan`, `findings`, `steps` and `stops` may be left out, `by_ma` where it is 1.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from demo.day import Day

_adapter: TypeAdapter[Day] = TypeAdapter(Day)


class BadScript(ValueError):
    """The file holds no clinic day; the text is one sentence that says where and why."""


def day_from(path: Path) -> Day:
    """Read a day.

    Raises:
        BadScript: the file cannot be read, or is not exactly a day.
    """
    try:
        return _adapter.validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise BadScript(f"The script {path} cannot be read: {error.strerror}.") from error
    except ValidationError as refused:
        first = refused.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    raise BadScript(f"The script {path} is no clinic day: {f'{place}: ' if place else ''}{first['msg']}.")


def text_of(day: Day) -> str:
    """A day as a file holds it."""
    return _adapter.dump_json(day, indent=2).decode() + "\n"
