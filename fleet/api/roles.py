"""Which role may use which route: read off the application itself. `docs/roles.md` is what `table` makes of it.

Every route has exactly one guard, or stands in `OPEN` with its reason: `check` says so at the start of the web process,
so that a route that somebody forgot to guard is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from fleet.api.access import PEOPLE_ONLY, PERMISSIONS, Permission, Role
from fleet.api.guard import Guard

OPEN: Final = {
    "POST /api/v1/login": "whoever signs in is not signed in yet",
}
API: Final = "/api/"


class Unguarded(Exception):
    """A route that has no guard, or more than one: the application must not be served."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `permission` None: open to everybody, see OPEN."""

    method: str
    path: str
    permission: Permission | None

    def allows(self, role: Role, *, token: bool = False) -> bool:
        if self.permission is None:
            return True
        return self.permission in PERMISSIONS[role] and not (token and self.permission in PEOPLE_ONLY)


def routes(app: FastAPI) -> list[Route]:
    """Every route of the API, in the order of their paths.

    Raises:
        Unguarded: names the first that has not exactly one guard.
    """
    return sorted(_routes(app), key=lambda route: (route.path, route.method))


def check(app: FastAPI) -> None:
    """Whether every route of the API is guarded, once.

    Raises:
        Unguarded: names the first that is not.
    """
    routes(app)


def _routes(app: FastAPI) -> Iterator[Route]:
    for context in iter_route_contexts(app.routes):
        path = str(context.path)
        route: BaseRoute | None = context.original_route
        if not isinstance(route, APIRoute):
            # A mount or a plain route of files is no part of the API; under its path it would be one without a guard.
            if f"{path}/".startswith(API):
                raise Unguarded(f"{path} is under {API} and is no route with a guard.")
            continue
        guards = list(_guards(context.dependant))
        for method in sorted(set(context.methods or ()) - {"HEAD"}):
            name = f"{method} {path}"
            if len(guards) != (0 if name in OPEN else 1):
                raise Unguarded(f"{name} has {len(guards)} guards: require exactly one permission, or say why in OPEN.")
            yield Route(method, path, guards[0].permission if guards else None)


def _guards(dependant: Dependant) -> Iterator[Guard]:
    if isinstance(dependant.call, Guard):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _guards(inner)


def table(app: FastAPI) -> str:
    """Routes by roles, as Markdown."""
    rows = [["route", "permission", *Role, "token"], ["---"] * (3 + len(Role))]
    for route in routes(app):
        cells = [f"`{route.method} {route.path}`", f"`{route.permission}`" if route.permission else "open"]
        cells += ["yes" if route.allows(role) else "-" for role in Role]
        cells.append(_by_token(route))
        rows.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _by_token(route: Route) -> str:
    if route.permission is None:
        return "-"
    return "people only" if route.permission in PEOPLE_ONLY else "as its role"
