"""Test vectors for agents in any language, made by this code and published as `vectors.json`.

    codec.accepted      payload is a message of channel; canonical is how this code writes it, and re-reads equal
    codec.refused       payload is none; any refusal is right, reason is what this code says
    mac.links           private keys of both sides, and what is derived from them
    mac.good, mac.bad   messages with their user properties
    permission          what an agent sent, what came back when, and until when output is then allowed, in seconds of
                        the agent's boot time
    limits              what a plan breaks and how far it may go; strictest layers, contacts, steps, over limit
    holds               the id of a hold, from its payload

The published document describes their format (`rules.md`, "Test vectors").
`stimfleet vectors` writes them; a test holds the file to the code and to a second implementation.
"""

import json
from typing import Any

from broker.wire import vectors_codec, vectors_limits, vectors_mac, vectors_permission


def vectors_text() -> str:
    """All vectors as JSON text."""
    return json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"


def vectors() -> dict[str, Any]:
    """All vectors."""
    return {
        "about": "Test vectors of the StimFleet wire contract, version 1; the keys in here are public.",
        "codec": {"accepted": list(vectors_codec.accepted()), "refused": list(vectors_codec.refused())},
        "mac": {"links": list(vectors_mac.links()), "good": list(vectors_mac.good()), "bad": list(vectors_mac.bad())},
        "permission": list(vectors_permission.permission()),
        "limits": vectors_limits.limits(),
        "holds": list(vectors_limits.holds()),
    }
