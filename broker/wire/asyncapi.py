"""The wire contract as an AsyncAPI 3.0 document, generated from CHANNELS and the message types.

It is written from the device agent's side, which is who needs it: the agent sends uplinks and receives downlinks.
The fleet's own echo is no business of a device and is left out. `stimfleet asyncapi --out FILE` writes it. The
public parser, @asyncapi/parser 3.6.3, finds no error and no warning in it; tests hold it to the schema of AsyncAPI.
"""

import json
from typing import Any

from broker.contract.messages import DETAIL_OF, EventKind, Message
from broker.contract.topics import (
    ALL,
    CHANNELS,
    ROOT,
    Channel,
    ChannelRow,
    Direction,
    Retained,
    topic_for,
)
from broker.wire.codec import encode, json_schema
from broker.wire.examples import DEVICE, EVENTS, EXAMPLES, SITE
from broker.wire.field_words import described
from broker.wire.mac import KID_HEX, MAC_BYTES, seal
from broker.wire.rules import rules_text
from broker.wire.vector_keys import vector_link

Document = dict[str, Any]
MQTT_BINDING = "0.2.0"
STOP_ALL = "stop_all"

_WHEN = {
    Channel.BIRTH: "What the device is. After subscribing, and on any change of these.",
    Channel.PRESENCE: "A hint that the device is there: on connect, on a clean disconnect, and as the will.",
    Channel.TELEMETRY: "One sample: every 0.5 s while armed, running, paused or stopping (0.05 to 0.5 s by settings), "
    "every 5 s otherwise (1 to 10 s), and at once when the phase changes. Samples that were taken while the link was "
    "down are sent afterwards with `late: true`.",
    Channel.EVENT: "Something that happened; kept in the durable spool until the fleet's `receipt` covers it.",
    Channel.ACK: "What became of a command: `received` at once, then its outcome.",
    Channel.LEASE: "Sample `answers` was inside every limit: output is allowed until `ttl_ms` after it was sent.",
    Channel.AUTHORISATION: "A session may be armed and started at the device.",
    Channel.CANCEL: "Withdraws an authorisation before `running`; latches nothing.",
    Channel.STOP: "Zero now. Any non-empty bytes stop. Retained when `hold` is true.",
    Channel.RELEASE: "Lifts the named holds. The device's own latch stays until a person resets it there.",
    Channel.SETTINGS: "What the clinic sets on the device. A higher version replaces a lower one.",
    Channel.RECEIPT: "Events that the fleet has in its journal and the agent may delete.",
}


def document_text() -> str:
    """The document as JSON text."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Document:
    """The document as an object."""
    rows = [row for row in CHANNELS.values() if row.direction is not Direction.LOOP]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:stimfleet:wire:v1",
        "info": {
            "title": "StimFleet device agent",
            "version": "1.0.0",
            "description": rules_text(),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "contact": {"name": "StimFleet"},
            "tags": [
                {"name": "uplink", "description": "Agent to fleet"},
                {"name": "downlink", "description": "Fleet to agent"},
            ],
        },
        "defaultContentType": "application/json",
        "servers": {"clinic": _server()},
        "channels": {row.channel.value: _channel(row) for row in rows} | {STOP_ALL: _stop_all_channel()},
        "operations": {_operation_name(row): _operation(row) for row in rows}
        | {f"receive_{STOP_ALL}": _stop_all_operation()},
        "components": {
            "messages": {row.channel.value: _message(row) for row in rows} | {STOP_ALL: _stop_all_message()},
            "schemas": _schemas(rows),
            "securitySchemes": {
                "clientCertificate": {
                    "type": "X509",
                    "description": "The device's certificate, from the site's CA; its common name is the device id.",
                }
            },
        },
    }


def _server() -> Document:
    return {
        "host": "{host}:{port}",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "The clinic's broker. Host and port are in the device's `device.json`.",
        "variables": {"host": {"default": "localhost"}, "port": {"default": "8883"}},
        "security": [{"$ref": "#/components/securitySchemes/clientCertificate"}],
        "bindings": {
            "mqtt": {
                "cleanSession": True,
                "keepAlive": 5,
                "sessionExpiryInterval": 0,
                "lastWill": {
                    "topic": topic_for(SITE, DEVICE, Channel.PRESENCE),
                    "qos": CHANNELS[Channel.PRESENCE].qos,
                    "message": '{"boot_n":7,"online":false}',
                    "retain": True,
                },
                "bindingVersion": MQTT_BINDING,
            }
        },
    }


def _channel(row: ChannelRow) -> Document:
    return {
        "address": f"{ROOT}/{{site}}/{{device}}/{row.channel}",
        "title": row.channel.value,
        "description": _WHEN[row.channel],
        "parameters": _parameters(),
        "messages": {row.channel.value: {"$ref": f"#/components/messages/{row.channel}"}},
    }


def _parameters(*, device: bool = True) -> Document:
    site = {"site": {"description": "Id of the site: [a-z0-9][a-z0-9-]{0,31}", "examples": [SITE]}}
    return site | (
        {"device": {"description": "Id of the device, as in its certificate", "examples": [DEVICE]}} if device else {}
    )


def _operation_name(row: ChannelRow) -> str:
    return f"{_action(row)}_{row.channel}"


def _action(row: ChannelRow) -> str:
    return "send" if row.direction is Direction.UPLINK else "receive"


def _operation(row: ChannelRow) -> Document:
    binding: Document = {"qos": row.qos, "bindingVersion": MQTT_BINDING}
    if row.retained is not Retained.HOLD:  # a stop is retained or not, by its `hold`
        binding["retain"] = row.retained is Retained.ALWAYS
    if row.expiry_s is not None:
        binding["messageExpiryInterval"] = row.expiry_s
    return {
        "action": _action(row),
        "channel": {"$ref": f"#/channels/{row.channel}"},
        "summary": _WHEN[row.channel],
        "tags": [{"name": row.direction.value}],
        "messages": [{"$ref": f"#/channels/{row.channel}/messages/{row.channel}"}],
        "bindings": {"mqtt": binding},
    }


def _message(row: ChannelRow) -> Document:
    assert row.message is not None
    return {
        "name": row.channel.value,
        "title": row.message.__name__,
        "summary": _WHEN[row.channel],
        "description": " ".join((row.message.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/UserProperties"},
        "payload": {"$ref": f"#/components/schemas/{row.message.__name__}"},
        "tags": [{"name": row.direction.value}],
        "examples": [_example(row, name, message) for name, message in _examples_of(row.channel)],
    }


def _examples_of(channel: Channel) -> list[tuple[str, Message]]:
    if channel is Channel.EVENT:
        return [(kind.value, event) for kind, event in EVENTS.items()]
    return [(channel.value, EXAMPLES[channel])]


def _example(row: ChannelRow, name: str, message: Message) -> Document:
    """With the MAC of exactly the canonical bytes, under the key of the test vectors."""
    payload = encode(message)
    sealed = seal(vector_link(), row.direction, topic_for(SITE, DEVICE, row.channel), payload)
    return {"name": name, "headers": {"mac": sealed.mac, "kid": sealed.kid}, "payload": json.loads(payload)}


# --- the site-wide stop ---------------------------------------------------------------------------------------------


def _stop_all_channel() -> Document:
    return {
        "address": f"{ROOT}/{{site}}/{ALL}/{Channel.STOP}",
        "title": "site-wide stop",
        "description": "Stops every device of the site. Any non-empty bytes stop. It never carries a MAC.",
        "parameters": _parameters(device=False),
        "messages": {STOP_ALL: {"$ref": f"#/components/messages/{STOP_ALL}"}},
    }


def _stop_all_operation() -> Document:
    row = CHANNELS[Channel.STOP]
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{STOP_ALL}"},
        "summary": "Zero now, everywhere. Retained when it is a hold.",
        "tags": [{"name": Direction.DOWNLINK.value}],
        "messages": [{"$ref": f"#/channels/{STOP_ALL}/messages/{STOP_ALL}"}],
        "bindings": {"mqtt": {"qos": row.qos, "bindingVersion": MQTT_BINDING}},
    }


def _stop_all_message() -> Document:
    return {
        "name": STOP_ALL,
        "title": "Stop, site-wide",
        "summary": "As a stop, without user properties; none of its fields is believed.",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/Stop"},
        "tags": [{"name": Direction.DOWNLINK.value}],
        "examples": [{"name": STOP_ALL, "payload": json.loads(encode(EXAMPLES[Channel.STOP]))}],
    }


# --- schemas --------------------------------------------------------------------------------------------------------


def _schemas(rows: list[ChannelRow]) -> Document:
    """Every payload and what it is made of, by the names of the classes."""
    found: Document = {"UserProperties": _user_properties()}
    for row in rows:
        assert row.message is not None
        schema = json_schema(row.channel)
        found |= schema.pop("$defs", {})
        found[row.message.__name__] = schema
    found = {name: described(name, schema) for name, schema in found.items()}
    found["Event"]["allOf"] = _kinds_and_details()
    return found


def _user_properties() -> Document:
    return {
        "type": "object",
        "description": "MQTT 5 user properties, each exactly once.",
        "required": ["mac", "kid"],
        "properties": {
            "mac": {"type": "string", "pattern": f"^[0-9a-f]{{{2 * MAC_BYTES}}}$"},
            "kid": {"type": "string", "pattern": f"^[0-9a-f]{{{KID_HEX}}}$"},
        },
    }


def _kinds_and_details() -> list[Document]:
    """Which detail goes with which kind of event."""
    kinds_of: dict[str | None, list[str]] = {}
    for kind in EventKind:
        detail = DETAIL_OF.get(kind)
        kinds_of.setdefault(None if detail is None else detail.__name__, []).append(kind.value)
    return [
        {
            "if": {"properties": {"kind": {"enum": kinds}}},
            "then": {
                "properties": {"detail": {"type": "null"} if name is None else {"$ref": f"#/components/schemas/{name}"}}
            },
        }
        for name, kinds in kinds_of.items()
    ]
