"""The last mile through Apprise: mail, SMS gateways, ntfy, chat and more, each by its URL.

Apprise writes addresses into its log: that log is off in this process. What it says of a failure is that there was one.
"""

import logging
import warnings
from functools import cache
from threading import Lock

import apprise

from fleet.adapters.notify.message import Message, NotDelivered
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act

_LOADING = Lock()  # a message may be due while it is loaded
_TYPES = {
    Priority.HIGH: apprise.NotifyType.FAILURE,
    Priority.MEDIUM: apprise.NotifyType.WARNING,
    Priority.LOW: apprise.NotifyType.INFO,
    Priority.INFO: apprise.NotifyType.INFO,
}


def warm_up() -> None:
    """Load what Apprise sends by, before it is needed; and nothing of it is logged: addresses and tokens are in it.

    It has everything that it can send by loaded before it sends by one: 0.2 s of a processor, once.
    """
    with _LOADING:
        _load()


@cache
def _load() -> None:
    for name in ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plugins load what newer Pythons will not have
        apprise.Apprise.instantiate("json://127.0.0.1/")


def send_by_apprise(url: str, message: Message, within_s: float) -> None:
    """Hand a message to the service behind an Apprise URL.

    Raises:
        NotDelivered
    """
    warm_up()
    asset = apprise.AppriseAsset(app_id="StimFleet", app_desc="StimFleet alarms", secure_logging=True)
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        raise NotDelivered("its address is none of Apprise's", again=False)
    service.socket_connect_timeout = service.socket_read_timeout = within_s
    body = "\n".join([*message.details, *([message.link] if message.link else [])]) or message.line
    kind = apprise.NotifyType.SUCCESS if message.act is Act.RESOLVE else _TYPES[message.priority]
    if not service.notify(body=body, title=message.line, notify_type=kind):
        raise NotDelivered("not taken", again=True)
