"""What the bench ran on, and what the kernel says its processes used."""

import os
import platform
import re
import ssl
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from broker.mosquitto.local import mosquitto_path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def facts(folder: Path) -> dict[str, Any]:
    """Cores, model, kernel, versions, the file system under `folder`, and the load before we began."""
    models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    broker = subprocess.run([mosquitto_path(), "-h"], capture_output=True, text=True, check=False).stdout
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False).stdout
    return {
        "cores": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "mosquitto": broker.split("\n", 1)[0].removeprefix("mosquitto version "),
        "openssl": ssl.OPENSSL_VERSION,
        "packages": {name: version(name) for name in ("gmqtt", "pydantic", "sqlalchemy")},
        "file_system": kind.strip(),
        "load_average_before": os.getloadavg(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used, all its threads, user and system."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS_A_SECOND


def busy_s() -> float:
    """Processor seconds that all cores together have spent on anything, by whomever."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MB (10^6 bytes). PSS: what it shares counts by its share; private: what ends with it."""

    rss_mb: float
    pss_mb: float
    private_mb: float


def memory(pid: int) -> Memory:
    """From smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kb = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    private = kb["Private_Clean"] + kb["Private_Dirty"]
    return Memory(*(round(size * 1024 / 1e6, 2) for size in (kb["Rss"], kb["Pss"], private)))


class Spent:
    """Processor seconds of named processes, from now on; and of everything else on the machine."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before = {name: cpu_s(pid) for name, pid in pids.items()}
        self._busy_s = busy_s()
        self._began_s = time.monotonic()

    def so_far(self) -> dict[str, Any]:
        """`cpu_s` and, of one core, `share`, by process; `others_share` is that of the rest of the machine."""
        lasted_s = time.monotonic() - self._began_s
        spent = {name: cpu_s(pid) - self._before[name] for name, pid in self._pids.items()}
        others_s = busy_s() - self._busy_s - sum(spent.values())
        return {
            "lasted_s": round(lasted_s, 2),
            "cpu_s": {name: round(seconds, 2) for name, seconds in spent.items()},
            "share_of_a_core": {name: round(seconds / lasted_s, 4) for name, seconds in spent.items()},
            "others_share_of_a_core": round(max(0.0, others_s) / lasted_s, 4),
        }
