"""What is due on each device, as it is shown twice a second: reckoned anew only from something else."""

from dataclasses import dataclass, field
from typing import Any

from fleet.core.due import AHEAD_DAYS, DAY_S
from fleet.core.fold_doses import local_day
from fleet.core.registry import RegisteredDevice
from fleet.core.state import State
from fleet.views import due_rows

Rows = list[dict[str, Any]]


@dataclass(slots=True)
class DuesShown:
    """By device: from what its rows were reckoned, and the rows. Records are replaced, never changed."""

    _known: dict[str, tuple[tuple[object, ...], Rows]] = field(default_factory=dict)

    def of(self, state: State, registered: RegisteredDevice, wall_s: float) -> Rows:
        """As `views.due_rows`."""
        durable, name = state.durable, registered.device
        wall_s = max(wall_s, durable.wall_s)
        left_s = None if registered.due_wall_s is None else registered.due_wall_s - wall_s
        reckoned_from = (
            registered,
            durable.registry.clinic.time_zone,
            durable.meters.get(name),
            state.device(name).birth,
            local_day(durable, wall_s),
            left_s is not None and left_s <= 0.0,
            left_s is not None and left_s <= AHEAD_DAYS * DAY_S,
        )
        known = self._known.get(name)
        if known is None or known[0] != reckoned_from:
            known = self._known[name] = reckoned_from, due_rows(state, registered, wall_s)
        return known[1]
