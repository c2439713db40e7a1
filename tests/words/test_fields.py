"""What a person typed that does not fit is answered in words, never in those of a validator."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Discriminator, TypeAdapter, ValidationError

from fleet.adapters.control.requests import BadRequest, Request, parse
from fleet.api.access import Role
from fleet.api.application import application
from fleet.api.bodies import SessionBody
from fleet.words.fields import PATTERNS, misfit_words
from tests.adapters.test_control import SESSION, STOP, line
from tests.api.desk import Front

SHELVE = {"op": "alarm_shelve", "alarm_id": "0" * 32, "issued_by": "anna", "reason": "known"}
PLAN = SESSION["plan"]
SCREENING = SESSION["screening"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (
            line({**SESSION, "client": "Anna Muster"}),
            "client must be 4 to 64 of a-z, 0-9 and '-', beginning with a letter or digit",
        ),
        (
            line({**STOP, "device": "Stim 01"}),
            "device must be 1 to 32 of a-z, 0-9 and '-', beginning with a letter or digit",
        ),
        (
            line({**SESSION, "operator": "Anna K"}),
            "operator must be 1 to 64 of a-z, 0-9, '.' and '-', beginning with a letter or digit",
        ),
        (
            line({**SESSION, "screening": {**SCREENING, "rule_set": "Ö"}}),
            "screening.rule_set must be 1 to 32 of a-z, 0-9, '.' and '-', beginning with a letter or digit",
        ),
        (line({"op": "session_show", "session_id": "7"}), "session_id must be 32 of 0-9 and a-f"),
        (line({**STOP, "issued_by": "an\nna"}), "issued_by must be one line of printable characters"),
        (line({**STOP, "reason": "x" * 65}), "reason must be at most 64 characters long"),
        (line({**STOP, "reason": ""}), "reason must not be empty"),
        (line({"op": "stop", "device": "stim-01"}), "issued_by is missing"),
        (line({**STOP, "more": 1}), "more is not known here"),
        (line({**STOP, "device": 1}), "device must be text"),
        (line({"op": "session_list", "open_only": 1}), "open_only must be true or false"),
        (line({**SESSION, "plan": 7}), "plan must be an object"),
        (line({**SESSION, "plan": {**PLAN, "duration_s": "1200"}}), "plan.duration_s must be a number"),
        (line({**SESSION, "plan": {**PLAN, "on_s": -1.0}}), "plan.on_s must be at least 0.1"),
        (line({**SESSION, "plan": {**PLAN, "on_s": 3601.0}}), "plan.on_s must be at most 3600"),
        (line(SESSION).replace(b"1200.0", b"NaN"), "plan.duration_s must be a finite number"),
        (line({**SESSION, "plan": {**PLAN, "modality": "tens"}}), "plan.modality must be 'nmes' or 'wb_ems'"),
        (line({**SESSION, "screening": {**SCREENING, "findings": "hernia"}}), "screening.findings must be a list"),
        (
            line({**SHELVE, "until": "tomorrow"}),
            "until must be a time with its time zone, like 2026-11-25T16:00:00Z",
        ),
        (
            line({**SHELVE, "until": "2026-11-25T16:00:00"}),
            "until must be a time with its time zone, like 2026-11-25T16:00:00Z",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_words(sent: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as bad:
        parse(sent)
    assert str(bad.value) == f"The request's {words}."


def test_what_the_contract_says_itself_is_kept() -> None:
    with pytest.raises(BadRequest, match=r"^The request's device: all is no device\.$"):
        parse(line({**SESSION, "device": "all"}))


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for part in schema.values():
            yield from patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns(part)


ASKED = TypeAdapter[Any](Annotated[Request, Discriminator("op")])


@pytest.mark.parametrize(
    "schema", [ASKED.json_schema, lambda: application("0").openapi()], ids=["control socket", "HTTP"]
)
def test_there_are_words_for_every_pattern_that_somebody_may_miss(schema: Callable[[], Any]) -> None:
    found = set(patterns(schema()))
    assert len(found) > 4
    assert found <= PATTERNS.keys()


async def test_the_api_says_it_in_the_same_words(tmp_path: Path) -> None:
    front = Front(tmp_path)
    front.user("ada", Role.ADMIN)
    ada = front.browser()
    await ada.signs_in("ada")
    for body, words in (
        (
            {"user": "Anna K", "name": "A", "role": "viewer"},
            "user must be 1 to 64 of a-z, 0-9, '.' and '-', beginning with a letter or digit",
        ),
        (
            {"user": "anna", "name": "A", "role": "owner"},
            "role must be 'viewer', 'therapist', 'on-call', 'manager' or 'admin'",
        ),
        ({"user": "anna", "name": "A", "role": "viewer", "is_admin": True}, "is_admin is not known here"),
    ):
        answer = await ada.sends("POST", "/users", body)
        assert (answer.status_code, answer.json()["text"]) == (422, f"The request's {words}.")
    front.store.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"duration_s": 0.0}, "duration_s must be at least 1"),
        ({"body_site": "knee"}, "body_site must be 'thigh', "),
        ({"modality": None}, "modality must be 'nmes' or 'wb_ems'"),
    ],
)
def test_so_does_a_plan_within_a_request_over_http(changed: dict[str, Any], words: str) -> None:
    asked = {"client": "client-9d20", "device": "stim-01", "room": "room-1", "plan": {**PLAN, **changed}}
    with pytest.raises(ValidationError) as refused:
        SessionBody.model_validate({**asked, "screening": {**SCREENING, "findings": []}})
    (error,) = refused.value.errors(include_url=False, include_input=False)
    assert misfit_words(error, error["loc"]).startswith(f"plan: {words}")
