"""The API's front: the real store in a folder, the real reception, shield and routes, a browser and a machine at it.

Two clocks are not needed: everything here goes by the wall clock, which a test sets.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
from fastapi import FastAPI

from fleet.api import accounts, sign_in
from fleet.api.access import Permission, Role, SignedIn
from fleet.api.answers import answer_plainly, problems
from fleet.api.guard import require
from fleet.api.passwords import Passwords
from fleet.api.people import Token, Told, User, fingerprint, new_token
from fleet.api.reception import Reception
from fleet.api.shield import Shield
from fleet.api.store import FILE_NAME, Store
from fleet.api.strangers import SIGNED_IN, Allowance, Strangers

NOON_WALL_S = 1_795_608_000.0
PASSWORD = "seven brown cows on a hill"
HOST = "fleet.clinic.example"
ANY = Allowance(at_once=1e9, a_second=1e9)
CHEAP = Passwords(passes=1, memory_kib=8)  # the costs are no subject of most tests


@dataclass
class Wall:
    """The clock on the wall."""

    now_wall_s: float = NOON_WALL_S

    def __call__(self) -> float:
        return self.now_wall_s

    def after(self, seconds: float) -> None:
        self.now_wall_s += seconds


@dataclass
class Front:
    """One web process's front, on the store in `folder`."""

    folder: Path
    wall: Wall = field(default_factory=Wall)
    over_tls: bool = False
    passwords: Passwords = CHEAP
    strangers: Strangers = field(default_factory=lambda: Strangers(ANY, ANY))
    signed_in: Allowance = SIGNED_IN

    def __post_init__(self) -> None:
        self.store = Store(self.folder / FILE_NAME)
        self.reception = self.opened()
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        answer_plainly(self.app)
        self.app.include_router(sign_in.router)
        self.app.include_router(accounts.router)
        self.app.post("/api/v1/stops", status_code=202, responses=problems())(stop)
        self.app.state.reception = self.reception
        self.app.state.site = sign_in.Site("clinic", "Europe/Berlin", "en", True, lambda: {"anna.k"})
        self.whole = Shield(
            self.app,
            hosts={HOST, "127.0.0.1"},
            reception=self.reception,
            strangers=self.strangers,
            signed_in=self.signed_in,
        )

    def opened(self, **more: Any) -> Reception:
        return Reception(self.store, self.passwords, walltime=self.wall, over_tls=self.over_tls, **more)

    def user(self, user: str, role: Role, operator: str | None = None, **more: Any) -> User:
        """Somebody who has chosen their password."""
        added = User(user, user.title(), role, operator, self.passwords.hash(PASSWORD), self.wall(), **more)
        self.store.add_user(added, Told(self.wall(), "command line", "", "add user", user))
        self.copied()
        return added

    def token(self, role: Role, ends_wall_s: float | None = None) -> str:
        token, value = new_token()
        kept = Token(token, fingerprint(value), f"machine {token}", role, "anna", self.wall(), ends_wall_s)
        self.store.add_token(kept, Told(self.wall(), "anna", "", "add token", token))
        self.copied()
        return value

    def copied(self) -> None:
        """What `run` does four times a second."""
        self.reception._kept = self.store.kept()

    def audit(self) -> list[Told]:
        """All rows, oldest first."""
        return [told for _, told in reversed(self.store.audit(1_000))]

    def browser(self, address: str = "192.0.2.7") -> "Browser":
        return Browser(self, address)

    @asynccontextmanager
    async def machine(self, token: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self._client("192.0.2.200", {"authorization": f"Bearer {token}"}) as client:
            yield client

    def _client(self, address: str, headers: dict[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.whole, raise_app_exceptions=False, client=(address, 40_000))
        base_url = f"{'https' if self.over_tls else 'http'}://{HOST}"
        return httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)


class Stop(sign_in.Body):
    scope: str
    name: str


async def stop(_body: Stop, who: Annotated[SignedIn, require(Permission.STOP)]) -> dict[str, str]:
    return {"issued_by": who.user}


class Browser:
    """Does what a browser with our page does: keeps the cookie, says where a request comes from, sends the token."""

    def __init__(self, front: Front, address: str) -> None:
        self.client = front._client(address, {})
        self.csrf: str | None = None
        self.origin = str(self.client.base_url).rstrip("/")

    async def signs_in(self, user: str, password: str = PASSWORD) -> httpx.Response:
        answer = await self.client.post(
            "/api/v1/login", json={"user": user, "password": password}, headers={"origin": self.origin}
        )
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(f"/api/v1{path}")

    async def sends(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        said = {"origin": self.origin, "x-csrf-token": self.csrf or "", **headers}
        if body is None:
            return await self.client.request(method, f"/api/v1{path}", headers=said)
        return await self.client.request(method, f"/api/v1{path}", json=body, headers=said)

    async def stops(self, **headers: str) -> httpx.Response:
        return await self.sends("POST", "/stops", {"scope": "room", "name": "room-4"}, **headers)

    def has_the_cookie_of(self, other: "Browser") -> None:
        """As its other tabs have, and a thief."""
        self.client.cookies.set("stimfleet", other.cookie or "", domain=HOST)

    @property
    def cookie(self) -> str | None:
        return next((cookie.value for cookie in self.client.cookies.jar), None)


@asynccontextmanager
async def running(reception: Reception) -> AsyncIterator[None]:
    """The reception's own task, as the web process has it; at the end it has written what waited."""
    task = asyncio.get_running_loop().create_task(reception.run(), name="reception")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 # what is waited for is another thread's, or another process's
            await asyncio.sleep(0.01)  # between two looks
