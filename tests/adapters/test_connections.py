"""Both connections together: the echo, half-open links, a broker that restarts, another instance that takes over."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broker.contract.messages import Lease
from broker.contract.topics import FLEET_INTAKE, FLEET_SAFETY, Channel
from broker.pki.link import site_links
from broker.pki.registry_file import load_registry
from fleet.adapters.downlink import Downlink, RetainedCleared, StopTaken, Undelivered
from fleet.adapters.echo import PERIOD_S, Echo, TakenOver
from fleet.adapters.intake import Intake, Item
from fleet.connections import Connections, Loss
from fleet.keyring import Keyring
from tests.adapters.clinic import SITE, Clinic, WireDevice, eventually
from tests.adapters.scripted_broker import CONNACK, TAKEN_OVER, server

LEASE = Lease(1, 1, "a" * 32, 5, 5000)


class Ends:
    """Both ends of a fleet without a core: what comes in is kept, nothing is reported."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def offer(self, item: Item) -> bool:
        self.items.append(item)
        return True

    def put(self, item: Item) -> None:
        self.items.append(item)

    def stop_taken(self, taken: StopTaken) -> None: ...

    def retained_cleared(self, cleared: RetainedCleared) -> None: ...

    def undelivered(self, device: str, channel: Channel, why: Undelivered) -> None: ...


class Instance:
    """One fleet instance, as far as its connections go."""

    def __init__(self, clinic: Clinic, fleet_n: int, port: int | None = None) -> None:
        self.ends = Ends()
        ring = Keyring(site_links(clinic.site_dir, load_registry(clinic.site_dir)))
        self.downlink = Downlink(SITE, ring, self.ends, boottime=time.monotonic, items_max=100)
        self.echo = Echo(f"instance-{fleet_n}", lambda: fleet_n)
        intake = Intake(SITE, ring, self.ends, heard_echo=self.echo.heard, boottime=time.monotonic, walltime=time.time)
        self.up = asyncio.Event()
        incoming, outgoing = clinic.endpoint(FLEET_INTAKE), clinic.endpoint(FLEET_SAFETY)
        if port is not None:
            incoming, outgoing = replace(incoming, port=port), replace(outgoing, port=port)
        self.connections = Connections(SITE, incoming, outgoing, intake, self.downlink, self.echo, self.up)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.ensure_future(self.connections.keep())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TakenOver):
                await task

    async def carries(self, device: WireDevice) -> None:
        """Wait until a sample comes in and a lease goes out, both on connections of now."""
        known, leases = len(self.ends.items), len(device.messages(Lease))

        def both() -> bool:
            device.say(device.sample())
            self.downlink.send(device.name, LEASE)
            return len(self.ends.items) > known and len(device.messages(Lease)) > leases

        await eventually(both)


async def test_a_sample_comes_in_and_a_lease_goes_out(clinic: Clinic) -> None:
    device = clinic.device("stim-01")
    await device.connect()
    instance = Instance(clinic, 1)
    async with instance.running():
        await instance.up.wait()
        await instance.carries(device)
        await eventually(lambda: instance.echo._heard_n >= 2)
        assert instance.echo.misses <= 1
    await device.connection.close()


async def test_a_broker_that_was_killed_is_found_again_and_its_absence_is_said_once(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    instance = Instance(clinic, 1)
    async with instance.running():
        await instance.up.wait()
        clinic.mosquitto.kill()
        await eventually(lambda: instance.connections.losses[Loss.UNREACHABLE] >= 4)
        assert len([record for record in caplog.records if "no connection" in record.message]) == 1
        clinic.mosquitto.start()
        await asyncio.wait_for(instance.up.wait(), 5)
        device = clinic.device("stim-01")
        await device.connect()
        await instance.carries(device)
        await device.connection.close()


async def test_a_broker_that_dies_while_leases_flow_takes_nobody_along(clinic: Clinic) -> None:
    """Between the socket's end and the fleet's notice of it there are turns of the loop, in which leases still go."""
    instance = Instance(clinic, 1)
    async with instance.running() as keeping:
        for _ in range(3):
            await asyncio.wait_for(instance.up.wait(), 5)
            await asyncio.sleep(0.2)  # a beat is under way
            clinic.mosquitto.kill()
            async with asyncio.timeout(5):
                while instance.up.is_set():
                    instance.downlink.send("stim-01", LEASE)
                    await asyncio.sleep(0)  # one turn of the loop
            assert not keeping.done()
            clinic.mosquitto.start()
        assert instance.downlink.counts[Channel.LEASE, Undelivered.NOT_CONNECTED] > 0


class Proxy:
    """Stands between the fleet and the broker; `swallow` makes every connection of that moment half-open."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._mute: set[int] = set()
        self.made = 0

    def lead_to(self, port: int) -> None:
        """Connections made from now on go there."""
        self._to = port

    def swallow(self) -> None:
        self._mute = set(range(self.made + 1))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        tasks: set[asyncio.Task[None]] = set()
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.made += 1
            number = self.made
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._to)
            writers.extend((writer, onward_writer))
            for source, sink in ((reader, onward_writer), (onward_reader, writer)):
                tasks.add(asyncio.ensure_future(self._copy(number, source, sink)))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in writers:
                writer.transport.abort()
            await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def _copy(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                if number not in self._mute:
                    sink.write(chunk)
                    await sink.drain()
        sink.close()


async def test_a_half_open_link_is_made_anew_after_two_missed_echoes(clinic: Clinic) -> None:
    """Nothing is closed, nothing answers: TCP and a keepalive of 5 s would need 10 s and more."""
    proxy = Proxy(clinic.mosquitto.port)
    async with proxy.listening() as port:
        instance = Instance(clinic, 1, port)
        async with instance.running():
            await instance.up.wait()
            await eventually(lambda: instance.echo._heard_n >= 1)
            proxy.swallow()
            cut_s = time.monotonic()
            await eventually(lambda: not instance.up.is_set())
            noticed_s = time.monotonic() - cut_s
            await asyncio.wait_for(instance.up.wait(), 5)
            assert proxy.made == 4  # both, twice
            assert PERIOD_S < noticed_s < 4 * PERIOD_S
            assert time.monotonic() - cut_s < 2.9, "a lease of 4 s, less a second of sampling, bridges it"


async def test_the_older_instance_ends_and_the_younger_stays(clinic: Clinic) -> None:
    """Both have the certificates and the site key, e.g. a restored machine: they must not take turns for ever."""
    older, younger = Instance(clinic, 7), Instance(clinic, 8)
    async with older.running() as first:
        await older.up.wait()
        async with younger.running() as second:
            with pytest.raises(TakenOver, match="number 8"):
                await asyncio.wait_for(asyncio.shield(first), 15)
            assert not second.done()
            await asyncio.wait_for(younger.up.wait(), 5)
            device = clinic.device("stim-01")
            await device.connect()
            await younger.carries(device)
            await device.connection.close()


async def test_a_younger_one_that_comes_first_is_not_disturbed(clinic: Clinic) -> None:
    older, younger = Instance(clinic, 7), Instance(clinic, 8)
    async with younger.running() as first:
        await younger.up.wait()
        async with older.running() as second:
            with pytest.raises(TakenOver, match="number 8"):
                await asyncio.wait_for(asyncio.shield(second), 15)
            assert not first.done()


async def test_told_that_it_was_taken_over_with_nobody_there_it_goes_on(clinic: Clinic) -> None:
    """The broker's word alone ends nobody: it is told to the younger of two as well."""

    async def take_over(writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK + TAKEN_OVER)

    async with server(clinic, take_over) as saying_so:
        proxy = Proxy(saying_so)
        async with proxy.listening() as port:
            instance = Instance(clinic, 1, port)
            async with instance.running() as keeping:
                await eventually(lambda: proxy.made >= 2)
                proxy.lead_to(clinic.mosquitto.port)
                await asyncio.wait_for(instance.up.wait(), 10)
                assert not keeping.done()


async def test_a_certificate_that_does_not_fit_is_tried_again(clinic: Clinic) -> None:
    """Somebody is renewing them at this moment: the service waits for better ones."""
    intake = clinic.endpoint(FLEET_INTAKE)
    good = intake.certificate.read_bytes()
    intake.certificate.write_bytes(b"half a certific")
    instance = Instance(clinic, 1)
    async with instance.running() as task:
        await asyncio.sleep(0.5)  # time for several tries, each of which fails
        assert not instance.up.is_set()
        assert not task.done()
        intake.certificate.write_bytes(good)
        await asyncio.wait_for(instance.up.wait(), 5)


# --- the echo by itself -----------------------------------------------------------------------------------------------


def test_two_misses_in_a_row_are_silence() -> None:
    echo = Echo("a", lambda: 1)
    echo.begin()
    first = echo.beat()
    assert not echo.silent
    echo.beat()
    assert echo.silent
    assert echo.heard(first)
    assert not echo.silent
    echo.beat()
    assert echo.silent
    echo.begin()
    assert not echo.silent
    echo.beat()
    assert not echo.silent


def test_an_old_echo_heard_late_is_no_sign_of_life_now() -> None:
    echo = Echo("a", lambda: 1)
    echo.begin()
    first, second = echo.beat(), echo.beat()
    assert echo.heard(second)
    assert echo.heard(first)
    assert echo.misses == 0


@pytest.mark.parametrize(
    ("instance", "fleet_n", "taken"),
    [("b", 5, True), ("a0", 4, True), ("0", 4, False), ("b", 3, False), ("a", 9, False)],
)
def test_who_is_the_younger_of_two(instance: str, fleet_n: int, taken: bool) -> None:
    ours, theirs = Echo("a", lambda: 4), Echo(instance, lambda: fleet_n)
    theirs.begin()
    with pytest.raises(TakenOver) if taken else contextlib.nullcontext():
        assert ours.heard(theirs.beat())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"instance":"b","fleet_n":true,"n":1}',
        b'{"instance":1,"fleet_n":9,"n":1}',
        b'{"instance":"b","fleet_n":9.5,"n":1}',
        b'{"instance":"b","fleet_n":9,"n":"1"}',
    ],
)
def test_what_is_no_echo_takes_nothing_over(payload: bytes) -> None:
    assert not Echo("a", lambda: 1).heard(payload)


def test_nobody_can_echo_the_future() -> None:
    echo = Echo("a", lambda: 1)
    echo.begin()
    echo.beat()
    assert echo.heard(b'{"instance":"a","fleet_n":1,"n":1000000}')
    echo.beat()
    echo.beat()
    assert echo.silent
