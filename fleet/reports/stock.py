"""Which devices the clinic had, and in which rooms, day by day: from the lists that it adopted."""

from dataclasses import dataclass, field
from datetime import date

from fleet.core.registry import Registry


@dataclass(frozen=True, slots=True)
class Since:
    """Where a device stood from a day on; `room` None: it was taken off the list."""

    day: date
    room: str | None


@dataclass(slots=True)
class Stock:
    """By device, its rooms in order of days. A day belongs to where the device stood at its end."""

    stood: dict[str, tuple[Since, ...]] = field(default_factory=dict)

    def adopted(self, registry: Registry, day: date) -> None:
        """The clinic's list from this day on, the newest. What did not change leaves nothing."""
        here = {name: one.room for name, one in registry.devices.items() if not one.struck_off}
        for device in self.stood.keys() | here.keys():
            known, room = self.stood.get(device, ()), here.get(device)
            if known and known[-1].day == day:
                known = known[:-1]
            before = known[-1].room if known else None
            self.stood[device] = known if before == room else (*known, Since(day, room))

    def room_of(self, device: str, day: date) -> str | None:
        """Where a device stood on a day; None where there was none."""
        return next((since.room for since in reversed(self.stood.get(device, ())) if since.day <= day), None)

    def on(self, day: date) -> dict[str, str]:
        """Every device that there was on a day, with its room."""
        rooms = {device: self.room_of(device, day) for device in sorted(self.stood)}
        return {device: room for device, room in rooms.items() if room is not None}
