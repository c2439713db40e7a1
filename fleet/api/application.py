"""The application: every route under `/api/v1`, and the page's files at `/`."""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from fleet.api import accounts, alarm_figures, house, rota, seeing, sessions, sign_in, stopping, stream, traces, weeks
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Problem, answer_plainly, described, problems
from fleet.api.files import page_files, page_route
from fleet.api.guard import require
from fleet.api.reception import Reception
from fleet.api.roles import check
from fleet.api.settings import WebSettings
from fleet.api.shield import Shield

PREFIX = "/api/v1"
# In the order in which a path is looked for: what is fixed before what has a name in it.
ROUTERS: tuple[APIRouter, ...] = (
    seeing.router,
    sessions.router,
    traces.router,
    weeks.router,
    stopping.router,
    house.router,
    alarm_figures.router,
    rota.router,
    stream.router,
)
WITH_PREFIX: tuple[APIRouter, ...] = (sign_in.router, accounts.router)
_DESCRIPTION = """Devices, sessions, stops and alarms of one clinic.

Who is signed in by cookie sends `X-CSRF-Token` (from `/me`) with everything but GET; a machine sends a token. Errors
are `{"error": "<word>", "text": "<one sentence for people>"}`. Times are UTC, to the millisecond; days the clinic's.

A pushed stop does not replace the stop button on the stimulator.
"""
# Of every route, whatever it does.
_ALWAYS: dict[int | str, dict[str, Any]] = {
    400: described("the request is not HTTP as it should be, or names a foreign host"),
    408: described("the request's body did not come in time"),
    500: described("a fault of ours; the log of the web process says which"),
}


def application(version: str, **state: Any) -> FastAPI:
    """Every route. `state` is what they find in `app.state`: `settings`, `sight`, `stop_line`, `studio`, `reception`,
    `site`.
    """
    app = FastAPI(
        title="StimFleet",
        version=version,
        description=_DESCRIPTION,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # below, for who is signed in
        responses=_ALWAYS,
        generate_unique_id_function=_operation_id,
    )
    for name, value in state.items():
        setattr(app.state, name, value)
    answer_plainly(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    for router in WITH_PREFIX:
        app.include_router(router)

    with_model = {status: {**one, "model": Problem} for status, one in problems().items()}  # what all others refer to

    @app.get(f"{PREFIX}/openapi.json", tags=["about"], responses=with_model)
    async def describe(_who: Annotated[SignedIn, require(Permission.OWN_ACCOUNT)]) -> dict[str, Any]:
        """This description."""
        return app.openapi()

    check(app)
    app.router.routes.append(page_route(page_files()))
    return app


def shielded(app: FastAPI, settings: WebSettings, reception: Reception) -> Shield:
    """The application as it is served."""
    return Shield(app, hosts=settings.host_names, reception=reception)


def _operation_id(route: APIRoute) -> str:
    return route.name
