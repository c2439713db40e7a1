"""The reception: who somebody is, from memory; signing in and out; what changes of users and tokens.

The store has the truth, this has a copy of it: whether a request is let in is a look into memory, however many sign in
at that moment and whatever the disk does. A copy is taken after every change of our own, and four times a second the
store is asked whether somebody else, the command line, has written.

Passwords are verified in threads of their own, few at a time: whoever floods the sign-in keeps other sign-ins waiting,
nobody who is signed in. The disk has one thread.

Where the store cannot be read any more, the last copy stays good: who is signed in can still stop.

Signing in anew ends the session that the browser had. Its other tabs have that one's cookie until the answer with the
new one is here: for a quarter of a minute they are told that somebody is signing in, not that nobody is signed in.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fleet.api.access import How, SignedIn
from fleet.api.attempts import Attempts, place
from fleet.api.passwords import Passwords
from fleet.api.people import Kept, NotKept, Session, Token, Told, Unusable, User, fingerprint, new_secret
from fleet.api.store import Store

log = logging.getLogger(__name__)
LOOK_S: Final = 0.25
USED_S: Final = 60.0  # how often it is written that a session is in use
VERIFYING_MAX: Final = 16  # waiting, or being verified
VERIFYING_MAX_ADDRESS: Final = 4  # of them from one address
VERIFYING_MAX_UNKNOWN: Final = 12  # of users where they never were: the others find a place, whoever floods
BUSY_S: Final = 2.0
COOKIE_FOLLOWS_S: Final = 15.0  # the page drops a sign-in whose answer is not there after 10 s
LATER_MAX: Final = 10_000  # rows of the audit that wait for the disk
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ends:
    """When a session ends by itself: after so long without a request, and whatever happens."""

    idle_s: float = 3_600.0  # an open page asks all the time: this is for one that was closed
    whole_s: float = 12 * 3_600.0  # a working day


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody is signed in; `cookie` is the value that their browser keeps."""

    cookie: str
    who: SignedIn


@dataclass(frozen=True, slots=True)
class Wrong:
    """Not this user, or not this password, or not any more: which of them is not said."""


@dataclass(frozen=True, slots=True)
class TooOften:
    """Not looked at. Seconds until it would be."""

    wait_s: float


class Reception:
    """Everything about who is signed in. Its methods belong to the loop; `run` has to run there."""

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        *,
        walltime: Callable[[], float],
        over_tls: bool,
        ends: Ends = Ends(),  # frozen
        attempts: Attempts | None = None,
    ) -> None:
        self.over_tls = over_tls
        self.passwords = passwords
        self._store = store
        self._walltime = walltime
        self._ends = ends
        self._kept: Kept = store.kept()
        self._attempts = attempts or Attempts(*store.attempts())
        self._used: dict[bytes, float] = {}  # what was used since it was written
        self._used_written_wall_s = walltime()
        self._followed: dict[bytes, float] = {}  # sessions that ended as their browser got another one, and when
        self._later: list[Told] = []
        self._known_later: list[tuple[str, str, float]] = []
        self._verifying: Counter[str] = Counter()  # by address
        self._disk = ThreadPoolExecutor(1, "users")
        self._verifiers = ThreadPoolExecutor(1, "argon2")  # one core at most

    # --- who is it: memory only ---

    def by_cookie(self, value: str) -> SignedIn | None:
        """Whose session it is; None: nobody's, or not any more."""
        return self._session(fingerprint(value))

    def by_token(self, value: str) -> SignedIn | None:
        """Which machine's token it is; None: nobody's, or not any more."""
        return self._token(fingerprint(value))

    def is_followed(self, value: str) -> bool:
        """Whether the browser with this cookie, which is nobody's any more, is about to get another one."""
        ended_wall_s = self._followed.get(fingerprint(value))
        return ended_wall_s is not None and abs(self._walltime() - ended_wall_s) <= COOKIE_FOLLOWS_S

    def still(self, who: SignedIn) -> bool:
        """Whether they are still signed in, as the same. For what takes long, like a stream; it counts as use."""
        return (self._session(who.key) if who.how is How.COOKIE else self._token(who.key)) == who

    def ends_wall_s(self, who: SignedIn) -> float | None:
        """When their session ends, however much it is used; None: a machine's token, or it is over."""
        session = self._kept.sessions.get(who.key) if who.how is How.COOKIE else None
        return None if session is None else session.began_wall_s + self._ends.whole_s

    def _session(self, key: bytes) -> SignedIn | None:
        session = self._kept.sessions.get(key)
        user = self._kept.users.get(session.user) if session else None
        if session is None or user is None or user.disabled:
            return None
        now_wall_s = self._walltime()
        if self._is_over(session, now_wall_s):
            return None
        self._used[key] = now_wall_s
        return _signed_in(user, key)

    def _is_over(self, session: Session, now_wall_s: float) -> bool:
        used_wall_s = self._used.get(session.key, session.used_wall_s)
        return now_wall_s - used_wall_s > self._ends.idle_s or now_wall_s - session.began_wall_s > self._ends.whole_s

    def _token(self, key: bytes) -> SignedIn | None:
        token = self._kept.tokens.get(key)
        now_wall_s = self._walltime()
        if token is None or (token.ends_wall_s is not None and now_wall_s >= token.ends_wall_s):
            return None
        self._used[key] = now_wall_s
        return SignedIn(f"token:{token.id}", token.name, token.role, None, How.TOKEN, key=key)

    def is_known_at(self, address: str) -> bool:
        """Whether anybody has signed in from there before."""
        return self._attempts.knows_address(place(address))

    def now_wall_s(self) -> float:
        return self._walltime()

    def users(self) -> list[User]:
        return sorted(self._kept.users.values(), key=lambda user: user.id)

    def tokens(self) -> list[Token]:
        return sorted(self._kept.tokens.values(), key=lambda token: token.created_wall_s)

    # --- signing in and out ---

    async def sign_in(
        self, user: str, password: str, address: str, before: str | None = None
    ) -> Entered | Wrong | TooOften:
        """Let somebody in whose password is right. `before` is the cookie that their browser had: its session ends.

        Raises:
            Unusable: the disk refuses; nobody is signed in that is not on it.
        """
        checked = await self._verified(user, password, address, "sign in")
        if not isinstance(checked, User):
            return checked
        cookie = new_secret()
        now_wall_s = self._walltime()
        session = Session(fingerprint(cookie), user, address, now_wall_s, now_wall_s)
        told = Told(now_wall_s, user, address, "sign in")
        instead_of = None if before is None else fingerprint(before)
        try:
            with self._followed_by_another(instead_of):
                await self.write(lambda store: store.begin_session(session, checked.hash, told, instead_of))
                if self.passwords.outdated(checked.hash):
                    hashed = await self.hash(password)
                    await self.write(lambda store: store.rehash(user, checked.hash, hashed))
        except NotKept:
            return Wrong()
        return Entered(cookie, _signed_in(checked, session.key))

    async def sign_out(self, who: SignedIn, address: str) -> None:
        """End the session."""
        told = Told(self._walltime(), who.user, address, "sign out")
        await self.write(lambda store: store.end_sessions([who.key], told))

    async def change_own_password(
        self, who: SignedIn, password: str, new: str, address: str
    ) -> Entered | Wrong | TooOften:
        """Change it where the present one is right. All sessions of the user end, and this browser gets a new one."""
        checked = await self._verified(who.user, password, address, "change password")
        if not isinstance(checked, User):
            return checked
        hashed = await self.hash(new)
        cookie = new_secret()
        now_wall_s = self._walltime()
        session = Session(fingerprint(cookie), who.user, address, now_wall_s, now_wall_s)
        changed = Told(now_wall_s, who.user, address, "change password", who.user)
        changes = {"hash": hashed, "password_wall_s": now_wall_s, "must_change": False}
        told = Told(now_wall_s, who.user, address, "sign in")
        with self._followed_by_another(who.key):
            user = await self.write(lambda store: store.change_user(who.user, changed, **changes))
            await self.write(lambda store: store.begin_session(session, hashed, told))
        return Entered(cookie, _signed_in(user, session.key))

    @contextmanager
    def _followed_by_another(self, key: bytes | None) -> Iterator[None]:
        """In there this session, where there is one, ends and another one begins: its browser is about to get that.

        Tried again, the answer to the first time was lost: this one is on its way now.
        """
        if key is None or not (key in self._kept.sessions or key in self._followed):
            yield
            return
        before_wall_s = self._followed.get(key)
        self._followed[key] = self._walltime()
        try:
            yield
        except BaseException:  # there is no other one, but perhaps that of a try before
            self._followed.pop(key, None)
            if before_wall_s is not None:
                self._followed[key] = before_wall_s
            raise

    async def _verified(self, user: str, password: str, address: str, what: str) -> User | Wrong | TooOften:
        """The user whose password it is. Takes as long for one whom nobody knows."""
        address = place(address)
        now_wall_s = self._walltime()
        known = self._kept.users.get(user)
        if known is None:  # people type their password here: it is kept nowhere
            user = f"?{fingerprint(user).hex()[:32]}"
        wait_s = self._attempts.wait_s(user, address, now_wall_s, known.password_wall_s if known else 0.0)
        if wait_s > 0:
            return TooOften(wait_s)
        places = VERIFYING_MAX if self._attempts.knows(user, address, now_wall_s) else VERIFYING_MAX_UNKNOWN
        with self._verifying_for(address, places) as taken:
            if not taken:
                return TooOften(BUSY_S)
            self._attempts.began(user, address, now_wall_s)
            against = known.hash if known else self.passwords.nobodys
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._verifiers, self.passwords.verify, against, password)
        if known is None or known.disabled or not right:
            self.tell(Told(now_wall_s, user if known else "(unknown)", address, what, outcome="refused"))
            return Wrong()
        self._attempts.succeeded(user, address, now_wall_s)
        self._known_later.append((user, address, now_wall_s))
        return known

    @contextmanager
    def _verifying_for(self, address: str, places: int) -> Iterator[bool]:
        """One of so many places in the queue of the verifiers; False: they are taken."""
        if self._verifying.total() >= places or self._verifying[address] >= VERIFYING_MAX_ADDRESS:
            yield False
            return
        self._verifying[address] += 1
        try:
            yield True
        finally:
            self._verifying[address] -= 1
            self._verifying += Counter()  # forgets who has none

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._verifiers, self.passwords.hash, password)

    # --- the store ---

    async def write(self, change: Callable[[Store], T]) -> T:
        """Do `change` in the store, and have a new copy before whoever waits for it goes on.

        Raises:
            NotKept, Unusable: as the store has it.
        """

        def changed() -> tuple[T, Kept]:
            return change(self._store), self._store.kept()

        result, self._kept = await asyncio.get_running_loop().run_in_executor(self._disk, changed)
        return result

    async def read(self, ask: Callable[[Store], T]) -> T:
        """What the store says, of what is not kept in memory."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, ask, self._store)

    def tell(self, told: Told) -> None:
        """Write a row of the audit, soon: nobody waits for it."""
        if len(self._later) < LATER_MAX:
            self._later.append(told)
        else:
            log.error("the audit cannot be written, and a row is lost: %s %s %s", told.who, told.what, told.subject)

    async def run(self) -> None:
        """Write what waits, and take a copy when somebody else has written; until it is cancelled."""
        usable = True
        try:
            while True:
                try:
                    await self._look()
                    usable = True
                except Unusable as unusable:
                    if usable:  # told once in a row
                        log.error("%s Who is signed in stays so; nobody else can sign in.", unusable)
                    usable = False
                await asyncio.sleep(LOOK_S)
        finally:
            try:
                waiting = self._waiting(all_uses=True)
                await self.read(lambda store: store.note(**waiting))  # a stop that is on its way is answered meanwhile
            except Unusable as unusable:
                log.error("what was told last is not in the audit: %s", unusable)
            self._disk.shutdown()
            self._verifiers.shutdown(cancel_futures=True)

    async def _look(self) -> None:
        waiting = self._waiting()
        if any(waiting.values()):
            try:
                await self.read(lambda store: store.note(**waiting))
            except Unusable:
                self._later[:0] = waiting["told"]  # the counts are still in memory
                raise
        now_wall_s = self._walltime()
        followed = self._followed.items()
        self._followed = {key: at for key, at in followed if abs(now_wall_s - at) <= COOKIE_FOLLOWS_S}
        over = [key for key, session in self._kept.sessions.items() if self._is_over(session, now_wall_s)]
        if over:
            await self.write(lambda store: store.end_sessions(over))
        if await self.read(lambda store: store.changed()):
            self._kept = await self.read(lambda store: store.kept())
            there = self._kept.sessions.keys() | self._kept.tokens.keys()
            self._used = {key: at for key, at in self._used.items() if key in there}

    def _waiting(self, *, all_uses: bool = False) -> dict[str, Any]:
        """What the store has not got yet."""
        now_wall_s = self._walltime()
        used: list[tuple[bytes, float]] = []
        if all_uses or abs(now_wall_s - self._used_written_wall_s) >= USED_S:
            used = [(key, at) for key, at in self._used.items() if at >= self._used_written_wall_s]
            self._used_written_wall_s = now_wall_s
        told, self._later = self._later, []
        known, self._known_later = self._known_later, []
        counts = list(self._attempts.take_changed())
        return {"told": told, "counts": counts, "known": known, "used": used}


def _signed_in(user: User, key: bytes) -> SignedIn:
    return SignedIn(user.id, user.name, user.role, user.operator, How.COOKIE, user.must_change, key)
