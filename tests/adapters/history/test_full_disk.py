"""A disk that is really full: nothing is taken, that is said, and writing goes on when there is room."""

import json
import os
import subprocess
import sys
from typing import Any


def on_a_full_disk(story: str) -> Any:
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [*own_mounts, sys.executable, "-m", "tests.adapters.history.full_disk", story]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60.0)
    assert done.returncode == 0, f"a disk of its own is needed (mount namespaces): {done.stderr}"
    return json.loads(done.stdout)


def test_on_a_full_disk_nothing_is_lost_and_writing_resumes() -> None:
    assert on_a_full_disk("embedded") == {
        "refusing": "the disk refuses: database or disk is full (raw-2026-11-25.db)",
        "taken_before": 10,
        "confirmed_before": False,
        "read_while_full": 10,
        "refusing_after": None,
        "written": 3_000,
        "whole": True,
    }


def test_what_waits_for_influxdb_on_a_full_disk_is_whole_and_in_order() -> None:
    assert on_a_full_disk("waiting") == {
        "refusing": "nothing more can wait on disk",
        "waiting_before": 10,
        "confirmed_before": False,
        "waiting_after": 1_000,
        "whole": True,
    }
