"""mosquitto.conf of a site, good for Mosquitto 2.0.11 (Debian 12) and later 2.0.

What a crash of the broker does to a hold: Mosquitto keeps retained messages in memory and writes them all to a file at
intervals, 30 minutes by default, so a SIGKILL would lose every hold of the last half hour. Here it writes every two
seconds (`autosave_interval 1`: it begins when more than one second has passed). What a crash takes with it is in the
fleet's journal, which is the truth about holds: a hold is sent again to whoever's birth lacks it.

Not `autosave_on_changes`: that writes the file, with an fsync, whenever any subscriber acknowledges any message at
QoS 1, and all clients wait meanwhile (docs/decisions/2026-11-25-bench.md).
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from broker.contract.topics import PAYLOAD_BYTES_MAX
from broker.mosquitto.acl import acl_text
from broker.pki.durable import make_folder, write_public, write_secret
from broker.pki.registry import Registry
from broker.pki.site import BROKER_FOLDER

# A message of full size, its topic (at most 93 bytes), its properties (about 70) and some to spare; receivers hold the
# payload itself to its limit. A larger packet ends its sender's connection. `message_size_limit`, which only dropped
# it, is what later versions want to be rid of, and every 2.0 says so on stderr.
PACKET_BYTES_MAX = PAYLOAD_BYTES_MAX + 512
IN_FLIGHT_MAX = 2_000  # QoS 1 to one subscriber; 20 by default, which holds the fleet's intake up
QUEUED_MAX = 10_000
QUEUED_BYTES_MAX = 32 * 1024 * 1024
CONNECTIONS_MAX = 4_096

CONF, ACL, LOG, STORE, CA = "mosquitto.conf", "acl", "mosquitto.log", "store", "ca.crt"


def broker_folder(site_dir: Path) -> Path:
    """Where a site keeps everything of its broker."""
    return site_dir / BROKER_FOLDER


def write_acl(site_dir: Path, registry: Registry) -> Path:
    """Write the ACL anew; a running broker obeys it from its next reload on."""
    path = broker_folder(site_dir) / ACL
    # Later 2.0 versions want it readable by nobody else.
    write_secret(path, acl_text(registry.site, (device.id for device in registry.active_devices)).encode())
    return path


def write_configuration(
    site_dir: Path, registry: Registry, *, bind: str = "127.0.0.1", port: int | None = None, user: str | None = None
) -> Path:
    """Write mosquitto.conf and the ACL of a site; the path of the former.

    `bind` is the address to listen on, `port` the registry's if None, `user` whom a broker started by root becomes:
    whoever may read the broker's key, so the one who calls this if None.
    """
    folder = broker_folder(site_dir).absolute()
    make_folder(folder / STORE)
    # Beside the rest, so that a broker that is given nothing but this folder has all that it needs.
    write_public(folder / CA, (site_dir / CA).read_bytes())
    write_acl(site_dir, registry)
    settings: Mapping[str, object] = {
        "per_listener_settings": "false",
        "user": user or pwd.getpwuid(os.geteuid()).pw_name,
        "log_dest": f"file {folder / LOG}",
        "log_timestamp_format": "%Y-%m-%dT%H:%M:%S",
        "connection_messages": "true",
        # Identity: the certificate, and nothing that a client says of itself.
        "allow_anonymous": "false",
        "acl_file": folder / ACL,
        "check_retain_source": "true",
        # A limit on everything.
        "max_packet_size": PACKET_BYTES_MAX,
        "max_inflight_messages": IN_FLIGHT_MAX,
        "max_queued_messages": QUEUED_MAX,
        "max_queued_bytes": QUEUED_BYTES_MAX,
        # No max_keepalive: with it Mosquitto 2.0.21 (Debian 13) ends connections at random, half a second old or hours
        # (its issues 3226 and 3286). A dead client is noticed by the keepalive of 5 s that it asked for itself.
        "persistent_client_expiration": "1h",
        # A lone stop must not wait for Nagle: p50 11 ms, p99 550 ms without (measured).
        "set_tcp_nodelay": "true",
        # Retained holds survive a crash, all but those of the last two seconds.
        "persistence": "true",
        "persistence_location": f"{folder / STORE}/",
        "autosave_on_changes": "false",
        "autosave_interval": 1,
        "listener": f"{port or registry.broker_port} {bind}",
        "max_connections": CONNECTIONS_MAX,
        "cafile": folder / CA,
        "certfile": folder / "server.crt",
        "keyfile": folder / "server.key",
        "tls_version": "tlsv1.2",  # at least
        "require_certificate": "true",
        "use_identity_as_username": "true",
        "use_username_as_clientid": "true",
    }
    path = folder / CONF
    text = "# Written by stimfleet.\n" + "".join(f"{name} {value}\n" for name, value in settings.items())
    write_public(path, text.encode())
    return path
