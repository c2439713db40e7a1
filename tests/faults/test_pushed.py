"""What a person at a screen may do: stop. It is done when the stimulator is at zero (H12, H15, H24)."""

from demo.processes import await_that
from fleet.adapters.journal.reading import JournalReader
from tests.faults.conftest import Ward, boottime_s


def test_a_stop_for_the_whole_site_stops_every_session_and_its_hold_outlives_the_broker(ward: Ward) -> None:
    sessions = [ward.treat("stim-01"), ward.treat("stim-02")]

    pushed_s = boottime_s()
    answer = ward.clinic.ask(op="stop", device="all", issued_by="front-desk", reason="fire alarm")
    assert answer["ok"], answer
    for device in ("stim-01", "stim-02"):
        assert ward.await_zero(device, within_s=2.0) < pushed_s + 1.0
        ward.clinic.await_phase(device, "latched")
    for session in sessions:
        ward.await_record(session, ("stopped_latched", "emergency_stop"))

    ward.clinic.broker.kill()
    ward.clinic.broker.start()
    for device in ("stim-01", "stim-02"):
        ward.await_connected(device)
        assert "on the whole site" in ward.clinic.press(device, "status"), "the hold is still there"

    await_that("a release", lambda: ward.clinic.ask(op="release", device="all", issued_by="front-desk")["ok"], 10.0)
    for device in ("stim-01", "stim-02"):
        assert ward.true_ma(device) == 0.0, "lifting starts nothing"
        ward.reset(device)


def test_a_stop_is_confirmed_with_its_latencies_in_the_journal(ward: Ward) -> None:
    ward.treat("stim-01")
    journal = JournalReader(ward.clinic.fleet_dir / "journal.db")
    journal.skip()

    pushed_s = boottime_s()
    command = ward.clinic.ask(op="stop", device="stim-01", issued_by="front-desk")["command_id"]
    zero_s = ward.await_zero("stim-01", within_s=2.0)

    def confirmed() -> dict[str, float] | None:
        return next((dict(told.body) for told in journal.new(command) if told.name == "StopConfirmed"), None)

    latencies = await_that("the stop is confirmed", confirmed, 5.0)
    assert latencies["amplitude_ma"] < 1.0
    assert latencies["cause_to_sent_s"] + latencies["sent_to_zero_s"] >= zero_s - pushed_s, "measured, not assumed"
    journal.close()
    ward.clinic.ask(op="release", device="stim-01", issued_by="front-desk")
    ward.reset("stim-01")
