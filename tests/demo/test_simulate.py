"""`stimfleet simulate` on a real site: real Mosquitto, real fleet, agents in one process, people at their panels."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from agents.counters import read_counters
from agents.simulation.bench import MODEL
from agents.simulation.trace import read_trace
from broker.pki.devices import provision_device, provision_operator, strike_off
from broker.pki.registry_file import load_registry
from broker.pki.site import provision_site
from broker.ports import free_port
from demo import simulate
from demo.asking import Unanswered, ask
from demo.collecting import spool
from demo.day import Button, Day, PushedStop, Step, Visit, a_day, raised
from demo.processes import Process, await_that
from demo.report import Sources, missing
from demo.script import day_from, text_of
from fleet.adapters.control.client import FleetUnreachable
from fleet.adapters.control.client import ask as ask_fleet
from fleet.adapters.journal.reading import JournalReader, Told
from fleet.core.screening import Contraindication
from stimfleet import main

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Site:
    """A folder with a provisioned site in it; `runs` types commands there."""

    folder: Path

    def simulates(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stimfleet", "simulate", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=100)

    def journal(self) -> tuple[Told, ...]:
        reader = JournalReader(self.folder / "fleet-data" / "journal.db")
        try:
            return tuple(reader.new())
        finally:
            reader.close()

    def kinds(self, device: str) -> list[str]:
        reports = [told.body for told in self.journal() if told.name == "DeviceReported"]
        return [body["event"]["kind"] for body in reports if body["device"] == device]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    provision_site(tmp_path / "site", tmp_path / "ca", "north", now=NOW, broker_port=free_port())
    return Site(tmp_path)


@pytest.fixture
def open_site(site: Site) -> Iterator[Site]:
    """With Mosquitto and the fleet service running."""
    where = [f"--site-dir={site.folder / 'site'}"]
    processes = [
        Process("broker", ["broker", *where], site.folder / "broker.log"),
        Process("fleet", ["fleet", *where, f"--data-dir={site.folder / 'fleet-data'}"], site.folder / "fleet.log"),
    ]
    for process in processes:
        process.start()

    def answers() -> bool:
        try:
            return bool(ask_fleet(site.folder / "fleet-data" / "control.sock", {"op": "status"})["connected"])
        except FleetUnreachable:
            return False

    await_that("the fleet answers", answers, 30.0, processes[1].last_words)
    yield site
    assert [process.end() for process in reversed(processes)] == [None, None]


def treated(device: str, client: str, *further: Step, at_s: float = 0.0) -> Visit:
    begins = (Step(after_s=0.3, press=Button.ARM), Step(after_s=0.3, press=Button.START))
    up = raised(4.0, random.Random(1))
    return Visit(at_s=at_s, device=device, client=client, steps=(*begins, *up, *further))


def test_a_scripted_day_of_four_agents(open_site: Site) -> None:
    """Provisioned on the spot. One is ended by hand in the script, one is refused, one has a stop pushed, one is ended
    at closing time; every sample and event of theirs arrives."""
    day = Day(
        visits=(
            treated(
                "stim-01", "client-a001", Step(after_s=1.0, press=Button.PAUSE), Step(after_s=0.5, press=Button.STOP)
            ),
            Visit(at_s=0.0, device="stim-02", client="client-a002", findings=(Contraindication.PREGNANCY,)),
            treated("stim-03", "client-a003"),
            treated("stim-04", "client-a004"),
        ),
        stops=(PushedStop(at_s=6.0, device="stim-03", released_after_s=0.5),),
    )
    (open_site.folder / "day.json").write_text(text_of(day))
    done = open_site.simulates("--agents=4", "--script=day.json", "--for=16", "--tell", "--trace-dir=truth")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("Put on the list in ")
    assert said[0].endswith(" s: stim-01 to stim-04 (4).")
    assert said[1].startswith("simulate ready after ")
    assert "    stim-02: refused: pregnancy rules stimulation out, and nobody can override it [domain]" in said
    assert "People pressed: arm 3, pause 1, raise 6, reset 1, start 3, stop 2" in said
    assert "control ticks, late by" in said[-1]

    assert [kind for kind in open_site.kinds("stim-01") if kind.startswith("session_")] == [
        "session_armed",
        "session_started",
        "session_paused",
        "session_ended",
    ]
    assert "session_started" not in open_site.kinds("stim-02")
    assert {"latched", "hold_set", "hold_lifted", "latch_reset"} <= set(open_site.kinds("stim-03"))
    assert open_site.kinds("stim-04")[-1] == "session_ended"
    for device in ("stim-01", "stim-03", "stim-04"):
        trace = read_trace(open_site.folder / "truth" / f"{device}.csv")
        assert trace.peak(0.0, trace.rows[-1].at_s) == pytest.approx(4.0, abs=0.1)
        assert trace.rows[-1].true_ma == 0.0

    spools = [spool(f"stim-0{n}", open_site.folder / "agents" / f"stim-0{n}" / "spool.db") for n in range(1, 5)]
    assert [(each.kept, each.newest_n > 0) for each in spools] == [((), n != 2) for n in range(1, 5)]
    assert missing(Sources(16.0, 4, open_site.journal(), {}, spools, (), ())) == []
    counted = [read_counters(open_site.folder / "agents" / f"stim-0{n}" / "counters") for n in range(1, 5)]
    assert all(each.telemetry_published > 3 for each in counted)
    assert [each.leases > 0 for each in counted] == [True, False, True, True]


def begins_at_once(day: Day) -> bool:
    """Both devices treat somebody within the first seconds."""
    first = [day.of(device)[0] for device in ("stim-01", "stim-02")]
    return all(visit.steps and visit.at_s < 2.0 for visit in first)


def test_a_seeded_day_again_treats_other_clients_on_the_same_devices(open_site: Site) -> None:
    seed = next(seed for seed in range(100) if begins_at_once(a_day(("stim-01", "stim-02"), 8.0, seed)))
    for said_first in ("Put on the list", "simulate ready"):
        done = open_site.simulates("--agents=2", f"--seed={seed}", "--for=8")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(said_first)
    allowed = [told.body["authorisation"] for told in open_site.journal() if told.name == "SessionAuthorised"]
    clients = [authorisation["client"] for authorisation in allowed]
    assert len(clients) == 4
    assert len(set(clients)) == 4
    assert len({client.rpartition("-")[0] for client in clients}) == 2, "the same day, for other people"


def test_shared_out_among_processes_it_is_one_clinic(open_site: Site) -> None:
    """Three devices in two processes; people press at all of them."""
    visits = tuple(treated(f"stim-0{n}", f"client-b00{n}") for n in (1, 2, 3))
    (open_site.folder / "day.json").write_text(text_of(Day(visits=visits)))
    done = open_site.simulates("--agents=3", "--processes=2", "--script=day.json", "--for=8")
    assert done.returncode == 0, done.stderr
    assert "People pressed: arm 3, raise 6, start 3, stop 3" in done.stdout
    of_processes = [line.split(": ", 1) for line in done.stdout.splitlines()[-4:]]
    assert [name for name, _ in of_processes] == 2 * ["process 1, stim-01 to stim-02 (2)"] + 2 * ["process 2, stim-03"]
    assert [("agents for" in words, "control ticks" in words) for _, words in of_processes] == 2 * [
        (True, False),
        (False, True),
    ]
    for n in (1, 2, 3):
        assert open_site.kinds(f"stim-0{n}")[-1] == "session_ended"
        assert spool(f"stim-0{n}", open_site.folder / "agents" / f"stim-0{n}" / "spool.db").kept == ()


def test_a_process_that_does_not_come_up_is_named(site: Site) -> None:
    """A second one on the same folders."""
    command = [sys.executable, "-m", "stimfleet", "simulate", "--no-day", "--agents=2"]
    log = site.folder / "first.log"
    with log.open("w") as out, subprocess.Popen(command, cwd=site.folder, stdout=out) as first:
        await_that("it is up", lambda: "simulate ready" in log.read_text(), 30.0)
        done = site.simulates("--agents=2", "--processes=2", "--no-day")
        assert (done.returncode, done.stdout) == (1, "")
        (said,) = done.stderr.splitlines()
        assert said.startswith("process 1, stim-01 does not come up: process 1, stim-01 said last: ")
        assert said.endswith("Another agent runs on the data folder agents/stim-01.")
        first.terminate()


async def test_without_a_day_the_devices_are_there_and_their_stimulators_can_be_asked(open_site: Site) -> None:
    command = [sys.executable, "-m", "stimfleet", "simulate", "--no-day", "--device=stim-07"]
    log = (open_site.folder / "log").open("w+")
    with log, subprocess.Popen(command, cwd=open_site.folder, stdout=log) as simulation:  # noqa: ASYNC220 # it is short
        await until(lambda: "simulate ready" in (open_site.folder / "log").read_text())
        bench = open_site.folder / "bench" / "stim-07.sock"
        assert (await ask(bench, do="truth"))["true_ma"] == 0.0
        drive = {"enabled": True, "setting_ma": 5.0, "pattern": None, "test_pulse": False, "feed_watchdog": True}
        assert await ask(bench, do="exchange", drive=drive) == {"error": "in use by another host"}
        assert (await ask(bench, do="fault", fault={"kind": "hand_switch", "for_s": 0.5}))["done"]
        panel = open_site.folder / "agents" / "stim-07" / "panel.sock"
        while "latched at zero" not in (await ask(panel, do="status"))["words"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # the state of another process: it can only be asked
        simulation.terminate()
        assert await asyncio.to_thread(simulation.wait, 20.0) == 0
    with pytest.raises(Unanswered):
        await ask(panel, do="status")


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # the state of another process: it can only be asked


# --- what is refused ------------------------------------------------------------------------------------------------


def test_the_day_can_be_printed_edited_and_read_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(site.folder)
    assert main(["simulate", "--agents=3", "--seed=5", "--for=600", "--print-day"]) == 0
    (site.folder / "day.json").write_text(capsys.readouterr().out)
    assert day_from(site.folder / "day.json").devices == {"stim-01", "stim-02", "stim-03"}
    assert not load_registry(site.folder / "site").devices, "nothing was run, nobody was put on the list"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--agents=0"], "'0' is no whole number from 1 to 1000"),
        (["--agents=many"], "'many' is no whole number from 1 to 1000"),
        (["--agents=2", "--for=0"], "'0' is no number of seconds from 1 to 86400"),
        (["--agents=2", "--for=nan"], "'nan' is no number of seconds from 1 to 86400"),
        ([], "one of the arguments --agents --device is required"),
        (["--agents=2", "--script=day.json", "--no-day"], "not allowed with argument"),
        (["--agents=2", "--broker-port=0"], "'0' is no whole number from 1 to 65535"),
    ],
)
def test_what_cannot_be_understood(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Refused:
    """What is said where nothing is begun: no process is needed to hear it."""
    monkeypatch.chdir(tmp_path)

    def said(*words: str) -> str:
        status, told = main(["simulate", *words]), capsys.readouterr()
        assert (status, told.out) == (1, "")
        assert len(told.err.splitlines()) == 1, told.err
        assert not caplog.records, "in a process of its own they would stand there, too"
        return told.err.strip()

    return said


@pytest.mark.usefixtures("site")
def test_without_the_ca_it_says_what_to_type(refused: Refused) -> None:
    said = refused("--agents=2", "--ca-dir=elsewhere")
    assert said == (
        "Not on the list of site: stim-01 to stim-02 (2), and there is no CA in elsewhere to put them on it "
        "(--ca-dir). By hand: stimfleet provision device stim-01 --site-dir site --room room-1 --serial SN-stim-01 "
        f"--model {MODEL} --out devices/stim-01."
    )


def provision(site: Site, device: str, model: str = MODEL) -> None:
    folder = site.folder
    provision_device(
        folder / "site", folder / "ca", device, "room-1", f"SN-{device}", model, folder / "devices" / device, now=NOW
    )


def test_devices_that_cannot_be_simulated(site: Site, refused: Refused) -> None:
    for device, model in (("stim-01", MODEL), ("stim-02", "another-model"), ("stim-03", MODEL)):
        provision(site, device, model)
    assert refused("--device=stim-01", "--papers-dir=elsewhere", "--no-day") == (
        "stim-01 is on the list of site, but its papers are not in elsewhere/stim-01 (--papers-dir)."
    )
    strike_off(site.folder / "site", "stim-03")
    for device in ("stim-02", "stim-03"):
        says = f"{device} is struck off, or no {MODEL}: only those are simulated."
        assert refused(f"--device={device}", "--no-day") == says


def test_nobody_may_treat(site: Site, refused: Refused) -> None:
    provision(site, "stim-01")
    provision_operator(site.folder / "site", "anna.k", {MODEL: date(2020, 1, 1)})
    (site.folder / "ca").rename(site.folder / "ca-kept-elsewhere")
    assert refused("--agents=1").startswith(
        f"Nobody on the list of site may treat with {MODEL}: stimfleet provision operator sim.therapist --site-dir "
    )


def test_a_script_that_speaks_of_others_or_is_none(site: Site, refused: Refused) -> None:
    (site.folder / "day.json").write_text(text_of(Day(visits=(treated("stim-09", "client-a009"),))))
    assert refused("--agents=2", "--script=day.json") == (
        "The script speaks of stim-09: not among the simulated devices."
    )
    (site.folder / "day.json").write_text(json.dumps({"visits": 3}))
    assert refused("--agents=2", "--script=day.json").startswith("The script day.json is no clinic day: visits: ")


def test_no_site_at_all(refused: Refused) -> None:
    assert refused("--agents=1").startswith("The registry site cannot be read: ")


def test_a_fleet_that_does_not_see_the_devices_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate, "UP_WITHIN_S", 1.0)
    monkeypatch.chdir(site.folder)
    assert main(["simulate", "--agents=1", "--for=5"]) == 1
    says = "The fleet does not see every device within 1 s: the fleet: control.sock does not answer"
    assert capsys.readouterr().err.startswith(says)
