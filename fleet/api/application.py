"""The application: every route under `/api/v1`, and the page's files at `/`."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from fleet.api import house, seeing, sessions, stopping, stream, traces
from fleet.api.answers import Problem, answer_plainly
from fleet.api.bounds import Bounds
from fleet.api.files import page_files, page_route
from fleet.api.settings import WebSettings

PREFIX = "/api/v1"
# In the order in which a path is looked for: what is fixed before what has a name in it.
ROUTERS: tuple[APIRouter, ...] = (
    seeing.router,
    sessions.router,
    traces.router,
    stopping.router,
    house.router,
    stream.router,
)
_DESCRIPTION = """Devices, sessions, stops and alarms of one clinic.

Who is signed in by cookie sends `X-CSRF-Token` (from `/me`) with everything but GET; a machine sends a token. Errors
are `{"error": "<word>", "text": "<one sentence for people>"}`. Times are UTC, to the millisecond; days the clinic's.

A pushed stop does not replace the stop button on the stimulator.
"""
# Of every route, whatever it does.
_ALWAYS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "the request is not HTTP as it should be, or names a foreign host"},
    408: {"model": Problem, "description": "the request's body did not come in time"},
    500: {"model": Problem, "description": "a fault of ours; the log of the web process says which"},
}


def application(settings: WebSettings, further: Iterable[APIRouter], version: str, **state: Any) -> ASGIApp:
    """The ASGI application. `further` are complete routers, with their prefix; `state` is what routes find in
    `app.state`: `sight`, `stop_line`, `studio`, `reception`, `site`.
    """
    app = FastAPI(
        title="StimFleet",
        version=version,
        description=_DESCRIPTION,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        responses=_ALWAYS,
        generate_unique_id_function=_operation_id,
    )
    for name, value in {"settings": settings, **state}.items():
        setattr(app.state, name, value)
    answer_plainly(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    for router in further:
        app.include_router(router)
    app.router.routes.append(page_route(page_files()))
    return Bounds(app, settings.host_names, secure=settings.secure)


def _operation_id(route: APIRoute) -> str:
    return route.name
