"""A disk whose power can be cut between any two system calls, and everything that may then be left on it.

What a file system may do to what was not synced: keep it, lose it, keep some of it, keep names without contents, keep
a later change of a folder and lose an earlier one. What was synced stays. (A disk that lies about a sync is beyond
any software on top of it.)
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path


class PowerCut(Exception):
    """The machine is off."""


@dataclass
class File:
    content: bytes
    synced: bytes | None = None  # None: nothing of it is safe


@dataclass
class CutDisk:
    """Counts system calls and cuts the power at call `cut_at`, half way through it where it is a write."""

    cut_at: int | None = None
    calls: int = 0
    names: dict[Path, File] = field(default_factory=dict)
    safe_names: dict[Path, File] = field(default_factory=dict)
    folder_changes: list[tuple[Path, Path | None, File]] = field(default_factory=list)  # (new name, old name, file)

    def _call(self) -> bool:
        """True: the power goes during this call."""
        self.calls += 1
        if self.cut_at is not None and self.calls > self.cut_at:
            raise PowerCut
        return self.calls == self.cut_at

    def read(self, path: Path) -> bytes | None:
        return self.names[path].content if path in self.names else None

    def write(self, path: Path, content: bytes) -> None:
        dies = self._call()
        file = self.names.get(path)
        if file is None:
            file = self.names[path] = File(b"")
            self.folder_changes.append((path, None, file))
        file.content = content[: len(content) // 2] if dies else content
        if dies:
            raise PowerCut

    def sync(self, path: Path) -> None:
        if self._call():
            raise PowerCut
        self.names[path].synced = self.names[path].content

    def rename(self, source: Path, target: Path) -> None:
        dies = self._call()
        file = self.names.pop(source)
        self.names[target] = file
        self.folder_changes.append((target, source, file))
        if dies:
            raise PowerCut

    def sync_folder(self, folder: Path) -> None:
        if self._call():
            raise PowerCut
        # Names of other folders are not safe by that; all files of these tests lie in one.
        if any(path.parent == folder for path in self.names):
            self.safe_names = dict(self.names)
            self.folder_changes.clear()

    def after_the_cut(self) -> Iterator["CutDisk"]:
        """Every disk that may be found after the power came back."""
        for kept in product((False, True), repeat=len(self.folder_changes)):
            names = dict(self.safe_names)
            for is_kept, (new, old, file) in zip(kept, self.folder_changes, strict=True):
                if is_kept:
                    names[new] = file
                    if old is not None:
                        names.pop(old, None)
            for contents in product(*(_may_hold(file) for file in names.values())):
                files = {path: File(content, content) for path, content in zip(names, contents, strict=True)}
                yield CutDisk(names=dict(files), safe_names=dict(files))


def _may_hold(file: File) -> list[bytes]:
    if file.synced == file.content:
        return [file.content]
    lost = file.content
    torn = [lost[: len(lost) // 2], b"\0" * len(lost), lost[: len(lost) // 2] + b"\0" * (len(lost) - len(lost) // 2)]
    return list(dict.fromkeys([lost, b"", *torn, *([file.synced] if file.synced is not None else [])]))
