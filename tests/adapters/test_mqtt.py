"""The fleet's MQTT connection against a real Mosquitto, and against servers that misbehave."""

import asyncio
from dataclasses import replace

import pytest

from broker.contract.topics import FLEET_INTAKE, FLEET_SAFETY, Channel, topic_for
from fleet.frames import Arrived
from fleet.mqtt import Connection, NoConnection
from tests.adapters.clinic import SITE, Clinic, eventually
from tests.adapters.scripted_broker import CONNACK, REFUSED, TAKEN_OVER, server

STOP = topic_for(SITE, "stim-01", Channel.STOP)
EVENT = topic_for(SITE, "stim-01", Channel.EVENT)
DENIED, NOBODY_LISTENS = 0x87, 0x10
NONSENSE = bytes([0x30, 3, 0, 9, 0x73])  # PUBLISH with a topic of nine bytes, of which one is there


class Ear:
    """Hears messages; as long as it is `closed` they are not taken in, so nothing is acknowledged."""

    def __init__(self, *, closed: bool = False) -> None:
        self.arrived: list[Arrived] = []
        self._opened = asyncio.get_running_loop().create_future() if closed else None

    def __call__(self, arrived: Arrived) -> asyncio.Future[None] | None:
        self.arrived.append(arrived)
        return self._opened

    def opens(self) -> None:
        assert self._opened is not None
        self._opened.set_result(None)
        self._opened = None


async def test_a_publish_that_the_acl_denies_is_reported_as_denied(clinic: Clinic) -> None:
    answers: dict[int, int] = {}
    safety = await Connection.open(clinic.endpoint(FLEET_SAFETY), acknowledged=answers.__setitem__)
    denied = safety.publish(EVENT, b"x", qos=1)
    allowed = safety.publish(STOP, b"x", qos=1)
    await eventually(lambda: len(answers) == 2)
    await safety.close()
    assert answers == {denied: DENIED, allowed: NOBODY_LISTENS}


async def test_everything_about_a_message_arrives(clinic: Clinic) -> None:
    safety = await Connection.open(clinic.endpoint(FLEET_SAFETY))
    safety.publish(STOP, b"held", qos=1, retain=True, expiry_s=30, user_properties=(("mac", "a1"), ("kid", "b2")))
    ear = Ear()
    device = await Connection.open(clinic.endpoint("stim-01"), hear=ear)
    await device.subscribe([(STOP, 1)])
    await eventually(lambda: ear.arrived)
    safety.publish(STOP, b"now", qos=1)
    await eventually(lambda: len(ear.arrived) == 2)
    await safety.close()
    await device.close()
    assert ear.arrived == [
        Arrived(STOP, b"held", 1, True, (("mac", "a1"), ("kid", "b2"))),
        Arrived(STOP, b"now", 1, False, ()),
    ]


async def test_the_broker_holds_back_what_is_not_taken(clinic: Clinic) -> None:
    """At QoS 1 a message is acknowledged when it was taken in, and no more than agreed are under way."""
    ear = Ear(closed=True)
    intake = await Connection.open(clinic.endpoint(FLEET_INTAKE), hear=ear, unacknowledged_max=3)
    await intake.subscribe([(EVENT, 1)])
    acknowledged: list[int] = []
    device = await Connection.open(clinic.endpoint("stim-01"), acknowledged=lambda n, _: acknowledged.append(n))
    for n in range(8):
        device.publish(EVENT, str(n).encode(), qos=1)
    await eventually(lambda: len(acknowledged) == 8)  # the broker has them all
    await eventually(lambda: len(ear.arrived) == 3)
    await asyncio.sleep(0.2)  # long enough for a fourth, which must not come
    assert [arrived.payload for arrived in ear.arrived] == [b"0", b"1", b"2"]
    ear.opens()
    await eventually(lambda: len(ear.arrived) == 8)
    assert [arrived.payload for arrived in ear.arrived] == [str(n).encode() for n in range(8)]
    await intake.close()
    await device.close()


async def test_what_was_not_taken_comes_again_to_nobody(clinic: Clinic) -> None:
    """A clean start: what a connection left unacknowledged is the spool's business, not the broker's."""
    ear = Ear(closed=True)
    intake = await Connection.open(clinic.endpoint(FLEET_INTAKE), hear=ear)
    await intake.subscribe([(EVENT, 1)])
    device = await Connection.open(clinic.endpoint("stim-01"))
    device.publish(EVENT, b"old", qos=1)
    await eventually(lambda: ear.arrived)
    await intake.close()
    again = Ear()
    second = await Connection.open(clinic.endpoint(FLEET_INTAKE), hear=again)
    await second.subscribe([(EVENT, 1)])
    device.publish(EVENT, b"new", qos=1)
    await eventually(lambda: again.arrived)
    assert [arrived.payload for arrived in again.arrived] == [b"new"]
    ear.opens()  # too late: its connection is over
    await second.close()
    await device.close()


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_bug_in_hearing_ends_the_connection(clinic: Clinic, qos: int) -> None:
    def broken(_: Arrived) -> None:
        raise ZeroDivisionError

    intake = await Connection.open(clinic.endpoint(FLEET_INTAKE), hear=broken)
    await intake.subscribe([(EVENT, 1)])
    device = await Connection.open(clinic.endpoint("stim-01"))
    device.publish(EVENT, b"x", qos=qos)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(asyncio.shield(intake.lost), 5)
    await intake.close()
    await device.close()


async def test_a_lost_connection_stays_lost(clinic: Clinic) -> None:
    """gmqtt would come back by itself 6 s later, as another session without subscriptions."""
    safety = await Connection.open(clinic.endpoint(FLEET_SAFETY))
    clinic.mosquitto.restart()
    assert await asyncio.wait_for(safety.lost, 5) is None
    with pytest.raises(NoConnection):
        safety.publish(STOP, b"x", qos=1)
    assert not safety._client._allow_reconnect()
    await safety.close()
    await (await Connection.open(clinic.endpoint(FLEET_SAFETY))).close()


async def test_the_older_of_two_with_one_identity_is_out_at_once(clinic: Clinic) -> None:
    """Mosquitto 2.0.11 closes it without a DISCONNECT, so there is no reason code: `fleet.adapters.echo` tells."""
    first = await Connection.open(clinic.endpoint(FLEET_SAFETY))
    second = await Connection.open(clinic.endpoint(FLEET_SAFETY))
    assert await asyncio.wait_for(first.lost, 1) in (None, 0x8E)
    assert not second.lost.done()
    await first.close()
    await second.close()


async def test_no_broker_is_no_connection(clinic: Clinic) -> None:
    clinic.mosquitto.kill()
    with pytest.raises(NoConnection, match="fleet-safety"):
        await Connection.open(clinic.endpoint(FLEET_SAFETY))
    clinic.mosquitto.start()


async def test_a_stranger_is_no_connection(clinic: Clinic) -> None:
    """Neither a broker of another site nor one that does not know us is spoken to."""
    endpoint = clinic.endpoint(FLEET_SAFETY)
    with pytest.raises(NoConnection, match="CERTIFICATE_VERIFY_FAILED"):
        await Connection.open(replace(endpoint, ca=endpoint.certificate))
    with pytest.raises(NoConnection):
        await Connection.open(replace(endpoint, ca=endpoint.ca.with_name("missing.crt")))


async def test_a_server_that_says_nothing_is_no_connection(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        pass

    monkeypatch.setattr("fleet.mqtt.CONNECT_S_MAX", 0.3)
    async with server(clinic, silence) as port:
        with pytest.raises(NoConnection, match="no answer within"):
            await Connection.open(replace(clinic.endpoint(FLEET_SAFETY), port=port))


async def test_a_refused_connect_is_no_connection(clinic: Clinic) -> None:
    async def refuse(writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED)

    async with server(clinic, refuse) as port:
        with pytest.raises(NoConnection, match="135"):
            await Connection.open(replace(clinic.endpoint(FLEET_SAFETY), port=port))


async def test_a_broker_that_sends_no_mqtt_is_left(clinic: Clinic, caplog: pytest.LogCaptureFixture) -> None:
    connected = asyncio.Event()

    async def talk_nonsense(writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        await connected.wait()
        writer.write(NONSENSE)

    async with server(clinic, talk_nonsense) as port:
        connection = await Connection.open(replace(clinic.endpoint(FLEET_INTAKE), port=port), hear=Ear())
        connected.set()
        assert await asyncio.wait_for(connection.lost, 5) is None
        await connection.close()
    assert "the broker is none" in caplog.text


async def test_a_connection_that_is_over_before_it_is_used_is_no_connection(clinic: Clinic) -> None:
    async def connect_and_talk_nonsense(writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK + NONSENSE)

    async with server(clinic, connect_and_talk_nonsense) as port:
        with pytest.raises(NoConnection, match="over before it was used"):
            await Connection.open(replace(clinic.endpoint(FLEET_INTAKE), port=port), hear=Ear())


async def test_what_one_turn_says_goes_out_together_and_in_order_and_a_stop_takes_it_along(clinic: Clinic) -> None:
    """Leases wait for the end of the turn, a stop for nothing: and nothing overtakes what was said before it."""
    ear = Ear()
    device = await Connection.open(clinic.endpoint("stim-01"), hear=ear)
    lease = topic_for(SITE, "stim-01", Channel.LEASE)
    await device.subscribe([(STOP, 1), (lease, 0)])
    safety = await Connection.open(clinic.endpoint(FLEET_SAFETY))
    written: list[bytes] = []
    protocol = safety._client._connection._protocol
    write, protocol.write_data = protocol.write_data, written.append
    for n in range(3):
        safety.publish(lease, b"%d" % n, qos=0)
    assert written == []
    safety.publish(STOP, b"stop", qos=1)
    assert len(written) == 1
    safety.publish(lease, b"3", qos=0)
    await asyncio.sleep(0)  # the end of the turn
    assert len(written) == 2
    for octets in written:
        write(octets)
    await eventually(lambda: len(ear.arrived) == 5)
    assert [arrived.payload for arrived in ear.arrived] == [b"0", b"1", b"2", b"stop", b"3"]
    await safety.close()
    await device.close()


async def test_what_hearing_an_acknowledgement_raises_ends_the_connection(clinic: Clinic) -> None:
    def broken(_packet_id: int, _reason: int) -> None:
        raise ZeroDivisionError

    safety = await Connection.open(clinic.endpoint(FLEET_SAFETY), acknowledged=broken)
    safety.publish(STOP, b"x", qos=1)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(asyncio.shield(safety.lost), 5)
    await safety.close()


async def test_session_taken_over_is_heard_from_a_broker_that_says_so(clinic: Clinic) -> None:
    async def take_over(writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK + TAKEN_OVER)

    async with server(clinic, take_over) as port:
        connection = await Connection.open(replace(clinic.endpoint(FLEET_SAFETY), port=port))
        assert await asyncio.wait_for(connection.lost, 5) == 0x8E
        await connection.close()
