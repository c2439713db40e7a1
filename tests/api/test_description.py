"""What `/api/v1/openapi.json` says a route answers where it does not do what it was asked."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from fleet.api.answers import Problem
from fleet.api.application import application

PROBLEM = {"$ref": "#/components/schemas/Problem"}
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return application("0.0.0").openapi()


def references(said: Any) -> Iterator[str]:
    if isinstance(said, dict):
        yield from [to for to in [said.get("$ref")] if isinstance(to, str)]
        said = list(said.values())
    if isinstance(said, list):
        for one in said:
            yield from references(one)


def test_every_route_says_what_a_problem_looks_like(described: dict[str, Any]) -> None:
    operations = [one for path in described["paths"].values() for method, one in path.items() if method in METHODS]
    assert len(operations) > 50
    for one in operations:
        for status in ("400", "401", "403", "408", "429", "500"):
            answer = one["responses"][status]
            assert answer["content"] == {"application/json": {"schema": PROBLEM}}, (one["operationId"], status)
            assert answer["description"]


def test_what_is_referred_to_is_there(described: dict[str, Any]) -> None:
    there = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described["paths"])) <= there
    problem = described["components"]["schemas"]["Problem"]
    assert {name: said["type"] for name, said in problem["properties"].items()} == {"error": "string", "text": "string"}


def test_a_problem_has_a_validator_in_one_route_only() -> None:
    """Each one in each route would be built at the start of every web server, and never be used."""
    app = application("0.0.0")
    routes = [one.original_route for one in iter_route_contexts(app.routes) if isinstance(one.original_route, APIRoute)]
    assert len(routes) > 50
    with_model = {route.name for route in routes for one in route.responses.values() if one.get("model") is Problem}
    assert with_model == {"describe"}
