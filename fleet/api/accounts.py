"""Users, machines' tokens, the audit: for admins."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from fleet.api.access import Permission, Role, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.guard import require
from fleet.api.passwords import one_time_password, weakness
from fleet.api.people import (
    NAME_PATTERN,
    USER_PATTERN,
    NotKept,
    Token,
    Told,
    Unusable,
    User,
    fingerprint,
    new_token,
)
from fleet.api.sign_in import Body, Site, TypedPassword, address_of, not_now, reception, settled
from fleet.api.store import Store

router = APIRouter(prefix="/api/v1", tags=["users, tokens, audit"])
T = TypeVar("T")
DAY_S: Final = 86_400.0
DAYS_MAX: Final = 3_660
ROWS_MAX: Final = 1_000
MISSING: Final = frozenset({"unknown_user", "unknown_token"})

UserId = Annotated[str, Field(pattern=f"^{USER_PATTERN}$")]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
TokenId = Annotated[str, Path(pattern="^[0-9a-f]{8}$")]
# JSON has no enumerations: here, and only here, a word may become one.
AnyRole = Annotated[Role, Field(strict=False)]


class UserRow(BaseModel):
    """A user as admins see them. `password_at`: when it was set."""

    user: str
    name: str
    role: Role
    operator: str | None
    disabled: bool
    must_change: bool
    password_at: str


class UserRows(BaseModel):
    users: list[UserRow]


class UserSet(UserRow):
    """And the password that was made for them, shown this once."""

    one_time_password: str | None = None


class NewUser(Body):
    """Without a password one is made. Either way they choose one of their own at the first sign-in."""

    user: UserId
    name: Name
    role: AnyRole
    operator: UserId | None = None
    password: TypedPassword | None = None


class UserChange(Body):
    """What is not named stays, and what is null, but that `operator` null takes it away. `password`, or `generate` to
    have one made: they choose their own when they sign in.
    """

    name: Name | None = None
    role: AnyRole | None = None
    operator: UserId | None = None
    disabled: bool | None = None
    password: TypedPassword | None = None
    generate: bool = False


class TokenRow(BaseModel):
    token: str
    name: str
    role: Role
    created_by: str
    created_at: str
    ends_at: str | None
    used_at: str | None


class TokenRows(BaseModel):
    tokens: list[TokenRow]


class NewToken(Body):
    """For `days`; null: until it is revoked."""

    name: Name
    role: Literal["viewer", "therapist", "on-call", "manager"]  # access.TOKEN_ROLES
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] | None = 365


class TokenMade(TokenRow):
    """`value` is what the machine sends, shown this once."""

    value: str


class AuditRow(BaseModel):
    position: int
    at: str
    who: str
    address: str
    what: str
    subject: str
    outcome: str


class AuditRows(BaseModel):
    rows: list[AuditRow]


# --- users ---


@router.get("/users", responses=problems())
async def users(request: Request, _who: Annotated[SignedIn, require(Permission.USERS)]) -> UserRows:
    """Everybody who may sign in, and who no longer may."""
    return UserRows(users=[UserRow(**_user_row(user)) for user in reception(request).users()])


@router.post("/users", status_code=201, responses=problems(409, 503))
async def add_user(request: Request, body: NewUser, who: Annotated[SignedIn, require(Permission.USERS)]) -> UserSet:
    """Add somebody."""
    await _check_operator(request, body.operator)
    password, made = _chosen(body.password, body.user, body.name)
    now_wall_s = reception(request).now_wall_s()
    user = User(
        id=body.user,
        name=body.name,
        role=body.role,
        operator=body.operator,
        hash=await reception(request).hash(password),
        password_wall_s=now_wall_s,
        must_change=True,
    )
    told = Told(now_wall_s, who.user, address_of(request), "add user", f"{user.id} as {user.role}")
    await _change(request, lambda store: store.add_user(user, told))
    return UserSet(**_user_row(user), one_time_password=made)


@router.patch("/users/{user}", responses=problems(404, 409, 503))
async def change_user(
    request: Request,
    user: Annotated[str, Path(pattern=f"^{USER_PATTERN}$")],
    body: UserChange,
    who: Annotated[SignedIn, require(Permission.USERS)],
) -> UserSet:
    """Change somebody. Their sessions end where role, operator, password or access change."""
    changes: dict[str, Any] = body.model_dump(include={"name", "role", "disabled"}, exclude_none=True)
    if "operator" in body.model_fields_set:
        await _check_operator(request, body.operator)
        changes["operator"] = body.operator
    made = None
    if body.password is not None or body.generate:
        if user == who.user:
            raise Declined(
                409, "own_password", "Your own password is changed with the present one, under /me/password."
            )
        if body.generate and body.password is not None:
            raise Declined(409, "two_passwords", "Either a password, or one that is made.")
        known = next((one for one in reception(request).users() if one.id == user), None)
        password, made = _chosen(body.password, user, known.name if known else "")
        changes |= {"hash": await reception(request).hash(password), "must_change": True}
        changes["password_wall_s"] = reception(request).now_wall_s()
    named = sorted(("password" if name == "hash" else name) for name in changes if name[:4] not in {"must", "pass"})
    told = Told(
        reception(request).now_wall_s(), who.user, address_of(request), "change user", f"{user}: {', '.join(named)}"
    )
    changed = await _change(request, lambda store: store.change_user(user, told, **changes))
    return UserSet(**_user_row(changed), one_time_password=made)


# --- tokens ---


@router.get("/tokens", responses=problems())
async def tokens(request: Request, _who: Annotated[SignedIn, require(Permission.TOKENS)]) -> TokenRows:
    """The machines that may come in."""
    return TokenRows(tokens=[TokenRow(**_token_row(token)) for token in reception(request).tokens()])


@router.post("/tokens", status_code=201, responses=problems(409, 503))
async def add_token(
    request: Request, body: NewToken, who: Annotated[SignedIn, require(Permission.TOKENS)]
) -> TokenMade:
    """Let a machine in. An admin's role is for people."""
    id_, value = new_token()
    now_wall_s = reception(request).now_wall_s()
    ends_wall_s = None if body.days is None else now_wall_s + body.days * DAY_S
    token = Token(id_, fingerprint(value), body.name, Role(body.role), who.user, now_wall_s, ends_wall_s)
    told = Told(now_wall_s, who.user, address_of(request), "add token", f"{id_} {token.name} as {token.role}")
    await _change(request, lambda store: store.add_token(token, told))
    return TokenMade(**_token_row(token), value=value)


@router.delete("/tokens/{token}", status_code=204, responses=problems(404, 503))
async def revoke_token(request: Request, token: TokenId, who: Annotated[SignedIn, require(Permission.TOKENS)]) -> None:
    """End a token, for good."""
    told = Told(reception(request).now_wall_s(), who.user, address_of(request), "revoke token", token)
    await _change(request, lambda store: store.revoke_token(token, told))


# --- the audit ---


@router.get("/audit", responses=problems(503))
async def audit(
    request: Request,
    _who: Annotated[SignedIn, require(Permission.AUDIT)],
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> AuditRows:
    """Who did what, newest first; `before` a position, for the page that follows."""
    try:
        rows = await reception(request).read(lambda store: store.audit(limit, before))
    except Unusable as unusable:
        raise not_now(unusable) from unusable
    return AuditRows(
        rows=[
            AuditRow(
                position=position,
                at=utc(told.at_wall_s),
                who=told.who,
                address=told.address,
                what=told.what,
                subject=told.subject,
                outcome=told.outcome,
            )
            for position, told in rows
        ]
    )


def utc(wall_s: float) -> str:
    """A wall time as the API says it."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _user_row(user: User) -> dict[str, Any]:
    return {
        "user": user.id,
        "name": user.name,
        "role": user.role,
        "operator": user.operator,
        "disabled": user.disabled,
        "must_change": user.must_change,
        "password_at": utc(user.password_wall_s),
    }


def _token_row(token: Token) -> dict[str, Any]:
    return {
        "token": token.id,
        "name": token.name,
        "role": token.role,
        "created_by": token.created_by,
        "created_at": utc(token.created_wall_s),
        "ends_at": None if token.ends_wall_s is None else utc(token.ends_wall_s),
        "used_at": None if token.used_wall_s is None else utc(token.used_wall_s),
    }


def _chosen(password: str | None, user: str, name: str) -> tuple[str, str | None]:
    """The password to set, and the one that was made where none was chosen."""
    if password is None:
        made = one_time_password()
        return made, made
    if (why := weakness(password, user, name)) is not None:
        raise Declined(409, "weak_password", why)
    return password, None


async def _check_operator(request: Request, operator: str | None) -> None:
    site: Site = request.app.state.site
    if operator is not None and operator not in await asyncio.to_thread(site.operators):
        raise Declined(409, "unknown_operator", f"The site's registry has no operator {operator}.")


async def _change(request: Request, change: Callable[[Store], T]) -> T:
    """Change the store; its transaction has the row in the audit."""
    try:
        done = await reception(request).write(change)
    except NotKept as refused:
        raise Declined(404 if refused.error in MISSING else 409, refused.error, str(refused)) from refused
    except Unusable as unusable:
        raise not_now(unusable) from unusable
    settled(request)
    return done
