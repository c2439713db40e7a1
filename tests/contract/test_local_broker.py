"""The local runner: up in a moment, gone without a trace, and a hold that outlives a crash."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.mosquitto import local
from broker.mosquitto.acl import acl_text
from broker.mosquitto.local import LocalMosquitto, mosquitto_path
from broker.mosquitto.running import BrokerFailed, lone_broker, note_pid, reload_broker
from broker.pki.devices import provision_device, strike_off
from broker.pki.site import provision_site
from broker.ports import free_port
from demo.processes import await_that
from tests.contract.raw_mqtt import NOT_AUTHORISED, Papers, RawClient

NOW = datetime.now(UTC)
HOLD = "stim/v1/north/stim-1/stop"
ACK = "stim/v1/north/stim-1/ack"
SAVED_WITHIN_S = 10.0  # every two seconds, on a disk that others use too


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    site_dir = tmp_path / "site"
    provision_site(site_dir, tmp_path / "ca", "north", now=NOW)
    provision_device(site_dir, tmp_path / "ca", "stim-1", "room-1", "s1", "generic", tmp_path / "stim-1", now=NOW)
    return site_dir


@pytest.fixture
def other_site_dir(tmp_path: Path) -> Path:
    provision_site(tmp_path / "other", tmp_path / "other-ca", "south", now=NOW)
    return tmp_path / "other"


@pytest.fixture
def mosquitto(site_dir: Path) -> Iterator[LocalMosquitto]:
    with LocalMosquitto(site_dir) as mosquitto:
        yield mosquitto


def safety(mosquitto: LocalMosquitto) -> RawClient:
    return RawClient(mosquitto.port, Papers.of_service(mosquitto.site_dir, "fleet-safety"))


def device(mosquitto: LocalMosquitto) -> RawClient:
    return RawClient(mosquitto.port, Papers.of_device(mosquitto.site_dir.parent / "stim-1"))


def test_it_answers_when_it_has_started_and_is_gone_when_it_has_ended(site_dir: Path) -> None:
    with LocalMosquitto(site_dir) as mosquitto:
        pid = mosquitto.pid
        with device(mosquitto) as client:
            assert client.publish(ACK) != NOT_AUTHORISED
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError), device(mosquitto):
        pass


async def test_it_serves_an_async_with_too(site_dir: Path) -> None:
    async with LocalMosquitto(site_dir) as mosquitto:
        with device(mosquitto) as client:
            assert client.publish(ACK) != NOT_AUTHORISED


def test_the_setting_that_makes_mosquitto_2_0_21_end_connections_is_not_there(mosquitto: LocalMosquitto) -> None:
    """With `max_keepalive` one handshake in some hundred is cut off, and connections of any age now and then."""
    configuration = (mosquitto.log.parent / "mosquitto.conf").read_text()
    assert "set_tcp_nodelay true" in configuration
    assert "max_keepalive" not in configuration


def test_it_comes_back_on_its_port_after_a_crash(mosquitto: LocalMosquitto) -> None:
    port, pid = mosquitto.port, mosquitto.pid
    mosquitto.restart()
    assert (mosquitto.port, mosquitto.pid != pid) == (port, True)
    with device(mosquitto) as client:
        assert client.publish(ACK) != NOT_AUTHORISED


def test_a_broker_that_does_not_end_when_asked_is_killed(
    mosquitto: LocalMosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_S_MAX", 0.1)
    pid = mosquitto.pid
    os.kill(pid, signal.SIGSTOP)
    mosquitto.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def saved(mosquitto: LocalMosquitto) -> None:
    """Wait until the broker has written its store once more: it does every two seconds."""
    store = mosquitto.log.with_name("store") / "mosquitto.db"
    before = store.stat().st_ino if store.exists() else None  # each time it is another file under the same name
    give_up_s = time.monotonic() + SAVED_WITHIN_S
    while not store.exists() or store.stat().st_ino == before:
        assert time.monotonic() < give_up_s, "the broker does not write its store"
        time.sleep(0.01)  # polls what another process does


def test_a_hold_outlives_a_sigkill_once_the_store_is_written(mosquitto: LocalMosquitto) -> None:
    with safety(mosquitto) as fleet:
        fleet.publish(HOLD, b"a hold", retain=True)
        saved(mosquitto)
        mosquitto.kill()
    mosquitto.start()
    with device(mosquitto) as client:
        client.subscribe(HOLD)
        heard = client.hears()
    assert (heard.topic, heard.payload, heard.retained) == (HOLD, b"a hold", True)


def test_a_hold_that_was_cleared_stays_cleared_after_a_sigkill(mosquitto: LocalMosquitto) -> None:
    with safety(mosquitto) as fleet:
        fleet.publish(HOLD, b"a hold", retain=True)
        saved(mosquitto)
        fleet.publish(HOLD, b"", retain=True)
        saved(mosquitto)
        mosquitto.kill()
    mosquitto.start()
    with device(mosquitto) as client:
        client.subscribe(HOLD)
        client.publish(ACK)
        assert client.heard.empty()


def test_whoever_struck_a_device_off_has_the_running_broker_obey_it(mosquitto: LocalMosquitto) -> None:
    with device(mosquitto) as client:
        strike_off(mosquitto.site_dir, "stim-1")
        assert reload_broker(mosquitto.site_dir, time.monotonic)
        while client.publish(ACK) != NOT_AUTHORISED:
            pass


def test_without_a_running_broker_the_list_is_written_all_the_same(site_dir: Path) -> None:
    assert not reload_broker(site_dir, time.monotonic)
    assert (site_dir / "broker" / "acl").read_text() == acl_text("north", ["stim-1"])


@pytest.mark.parametrize(
    "content", ["", "no pid", str(os.getpid()), "999999999"], ids=["empty", "no pid", "another's", "nobody's"]
)
def test_a_process_id_that_is_left_from_before_harms_nobody(site_dir: Path, content: str) -> None:
    (site_dir / "broker" / "running.pid").write_text(content)
    assert not reload_broker(site_dir, time.monotonic)


@pytest.mark.parametrize("content", ["", "999999999", "1"], ids=["not yet", "nobody's", "another's"])
def test_whoever_has_the_lock_but_is_not_the_broker_gets_no_signal(site_dir: Path, content: str) -> None:
    seconds = itertools.count()
    with lone_broker(site_dir) as lock:
        os.pwrite(lock, content.encode(), 0)
        assert not reload_broker(site_dir, lambda: float(next(seconds)))


def test_a_broker_that_does_not_listen_to_the_signal_yet_is_not_killed_by_it(site_dir: Path) -> None:
    """Between the lock and Mosquitto's own signals lies the start of the command."""
    seconds = itertools.count()
    with lone_broker(site_dir) as lock:
        command = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lock,)) as starting:
            assert starting.stdout is not None
            assert starting.stdout.readline() == b"up\n"
            note_pid(lock, starting.pid)
            assert not reload_broker(site_dir, lambda: float(next(seconds)))
            assert starting.poll() is None
            starting.communicate(b"")
        assert starting.returncode == 0


def test_a_second_broker_of_a_site_is_refused_and_changes_nothing(mosquitto: LocalMosquitto) -> None:
    """It used to rewrite the configuration of the first, and its end took the first one's pid file with it."""
    folder = mosquitto.site_dir / "broker"
    before = {name: (folder / name).read_bytes() for name in ("mosquitto.conf", "acl", "running.pid")}
    with pytest.raises(BrokerFailed, match=f"runs already on this machine, as process {mosquitto.pid}"):
        LocalMosquitto(mosquitto.site_dir).start()
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert reload_broker(mosquitto.site_dir, time.monotonic)


def test_a_broker_that_was_killed_leaves_its_site_free(mosquitto: LocalMosquitto) -> None:
    mosquitto.kill()
    assert not reload_broker(mosquitto.site_dir, time.monotonic)
    with LocalMosquitto(mosquitto.site_dir):
        assert reload_broker(mosquitto.site_dir, time.monotonic)


def test_it_is_not_reloaded_when_it_does_not_run(site_dir: Path) -> None:
    with pytest.raises(BrokerFailed, match="does not run"):
        LocalMosquitto(site_dir).reload()


def test_a_taken_port_is_said_plainly(other_site_dir: Path, mosquitto: LocalMosquitto) -> None:
    with pytest.raises(BrokerFailed, match="does not come up"):
        LocalMosquitto(other_site_dir, port=mosquitto.port).start()


def test_a_picked_port_that_was_taken_meanwhile_is_picked_anew(
    other_site_dir: Path, mosquitto: LocalMosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([mosquitto.port, free_port()])
    monkeypatch.setattr(local, "free_port", lambda: next(ports))
    with LocalMosquitto(other_site_dir) as second:
        assert second.port != mosquitto.port


def test_a_missing_mosquitto_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(BrokerFailed, match="not installed"):
        mosquitto_path()


def test_before_its_start_it_has_neither_port_nor_process(site_dir: Path) -> None:
    mosquitto = LocalMosquitto(site_dir)
    with pytest.raises(BrokerFailed):
        _ = mosquitto.port
    with pytest.raises(BrokerFailed):
        _ = mosquitto.pid
    mosquitto.stop()  # nothing to end


def test_the_acl_lists_each_identity_once_and_grants_no_readwrite() -> None:
    text = acl_text("north", ["stim-1", "stim-2"])
    users = [line for line in text.splitlines() if line.startswith("user ")]
    assert users == ["user fleet-intake", "user fleet-safety", "user stim-1", "user stim-2"]
    assert "readwrite" not in text
    assert "#" not in text.split("\n", 1)[1]


def test_the_start_leaves_no_key_readable_by_others(mosquitto: LocalMosquitto) -> None:
    folder = mosquitto.site_dir / "broker"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()}
    assert modes["server.key"] == 0o600
    assert modes["acl"] == 0o600


STIMFLEET = (
    "import argparse, sys; from broker.commandline import add_commands\n"
    "parser = argparse.ArgumentParser(); add_commands(parser.add_subparsers())\n"
    "args = parser.parse_args(); sys.exit(args.run(args))"
)


def stimfleet(*words: object) -> list[str]:
    return [sys.executable, "-c", STIMFLEET, *map(str, words)]


def said(*words: object) -> tuple[int, str, str]:
    done = subprocess.run(stimfleet(*words), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def listens(port: int) -> bool:
    with socket.socket() as asks:
        return asks.connect_ex(("127.0.0.1", port)) == 0


def test_the_broker_command_becomes_the_broker_a_second_one_does_not_and_revoking_reaches_the_first(
    site_dir: Path,
) -> None:
    port = free_port()
    here = ("--site-dir", site_dir)
    with subprocess.Popen(stimfleet("broker", *here, "--port", port), stderr=subprocess.PIPE, text=True) as process:
        await_that("it listens", lambda: process.poll() is not None or listens(port), local.START_S_MAX)
        with RawClient(port, Papers.of_device(site_dir.parent / "stim-1")) as client:
            assert client.publish(ACK) != NOT_AUTHORISED
            conf = (site_dir / "broker" / "mosquitto.conf").read_bytes()
            sentence = f"A broker of the site in {site_dir} runs already on this machine, as process"
            for again in (("--port", port), ("--port", free_port()), ("--configure-only",)):
                assert said("broker", *here, *again) == (1, "", f"{sentence} {process.pid}.\n")
            assert (site_dir / "broker" / "mosquitto.conf").read_bytes() == conf
            status, out, _ = said("provision", "revoke", "stim-1", *here)
            assert (status, out.splitlines()[1]) == (0, "The broker on this machine obeys the new list.")
            await_that("it is refused", lambda: client.publish(ACK) == NOT_AUTHORISED, 5.0)
        process.terminate()
        assert process.stderr is not None
        assert "recommended" not in process.stderr.read()  # Mosquitto has nothing to say of our settings
    assert process.returncode == 0


def test_the_broker_command_says_why_it_cannot_listen(other_site_dir: Path, mosquitto: LocalMosquitto) -> None:
    here = ("broker", "--site-dir", other_site_dir)
    taken = f"Port {mosquitto.port} is taken by another program; choose another with --port.\n"
    assert said(*here, "--port", mosquitto.port) == (1, "", taken)
    nowhere = said(*here, "--port", free_port(), "--bind", "192.0.2.1")  # TEST-NET-1, RFC 5737
    assert (nowhere[0], "of 192.0.2.1: Cannot assign requested address" in nowhere[2]) == (1, True)
    assert not (other_site_dir / "broker" / "mosquitto.conf").exists()
