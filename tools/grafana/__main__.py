"""Write the dashboards: `python -m tools.grafana`. With `--check` nothing is written, and 1 says that one differs."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.grafana.health import device_health
from tools.grafana.latencies import safety_latencies
from tools.grafana.overview import clinic_overview

FOLDER = Path(__file__).resolve().parent.parent.parent / "dashboards" / "grafana" / "dashboards"
BOARDS = {
    "clinic-overview.json": clinic_overview,
    "device-health.json": device_health,
    "safety-latencies.json": safety_latencies,
}


def text(board: build.Dashboard) -> str:
    """A dashboard as its file has it. Panels are numbered: a link to one stays good as long as its place does."""
    built = board.build()
    for n, panel in enumerate(built.panels or (), start=1):
        panel.id_val = n
    return json.dumps(built, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def main() -> int:
    differs = False
    for name, make in BOARDS.items():
        path, wanted = FOLDER / name, text(make())
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        differs = True
        if "--check" in sys.argv:
            print(f"{path.name} is not what is made: python -m tools.grafana")
        else:
            path.write_text(wanted, encoding="utf-8")
            print(f"{path.name} is written")
    return int(differs and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
