"""The bench itself, in small: that it runs, counts right, and says what it should. No figure of speed is judged."""

import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from broker.contract.messages import Phase, Telemetry
from broker.contract.topics import Direction
from broker.wire import sealed
from broker.wire.codec import decode, encode
from broker.wire.mac import LinkKeys
from tests.bench import figures, wire
from tests.bench.__main__ import main
from tests.bench.device import Device
from tests.bench.wire import Frame

KEYS = LinkKeys("0123abcd", bytes(range(32)), bytes(range(32, 64)))
AT = "2026-11-25T12:00:00.000Z"
# What no machine's speed decides: everything that was published was judged, answered and journaled.
COUNTED = {
    "samples_judged",
    "leases_sent_by_fleet",
    "leases_heard_by_devices",
    "leases_out_of_order",
    "refused_or_shed",
    "undelivered",
    "events_receipted",
    "stops_delivered",
    "events_journaled",
    "violations_journaled",
    "stops_confirmed",
}


def measured(tmp_path: Path, *arguments: str) -> dict[str, dict[str, float]]:
    """The figures of a short run, by name."""
    report = tmp_path / "report.json"
    with TemporaryDirectory(prefix="bench-") as folder:  # the path of a socket in it may have 107 bytes
        main([*arguments, f"--report={report}", f"--folder={folder}"])
    found = json.loads(report.read_text())
    assert found["ended_cleanly"]
    assert found["machine"]["cores"] >= 1
    return {figure["name"]: figure for figure in found["figures"]}


def test_a_small_load_loses_nothing_and_stops_whoever_breaks_a_limit(tmp_path: Path) -> None:
    found = measured(tmp_path, "load", "--devices=12", "--seconds=3", "--violations=4", "--events=10")
    assert {name: figure["value"] for name, figure in found.items() if name in COUNTED and not figure["holds"]} == {}
    assert found.keys() > COUNTED
    assert found["samples_judged"]["value"] == 12 * 3 * 5
    assert found["stops_delivered"]["value"] == 4
    assert found["stop_p50_ms"]["value"] > 0.0


def test_every_alarm_becomes_a_message_that_is_taken(tmp_path: Path) -> None:
    found = measured(tmp_path, "pages", "--devices=6", "--seconds=3", "--violations=3")
    assert found["alarms_taken"]["value"] == 3
    assert found["messages_missed"]["value"] == 0
    assert found["taken_p50_ms"]["value"] > 0.0


def test_an_idle_fleet_is_weighed(tmp_path: Path) -> None:
    found = measured(tmp_path, "idle", "--devices=3", "--seconds=2", "--settle=1")
    assert found["pss_mb"]["value"] > 10.0
    assert 0.0 <= found["share_of_a_core"]["value"] < 2.0


def test_a_short_soak_goes_through_whole_sessions(tmp_path: Path) -> None:
    asked = ["soak", "--devices=4", "--seconds=9", "--session=2", "--violating=0.5", "--every=1"]
    found = measured(tmp_path, *asked)
    assert found["samples_judged"]["holds"]
    assert found["leases_heard"]["holds"]
    assert found["samples_judged"]["value"] > 50


def test_a_small_history_loses_no_row(tmp_path: Path) -> None:
    found = measured(tmp_path, "history", "--devices=10", "--rate=400", "--seconds=1")
    assert found["rows_lost"]["holds"]
    assert found["trace_p99_ms"]["value"] > 0.0


def test_a_few_browsers_watch_every_third_round(tmp_path: Path) -> None:
    asked = ["browsers", "--devices=6", "--seconds=2", "--violations=3", "--browsers=3", "--rounds=1"]
    found = measured(tmp_path, *asked)
    assert found["stops_delivered"]["value"] == 3 * 3
    assert found["streams_open"]["value"] == 3
    assert found["failed_answers"]["value"] == 0
    assert found["stop_p99_ratio"]["value"] > 0.0


def test_each_stage_of_a_sample_costs_something(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    main(["stages", "--devices=3", "--rounds=3", f"--report={report}"])
    found = json.loads(report.read_text())
    assert all(us > 0.0 for us in found["us"].values())
    assert sum(found["us"].values()) == pytest.approx(found["figures"][0]["value"], abs=0.02)
    assert found["snapshot"]["longest_ms"] <= found["snapshot"]["together_ms"]


def test_a_sample_from_the_template_is_what_the_fleet_reads() -> None:
    """The template is the codec's own bytes with other numbers: the fleet's opener finds exactly these."""
    device = Device("north", "stim-0001", "SN-1", "room-1", KEYS, lambda packet: None)
    device.phase, device.session_id, device.settings_version, device.elapsed_s = Phase.RUNNING, "a" * 32, 3, 12.5
    opener = sealed.Opener("north", Direction.UPLINK, {"stim-0001": {KEYS.kid: KEYS}})
    first, second = (one_sample(device.sample(AT, amplitude_ma), opener) for amplitude_ma in (17.5, 90.0))
    assert (first.at, first.phase, first.session_id, first.settings_version) == (AT, Phase.RUNNING, "a" * 32, 3)
    assert (first.elapsed_s, first.setting_ma, first.amplitude_ma, first.late) == (12.5, 20.0, 17.5, False)
    assert second.seq == first.seq + 1
    assert replace(second, seq=first.seq, amplitude_ma=17.5, impedance_ohm=first.impedance_ohm) == first


def one_sample(frame: bytes, opener: sealed.Opener) -> Telemetry:
    said = wire.published(one_frame(frame))
    opened = opener.open(said.topic, said.payload, said.user_properties)
    assert isinstance(opened, sealed.Received), opened
    assert isinstance(opened.message, Telemetry)
    assert encode(opened.message) == said.payload  # the codec's own bytes, to the last digit
    return opened.message


def one_frame(octets: bytes) -> Frame:
    """Taken apart by the rule of the standard, not by the bench's own code: a length of two bytes here."""
    length = (octets[1] & 0x7F) + (octets[2] << 7)
    assert len(octets) == 3 + length
    return Frame(octets[0], octets[3:])


def test_a_packet_keeps_all_that_it_says_through_a_frame() -> None:
    packet = sealed.Packet("stim/v1/north/s/ack", b"{}", 1, True, 30, (("mac", "0" * 32), ("kid", "0123abcd")))
    frame = wire.frame_of(packet, packet_id=513)
    assert frame[:2] == bytes([0x33, len(frame) - 2])  # PUBLISH, QoS 1, retained
    said = wire.published(Frame(frame[0], frame[2:]))
    assert (said.topic, said.payload, said.packet_id, said.retained) == (packet.topic, b"{}", 513, True)
    assert said.user_properties == packet.user_properties


@pytest.mark.parametrize(("number", "octets"), [(0, "00"), (127, "7f"), (128, "8001"), (16_384, "808001")])
def test_lengths_are_written_as_the_standard_says(number: int, octets: str) -> None:
    assert wire.varint(number).hex() == octets


def test_quantiles_and_slopes() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [figures.quantile(hundred, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert figures.quantile([7.0], 0.5) == 7.0
    assert figures.slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == 2.0
    assert figures.slope([(1.0, 1.0)]) == 0.0


def test_a_figure_that_misses_its_target_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.idle.MEMORY_MB_MAX", 1.0)
    report = tmp_path / "report.json"
    assert main(["idle", "--devices=1", "--seconds=1", "--settle=0.1", f"--report={report}"]) == 1
    (missed,) = [figure for figure in json.loads(report.read_text())["figures"] if figure["name"] == "pss_mb"]
    assert (missed["at_most"], missed["holds"]) == (1.0, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load", "--devices=3", "--violations=4"], "only 3 devices can break a limit"),
        (["soak", "--rate=0"], "--rate must be a number above 0"),
        (["load", "--rate=nan"], "--rate must be a number above 0, not nan"),
        (["idle", "--seconds=-1"], "--seconds must be a number above 0"),
        (["ride"], "invalid choice"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_leases_are_opened_as_devices_would(tmp_path: Path) -> None:
    """The pattern by which leases are counted finds the number that the codec wrote."""
    from broker.contract.messages import Lease
    from broker.contract.topics import Channel
    from tests.bench.crowd import _LEASE

    payload = encode(Lease(1, 1, "b" * 32, 10**12 + 77, 5_000))
    found = _LEASE.search(payload)
    assert found is not None
    lease = decode(Channel.LEASE, payload)
    assert isinstance(lease, Lease)
    assert int(found[1]) == lease.answers
    assert re.fullmatch(r"\d+", found[1].decode())
