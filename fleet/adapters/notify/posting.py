"""One HTTP request, bounded in every way: no redirects, no proxies, and of the answer its status; a JSON that is asked
for is read up to a megabyte.

Whatever goes wrong is told in words that hold no part of the address: it may be a secret.
"""

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL
from typing import Any
from urllib.parse import unquote, urlsplit

from fleet.adapters.notify.message import NotDelivered

ANSWER_BYTES_MAX = 1_000_000
AGAIN = frozenset({408, 425, 429})  # of those below 500: later may do
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection lost"),
    (socket.gaierror, "its name is not known"),
    (ssl.SSLError, "TLS failed"),
    (HTTPException, "its answer is no HTTP"),
)


def post_json(url: str, body: Any, within_s: float, headers: Mapping[str, str] | None = None) -> None:
    """Post a document.

    Raises:
        NotDelivered
    """
    post(url, json.dumps(body, separators=(",", ":")).encode(), within_s, headers)


def post(url: str, body: bytes, within_s: float, headers: Mapping[str, str] | None = None) -> None:
    """Post bytes of JSON; the other side takes them with a status from 200 to 299.

    Raises:
        NotDelivered
    """
    _request("POST", url, body, within_s, headers or {}, answer_bytes_max=0)


def delete(url: str, within_s: float) -> None:
    """Ask for something to be taken away.

    Raises:
        NotDelivered
    """
    _request("DELETE", url, None, within_s, {}, answer_bytes_max=0)


def get_json(url: str, within_s: float) -> Any:
    """What the other side has.

    Raises:
        NotDelivered
    """
    answer = _request("GET", url, None, within_s, {}, answer_bytes_max=ANSWER_BYTES_MAX)
    try:
        return json.loads(answer)
    except ValueError:
        raise NotDelivered("its answer is no JSON", again=False) from None


def _request(
    verb: str, url: str, body: bytes | None, within_s: float, headers: Mapping[str, str], *, answer_bytes_max: int
) -> bytes:
    try:
        parts = urlsplit(url)
        https, host, port = parts.scheme == "https", parts.hostname, parts.port
    except ValueError:
        raise NotDelivered("its address is none", again=False) from None
    if parts.scheme not in {"http", "https"} or host is None:
        raise NotDelivered("its address is no http or https", again=False)
    connection = (HTTPSConnection if https else HTTPConnection)(host, port, timeout=within_s)
    said = {"Content-Type": "application/json", "User-Agent": "stimfleet", **headers}
    if parts.username is not None:
        named = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        said["Authorization"] = f"Basic {b64encode(named.encode()).decode()}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(verb, target, body, said)
        with connection.getresponse() as answered:
            status, answer = answered.status, answered.read(answer_bytes_max)
    except (InvalidURL, ValueError):
        raise NotDelivered("its address is none", again=False) from None
    except (OSError, HTTPException) as error:
        raise NotDelivered(_words(error), again=True) from None  # the error's own words may hold the address
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"answered {status}", again=status >= 500 or status in AGAIN)
    return answer


def _words(error: BaseException) -> str:
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "it cannot be reached")
