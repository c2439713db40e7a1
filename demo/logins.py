"""Who may sign in at the page of a demo: one of each role, all with one password that is made anew each time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.clinic import AT_A_SCREEN
from fleet.api.access import Role
from fleet.api.passwords import Passwords
from fleet.api.people import Told, User
from fleet.api.store import FILE_NAME, Store

_USERS: Final = {
    Role.THERAPIST: AT_A_SCREEN,
    Role.MANAGER: "demo.manager",
    Role.ON_CALL: "demo.oncall",
    Role.ADMIN: "demo.admin",
    Role.VIEWER: "demo.viewer",
}
_TREATS: Final = frozenset({Role.THERAPIST, Role.MANAGER})


@dataclass(frozen=True, slots=True)
class Logins:
    """The users, and their password."""

    users: tuple[str, ...]
    password: str

    @property
    def words(self) -> str:
        """One line for the terminal.

        >>> Logins(("demo.therapist", "demo.manager"), "x").words
        'Sign in as demo.therapist or demo.manager, password x'
        """
        *others, last = self.users
        return f"Sign in as {', '.join(others)} or {last}, password {self.password}"


def make_logins(fleet_dir: Path, password: str, now_wall_s: float) -> Logins:
    """Write the users into the clinic's store, before its page is opened."""
    hashed = Passwords().hash(password)
    store = Store(fleet_dir / FILE_NAME)
    try:
        for role, user in _USERS.items():
            operator = AT_A_SCREEN if role in _TREATS else None
            kept = User(user, f"Demo {role}", role, operator, hashed, now_wall_s)
            store.add_user(kept, Told(now_wall_s, "demo", "", "add user", f"{user} as {role}"))
    finally:
        store.close()
    return Logins(tuple(_USERS.values()), password)
