"""The power is cut after every call of a recording, and every disk that may be found is looked at."""

import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.journal.disk import Disk, Image, Recording, lay_out

Look = Callable[[Path, list[str]], Awaitable[object]]  # at a folder, given what the process had said before the cut
GARBAGE = Random(1).randbytes(32 * 1024)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is opened there has been through its power cut already."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


async def look_at_each(recording: Recording, look: Look, luck: int) -> int:
    """Look at every disk that may be found; how many different ones there were.

    `luck`: how many found by chance after each call, besides the one that lost all and the one that kept all.
    """
    disk, chance, seen = Disk(recording), Random(2), set[bytes]()
    for operation in recording.operations:
        disk.play(operation)
        for image in disk.after_the_cut(chance, luck):
            key = _digest(image, disk.marks)
            if key not in seen:
                seen.add(key)
                with quick_folder() as folder:
                    lay_out_again(image, recording.root, folder)
                    await look(folder, disk.marks)
    return len(seen)


def lay_out_again(image: Image, root: Path, folder: Path) -> None:
    """Make the files; of what SQLite shares between processes only garbage is left."""
    lay_out(image, lambda path: folder / path.relative_to(root))
    for shared in folder.rglob("*-shm"):
        shared.write_bytes(GARBAGE)


def _digest(image: Image, marks: list[str]) -> bytes:
    whole = hashlib.sha256(repr(marks[-1:]).encode())
    for path, content in image.items():
        if not path.name.endswith("-shm"):
            whole.update(f"{path} {len(content or b'')} ".encode() + (content or b""))
    return whole.digest()
