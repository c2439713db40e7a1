"""Every route of the running web process, asked by every role, by nobody, and by machines: as the table says."""

import re

import httpx
import pytest

from fleet.api.access import Role
from fleet.api.application import application
from fleet.api.roles import Route, routes
from tests.api.live.house import House

# Nothing of these names is there, but the device: what may be asked for is answered 404, or 422 for the empty body.
FILLED = {
    "alarm_id": "0" * 32,
    "client": "c-nobody-of-this-name",
    "command_id": "0" * 32,
    "device": "stim-01",
    "session_id": "0" * 32,
    "token": "00000000",
    "user": "nobody",
}
LET_IN = {200, 201, 202, 204, 404, 409, 422}
OWN = "/api/v1/logout"  # would end the sign-in that the other tests go on with


@pytest.fixture(scope="module")
def guarded() -> list[Route]:
    return [route for route in routes(application("test")) if route.permission is not None]


def ask(client: httpx.Client, route: Route) -> tuple[int, str]:
    """The status, and the error's word; a stream is only begun."""
    path = re.sub(r"{(\w+)}", lambda found: FILLED[found[1]], route.path)
    url = client.base_url.copy_with(path=path)
    body: dict[str, str] | None = None if route.method in {"GET", "DELETE"} else {}
    with client.stream(route.method, url, json=body) as answer:
        if "event-stream" in answer.headers.get("content-type", ""):
            return answer.status_code, ""
        said = answer.read()
        is_problem = answer.status_code >= 400 and "json" in answer.headers["content-type"]
        return answer.status_code, httpx.Response(200, content=said).json()["error"] if is_problem else ""


@pytest.mark.parametrize("role", list(Role))
def test_every_role_gets_what_the_table_says(house: House, guarded: list[Route], role: Role) -> None:
    browser = house.browser(role)
    for route in guarded:
        if route.path == OWN:
            continue
        status, error = ask(browser.client, route)
        if route.allows(role):
            assert status in LET_IN, (route, status, error)
        else:
            assert (status, error) == (403, "forbidden"), route


def test_nobody_gets_anything(house: House, guarded: list[Route]) -> None:
    with httpx.Client(base_url=house.url) as client:
        assert {ask(client, route) for route in guarded} == {(401, "not_signed_in")}


def test_a_machine_that_may_most_does_nothing_that_a_person_answers_for(house: House, guarded: list[Route]) -> None:
    with httpx.Client(base_url=house.url, headers={"Authorization": f"Bearer {house.token(Role.MANAGER)}"}) as client:
        for route in guarded:
            status, error = ask(client, route)
            if route.allows(Role.MANAGER, token=True):
                assert status in LET_IN, (route, status, error)
            else:
                assert (status, error) == (403, "forbidden"), route
