"""Signing in and out, who am I, my password.

`app.state` has `reception` (`fleet.api.reception`) and `site` (`Site`).
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from fleet.api.access import How, Permission, Role, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.guard import COOKIE, COOKIE_OVER_TLS, check_own_page, cookie_of, csrf_token, require
from fleet.api.models import Time
from fleet.api.passwords import CHARS_MAX, weakness
from fleet.api.people import NotKept, Unusable
from fleet.api.reception import Entered, Reception, TooOften, Wrong
from fleet.api.window import wall_words

router = APIRouter(prefix="/api/v1", tags=["signing in"])


@dataclass(frozen=True, slots=True)
class Site:
    """What every page has to know of where it is. `operators`: the ids that the site's registry has, as it is now."""

    site: str
    time_zone: str
    language: str
    simulated: bool
    operators: Callable[[], Collection[str]]


class Body(BaseModel):
    """What somebody sends: strictly what is named."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


# Longer than one may be: what is wrong is simply wrong, but nobody hashes a book.
TypedPassword = Annotated[str, Field(max_length=4 * CHARS_MAX)]


class Credentials(Body):
    user: Annotated[str, Field(max_length=64)]
    password: TypedPassword


class NewPassword(Body):
    password: TypedPassword  # the present one
    new: TypedPassword


class Me(BaseModel):
    """Who is signed in. `csrf` goes with every request that is no GET; a token has none."""

    user: str
    name: str
    role: Role
    csrf: str | None
    must_change: bool


class MeAndMine(Me):
    """And what they may do, and where."""

    operator: str | None
    may: list[Permission]
    site: str
    time_zone: str
    language: str
    simulated: bool
    ends_at: Annotated[Time | None, Field(description="of this session, whatever happens; null: a token")]


@router.post("/login", responses=problems(503))
async def login(request: Request, response: Response, body: Credentials) -> Me:
    """Sign in. Which of name and password was wrong is not said."""
    check_own_page(request)
    user = body.user.strip().lower()
    entered = await _usable(
        reception(request).sign_in(user, body.password, address_of(request), cookie_of(request)),
        "Name or password is wrong.",
    )
    return _enter(request, response, entered)


@router.post("/logout", status_code=204, responses=problems(503))
async def logout(
    request: Request, response: Response, who: Annotated[SignedIn, require(Permission.OWN_SESSION)]
) -> None:
    """End this session."""
    settled(request)
    try:
        await reception(request).sign_out(who, address_of(request))
    except Unusable as unusable:
        raise not_now(unusable) from unusable
    _set_cookie(request, response, "")


@router.get("/me", responses=problems())
async def me(request: Request, who: Annotated[SignedIn, require(Permission.OWN_ACCOUNT)]) -> MeAndMine:
    """Who is signed in, what they may do, and where."""
    cookie = cookie_of(request) if who.how is How.COOKIE else None
    site: Site = request.app.state.site
    ends_wall_s = reception(request).ends_wall_s(who)
    return MeAndMine(
        user=who.user,
        name=who.name,
        role=who.role,
        csrf=None if cookie is None else csrf_token(cookie),
        must_change=who.must_change,
        operator=who.operator,
        may=sorted(who.may),
        site=site.site,
        time_zone=site.time_zone,
        language=site.language,
        simulated=site.simulated,
        ends_at=None if ends_wall_s is None else wall_words(ends_wall_s),
    )


@router.post("/me/password", responses=problems(409, 503))
async def change_password(
    request: Request,
    response: Response,
    body: NewPassword,
    who: Annotated[SignedIn, require(Permission.OWN_SESSION)],
) -> Me:
    """Change my password. Every other session of mine ends, and this one goes on under a new cookie."""
    settled(request)
    if (why := weakness(body.new, who.user, who.name)) is not None:
        raise Declined(409, "weak_password", why)
    if body.new == body.password:
        raise Declined(409, "same_password", "Choose another password than the one before.")
    change = reception(request).change_own_password(who, body.password, body.new, address_of(request))
    entered = await _usable(change, "The present password is wrong.")
    return _enter(request, response, entered)


# --- what the other routers use -------------------------------------------------------------------------------------


def reception(request: Request) -> Reception:
    found: Reception = request.app.state.reception
    return found


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


def settled(request: Request) -> None:
    """The store's own transaction has the row in the audit: `fleet.api.shield` writes no second one."""
    request.state.audited = True


def not_now(unusable: Unusable) -> Declined:
    return Declined(503, "store_unusable", str(unusable))


async def _usable(attempt: Awaitable[Entered | Wrong | TooOften], wrong: str) -> Entered:
    try:
        match await attempt:
            case Entered() as entered:
                return entered
            case Wrong():
                raise Declined(401, "wrong", wrong)
            case TooOften(wait_s):
                headers = {"Retry-After": str(ceil(wait_s))}
                raise Declined(429, "too_often", f"Try again in {ceil(wait_s)} s.", headers=headers)
    except Unusable as unusable:
        raise not_now(unusable) from unusable
    except NotKept as refused:
        raise Declined(409, refused.error, str(refused)) from refused


def _enter(request: Request, response: Response, entered: Entered) -> Me:
    _set_cookie(request, response, entered.cookie)
    who = entered.who
    return Me(user=who.user, name=who.name, role=who.role, csrf=csrf_token(entered.cookie), must_change=who.must_change)


def _set_cookie(request: Request, response: Response, value: str) -> None:
    """Until the browser is closed, or the session ends; an empty value takes it away."""
    over_tls = reception(request).over_tls
    response.set_cookie(
        COOKIE_OVER_TLS if over_tls else COOKIE,
        value,
        max_age=None if value else 0,
        path="/",
        secure=over_tls,
        httponly=True,
        samesite="strict",
    )
