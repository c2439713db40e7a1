"""What the clinic sets, from the command to the current: tighter at once, looser with the next session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo.clinic import Refused
from demo.processes import await_that
from tests.faults.conftest import Ward, boottime_s
from tests.faults.test_front_desk import asks_for, desk

DEVICE = "stim-01"
FOREVER_S = 1e12


def provision(ward: Ward, *words: str) -> None:
    """Type a command of the site's."""
    ward.clinic.command("provision", *words, f"--site-dir={ward.clinic.site_dir}")


def obeys(ward: Ward, version: int) -> None:
    """Wait until the device names a version of the settings, and the fleet knows it."""

    def so() -> bool:
        row = ward.clinic.device(DEVICE)
        return bool(row["settings_version"] == row["names_version"] and row["settings_version"] >= version)

    await_that(f"{DEVICE} has settings {version}", so, 15.0)


def version(ward: Ward) -> int:
    return int(ward.clinic.device(DEVICE)["settings_version"])


@contextmanager
def limited(ward: Ward, *limits: str) -> Iterator[None]:
    """The device with limits of its own; afterwards without them."""
    named = version(ward)
    provision(ward, "settings", DEVICE, *(f"--limit={limit}" for limit in limits))
    obeys(ward, named + 1)
    try:
        yield
    finally:
        named = version(ward)
        provision(ward, "settings", DEVICE, *(f"--no-limit={limit.partition('=')[0]}" for limit in limits))
        obeys(ward, named + 1)


def sample_of(ward: Ward, session: str) -> dict[str, Any]:
    sample: dict[str, Any] = ward.clinic.ask(op="session_show", session_id=session)["session"]["sample"]
    return sample


def test_h20_a_tightened_limit_comes_down_in_the_session_that_runs_and_a_loosened_one_waits_for_the_next(
    ward: Ward,
) -> None:
    session = ward.treat(DEVICE, to_ma=12)
    named = version(ward)
    provision(ward, "settings", DEVICE, "--limit=peak_ma_max=5")
    written_s = boottime_s()
    obeys(ward, named + 1)
    await_that("the setting is down", lambda: sample_of(ward, session)["setting_ma"] <= 5.0, 5.0)
    await_that("the current is down", lambda: ward.true_ma(DEVICE) <= 5.0, 5.0)
    down_s = ward.truth(DEVICE).rows[-1].at_s
    assert down_s - written_s < 2.0, "the fleet looks at the registry twice a second"
    # The fleet goes on leasing: it judges by the version that the samples name.
    await_that("it runs on", lambda: boottime_s() > down_s + 7.0, 20.0)
    assert ward.state_of(session) == ("running", None)

    # The limit is gone again, but not for this session.
    provision(ward, "settings", DEVICE, "--no-limit=peak_ma_max")
    obeys(ward, named + 2)
    with pytest.raises(Refused, match="limit"):
        ward.clinic.press(DEVICE, "raise", 1.0)
    ward.end(DEVICE)
    assert 4.0 < ward.truth(DEVICE).peak(down_s, FOREVER_S) <= 5.0

    following = ward.treat(DEVICE, to_ma=12)
    assert ward.true_ma(DEVICE) > 6.0
    ward.end(DEVICE)
    ward.await_record(following, ("aborted", "therapist_stop"))


def test_h20_a_pulse_that_became_too_wide_ends_the_session_softly_and_nothing_is_held(ward: Ward) -> None:
    session = ward.treat(DEVICE)
    with limited(ward, "pulse_width_us_max=200"):
        ward.await_record(session, ("aborted", "cancelled"))
        ward.clinic.await_phase(DEVICE, "idle")
        assert ward.clinic.device(DEVICE)["holds"] == []
        refused = desk(ward, *asks_for(DEVICE, "--no-findings"))
        assert "- pulse_width_us is beyond its limit: 300 against 200 [settings]" in refused.err


def test_out_of_service_ends_what_runs_and_only_a_release_after_it_puts_a_device_back(ward: Ward) -> None:
    session = ward.treat(DEVICE)
    provision(ward, "service-hold", DEVICE, "on")
    held_s = boottime_s()
    ward.await_record(session, ("stopped_latched", "rule_stop"))
    assert ward.await_zero(DEVICE, 5.0) - held_s < 2.0, "the fleet looks at the registry twice a second"
    shown = await_shown(ward, "latched: rule_stop, out of service, settings ")
    assert "until" not in shown

    assert desk(ward, "release", "--service", DEVICE).err.splitlines() == [
        "Refused, for 1 reason:",
        "- the device is out of service: `stimfleet provision service-hold ... off` comes first [clinic]",
    ]
    refused = desk(ward, *asks_for(DEVICE, "--no-findings"))
    assert "- the device is out of service" in refused.err
    with pytest.raises(Refused):
        ward.clinic.press(DEVICE, "reset")

    provision(ward, "service-hold", DEVICE, "off")
    await_shown(ward, f"out of service until `stimfleet release --service {DEVICE}`")
    assert "- the device is held: release it first [device]" in desk(ward, *asks_for(DEVICE, "--no-findings")).err
    released = desk(ward, "release", "--service", DEVICE)
    assert (released.status, released.out) == (
        0,
        f"Released. {DEVICE}: a latch that is left is reset at the device, by a person.\n",
    )
    ward.reset(DEVICE)
    assert "out of service" not in await_shown(ward, "fresh  idle, settings ")
    ward.treat(DEVICE)
    ward.end(DEVICE)


def await_shown(ward: Ward, words: str) -> str:
    """The device's line in `stimfleet devices`, once it has these words."""

    def shown() -> str | None:
        line = next(line for line in desk(ward, "devices").out.splitlines() if DEVICE in line)
        return line if words in line else None

    return await_that(f"{DEVICE} is shown with {words!r}", shown, 15.0)


def test_h14_moved_while_a_session_runs_it_stays_in_its_room_and_the_next_one_needs_the_new_room(ward: Ward) -> None:
    before = ward.treat(DEVICE)
    named = version(ward)
    provision(ward, "move", DEVICE, "--room=room-7")
    try:
        obeys(ward, named + 1)
        assert ward.state_of(before) == ("running", None)
        assert await_shown(ward, f"settings {named + 1}").startswith("room-7 ")
        assert "room        room-1\n" in desk(ward, "session", "show", before[:8]).out
        ward.end(DEVICE)
        ward.await_record(before, ("aborted", "therapist_stop"))

        refused = desk(ward, *asks_for(DEVICE, "--no-findings"))
        assert refused.err.splitlines()[1:] == ["- the device stands in another room [clinic]"]
        granted = desk(ward, *asks_for(DEVICE, "--no-findings", "--room=room-7"))
        assert granted.status == 0, granted.err
        following = granted.out.split()[2].rstrip(".")
        rows = {row["session_id"]: row["room"] for row in ward.clinic.ask(op="session_list")["sessions"]}
        assert (rows[before], rows[following]) == ("room-1", "room-7")
        assert desk(ward, "session", "cancel", following[:8]).status == 0
        ward.clinic.await_phase(DEVICE, "idle")
        told = desk(ward, "journal", "tail").out
        assert f"{DEVICE}: settings {named + 1}: room-7\n" in told
    finally:
        provision(ward, "move", DEVICE, "--room=room-1")
        obeys(ward, named + 2)
    # Back again, an idle device: what happened in which room stays as it was.
    assert "room        room-7\n" in desk(ward, "session", "show", following[:8]).out
    assert "room        room-1\n" in desk(ward, "session", "show", before[:8]).out
