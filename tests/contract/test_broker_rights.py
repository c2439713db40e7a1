"""Who may write and read what, on a real Mosquitto. The tables below are contract.md's, written out by hand."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.mosquitto.local import LocalMosquitto
from broker.pki import certificates as certs
from broker.pki import keys
from broker.pki.devices import provision_device, strike_off
from broker.pki.folder import authority_of
from broker.pki.site import provision_site
from tests.contract.raw_mqtt import (
    ANSWER_S_MAX,
    CONNECTION_CLOSED,
    NOT_AUTHORISED,
    SESSION_TAKEN_OVER,
    Papers,
    RawClient,
    RefusedConnection,
)

NOW = datetime.now(UTC)
UPLINKS = ("birth", "presence", "telemetry", "event", "ack")
DOWNLINKS = ("lease", "authorisation", "cancel", "stop", "release", "settings", "receipt")
DEVICES = ("stim-1", "stim-2")
ALL_STOP = "stim/v1/north/all/stop"
ECHO = "stim/v1/north/fleet/echo"
NOBODYS = (
    "stim/v1/south/stim-1/telemetry",
    "stim/v1/north/stim-1/chat",
    "stim/v1/north/stim-1/stop/now",
    "stim/v1/north/stim-1",
    "stim/v1/north/fleet/stop/x",
    "stim/v2/north/stim-1/telemetry",
    "north/stim-1/telemetry",
    "/stim/v1/north/stim-1/telemetry",
)


def of(device: str, channels: tuple[str, ...]) -> set[str]:
    return {f"stim/v1/north/{device}/{channel}" for channel in channels}


EVERY_TOPIC = {topic for device in DEVICES for topic in of(device, UPLINKS + DOWNLINKS)} | {ALL_STOP, ECHO}
WRITES = {
    "stim-1": of("stim-1", UPLINKS),
    "stim-2": of("stim-2", UPLINKS),
    "fleet-intake": set[str](),
    "fleet-safety": of("stim-1", DOWNLINKS) | of("stim-2", DOWNLINKS) | {ALL_STOP, ECHO},
}
READS = {
    "stim-1": of("stim-1", DOWNLINKS) | {ALL_STOP},
    "stim-2": of("stim-2", DOWNLINKS) | {ALL_STOP},
    "fleet-intake": of("stim-1", UPLINKS) | of("stim-2", UPLINKS) | {ECHO},
    "fleet-safety": set[str](),
}


@dataclass(frozen=True, slots=True)
class Clinic:
    """A site with two devices and its broker."""

    root: Path
    mosquitto: LocalMosquitto

    @property
    def site_dir(self) -> Path:
        return self.root / "site"

    def papers(self, identity: str) -> Papers:
        if identity.startswith("fleet"):
            return Papers.of_service(self.site_dir, identity)
        return Papers.of_device(self.root / identity)

    def client(self, identity: str, client_id: str = "", will: tuple[str, bytes] | None = None) -> RawClient:
        return RawClient(self.mosquitto.port, self.papers(identity), client_id, will)

    def device(self, device: str) -> None:
        """Provision it and have the broker know it."""
        provision_device(
            self.site_dir,
            self.root / "ca",
            device,
            "room-1",
            f"serial-{device}",
            "generic",
            self.root / device,
            now=NOW,
        )


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    root = tmp_path_factory.mktemp("clinic")
    provision_site(root / "site", root / "ca", "north", now=NOW)
    clinic = Clinic(root, LocalMosquitto(root / "site"))
    for device in DEVICES:
        clinic.device(device)
    with clinic.mosquitto:
        yield clinic


@pytest.mark.parametrize("identity", WRITES)
def test_each_identity_may_write_its_own_channels_and_nothing_else(clinic: Clinic, identity: str) -> None:
    with clinic.client(identity) as client:
        allowed = {topic for topic in (*EVERY_TOPIC, *NOBODYS) if client.publish(topic) != NOT_AUTHORISED}
    assert allowed == WRITES[identity]


@pytest.mark.parametrize("topic_filter", ["#", "stim/v1/+/+/+", "$share/everyone/#", "$share/g/stim/v1/north/+/+"])
@pytest.mark.parametrize("identity", READS)
def test_a_wildcard_hears_no_more_than_its_identity_may_read(clinic: Clinic, identity: str, topic_filter: str) -> None:
    assert read_with([topic_filter], clinic, identity) == READS[identity]


@pytest.mark.parametrize("identity", READS)
def test_naming_each_topic_hears_no_more_either(clinic: Clinic, identity: str) -> None:
    assert read_with(sorted(EVERY_TOPIC), clinic, identity) == READS[identity]


def read_with(filters: list[str], clinic: Clinic, identity: str) -> set[str]:
    """What `identity` hears through `filters` while everybody writes everything that they may."""
    with ExitStack() as stack:
        writers = {other: stack.enter_context(clinic.client(other)) for other in WRITES if other != identity}
        reader = stack.enter_context(clinic.client(identity))
        writers[identity] = reader
        for topic_filter in filters:
            reader.subscribe(topic_filter)
        for other, topics in WRITES.items():
            for topic in topics:
                assert writers[other].publish(topic, b"once") != NOT_AUTHORISED
        if not READS[identity]:  # nobody can send it an end: its own round trip comes after whatever was on its way
            assert writers[identity].publish("nobody/reads/this") == NOT_AUTHORISED
            assert reader.heard.empty()
            return set()
        last = max(READS[identity])
        writer = next(other for other, topics in WRITES.items() if last in topics)
        writers[writer].publish(last, b"end")
        heard = [message.topic for message in reader.hears_until(b"end")]
        assert len(heard) == len(set(heard))
        return set(heard)


@pytest.mark.parametrize("identity", READS)
def test_the_brokers_own_figures_are_nobodys(clinic: Clinic, identity: str) -> None:
    with clinic.client(identity) as client:
        client.subscribe("$SYS/#")
        client.publish("nobody/reads/this")
        assert client.heard.empty()


def test_a_retained_message_is_read_by_whom_it_is_for(clinic: Clinic) -> None:
    hold = "stim/v1/north/stim-1/stop"
    with clinic.client("fleet-safety") as safety, clinic.client("stim-1") as device, clinic.client("stim-2") as other:
        safety.publish(hold, b"a hold", retain=True)
        other.subscribe("#")
        device.subscribe(hold)
        assert device.hears().retained
        other.publish("nobody/reads/this")
        assert other.heard.empty()
        safety.publish(hold, b"", retain=True)


# --- certificates ---------------------------------------------------------------------------------------------------


def refuses(port: int, papers: Papers) -> bool:
    """Whether the broker ends the connection before any MQTT. With TLS 1.3 the client learns it at its first read."""
    try:
        with RawClient(port, papers):
            return False
    except (ssl.SSLError, ConnectionError, RefusedConnection):
        return True


def written(folder: Path, name: str, key: keys.PrivateKey, certificate_pem: bytes) -> Papers:
    (folder / f"{name}.key").write_bytes(keys.key_pem(key))
    (folder / f"{name}.crt").write_bytes(certificate_pem)
    return Papers(folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")


def test_a_good_certificate_is_let_in(clinic: Clinic) -> None:
    assert not refuses(clinic.mosquitto.port, clinic.papers("stim-1"))


def test_no_certificate_no_connection(clinic: Clinic) -> None:
    assert refuses(clinic.mosquitto.port, Papers(clinic.site_dir / "ca.crt", None, None))


def test_a_certificate_that_signed_itself_is_refused(clinic: Clinic, tmp_path: Path) -> None:
    own = certs.new_authority("north", NOW)
    certificate = certs.issue(own, "fleet-safety", own.key.public_key(), certs.Use.CLIENT, NOW)
    (tmp_path / "ca.crt").write_bytes((clinic.site_dir / "ca.crt").read_bytes())
    assert refuses(clinic.mosquitto.port, written(tmp_path, "own", own.key, certs.certificate_pem(own.certificate)))
    assert refuses(clinic.mosquitto.port, written(tmp_path, "own-ca", own.key, certs.certificate_pem(certificate)))


@pytest.mark.parametrize(("age_days", "refused"), [(729, False), (731, True)])
def test_an_expired_certificate_is_refused(clinic: Clinic, tmp_path: Path, age_days: int, refused: bool) -> None:
    key = keys.new_key()
    authority = authority_of(clinic.root / "ca", "north")
    issued = certs.issue(authority, "stim-1", key.public_key(), certs.Use.CLIENT, NOW - timedelta(days=age_days))
    (tmp_path / "ca.crt").write_bytes((clinic.site_dir / "ca.crt").read_bytes())
    papers = written(tmp_path, "aged", key, certs.certificate_pem(issued))
    assert refuses(clinic.mosquitto.port, papers) is refused


def test_the_brokers_own_certificate_is_no_clients(clinic: Clinic) -> None:
    broker = clinic.site_dir / "broker"
    papers = Papers(clinic.site_dir / "ca.crt", broker / "server.crt", broker / "server.key")
    assert refuses(clinic.mosquitto.port, papers)


def test_tls_below_1_2_is_refused(clinic: Clinic) -> None:
    context = clinic.papers("stim-1").context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((clinic.mosquitto.host, clinic.mosquitto.port)) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw, server_hostname=clinic.mosquitto.host)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(clinic: Clinic, version: ssl.TLSVersion) -> None:
    context = clinic.papers("stim-1").context()
    context.minimum_version = context.maximum_version = version
    with RawClient(clinic.mosquitto.port, clinic.papers("stim-1"), context=context) as device:
        assert device.publish("stim/v1/north/stim-1/ack") != NOT_AUTHORISED


# --- client ids and wills -------------------------------------------------------------------------------------------


def test_a_client_id_other_than_the_certificates_gives_nothing_and_ousts_nobody(clinic: Clinic) -> None:
    with clinic.client("fleet-safety") as safety, clinic.client("stim-1", client_id="fleet-safety") as device:
        assert device.publish("stim/v1/north/stim-2/stop") == NOT_AUTHORISED
        assert safety.publish("stim/v1/north/stim-2/lease") != NOT_AUTHORISED
        assert safety.disconnected_by.empty()


def test_the_same_certificate_twice_is_one_session_whatever_id_it_says(clinic: Clinic) -> None:
    """Mosquitto says so from 2.0.15 on; 2.0.11 of Debian 12 closes the connection without a word."""
    with clinic.client("stim-1", client_id="one") as first, clinic.client("stim-1", client_id="two") as second:
        assert first.disconnected_by.get(timeout=5.0) in (SESSION_TAKEN_OVER, CONNECTION_CLOSED)
        assert second.publish("stim/v1/north/stim-1/ack") != NOT_AUTHORISED


def test_a_will_of_ones_own_is_sent_when_the_plug_is_pulled(clinic: Clinic) -> None:
    presence = "stim/v1/north/stim-1/presence"
    with clinic.client("fleet-intake") as intake, clinic.client("stim-1", will=(presence, b"offline")) as device:
        intake.subscribe("stim/v1/north/+/presence")
        device.cut()
        assert intake.hears().payload == b"offline"


@pytest.mark.parametrize("topic", ["stim/v1/north/stim-2/presence", "stim/v1/north/stim-2/stop", ALL_STOP, ECHO])
def test_a_will_on_a_foreign_topic_is_never_sent(clinic: Clinic, topic: str) -> None:
    with clinic.client("fleet-intake") as intake, clinic.client("stim-2") as other:
        intake.subscribe("#")
        other.subscribe("#")
        with clinic.client("stim-1", will=(topic, b"forged")) as device:
            device.cut()
            with clinic.client("stim-1") as again:  # the broker is done with the old connection
                again.publish("stim/v1/north/stim-1/ack", b"end")
        assert intake.hears_until(b"end") == []
        other.publish("nobody/reads/this")
        assert other.heard.empty()


def test_a_payload_of_8_kib_is_passed_on_and_half_a_kib_more_ends_the_connection(clinic: Clinic) -> None:
    telemetry = "stim/v1/north/stim-1/telemetry"
    with clinic.client("fleet-intake") as intake:
        intake.subscribe(telemetry)
        with clinic.client("stim-1") as device:
            device.publish(telemetry, b"x" * 8192)
            device.publish(telemetry, b"x" * 8704, qos=0)  # QoS 1 waits for an answer that never comes
            device.disconnected_by.get(timeout=ANSWER_S_MAX)
        with clinic.client("stim-1") as again:
            again.publish(telemetry, b"end")
        assert [len(message.payload) for message in intake.hears_until(b"end")] == [8192]


# --- striking off ---------------------------------------------------------------------------------------------------


def test_a_device_struck_off_loses_the_rights_of_its_live_connection_within_a_second(clinic: Clinic) -> None:
    clinic.device("stim-9")
    clinic.mosquitto.reload()
    ack, lease, presence = (f"stim/v1/north/stim-9/{channel}" for channel in ("ack", "lease", "presence"))
    with (
        clinic.client("fleet-safety") as safety,
        clinic.client("fleet-intake") as intake,
        clinic.client("stim-9", will=(presence, b"last words")) as device,
    ):
        device.subscribe(lease)
        intake.subscribe("#")
        assert device.publish(ack, b"before") != NOT_AUTHORISED
        safety.publish(lease, b"before")
        assert device.hears().payload == b"before"
        assert intake.hears().payload == b"before"

        began_s = time.monotonic()
        strike_off(clinic.site_dir, "stim-9")
        clinic.mosquitto.reload()
        while device.publish(ack, b"between") != NOT_AUTHORISED:
            assert time.monotonic() - began_s < 1.0
        assert time.monotonic() - began_s < 1.0

        # The write was refused, so the list is obeyed: what is sent from now on must not arrive.
        safety.publish(lease, b"after")
        assert device.publish(ack, b"after") == NOT_AUTHORISED
        assert device.heard.empty()

        device.cut()
        with clinic.client("stim-9") as back:  # its certificate is still the CA's; it may do nothing with it
            back.subscribe("#")
            assert back.publish(ack, b"again") == NOT_AUTHORISED
            safety.publish(lease, b"again")
            assert back.publish(presence, b"again") == NOT_AUTHORISED
            assert back.heard.empty()
        safety.publish(ECHO, b"end")
        assert {message.payload for message in intake.hears_until(b"end")} <= {b"between"}
