"""Topics: `topic_for` and `parse_topic` are inverses, on everything that is a topic and on nothing else."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract import topics
from broker.contract.messages import Lease, Telemetry
from broker.contract.topics import (
    CHANNEL_OF,
    CHANNELS,
    DOWNLINKS,
    PAYLOAD_BYTES_MAX,
    RESERVED_IDS,
    UPLINKS,
    Address,
    Channel,
    Direction,
    NotATopic,
    parse_topic,
    topic_for,
)

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
BAD_NAMES = ["", "-a", "A", "a_b", "a" * 33, "a/b", "+", "#", "ä", "a b", "a\n", "$SYS", "a.b"]


def has(device: str, channel: Channel) -> bool:
    """contract.md: `all` has the stop only, `fleet` the echo only, the services nothing, a device all but the echo."""
    only = {"all": "stop", "fleet": "echo", "fleet-intake": None, "fleet-safety": None}
    return only[device] == channel.value if device in only else channel.value != "echo"


def test_the_examples_in_the_docstring_run() -> None:
    assert doctest.testmod(topics).failed == 0


@given(names, st.one_of(names, st.sampled_from(sorted(RESERVED_IDS))), st.sampled_from(Channel))
@settings(max_examples=300)
def test_they_are_inverses_on_every_topic_there_is(site: str, device: str, channel: Channel) -> None:
    if has(device, channel):
        topic = topic_for(site, device, channel)
        assert topic == f"stim/v1/{site}/{device}/{channel.value}"
        assert parse_topic(topic) == Address(site, device, channel)
        assert parse_topic(topic).is_site_wide == (device == "all")
    else:
        with pytest.raises(NotATopic):
            topic_for(site, device, channel)
        with pytest.raises(NotATopic):
            parse_topic(f"stim/v1/{site}/{device}/{channel.value}")


@pytest.mark.parametrize(
    ("device", "channel"), [("stim-1", Channel.LEASE), ("all", Channel.STOP), ("fleet", Channel.ECHO)]
)
def test_a_topic_that_nobody_has_used_yet_comes_back(device: str, channel: Channel) -> None:
    """No other test has this site: a topic that is remembered is not worked out again, and shows no branch."""
    topic = topic_for("nowhere-else", device, channel)
    assert topic == f"stim/v1/nowhere-else/{device}/{channel.value}"
    assert parse_topic(topic) == Address("nowhere-else", device, channel)


@given(st.text(max_size=60))
def test_nothing_else_is_a_topic(text: str) -> None:
    try:
        address = parse_topic(text)
    except NotATopic:
        return
    assert topic_for(address.site, address.device, address.channel) == text


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_makes_no_topic(name: str) -> None:
    for site, device in ((name, "stim-1"), ("north", name)):
        with pytest.raises(NotATopic):
            topic_for(site, device, Channel.LEASE)
        with pytest.raises(NotATopic):
            parse_topic(f"stim/v1/{site}/{device}/lease")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "stim/v1/north/stim-1",
        "stim/v1/north/stim-1/lease/",
        "/stim/v1/north/stim-1/lease",
        "stim/v2/north/stim-1/lease",
        "stem/v1/north/stim-1/lease",
        "stim/v1/north/stim-1/Lease",
        "stim/v1/north/stim-1/LEASE",
        "stim/v1/north/stim-1/unknown",
        "stim/v1/+/stim-1/lease",
        "$share/g/stim/v1/north",
    ],
)
def test_what_is_nearly_a_topic_is_none(topic: str) -> None:
    with pytest.raises(NotATopic):
        parse_topic(topic)


def test_every_channel_has_one_row_and_every_message_one_channel() -> None:
    assert list(CHANNELS) == list(Channel)
    assert (CHANNEL_OF[Lease], CHANNEL_OF[Telemetry]) == (Channel.LEASE, Channel.TELEMETRY)
    assert len(CHANNEL_OF) == len(Channel) - 1


def test_the_directions_are_those_of_the_contract() -> None:
    uplinks = {"birth", "presence", "telemetry", "event", "ack"}
    for row in CHANNELS.values():
        if row.channel is Channel.ECHO:
            assert row.direction is Direction.LOOP
        else:
            assert (row.direction is Direction.UPLINK) == (row.channel.value in uplinks)


def test_only_telemetry_and_leases_and_the_echo_may_be_lost() -> None:
    assert {row.channel.value for row in CHANNELS.values() if row.qos == 0} == {"telemetry", "lease", "echo"}
    assert {row.qos for row in CHANNELS.values()} == {0, 1}


def test_what_may_allow_something_is_never_retained() -> None:
    retained = {row.channel.value: row.retained.value for row in CHANNELS.values() if row.retained != "never"}
    assert retained == {"birth": "always", "presence": "always", "settings": "always", "stop": "hold"}


def test_commands_expire_after_30_seconds() -> None:
    assert {row.channel.value: row.expiry_s for row in CHANNELS.values() if row.expiry_s is not None} == {
        "authorisation": 30,
        "cancel": 30,
        "release": 30,
    }


def test_a_silent_device_is_stale_before_it_is_lost() -> None:
    """Idle devices speak every 5 s: after two missed it is stale, after six lost; the echo goes round every 0.5 s."""
    row = CHANNELS[Channel.TELEMETRY]
    assert (row.period_s, row.stale_after_s, row.lost_after_s) == (5.0, 12.0, 30.0)
    assert CHANNELS[Channel.ECHO].period_s == 0.5


def test_a_payload_is_at_most_8_kib() -> None:
    assert PAYLOAD_BYTES_MAX == 8192


def test_uplinks_and_downlinks_are_all_but_the_echo() -> None:
    assert [row.channel.value for row in UPLINKS] == ["birth", "presence", "telemetry", "event", "ack"]
    assert {row.channel for row in (*UPLINKS, *DOWNLINKS)} == set(Channel) - {Channel.ECHO}
