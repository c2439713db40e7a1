"""A clinic with its web server: real broker, fleet, simulated stimulators, `stimfleet web`, a user of each role."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from broker.pki.devices import provision_operator
from broker.ports import free_port
from demo.clinic import OPERATOR, Clinic, Refused
from demo.processes import Process, await_that
from fleet.api.access import Role
from fleet.api.people import Told, User
from fleet.api.store import FILE_NAME, Store
from tests.api.desk import CHEAP
from tests.api.live.house import Browser

PASSWORD: Final = "quiet-current-42-rooms"
USERS: Final = {
    "anna.k": "therapist",
    "mira": "manager",
    "oskar": "on-call",
    "otto": "on-call",
    "vera": "viewer",
    "ada": "admin",
}
DEVICES: Final = {"stim-01": "room-1", "stim-02": "room-1", "stim-03": "room-2", "stim-04": "room-3"}
UP_WITHIN_S: Final = 20.0


@dataclass
class House:
    """What tests need: the clinic, and where its page is."""

    folder: Path
    clinic: Clinic = field(init=False)
    web: Process = field(init=False)
    clients: int = 0
    signed_in: dict[str, Any] = field(default_factory=dict)  # user to cookie

    def __post_init__(self) -> None:
        # All agents in one process: here it is the page that is looked at.
        self.clinic = Clinic(self.folder, DEVICES, port=free_port(), alone=())
        where = [f"--site-dir={self.clinic.site_dir}", f"--data-dir={self.clinic.fleet_dir}"]
        self.web = Process("web", ["web", *where, "--port=0"], self.folder / "logs" / "web.log")

    def __enter__(self) -> Self:
        self.clinic.provision()
        provision_operator(self.clinic.site_dir, "clara.m", {}, clinician=True)
        self.clinic.open()
        self._add_users()
        self.web.start()
        await_that("the web server says where it is", self._said_port, UP_WITHIN_S, self.web.last_words)
        self._await_fresh()
        return self

    def _await_fresh(self) -> None:
        """Until the web server, too, has heard every device: one that is idle speaks every 5 s."""
        viewer = Browser(self.url.rstrip("/"), "vera", PASSWORD)

        def heard() -> bool:
            rooms = viewer.get("/overview")["rooms"]
            return {row["device"] for room in rooms for row in room["devices"] if row["presence"] == "fresh"} == set(
                DEVICES
            )

        await_that("the web server has heard every device", heard, UP_WITHIN_S, self.web.last_words)
        viewer.client.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = self.web.end()
        complaints = [*([ended] if ended else []), *self.clinic.close()]
        self.clinic.__exit__(kind, error, trace)
        assert not complaints, complaints

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._said_port()}/"

    def client(self) -> str:
        """A client who was never here."""
        self.clients += 1
        return f"client-{self.clients:04d}"

    def insist(self, device: str, button: str, step_ma: float | None = None) -> None:
        """Press at the device's panel until it takes it, as a person does."""
        await_that(f"{device} takes {button}", partial(self._press, device, button, step_ma), UP_WITHIN_S)

    def _press(self, device: str, button: str, step_ma: float | None = None) -> bool:
        """Whether the device took it."""
        try:
            self.clinic.press(device, button, step_ma)
        except Refused:
            return False
        return True

    def treat(self, device: str, to_ma: int = 8) -> str:
        """A session that runs; its id. Asked for at the fleet, where it is not what the test is about."""

        def asked() -> str | None:
            answer = self.clinic.request(device, client=self.client(), on_s=600.0, off_s=0.0)
            waits = [refusal["rule"] for refusal in answer.get("refusals", ())] == ["device_in_session"]
            assert answer["ok"] or waits, answer
            return str(answer["session_id"]) if answer["ok"] else None

        session = await_that(f"a session at {device}", asked, UP_WITHIN_S)
        self.clinic.await_phase(device, "authorised")
        self.start(device, to_ma)
        return session

    def start(self, device: str, to_ma: int = 8) -> None:
        """What the therapist does at the device."""
        self.insist(device, "arm")
        self.insist(device, "start")
        for _ in range(to_ma // 2):
            self.insist(device, "raise", 2.0)

    def release(self, device: str) -> None:
        """No hold: it may be reset, three seconds after its stop."""

        def released() -> bool:
            held = bool(self.clinic.device(device)["holds"])
            if held:
                self.clinic.ask(op="release", device=device, issued_by="mira")
            return not held

        await_that(f"{device} is released", released, UP_WITHIN_S)

    def tidy(self, *devices: str) -> None:
        """No session, no hold, no latch, of these or of all: also where a stop reaches a device only now."""
        for device in devices or DEVICES:
            await_that(f"{device} is idle, released and reset", partial(self._is_tidy, device), UP_WITHIN_S)

    def _is_tidy(self, device: str) -> bool:
        row = self.clinic.device(device)
        if row["phase"] in {"authorised", "armed", "running", "paused"}:
            self._press(device, "stop")
        elif row["holds"]:
            self.clinic.ask(op="release", device=device, issued_by="mira")
        elif row["latched"]:
            self._press(device, "reset")
        return row["presence"] == "fresh" and row["phase"] == "idle" and not row["holds"] and not row["latched"]

    def usage(self, by: str) -> dict[str, Any]:
        """What the journal comes to by its keys, counted anew by the command line."""
        command = ["usage", f"--by={by}", "--json", f"--data-dir={self.clinic.fleet_dir}"]
        ran = subprocess.run([sys.executable, "-m", "stimfleet", *command], capture_output=True, check=True)
        rows: dict[str, Any] = json.loads(ran.stdout)["rows"]
        return rows

    def _add_users(self) -> None:
        """As `stimfleet user add` does, which has tests of its own, but six times in no time."""
        store = Store(self.clinic.fleet_dir / FILE_NAME)
        now_wall_s = time.time()
        for user, role in USERS.items():
            operator, name = (OPERATOR if user == OPERATOR else None), user.split(".", maxsplit=1)[0].title()
            kept = User(user, name, Role(role), operator, CHEAP.hash(PASSWORD), now_wall_s)
            store.add_user(kept, Told(now_wall_s, "command line", "", "add user", f"{user} as {role}"))
        store.close()

    def _said_port(self) -> int | None:
        said = re.search(r"the live page is at http://[^:]+:(\d+)", self.web.log.read_text(encoding="utf-8"))
        return int(said[1]) if said else None
