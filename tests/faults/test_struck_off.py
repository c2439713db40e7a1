"""A device that is struck off: the last test in this clinic, for nothing puts it back."""

from tests.faults.conftest import LEASE_S, RAMP_S, TICK_S, Ward, boottime_s


def test_a_device_struck_off_in_a_session_gets_no_more_permission(ward: Ward) -> None:
    ward.treat("stim-02")

    ward.clinic.command("provision", "revoke", "stim-02", f"--site-dir={ward.clinic.site_dir}")
    struck_off_s = boottime_s()
    zero_s = ward.await_zero("stim-02", within_s=LEASE_S + 5.0)

    assert zero_s < struck_off_s + 1.0 + LEASE_S + TICK_S + RAMP_S, "within 1 s it is without rights"
    assert ward.clinic.device("stim-02")["struck_off"]
    assert not ward.clinic.request("stim-02", client="client-9999")["ok"]
