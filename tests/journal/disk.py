"""A disk whose power is cut between any two system calls of a recording, and what may then be left on it.

What a file system may do to what was not synced: keep it, lose it, keep some of it in any order, keep half of a write,
grow a file without its content, and the same for names in a folder, each by itself. What was synced stays. (A disk that
lies about a sync is beyond any software on top of it.)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

SECTOR: Final = 512


@dataclass(eq=False)
class File:
    """A file, whatever its name. `synced` is safe, `unsynced` are the changes since; `end`: where `write` goes on."""

    synced: bytes = b""
    unsynced: list["Write | Truncate"] = field(default_factory=list)
    end: int = 0


FOLDER: Final = "a folder"
Node = File | str


@dataclass(frozen=True, eq=False)
class Write:
    file: File
    offset: int | None  # None: where the last one ended
    content: bytes


@dataclass(frozen=True, eq=False)
class Truncate:
    file: File
    size: int


@dataclass(frozen=True, eq=False)
class Sync:
    file: File


@dataclass(frozen=True, eq=False)
class Names:
    """Names that come to mean another node, or none, all in one step."""

    changes: tuple[tuple[Path, Node | None], ...]


@dataclass(frozen=True, eq=False)
class SyncFolder:
    folder: Path


@dataclass(frozen=True, eq=False)
class Mark:
    """The process said something: what it says after a sync it may say because of it."""

    text: str


Operation = Write | Truncate | Sync | Names | SyncFolder | Mark
Image = dict[Path, bytes | None]  # None: a folder


@dataclass(frozen=True, eq=False)
class Recording:
    """What a process did to the folder `root`, in which `before` was safely there. It is played once."""

    root: Path
    before: dict[Path, Node]
    operations: list[Operation]


class Disk:
    """Plays a recording. `marks`: what the process has said so far."""

    def __init__(self, recording: Recording) -> None:
        self.marks: list[str] = []
        self._root = recording.root
        self._safe = dict(recording.before)
        self._unsafe: list[Names] = []

    def play(self, operation: Operation) -> None:
        match operation:
            case Write(file, offset, content):
                start = file.end if offset is None else offset
                file.end = start + len(content) if offset is None else file.end
                file.unsynced.append(Write(file, start, content))
            case Truncate(file):
                file.unsynced.append(operation)
            case Sync(file):
                file.synced = _after(file.synced, file.unsynced)
                file.unsynced.clear()
            case Names():
                self._unsafe.append(operation)
            case SyncFolder(folder):
                self._sync_names(folder)
            case Mark(text):
                self.marks.append(text)

    def _sync_names(self, folder: Path) -> None:
        left = []
        for names in self._unsafe:
            if all(path.parent == folder for path, _ in names.changes):
                _rename(self._safe, names)
            else:
                left.append(names)
        self._unsafe = left

    def after_the_cut(self, chance: Random, luck: int) -> Iterator[Image]:
        """Disks that may be found when the power comes back: all lost, all kept, and `luck` others."""
        yield self._image([], lambda file: file.synced)
        yield self._image(self._unsafe, lambda file: _after(file.synced, file.unsynced))
        for _ in range(luck):
            names = [each for each in self._unsafe if chance.random() < 0.5]
            yield self._image(names, lambda file: _by_chance(file, chance))

    def _image(self, kept_names: Sequence[Names], content: Callable[[File], bytes]) -> Image:
        names = dict(self._safe)
        for each in kept_names:
            _rename(names, each)
        contents: dict[int, bytes] = {}  # one file may have two names
        image: Image = {}
        for path, node in sorted(names.items()):
            if path.parent != self._root and path.parent not in image:
                continue  # a lost folder takes along what was in it
            if not isinstance(node, File):
                image[path] = None
                continue
            if id(node) not in contents:
                contents[id(node)] = content(node)
            image[path] = contents[id(node)]
        return image


def lay_out(image: Image, moved: Callable[[Path], Path]) -> None:
    """Make the files and folders of an image, each where `moved` says."""
    for path, content in image.items():
        if content is None:
            moved(path).mkdir()
        else:
            moved(path).write_bytes(content)


def _rename(names: dict[Path, Node], change: Names) -> None:
    for path, node in change.changes:
        if node is None:
            names.pop(path, None)
        else:
            names[path] = node


def _after(content: bytes, changes: Sequence[Write | Truncate]) -> bytes:
    """A file's content after changes in their order; what lies beyond its end before is zero."""
    found = bytearray(content)
    for change in changes:
        if isinstance(change, Truncate):
            _resize(found, change.size)
        else:
            assert change.offset is not None
            end = change.offset + len(change.content)
            _resize(found, max(len(found), end))
            found[change.offset : end] = change.content
    return bytes(found)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _by_chance(file: File, chance: Random) -> bytes:
    """What the disk may have of a file: its changes up to one that tore, or any of them, some torn, some as a hole."""
    in_order = chance.random() < 0.5
    cut = chance.randrange(len(file.unsynced) + 1)
    found = file.synced
    for index, change in enumerate(file.unsynced):
        if index < cut if in_order else chance.random() < 0.5:
            found = _after(found, [change])
        elif isinstance(change, Write) and (index == cut or not in_order):
            found = _after(found, _torn(change, len(found), chance))
    return found


def _torn(write: Write, size: int, chance: Random) -> list[Write | Truncate]:
    """A write that came to the disk in part: up to some byte, some of its sectors, or only the file's new length."""
    assert write.offset is not None
    end = write.offset + len(write.content)
    match chance.randrange(3):
        case 0:
            return [Write(write.file, write.offset, write.content[: chance.randrange(len(write.content) + 1)])]
        case 1:
            sectors = range(0, len(write.content), SECTOR)
            kept = [start for start in sectors if chance.random() < 0.5]
            return [Write(write.file, write.offset + start, write.content[start : start + SECTOR]) for start in kept]
        case _:
            return [Truncate(write.file, end)] if end > size else []
