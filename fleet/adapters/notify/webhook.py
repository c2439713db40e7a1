"""The signed webhook: a POST of JSON whose receiver can tell that it is ours, whole and fresh (docs/webhook.md).

Stimfleet-Timestamp: 1795597200
Stimfleet-Signature: v1=<hex of HMAC-SHA256(signing key, timestamp + "." + body)>
"""

import hmac
import json
from collections.abc import Callable
from hashlib import sha256

from fleet.adapters.notify.message import Message
from fleet.adapters.notify.posting import post

TIMESTAMP, SIGNATURE = "Stimfleet-Timestamp", "Stimfleet-Signature"
AGE_S_MAX = 300.0


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """The value of `Stimfleet-Signature`.

    >>> signature(b"key", "1795597200", b"{}")
    'v1=756defc82358386dbdcd5e835e29472e253e6029b8d7125cb0c834481b261186'
    """
    return f"v1={hmac.new(key, timestamp.encode() + b'.' + body, sha256).hexdigest()}"


def send_webhook(url: str, key: str, message: Message, within_s: float, walltime: Callable[[], float]) -> None:
    """Post a message.

    Raises:
        NotDelivered
    """
    body = json.dumps(message.as_json(), separators=(",", ":")).encode()
    timestamp = str(int(walltime()))
    post(url, body, within_s, {TIMESTAMP: timestamp, SIGNATURE: signature(key.encode(), timestamp, body)})
