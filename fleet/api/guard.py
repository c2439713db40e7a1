"""The guard at every route: who is it, does the request come from our own page, may they.

    @router.post("/stops", responses=problems(409))
    async def stop(body: StopBody, who: Annotated[SignedIn, require(Permission.STOP)]) -> Ordered: ...

Nothing here waits: who somebody is, is a look into memory (`fleet.api.reception`), whatever else goes on.

- A cookie is a person's browser. With anything but GET and HEAD the request carries `X-CSRF-Token` (from `/me`) and
  comes from our own page: `Origin` or `Sec-Fetch-Site` says so, at least one of them is there.
- `Authorization: Bearer sf_...` is a machine's token. No browser adds it by itself: it needs neither.
"""

import hashlib
import hmac
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from fleet.api.access import How, Permission, SignedIn
from fleet.api.answers import Declined

COOKIE: Final = "stimfleet"
COOKIE_OVER_TLS: Final = f"__Host-{COOKIE}"  # a browser takes it from this very host only, and over TLS only
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS: Final = frozenset({None, 80, 443})

# For the OpenAPI document; the guard itself reads the request.
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description=f"a session; over TLS it is named {COOKIE_OVER_TLS}")
_bearer = HTTPBearer(auto_error=False, description="a token for machines, from POST /tokens")


class Known(Protocol):
    """What the guard needs to know: `app.state.reception`, see `fleet.api.reception`. None of it waits."""

    @property
    def over_tls(self) -> bool:
        """Whether browsers reach us over TLS."""
        ...

    def by_cookie(self, value: str) -> SignedIn | None: ...

    def is_followed(self, value: str) -> bool: ...

    def by_token(self, value: str) -> SignedIn | None: ...


class Guard:
    """The dependency that lets pass who has `permission`, and nobody else."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self,
        request: Request,
        _by_cookie: Annotated[str | None, Depends(_cookie)],
        _by_token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> SignedIn:
        """Who asks.

        Raises:
            Declined: 401 nobody is signed in; 403 not from our page, or they may not.
        """
        who = _who(request)
        request.state.signed_in = who
        if (connection := getattr(request.state, "connection", None)) is not None:
            connection.known_as(who.user, who.key)  # `fleet.api.serving` keeps it open when strangers crowd in
        if self.permission not in who.may:
            if who.must_change:
                raise Declined(403, "password_must_change", "Choose a password of your own first.")
            raise Declined(403, "forbidden", f"As {who.role} you may not do this.")
        return who


def require(permission: Permission) -> Any:
    """The route's dependency: lets pass who has `permission`, and is their `SignedIn`."""
    return Depends(Guard(permission))


def cookie_of(connection: HTTPConnection) -> str | None:
    """The session's cookie, as it came."""
    over_tls = _known(connection).over_tls
    return connection.cookies.get(COOKIE_OVER_TLS if over_tls else COOKIE)


def csrf_token(cookie: str) -> str:
    """What a page that may read `/me` sends along: no other page knows it, and the cookie does not follow from it."""
    return hashlib.sha256(b"csrf\0" + cookie.encode()).hexdigest()


def check_own_page(request: Request) -> None:
    """Whether a browser says that our own page sends this.

    Raises:
        Declined: 403: it says another one does, or nothing at all with a method that changes something.
    """
    fetched_by = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if request.method in SAFE_METHODS:
        own = fetched_by in {None, "same-origin", "none"}
    else:
        own = (fetched_by or origin) is not None and fetched_by in {None, "same-origin"}
        own = own and (origin is None or _same_place(origin, f"//{request.headers.get('host', '')}"))
    if not own:
        raise Declined(403, "foreign_page", "This request does not come from the fleet's own page.")


def _known(connection: HTTPConnection) -> Known:
    known: Known = connection.app.state.reception
    return known


def _who(request: Request) -> SignedIn:
    authorization = request.headers.get("authorization")
    if authorization is not None:  # a token that is not good any more is not made up for by a cookie
        scheme, _, token = authorization.partition(" ")
        who = _known(request).by_token(token.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            raise _not_signed_in("This token is not known, or not any more.")
        return who
    cookie = cookie_of(request)
    who = None if cookie is None else _known(request).by_cookie(cookie)
    if cookie is None or who is None:
        if cookie is not None and _known(request).is_followed(cookie):
            raise _not_signed_in("Somebody is signing in in this browser: ask again in a moment.", "signing_in")
        raise _not_signed_in("Sign in first.")
    assert who.how is How.COOKIE
    check_own_page(request)
    if request.method not in SAFE_METHODS:
        sent = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), csrf_token(cookie).encode()):
            raise Declined(403, "csrf", f"{CSRF_HEADER} is missing or wrong: load the page again.")
    return who


def _not_signed_in(text: str, word: str = "not_signed_in") -> Declined:
    return Declined(401, word, text, headers={"WWW-Authenticate": "Bearer"})


def _same_place(origin: str, ours: str) -> bool:
    """Whether both name one host and port. The scheme decides nothing: a proxy that ends TLS speaks plainly to us."""
    try:
        theirs, own = urlsplit(origin), urlsplit(ours)
        ports = {theirs.port, own.port}
    except ValueError:  # a port that is none
        return False
    return bool(own.hostname) and theirs.hostname == own.hostname and (len(ports) == 1 or ports <= DEFAULT_PORTS)
