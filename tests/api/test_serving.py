"""The server at its port, with real sockets: slow, silent, many and broken clients, and a stop that goes through."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleet.api.access import Role
from fleet.api.guard import csrf_token
from fleet.api.reception import Entered
from fleet.api.serving import Bounds, listen, serve
from tests.api.desk import Front, until

TIGHT = Bounds(connections_max=20, head_s=1.0, idle_s=2.0, unread_s=1.0, handshake_s=1.0)


@pytest.fixture(autouse=True)
def _descriptors() -> None:
    """A thousand clients and their server are in one process here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


@dataclass
class Served:
    """A front at a port of this machine."""

    front: Front
    port: int
    task: "asyncio.Task[None]"
    tls: ssl.SSLContext | None = None
    talks: list["Talk"] = field(default_factory=list)
    held: list[socket.socket] = field(default_factory=list)

    async def opened(self, tls: ssl.SSLContext | None = None) -> "Talk":
        talk = Talk(self.port, *await asyncio.open_connection("127.0.0.1", self.port, ssl=tls or self.tls))
        self.talks.append(talk)
        return talk

    async def crowd(self, number: int, says: bytes = b"") -> None:
        """Strangers come, say that much, and hold on to their connections."""

        def come() -> None:
            for _ in range(number):
                one = socket.create_connection(("127.0.0.1", self.port))
                if says:
                    with suppress(OSError):  # it may be put out already
                        one.sendall(says)
                self.held.append(one)

        await asyncio.to_thread(come)

    async def leave(self) -> None:
        """Everybody goes."""
        for one in self.held:
            one.close()
        for talk in self.talks:
            talk.writer.close()
            with suppress(OSError):
                await talk.writer.wait_closed()

    async def signed_in(self, user: str = "anna") -> "Talk":
        """A workstation whose page has asked something: its connection is known."""
        entered = await self.front.reception.sign_in(user, "seven brown cows on a hill", "192.0.2.1")
        assert isinstance(entered, Entered)
        talk = await self.opened()
        talk.cookie = entered.cookie
        assert await talk.asks("GET", "/api/v1/me") == 200
        return talk


class Talk:
    """One connection, kept open from request to request."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port, self.reader, self.writer = port, reader, writer
        self.cookie = ""

    async def asks(self, method: str, path: str, body: str = "") -> int:
        """The status of the answer.

        Raises:
            OSError, IncompleteReadError: the connection is over.
        """
        said = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Cookie: stimfleet={self.cookie}",
            f"X-CSRF-Token: {csrf_token(self.cookie)}",
            f"Origin: http://127.0.0.1:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        self.writer.write(("\r\n".join(said) + "\r\n\r\n" + body).encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")), 0)
        await self.reader.readexactly(length)
        return int(head.split(" ")[1])

    async def stops(self) -> int:
        return await self.asks("POST", "/api/v1/stops", '{"scope": "room", "name": "room-4"}')

    async def over(self, within_s: float = 5.0) -> bool:
        """Whether the server ends the connection."""
        try:
            async with asyncio.timeout(within_s):
                while await self.reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


@asynccontextmanager
async def served(front: Front, bounds: Bounds = TIGHT, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        task = asyncio.get_running_loop().create_task(
            serve(front.whole, listening, bounds=bounds, tls=tls), name="served"
        )
        site = Served(front, port, task)
        try:
            yield site
        finally:
            await site.leave()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


HEAD_BEGUN = b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
BODY_BEGUN = (
    b"POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
)


@pytest.mark.parametrize("says", [b"", HEAD_BEGUN, BODY_BEGUN], ids=["silent", "slow head", "slow body"])
async def test_a_thousand_strangers_do_not_keep_a_signed_in_users_stop_out(front: Front, says: bytes) -> None:
    """With 64 places: on the connection that the page has, and on a new one."""
    front.user("anna", Role.VIEWER)
    bounds = Bounds(connections_max=64, head_s=60.0)  # no time limit comes to anybody's rescue
    async with served(front, bounds) as site:
        page = await site.signed_in()
        for _ in range(20):
            await site.crowd(50, says)
            assert await page.stops() == 202
        fresh = await site.opened()
        fresh.cookie = page.cookie
        assert await fresh.stops() == 202


async def test_a_head_that_does_not_end_ends_its_connection(front: Front) -> None:
    async with served(front) as site:
        slow = await site.opened()

        async def drip() -> None:
            with suppress(OSError):
                slow.writer.write(HEAD_BEGUN)
                for _ in range(100):
                    slow.writer.write(b"e")
                    await slow.writer.drain()
                    await asyncio.sleep(0.1)  # a byte now and then: that is what a slowloris is

        dripping = asyncio.ensure_future(drip())
        assert await slow.over(within_s=3.0)
        dripping.cancel()
        with suppress(asyncio.CancelledError):
            await dripping


async def test_a_stranger_who_says_nothing_goes_and_so_does_who_says_nothing_more(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    async with served(front) as site:
        silent = await site.opened()
        page = await site.signed_in()
        assert await silent.over(within_s=3.0)
        assert await page.over(within_s=6.0), "idle: the browser opens another one"


async def test_the_second_request_of_a_connection_is_as_bounded_as_the_first(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    async with served(front) as site:
        page = await site.signed_in()
        page.writer.write(HEAD_BEGUN)
        assert await page.over(within_s=3.0)


async def test_where_all_are_known_an_idle_one_goes_and_busy_ones_stay(front: Front) -> None:
    """As many workstations as there are places, and one more."""
    front.user("anna", Role.VIEWER)
    async with served(front, Bounds(connections_max=4)) as site:
        pages = [await site.signed_in() for _ in range(4)]
        one_more = await site.signed_in()
        assert await one_more.stops() == 202
        assert await pages[0].over(), "the one that was idle longest"
        assert [await page.stops() for page in pages[1:]] == [202] * 3


async def held(site: Served, user: str, number: int) -> list[Talk]:
    """One sign-in of that user, known on so many connections, each with a body on its way that takes its time."""
    first = await site.signed_in(user)
    talks = [first]
    for _ in range(number - 1):
        talk = await site.opened()
        talk.cookie = first.cookie
        assert await talk.asks("GET", "/api/v1/me") == 200
        talks.append(talk)
    for talk in talks:
        talk.writer.write(BODY_BEGUN)
        await talk.writer.drain()
    return talks


async def test_one_user_who_is_signed_in_takes_the_stop_from_nobody(front: Front) -> None:
    """Every other place is theirs, and busy: they lose one of their own, nobody else does."""
    front.user("anna", Role.THERAPIST)
    front.user("mallory", Role.VIEWER)
    async with served(front, Bounds(connections_max=16)) as site:
        anna = await site.signed_in("anna")
        for _ in range(3):  # three sign-ins, so that no bound of one of them comes to the rescue
            await held(site, "mallory", 5)
        await site.crowd(40)
        assert await anna.stops() == 202, "on the connection that she had"
        fresh = await site.opened()
        fresh.cookie = anna.cookie
        assert await fresh.stops() == 202, "and on a new one"


async def test_one_sign_in_has_only_so_many_connections(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    async with served(front, Bounds(connections_max=64, places_each=4)) as site:
        talks = await held(site, "anna", 4)
        one_more = await site.opened()
        one_more.cookie = talks[0].cookie
        assert await one_more.stops() == 202
        assert await talks[0].over(), "the one that had been there longest"
        other = await site.signed_in("anna")
        assert await other.stops() == 202, "another sign-in of hers has its own"


async def test_what_is_no_http_is_refused_and_the_server_goes_on(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.user("anna", Role.VIEWER)
    async with served(front) as site:
        for nonsense in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET\r\n\r\n",
            b"\r\n" * 9_000,
            b"G" * 70_000,
            b"\x00" * 100,
        ):
            stranger = await site.opened()
            stranger.writer.write(nonsense + b"\r\n\r\n")
            assert await stranger.over()
        huge = await site.opened()
        huge.writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
        assert await huge.over()
        page = await site.signed_in()
        assert await page.stops() == 202
    assert not caplog.records, "what strangers send is no line in the log"


async def test_who_does_not_take_what_they_asked_for_is_put_out(front: Front) -> None:
    async def long_answer() -> dict[str, str]:
        return {"text": "x" * 20_000_000}

    front.app.get("/long")(long_answer)
    async with served(front) as site:
        greedy = socket.socket()
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await asyncio.to_thread(greedy.connect, ("127.0.0.1", site.port))
        greedy.sendall(b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        def put_out() -> bool:
            with suppress(BlockingIOError):
                greedy.send(b"x")  # a reset shows at the next write
            return False

        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            await until(put_out)
        greedy.close()


async def test_answers_under_way_get_out_when_the_process_ends(front: Front) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, str]:
        asked.set()
        await go.wait()
        return {"done": "yes"}

    front.app.get("/slow")(slow)
    async with served(front) as site:
        talk = await site.opened()
        answer = asyncio.ensure_future(talk.asks("GET", "/slow"))
        await asked.wait()
        site.task.cancel()
        go.set()
        assert await answer == 200


# --- TLS ---


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's, with a certificate made for this test."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fleet.clinic.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + private)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_over_tls_a_crowd_that_never_shakes_hands_keeps_nobody_out(
    tmp_path: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    front = Front(tmp_path)
    front.user("anna", Role.VIEWER)
    server, client = contexts
    async with served(front, Bounds(connections_max=32, handshake_s=60.0), tls=server) as site:
        site.tls = client
        page = await site.signed_in()
        await site.crowd(300)
        assert await page.stops() == 202
        fresh = await site.opened()
        fresh.cookie = page.cookie
        assert await fresh.stops() == 202
    front.store.close()


async def test_a_handshake_that_does_not_come_is_not_waited_for(
    front: Front, contexts: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    async with served(front, TIGHT, tls=contexts[0]) as site:
        silent, plain = await site.opened(), await site.opened()
        plain.writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await plain.over()
        assert await silent.over(within_s=4.0)
    assert not caplog.records
