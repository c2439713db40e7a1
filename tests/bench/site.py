"""A fresh site for the bench: its papers, a real Mosquitto over TLS, the real `stimfleet fleet`.

Everything is the product's own but one thing: the ACL that Mosquitto obeys has a section more, which the bench writes
after the product's text and only here. With it one identity, `bench`, may speak and listen for every device.
"""

import os
import signal
import ssl
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broker.contract.topics import DOWNLINKS, ROOT, UPLINKS, Channel, topic_for
from broker.mosquitto.configuration import ACL, broker_folder
from broker.mosquitto.local import LocalMosquitto
from broker.pki import certificates as certs
from broker.pki import keys
from broker.pki.devices import provision_operator
from broker.pki.durable import write_secret
from broker.pki.folder import authority_of
from broker.pki.registry import Device
from broker.pki.registry_file import save_registry
from broker.pki.site import provision_site
from broker.wire.mac import LinkKeys, device_link
from broker.wire.sealed import Packet
from demo.processes import Process, await_that
from fleet.adapters.control.client import FleetUnreachable, ask
from tests.bench.device import MODEL
from tests.bench.wire import ERROR_CODES_FROM, PUBACK, Wire, frame_of

SITE = "north"
BENCH = "bench"  # the identity that may do everything that the devices may
OPERATOR = "anna"
DEVICES_A_ROOM = 10
UP_WITHIN_S = 60.0
# A usual local plan, well inside every limit (domain.md).
PLAN = {
    "modality": "nmes",
    "body_site": "thigh",
    "electrode_area_cm2": 80.0,
    "frequency_hz": 50.0,
    "pulse_width_us": 300.0,
    "setting_ma_max": 60.0,
    "duration_s": 1_500.0,
    "on_s": 6.0,
    "off_s": 12.0,
    "ramp_up_s": 1.0,
    "ramp_down_s": 1.0,
}
# What the bench listens to for everybody. Stops it does not: they are measured on the device's own connection.
HEARD = tuple(row for row in DOWNLINKS if row.channel is not Channel.STOP)


def bench_rights(site: str) -> str:
    """The section of the ACL that only the bench's own site has."""
    may = [f"topic write {ROOT}/{site}/+/{row.channel}" for row in UPLINKS]
    may += [f"topic read {ROOT}/{site}/+/{row.channel}" for row in HEARD]
    return "\n".join((f"\nuser {BENCH}", *may, ""))


class Site:
    """Folder, broker and fleet, ended with the context. `names` are the devices' ids."""

    def __init__(self, folder: Path, devices: int) -> None:
        self.folder = folder
        self.site_dir = folder / "site"
        self.data_dir = folder / "fleet"
        self.names = tuple(f"stim-{n:04d}" for n in range(devices))
        self._keys: dict[str, keys.PrivateKey] = {}
        began_s = time.monotonic()
        self._provision()
        self.provisioned_s = time.monotonic() - began_s
        self.mosquitto = LocalMosquitto(self.site_dir)
        self.fleet: Process

    def room(self, n: int) -> str:
        return f"room-{n // DEVICES_A_ROOM + 1}"

    def _provision(self) -> None:
        """One write of the registry for all of them: a command for each device writes it a thousand times."""
        now = datetime.now(UTC)
        self.folder.mkdir(parents=True, exist_ok=True)
        registry = provision_site(self.site_dir, self.folder / "ca", SITE, now=now)
        self._authority = authority_of(self.folder / "ca", SITE)
        until = (now + timedelta(days=365)).date()
        devices = {}
        for n, name in enumerate(self.names):
            self._keys[name] = keys.new_key()
            point = keys.point_hex(self._keys[name].public_key())
            devices[name] = Device(name, self.room(n), f"SN-{n:04d}", MODEL, (point,), until)
        save_registry(self.site_dir, replace(registry, devices=devices))
        provision_operator(self.site_dir, OPERATOR, {MODEL: until})

    def links(self, names: Sequence[str]) -> dict[str, LinkKeys]:
        """The MAC keys of devices, as the devices derive them."""
        site_public = keys.public_from_pem((self.site_dir / "site.pub").read_bytes())
        return {name: device_link(self._keys[name], site_public, SITE, name) for name in names}

    def connect(self, identity: str) -> Wire:
        """A connection as the bench, or as a device with a certificate of its own."""
        folder = self.folder / "certificates"
        folder.mkdir(exist_ok=True)
        certificate, secret = folder / f"{identity}.crt", folder / f"{identity}.key"
        if not certificate.exists():
            key = self._keys.get(identity) or keys.new_key()
            issued = certs.issue(self._authority, identity, key.public_key(), certs.Use.CLIENT, datetime.now(UTC))
            write_secret(secret, keys.key_pem(key))
            certificate.write_bytes(certs.certificate_pem(issued))
        context = ssl.create_default_context(cafile=str(self.site_dir / "ca.crt"))
        context.load_cert_chain(certificate, secret)
        return Wire(self.mosquitto.host, self.mosquitto.port, identity, context)

    def __enter__(self) -> Self:
        self.mosquitto.start()
        try:
            self._grant_bench()
            self.fleet = Process("fleet", self._fleet_command(), self.folder / "fleet.log")
            self.fleet.start()
            await_that("the fleet service is connected", self._fleet_answers, UP_WITHIN_S, self.fleet.last_words)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if hasattr(self, "fleet"):
            self.ended = self.fleet.end()
        self.mosquitto.stop()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the fleet at its control socket."""
        return ask(self.data_dir / "control.sock", request)

    def request_session(self, device: str, room: str, client: str) -> dict[str, Any]:
        return self.ask(
            op="session_request",
            client=client,
            device=device,
            room=room,
            operator=OPERATOR,
            plan=PLAN,
            screening={"rule_set": "ems-2026-1", "at_wall_s": time.time(), "findings": []},
        )

    @property
    def worker(self) -> int:
        """The pid of the supervisor's child."""
        pid = self.fleet.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _fleet_command(self) -> list[str]:
        port = self.mosquitto.port
        site = [f"--site-dir={self.site_dir}", f"--data-dir={self.data_dir}", f"--broker-port={port}"]
        return ["fleet", *site, "--http-port=0"]  # others may run here on the usual port

    def _fleet_answers(self) -> bool:
        try:
            return bool(self.ask(op="status")["connected"])
        except FleetUnreachable:
            return False

    def _grant_bench(self) -> None:
        """The product has written its ACL and Mosquitto has read it: now add our section, and have it read again."""
        acl = broker_folder(self.site_dir) / ACL
        with acl.open("a") as file:
            file.write(bench_rights(SITE))
        os.kill(self.mosquitto.pid, signal.SIGHUP)
        wire = self.connect(BENCH)
        try:
            await_that("the broker lets the bench speak", lambda: _may_publish(wire, self.names[0]), UP_WITHIN_S)
        finally:
            wire.close()


def _may_publish(wire: Wire, device: str) -> bool:
    """Whether the broker takes something for a device. An empty presence says nothing to anybody."""
    asked = Packet(topic_for(SITE, device, Channel.PRESENCE), b"", 1, False, None, ())
    answer = wire.answer_to(frame_of(asked, packet_id=1), PUBACK)
    return len(answer.body) < 3 or answer.body[2] < ERROR_CODES_FROM
