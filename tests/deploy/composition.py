"""docker-compose.yml as it is written, and the pieces of it that several tests look at."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
OURS = "stimfleet:"


def composition() -> dict[str, Any]:
    whole: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return whole


def services() -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = composition()["services"]
    return known


def ours() -> dict[str, dict[str, Any]]:
    """Those of our own image."""
    return {name: service for name, service in services().items() if service["image"].startswith(OURS)}


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is mounted where."""
    for mount in service.get("volumes", ()):
        source, target = mount.split(":")[:2]
        yield source, target


def masks(service: dict[str, Any]) -> list[str]:
    """What of the site's folder it finds empty."""
    covered = [target for source, target in mounts(service) if source == "/dev/null"]
    covered += [mount.partition(":")[0] for mount in service.get("tmpfs", ())]
    return [target for target in covered if target.startswith("/site/")]


def provision_lines() -> list[str]:
    """The commands of the one-time service, a line each, with `$` as its shell sees it."""
    (script,) = services()["provision"]["command"]
    return [line for line in script.replace("$$", "$").replace("\\\n", " ").splitlines() if line.strip()]


def variables(text: str) -> set[str]:
    """Names that compose takes from .env."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))
