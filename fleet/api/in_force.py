"""The limits that a session has now, to be drawn: by them its device clamps, and the fleet judges its samples."""

from broker.contract.limits import Limits, allowed_peak_ma, contact_bounds
from fleet.api.models import InForce
from fleet.core.configuration import named
from fleet.core.leases import since_it_began
from fleet.core.state import Session, State


def in_force(state: State, session: Session) -> InForce:
    """Of a session that is over: those that it was authorised with; its record has what came later."""
    peak_ma = allowed_peak_ma(_limits(state, session), session.plan).value
    ohm = contact_bounds(session.baseline_ohm)
    return InForce(
        setting_ma_max=peak_ma,
        peak_ma_max=peak_ma,
        lease_ttl_s=session.authorisation.lease_ttl_ms / 1000.0,
        baseline_ohm=session.baseline_ohm,
        short_ohm=ohm.short,
        degraded_ohm=ohm.degraded,
        beyond_ohm=ohm.beyond,
        open_ohm=ohm.open,
    )


def of_device(state: State, device: str) -> InForce | None:
    """Those of the session that is open there; None: there is none."""
    session = state.session_on(state.device(device))
    return None if session is None or not session.open else in_force(state, session)


def _limits(state: State, session: Session) -> Limits:
    """Tighter settings count from the sample that names them; looser ones never for the session that is on."""
    limits = session.authorisation.limits
    seen = state.newest(session.device)
    if not session.open or seen is None or seen.sample.session_id != session.session_id:
        return limits if session.outgrown is None else limits.tightened(session.outgrown)
    device, version = state.device(session.device), seen.sample.settings_version
    limits = limits.tightened(since_it_began(device, session, version))
    settings = named(device, version)
    return limits if settings is None else limits.tightened(settings.limits)
