"""`registry.json` on the disk: read strictly, written whole or not at all, and never so that it could not be read."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from broker.pki.durable import write_public
from broker.pki.registry import FILE_NAME, BadRegistry, Registry
from broker.pki.registry_form import registry_said
from broker.pki.strict import Wrong


def load_registry(path: Path) -> Registry:
    """Read `path`, the file or the site's folder.

    Raises:
        BadRegistry: it is not there, cannot be read, or is not exactly a registry.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRegistry(f"The registry {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadRegistry(f"The registry {file} is not UTF-8 text.") from error
    try:
        return registry_said(json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise BadRegistry(f"The registry {file} is not JSON: {error.msg} in line {error.lineno}.") from error
    except RecursionError as error:
        raise BadRegistry(f"The registry {file} is nested too deeply.") from error
    except Wrong as wrong:
        raise BadRegistry(f"The registry {file} cannot be used: {wrong}.") from wrong


def save_registry(site_dir: Path, registry: Registry) -> None:
    """Write the registry into its site's folder, whole or not at all.

    Raises:
        BadRegistry: it could not be read again; nothing is written.
    """
    document = asdict(registry)
    document["devices"] = [asdict(device) for device in registry.devices.values()]
    document["operators"] = [asdict(operator) for operator in registry.operators.values()]
    text = json.dumps(document, indent=2, default=date.isoformat)
    try:
        registry_said(json.loads(text))
    except Wrong as wrong:
        raise BadRegistry(f"The registry cannot be written: {wrong}.") from wrong
    write_public(site_dir / FILE_NAME, f"{text}\n".encode())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise Wrong(f"{twice!r} is there twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise Wrong(f"{name} is no number")
