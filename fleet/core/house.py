"""The fleet service's own affairs: taking over, draining, and the clinic's list."""

from fleet.core import configuration, presence, sessions, withdrawals
from fleet.core.effects import Answer, Ordered
from fleet.core.events import (
    DeviceEnrolled,
    DrainLifted,
    DrainOrdered,
    FleetTookOver,
    RegistryAdopted,
    SessionWithheld,
    WithheldFor,
)
from fleet.core.inputs import Drain, RegistryChanged, TookOver, Undrain
from fleet.core.turn import Turn


def took_over(turn: Turn, heard: TookOver) -> None:
    """Lead, under a number above everything that any device is known to have seen."""
    durable = turn.state.durable
    births = [device.birth.fleet_n for device in durable.devices.values() if device.birth is not None]
    plausible = [fleet_n for fleet_n in births if fleet_n - durable.fleet_n <= presence.RISE_MAX]
    fleet_n = max([heard.fleet_n_min, durable.fleet_n, *plausible]) + 1
    turn.happened(FleetTookOver(**turn.at, fleet_n=fleet_n, host_boot=heard.host_boot))


def drain(turn: Turn, heard: Drain) -> None:
    """Authorise nothing new until a person says otherwise: a restart, wanted or not, changes nothing about it."""
    if not turn.state.durable.draining:
        turn.happened(DrainOrdered(**turn.at, issued_by=heard.issued_by))
    turn.after_commit(Answer(heard.request_id, Ordered(turn.new_id("drain"))))


def undrain(turn: Turn, heard: Undrain) -> None:
    """Authorise sessions again."""
    if turn.state.durable.draining:
        turn.happened(DrainLifted(**turn.at, issued_by=heard.issued_by))
    turn.after_commit(Answer(heard.request_id, Ordered(turn.new_id("undrain"))))


def registry_changed(turn: Turn, heard: RegistryChanged) -> None:
    """Adopt the clinic's list: enrol, withhold what is struck off, bring settings up to date, withdraw what was moved,
    end what is out of service."""
    durable = turn.state.durable
    if heard.registry == durable.registry:
        return
    turn.happened(RegistryAdopted(**turn.at, registry=heard.registry))
    for name, registered in durable.registry.devices.items():
        if turn.state.device(name).enrolment != registered.enrolment:
            _enrol(turn, name, registered.enrolment)
    _withhold_struck_off(turn)
    for name in durable.registry.devices:
        birth = turn.state.device(name).birth
        if birth is not None:
            configuration.agree(turn, name, birth.settings_version)
    withdrawals.moved(turn)
    withdrawals.out_of_service(turn)


def _enrol(turn: Turn, name: str, enrolment: str) -> None:
    sessions.boot_ended(turn, name)
    turn.state.fleeting.seen.pop(name, None)
    turn.happened(DeviceEnrolled(**turn.at, device=name, enrolment=enrolment))


def _withhold_struck_off(turn: Turn) -> None:
    for session in list(turn.state.open_sessions()):
        registered = turn.state.registered(session.device)
        if (registered is None or registered.struck_off) and session.withheld is None:
            turn.happened(SessionWithheld(**turn.at, session_id=session.session_id, reason=WithheldFor.STRUCK_OFF))
