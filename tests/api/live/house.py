"""A clinic with its web process, and people at browsers. One for all tests of this folder: it takes seconds to open."""

import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from broker.ports import free_port
from demo.clinic import Clinic
from demo.day import USUAL
from demo.people import RULE_SET
from demo.processes import Process, await_that
from fleet.adapters.journal.reading import JournalReader
from fleet.api.access import Role
from fleet.api.passwords import Passwords
from fleet.api.people import Token, Told, User, fingerprint, new_token
from fleet.api.store import FILE_NAME, Store
from tests.faults.conftest import Ward

CHEAP = Passwords(passes=1, memory_kib=8)  # the costs are no subject here
OPERATORS = {Role.THERAPIST: "anna.k", Role.MANAGER: "anna.k"}


@dataclass
class House:
    """The clinic, its web process, and who is signed in."""

    ward: Ward
    port: int = 0  # the web process chooses it, and keeps it when it is started again
    password: str = field(default_factory=lambda: secrets.token_hex(16))  # no other house's
    browsers: dict[Role, "Browser"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clinic = self.clinic
        where = [f"--site-dir={clinic.site_dir}", f"--data-dir={clinic.fleet_dir}"]
        log = clinic.folder / "logs" / "web.log"
        self.web = Process("web", lambda: ["web", *where, f"--port={self.port}"], log)

    @property
    def clinic(self) -> Clinic:
        return self.ward.clinic

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Start the web process and wait until everything that it shows is of now."""
        self._add_users()
        self.web.start()
        self.port = await_that("the web process says where it is", self._said_port, 20.0, self.web.last_words)
        await_that("the web process answers", self._answers, 20.0, self.web.last_words)
        self.await_fresh()

    def _add_users(self) -> None:
        for role in Role:
            self._add_user(f"{role}.one", role)

    def _add_user(self, user: str, role: Role) -> None:
        store = Store(self.clinic.fleet_dir / FILE_NAME)
        kept = User(user, role.title(), role, OPERATORS.get(role), CHEAP.hash(self.password), time.time())
        store.add_user(kept, Told(time.time(), "command line", "", "add user"))
        store.close()

    def _said_port(self) -> int | None:
        said = re.search(r"the live page is at http://127.0.0.1:(\d+)", log_of(self))
        return None if said is None else int(said[1])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v1/me").status_code == 401
        except httpx.TransportError:
            return False

    def token(self, role: Role) -> str:
        """A machine's token, as an admin would make one."""
        store = Store(self.clinic.fleet_dir / FILE_NAME)
        token, value = new_token()
        kept = Token(token, fingerprint(value), f"machine {token}", role, "admin.one", time.time(), None)
        store.add_token(kept, Told(time.time(), "admin.one", "", "add token", token))
        store.close()
        headers = {"Authorization": f"Bearer {value}"}
        await_that(
            "the token is known", lambda: httpx.get(f"{self.url}/api/v1/me", headers=headers).status_code == 200, 5.0
        )
        return value

    def browser(self, role: Role) -> "Browser":
        """Somebody of that role, signed in once for all tests."""
        if role not in self.browsers:
            self.browsers[role] = Browser(self.url, f"{role}.one", self.password)
        return self.browsers[role]

    @contextmanager
    def another(self, role: Role, user: str = "") -> Iterator["Browser"]:
        """A sign-in of its own, for a test that ends it."""
        browser = Browser(self.url, user or f"{role}.one", self.password)
        try:
            yield browser
        finally:
            browser.client.close()

    @contextmanager
    def somebody(self, role: Role) -> Iterator["Browser"]:
        """Somebody new of that role, for a test that may change who they are."""
        user = f"{role}.{secrets.token_hex(4)}"
        self._add_user(user, role)
        self.token(Role.VIEWER)  # awaited: whoever was written before it is known then, too
        with self.another(role, user) as browser:
            yield browser

    @property
    def viewer(self) -> "Browser":
        return self.browser(Role.VIEWER)

    @property
    def therapist(self) -> "Browser":
        return self.browser(Role.THERAPIST)

    @property
    def manager(self) -> "Browser":
        return self.browser(Role.MANAGER)

    def await_fresh(self) -> None:
        """Wait until what is shown is of now, and every device is fresh."""
        self.await_shown(lambda rows: all(row["presence"] == "fresh" for row in rows.values()))

    def await_shown(self, true_of: Callable[[dict[str, Any]], bool], within_s: float = 15.0) -> dict[str, Any]:
        """The devices' rows, once they are shown as of now and `true_of` them."""
        rows: dict[str, Any] = {}

        def shown() -> bool:
            said = self.viewer.get("/overview")
            rows.update({row["device"]: row for room in said["rooms"] for row in room["devices"]})
            return not said["fleet"]["stale"] and true_of(rows)

        await_that("the page shows it", shown, within_s, lambda: f"{rows} {self.web.last_words()}")
        return rows

    def await_stop(self, command_id: str, true_of: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """A stop as it is shown, once `true_of` it."""

        def shown() -> dict[str, Any] | None:
            answer = self.viewer.client.get(f"/stops/{command_id}")
            if answer.status_code == 404:  # not read along yet
                return None
            found: dict[str, Any] = answer.json()
            return found if true_of(found) else None

        return await_that(f"stop {command_id[:8]} as expected", shown, 10.0)

    def body(self, device: str, **changed: Any) -> dict[str, Any]:
        """What a therapist asks for."""
        screening = {"rule_set": RULE_SET, "at_wall_s": time.time(), "findings": [], "override_by": None}
        asked = {"client": "client-web", "device": device, "room": self.clinic.devices[device]}
        return {**asked, "plan": asdict(USUAL), "screening": screening, **changed}

    def journal(self) -> list[tuple[str, dict[str, Any]]]:
        """Every event so far, as it is on the disk."""
        reader = JournalReader(self.clinic.fleet_dir / "journal.db")
        try:
            return [(told.name, dict(told.body)) for told in reader.new()]
        finally:
            reader.close()


@contextmanager
def opened_house(folder: Path, devices: Mapping[str, str], *, alone: Collection[str] = ()) -> Iterator[House]:
    """A provisioned clinic in `folder` with its web process, open; in the end everything has gone cleanly."""
    clinic = Clinic(folder, devices, port=free_port(), seed=1, alone=alone)
    clinic.provision()
    with clinic:
        clinic.open()
        house = House(Ward(clinic))
        house.open()
        yield house
        for browser in house.browsers.values():
            browser.client.close()
        assert house.web.end() is None, "the web process ends cleanly"
        assert "Traceback" not in log_of(house), log_of(house)
        assert clinic.close() == [], "every process ends cleanly"


class Browser:
    """What a browser with our page does: keeps the cookie, says where a request comes from, sends the token."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.user = user
        self.client = httpx.Client(base_url=f"{url}/api/v1", headers={"Origin": url}, timeout=15.0)
        answer = self.client.post("/login", json={"user": user, "password": password})
        assert answer.status_code == 200, answer.text
        self.client.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def get(self, path: str) -> Any:
        """What is shown there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object = None) -> httpx.Response:
        return self.client.post(path, json=body) if body is not None else self.client.post(path)

    def stop(self, **said: str) -> list[dict[str, str]]:
        """Push a stop; the commands that went out."""
        answer = self.post("/stops", said)
        assert answer.status_code == 202, answer.text
        commands: list[dict[str, str]] = answer.json()["commands"]
        return commands


def said(answer: httpx.Response, status: int) -> Any:
    """What an answer says, which has this status."""
    assert answer.status_code == status, answer.text
    return json.loads(answer.text)


def log_of(house: House) -> str:
    return Path(house.web.log).read_text(encoding="utf-8")
