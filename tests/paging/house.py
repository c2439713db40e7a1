"""A clinic with people on call, the pager beside its fleet, and receivers for what it says."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broker.ports import free_port
from demo.clinic import Clinic, Refused
from demo.processes import Process, await_that
from fleet.adapters.journal.reading import JournalReader

KEY = "a-signing-key-of-the-clinic"
WITHIN_S = 20.0


def webhook(person: str) -> dict[str, Any]:
    return {"id": "phone", "kind": "webhook", "secret": f"{person}-phone"}


def rota(**people: dict[str, Any]) -> dict[str, Any]:
    """Everybody has one method, and stands on a rung of their own, in this order."""
    return {
        "people": [{"id": name, "name": name.title(), "methods": [method]} for name, method in people.items()],
        "rungs": {priority: [[name] for name in people] for priority in ("high", "medium")},
    }


@dataclass
class House:
    """`secrets` by name: what a file of the site's secrets holds."""

    folder: Path
    rota: dict[str, Any]
    secrets: Mapping[str, str]
    settings: str = "send_s = 1.0\n"
    devices: Mapping[str, str] = field(default_factory=lambda: {"stim-01": "room-4", "stim-02": "room-1"})
    clients: int = 0

    def __post_init__(self) -> None:
        self.clinic = Clinic(self.folder, self.devices, port=free_port(), alone=())
        where = [f"--site-dir={self.clinic.site_dir}", f"--data-dir={self.clinic.fleet_dir}"]
        # Without the niceness that it has in a clinic: here the clinics of other tests would all come before it.
        self.pager = Process("pager", ["pager", *where], self.folder / "logs" / "pager.log")

    def __enter__(self) -> Self:
        self.clinic.provision()
        site = self.clinic.site_dir
        (site / "secrets").mkdir(mode=0o700)
        for name, text in self.secrets.items():
            file = os.open(site / "secrets" / name, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(file, "w") as secret:
                secret.write(text)
        (site / "rota.json").write_text(json.dumps(self.rota))
        (site / "pager.toml").write_text(self.settings)
        try:
            self.clinic.open()
            self.start_pager()
        except BaseException:  # nobody ends what was begun, where it does not get that far
            self.pager.kill()
            self.clinic.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complaints = [self.pager.end(), *self.clinic.close()]
        self.clinic.__exit__(kind, error, trace)
        assert kind is not None or not any(complaints), complaints

    def start_pager(self) -> None:
        """Start it, and wait until it tells people."""
        before = self._told()
        self.pager.start()
        await_that("the pager tells people", lambda: self._told() > before, WITHIN_S, self.pager.last_words)

    def _told(self) -> int:
        log = self.pager.log
        return log.read_bytes().count(b"telling people") if log.exists() else 0

    def treat(self, device: str, to_ma: int = 8) -> str:
        """A session in which current flows; its id."""
        self.clients += 1

        def asked() -> str | None:
            answer = self.clinic.request(device, client=f"client-{self.clients:04d}", on_s=600.0, off_s=0.0)
            return str(answer["session_id"]) if answer["ok"] else None

        session = await_that(f"a session at {device}", asked, WITHIN_S)
        self.clinic.await_phase(device, "authorised")
        for button in ("arm", "start", *["raise"] * (to_ma // 2)):
            self._insist(device, button)
        await_that("current flows", lambda: float(self.clinic.truth(device)["true_ma"]) > to_ma / 2.0, WITHIN_S)
        return session

    def _insist(self, device: str, button: str) -> None:
        def press() -> bool:
            try:
                self.clinic.press(device, button, 2.0 if button == "raise" else None)
            except Refused:
                return False
            return True

        await_that(f"{device} takes {button}", press, WITHIN_S)

    def journaled(self, *names: str) -> list[dict[str, Any]]:
        """All events of these names, as they stand in the journal, with their name."""
        reader = JournalReader(self.clinic.fleet_dir / "journal.db")
        try:
            return [{**dict(told.body), "event": told.name} for told in reader.new("") if told.name in names]
        finally:
            reader.close()

    def everything_written(self) -> bytes:
        """All logs, and the journal as it lies on the disk."""
        files = [*(self.folder / "logs").glob("*.log"), *self.clinic.fleet_dir.glob("journal.db*")]
        return b"\n".join(file.read_bytes() for file in files)
