"""The recorder: a real process on a real feed. What the fleet hands on is kept, whatever ends in between."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import stimfleet
from broker.contract.messages import Phase, Telemetry
from broker.pki.site import provision_site
from broker.ports import free_port
from broker.wire.codec import encode
from demo.processes import Process
from fleet.adapters.feed.frames import Sample as Handed
from fleet.adapters.feed.server import Feed
from fleet.adapters.history.embedded import EmbeddedHistory, Kept
from fleet.adapters.history.influx_reading import Where
from fleet.adapters.history.port import Gap, Resolution
from fleet.adapters.history.settings import load_recorder_settings, open_history_reader
from fleet.adapters.history.telling import NoRecorder, ask_status
from fleet.commands.recorder import status_words
from fleet.recording.recorder import Recorder
from tests.adapters.history.shelf import BERLIN, NOON_S, Shelf, until

NOW = datetime.now(UTC)
SESSION = "0123456789abcdef" * 2


@pytest.fixture
def folder() -> Iterator[Path]:
    """A site; its path is short, for the sockets in it."""
    with TemporaryDirectory(prefix="recorder-") as made:
        provision_site(Path(made) / "site", Path(made) / "ca", "north", now=NOW)
        (Path(made) / "data").mkdir()
        yield Path(made)


def said(seq: int, at_s: float, **changed: Any) -> bytes:
    """A sample as it is on the wire."""
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    usual: dict[str, Any] = {
        "boot_n": 2,
        "seq": seq,
        "at": at,
        "phase": Phase.RUNNING,
        "session_id": SESSION,
        "elapsed_s": 3.5,
        "setting_ma": 20.0,
        "amplitude_ma": 18.125,
        "pulse_width_us": 300.0,
        "frequency_hz": 35.0,
        "impedance_ohm": None,
        "battery_pct": 91.0,
        "temperature_c": 30.5,
        "lease_margin_s": 4.25,
        "settings_version": 1,
        "late": False,
    }
    return encode(Telemetry(**{**usual, **changed}))


class Clinic:
    """A fleet's feed, and a recorder beside it."""

    def __init__(self, folder: Path) -> None:
        self.settings = load_recorder_settings(folder / "site", folder / "data")
        self.feed = Feed(lambda: 0.0)
        self.recorder = self.another("recorder")

    def another(self, name: str) -> Process:
        places = [f"--site-dir={self.settings.site_dir}", f"--data-dir={self.settings.data_dir}"]
        return Process(name, ["recorder", *places], self.settings.data_dir / f"{name}.log")

    @asynccontextmanager
    async def fleet(self) -> AsyncIterator[None]:
        """The fleet runs, and the recorder has found it."""
        beating = asyncio.create_task(self.feed.beats(), name="beats")
        async with self.feed.serve(self.settings.feed_path):
            await until("the recorder reads along", lambda: self.feed.readers == 1)
            yield
        beating.cancel()

    def hand_on(self, seq: int, **changed: Any) -> None:
        self.feed.sample("stim-01", said(seq, NOON_S + seq, **changed), 1_000.0 + seq, NOON_S + seq + 0.25)

    def status(self) -> dict[str, Any]:
        try:
            return ask_status(self.settings.status_path)
        except NoRecorder:
            return {}

    async def await_status(self, **wanted: Any) -> None:
        await until(f"{wanted}, not {self.status()}", lambda: wanted.items() <= self.status().items())


async def test_what_the_fleet_hands_on_is_kept_through_the_restarts_of_both(folder: Path) -> None:
    clinic = Clinic(folder)
    clinic.recorder.start()
    async with clinic.fleet():
        for seq in range(1, 6):
            clinic.hand_on(seq)
        clinic.feed.sample("stim-01", b'{"of":"another version"}', 1.0, NOON_S)
        clinic.feed.sample("Stim 01", said(9, NOON_S), 1.0, NOON_S)
        await clinic.await_status(fleet=True, taken=5, written=5, unreadable=2, waiting=0)
    await clinic.await_status(fleet=False)
    async with clinic.fleet():
        clinic.hand_on(8)
        await clinic.await_status(fleet=True, taken=6)
        clinic.recorder.kill()
        await until("the feed has noticed", lambda: clinic.feed.readers == 0)
        clinic.recorder.start()
        await until("it is back", lambda: clinic.feed.readers == 1)
        clinic.hand_on(9)
        clinic.hand_on(7, late=True)
        clinic.hand_on(8, late=True)
        await clinic.await_status(taken=3, written=2, doubles=1)
        clinic.hand_on(10)
        assert clinic.recorder.end() is None
    reader = open_history_reader(clinic.settings, BERLIN)
    trace = await reader.trace("stim-01", SESSION)
    (rollup,) = await reader.rollups("stim-01", NOON_S, NOON_S + 60.0, Resolution.MINUTE)
    assert trace.columns["seq"] in [(1, 2, 3, 4, 5, 7, 8, 9), (1, 2, 3, 4, 5, 7, 8, 9, 10)]
    assert trace.gaps == (Gap(2, 6, 1, NOON_S + 5.0, NOON_S + 7.0),)
    assert (rollup.missing, rollup.late) == (1, 1)
    first = next(trace.samples())
    assert (first.at_s, first.wall_s, first.received_s) == (NOON_S + 1.0, NOON_S + 1.25, 1_001.0)
    assert (first.phase, first.amplitude_ma, first.impedance_ohm) == (Phase.RUNNING, 18.125, None)
    assert clinic.status() == {}, "nobody answers any more"


def ports(pid: int) -> set[int]:
    """The TCP ports that a process listens on, as the kernel lists them (proc(5): state 0A)."""
    rows = [row for kind in ("tcp", "tcp6") for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    its_own = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    listening = [row for row in map(str.split, rows) if row[3] == "0A" and f"socket:[{row[9]}]" in its_own]
    return {int(row[1].rpartition(":")[2], 16) for row in listening}


@pytest.mark.parametrize("served", [True, False])
async def test_figures_are_served_at_the_port_that_is_set_and_at_none_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, served: bool
) -> None:
    port = free_port() if served else 0
    if served:
        monkeypatch.setenv("STIMFLEET_RECORDER_HTTP_PORT", str(port))
    clinic = Clinic(folder)
    assert clinic.settings.http_port == port
    clinic.recorder.start()
    async with clinic.fleet():
        clinic.hand_on(1)
        await clinic.await_status(taken=1)
        if served:
            await until("it listens", lambda: bool(ports(clinic.recorder.pid)))
        assert ports(clinic.recorder.pid) == ({port} if served else set())
        assert clinic.recorder.end() is None


async def test_a_folder_has_one_recorder(folder: Path) -> None:
    clinic = Clinic(folder)
    clinic.recorder.start()
    async with clinic.fleet():
        second = clinic.another("second")
        second.start()
        assert second.wait(20.0) == 1
        assert "this data folder has a recorder already (recorder, process" in second.last_words()
        clinic.hand_on(1)
        await clinic.await_status(taken=1)
    assert clinic.recorder.end() is None


async def test_what_the_store_refused_before_the_recorder_began_is_no_news(folder: Path) -> None:
    settings = load_recorder_settings(folder / "site", folder / "data")
    settings.folder.mkdir()
    (settings.folder / "dead-letters.lp").write_text(
        "# 2026-11-24T12:00:00Z refused: unfit\n" + "sample,device=a v=1i 1\n" * 3
    )
    store = Shelf(settings.folder, Where("http://127.0.0.1:1", "clinic", "clinic")).store()
    recorder = Recorder(settings, store)
    assert (recorder.status()["dead_lettered"], recorder.trouble()) == (3, None)
    await store.close()


async def test_what_finds_no_room_while_nothing_can_be_written_is_lost_and_counted(folder: Path) -> None:
    (folder / "site" / "recorder.toml").write_text("waiting_samples_max = 1000\nbatch_samples_max = 100\n")
    settings = load_recorder_settings(folder / "site", folder / "data")
    settings.folder.write_text("a file where the store's folder belongs")
    store = EmbeddedHistory(settings.folder, BERLIN, Kept(), lambda: NOON_S)
    recorder = Recorder(settings, store)

    async def frames() -> AsyncIterator[Handed]:
        for seq in range(1, 1_501):
            yield Handed("stim-01", float(seq), NOON_S + seq, said(seq, NOON_S + seq))
            await asyncio.sleep(0)  # lets the writing task have its turn, as a socket does

    writing = asyncio.create_task(recorder.write())
    await recorder.hear(frames())
    await until("it is said", lambda: recorder.status()["refusing"])
    status = recorder.status()
    assert status["refusing"].startswith("the disk refuses: [Errno ")
    kept = status["waiting"]
    assert (status["heard"], status["lost"], status["taken"]) == (1_500, 1_500 - kept, 0)
    assert 1_000 <= kept <= 1_100, "a batch on its way, and what may wait"
    settings.folder.unlink()
    await asyncio.wait_for(recorder.written(), 20.0)
    assert recorder.status()["written"] == kept
    assert recorder.status()["refusing"] is None
    writing.cancel()
    await store.close()


async def test_a_recorder_that_is_asked_how_it_does_says_so_in_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = Clinic(folder)
    asked = ["recorder", "--status", f"--site-dir={folder / 'site'}", f"--data-dir={folder / 'data'}"]
    assert stimfleet.main(asked) == 1
    assert "No recorder runs for this data folder: start `stimfleet recorder`." in capsys.readouterr().err
    clinic.recorder.start()
    async with clinic.fleet():
        clinic.hand_on(1)
        await clinic.await_status(written=1)
        assert await asyncio.to_thread(stimfleet.main, asked) == 0
        assert capsys.readouterr().out.splitlines() == [
            "store        embedded, 1 samples taken, 1 written",
            "fleet        hands on what it takes in",
        ]
    clinic.recorder.send(signal.SIGTERM)
    assert clinic.recorder.wait(10.0) == 0


def test_what_is_wrong_has_words() -> None:
    status = json.loads(
        '{"store": "influxdb", "fleet": false, "taken": 9, "written": 2, "refusing": "InfluxDB answers 502",'
        '"waiting": 3, "spilled": 4, "oldest_waiting_s": 1795608000.0, "lost": 1, "missed": 2, "unreadable": 3,'
        '"dead_lettered": 4, "expired": 5}'
    )
    assert status_words(status) == [
        "store        influxdb, 9 samples taken, 2 written",
        "fleet        is not there",
        "refusing     InfluxDB answers 502",
        "in memory    3 samples",
        "on disk      4 samples wait for the store, the oldest of 2026-11-25 12:00:00 UTC",
        "lost         1 samples: there was no room for them while the store took nothing",
        "missed       2 samples: the fleet could not hand them on: this was too slow",
        "unreadable   3 samples: they are not of this version",
        "dead_lettered 4 samples: the store calls them unfit; they are in dead-letters.lp",
        "expired      5 samples: they are older than what is kept",
    ]


def test_a_site_that_cannot_be_used_is_refused_in_a_sentence(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    places = [f"--data-dir={folder / 'data'}", f"--site-dir={folder / 'nowhere'}"]
    assert stimfleet.main(["recorder", *places]) == 78
    assert "nowhere" in caplog.text
