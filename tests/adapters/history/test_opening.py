"""Several open what a power cut left, at the same time: each finds what is there, and none is told of a fault."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from fleet.adapters.history.files import opened

READERS_N = 3
ROUNDS = 3_000  # with one try in each, some in a thousand of them fail


def test_readers_that_remove_the_same_log_of_an_empty_file_find_it_empty(tmp_path: Path) -> None:
    together = Barrier(READERS_N, timeout=60.0)

    def reads(path: Path) -> int:
        together.wait()
        return sum(1 for _ in opened([path]))

    with ThreadPoolExecutor(READERS_N) as readers:
        for n in range(ROUNDS):
            path = tmp_path / f"raw-{n}.db"
            path.touch()
            path.with_name(f"{path.name}-wal").write_bytes(b"what was written before the cut")
            assert list(readers.map(reads, [path] * READERS_N)) == [0] * READERS_N
            assert not path.with_name(f"{path.name}-wal").exists()
