"""What a process really does to the files of one folder: its system calls, recorded by strace.

Everything that changes a file or a name, or has it on the disk, is understood or refused: a call that the recorder
does not know is an error, not a gap in the proof. What is written through shared memory (SQLite's -shm) is not seen;
nobody trusts that file after a crash, and the proof gives it garbage.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.journal.disk import FOLDER, File, Mark, Names, Node, Operation, Recording, Sync, SyncFolder, Truncate, Write

_CALL = re.compile(r"^(\d+) +(?:(\w+)\(|<\.\.\. (\w+) resumed>)(.*?)(?: <unfinished \.\.\.>|\) += (-?\d+|\?)(?: .*)?)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
# Calls that could change a file behind the recorder's back. close and dup only keep the descriptors straight.
_TRACED = (
    "open,openat,openat2,creat,close,dup,dup2,dup3,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate,"
    "fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,"
    "unlinkat,mkdir,mkdirat,rmdir,sendfile,copy_file_range,splice"
)
_HARMLESS = {"close", "dup", "dup2", "dup3", "sync_file_range"}


def traced(folder: Path, script: str, *arguments: str) -> Recording:
    """Run a Python script under strace; what it did to `folder`, with a mark for each line that it printed."""
    before = {path: FOLDER if path.is_dir() else File(path.read_bytes()) for path in sorted(folder.rglob("*"))}
    recorder = _Recorder(folder, dict(before))
    log = folder.with_name(f"{folder.name}.strace")
    strace = ["strace", "-f", "-xx", "-s", "99999999", "-e", f"trace={_TRACED}", "-o", str(log)]
    command = [*strace, sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd(), env={**os.environ})
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    with log.open() as lines:
        recorder.read(lines)
    log.unlink()
    return Recording(folder, before, recorder.operations)


@dataclass
class _Recorder:
    folder: Path
    names: dict[Path, Node]
    operations: list[Operation] = field(default_factory=list)
    open: dict[int, File | Path] = field(default_factory=dict)  # by descriptor, of all threads
    begun: dict[str, str] = field(default_factory=dict)  # by thread: the first half of a call that another one broke

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            found = _CALL.match(line.rstrip("\n"))
            if found is None and "???(" in line:
                continue  # the process ended before strace could see which call it was: it did nothing any more
            if found is None:
                assert "+++" in line or "---" in line, f"not understood: {line[:200]}"
                continue
            thread, name, resumed, arguments, status = found.groups()
            if status == "?":
                continue  # the process ended in the middle of it
            if status is None:
                self.begun[thread] = arguments
            else:
                whole = self.begun.pop(thread) + arguments if resumed else arguments
                self._call(name or resumed, whole, int(status))

    def _call(self, name: str, arguments: str, status: int) -> None:
        if name in {"close", "dup", "dup2", "dup3"}:
            self._descriptor(name, arguments, status)
        elif status < 0:
            return
        elif name in _CALLS:
            _CALLS[name](self, arguments, status)
        elif name not in _HARMLESS:
            concerned = any(self._inside(text) for text in _strings(arguments)) or self._node(arguments) is not None
            assert not concerned, f"the recorder does not know {name}({arguments[:200]})"

    # --- calls ------------------------------------------------------------------------------------------------------

    def _descriptor(self, name: str, arguments: str, status: int) -> None:
        number = int(arguments.split(",", maxsplit=1)[0])
        if name == "close":
            self.open.pop(number, None)
        elif status >= 0:
            self.open.pop(status, None)
            if number in self.open:
                self.open[status] = self.open[number]

    def _openat(self, arguments: str, status: int) -> None:
        self.open.pop(status, None)
        (path,) = self._paths(arguments)
        if path is None:
            return
        if path == self.folder or self.names.get(path) is FOLDER:
            self.open[status] = path
            return
        if path not in self.names:
            assert "O_CREAT" in arguments, arguments[:200]
            self._change(path, File())
        node = self.names[path]
        assert isinstance(node, File)
        self.open[status] = node
        if "O_TRUNC" in arguments:
            self.operations.append(Truncate(node, 0))

    def _write(self, arguments: str, status: int) -> None:
        number, (content,) = int(arguments.split(",", maxsplit=1)[0]), _strings(arguments)
        if number == 1:
            self.operations.append(Mark(content.decode().strip()))
        if isinstance(node := self.open.get(number), File):
            self.operations.append(Write(node, None, content[:status]))

    def _pwrite(self, arguments: str, status: int) -> None:
        if isinstance(node := self._node(arguments), File):
            (content,) = _strings(arguments)
            self.operations.append(Write(node, int(arguments.rsplit(",", 1)[1]), content[:status]))

    def _ftruncate(self, arguments: str, _status: int) -> None:
        if isinstance(node := self._node(arguments), File):
            self.operations.append(Truncate(node, int(arguments.rsplit(",", 1)[1])))

    def _sync(self, arguments: str, _status: int) -> None:
        node = self._node(arguments)
        if isinstance(node, File):
            self.operations.append(Sync(node))
        elif isinstance(node, Path):
            self.operations.append(SyncFolder(node))

    def _rename(self, arguments: str, _status: int) -> None:
        source, target = self._paths(arguments)
        if source is not None or target is not None:
            assert source is not None
            assert target is not None
            node = self.names.pop(source)
            self.names[target] = node
            self.operations.append(Names(((source, None), (target, node))))

    def _link(self, arguments: str, _status: int) -> None:
        source, target = self._paths(arguments)
        if target is not None:
            assert source is not None
            self._change(target, self.names[source])

    def _unlink(self, arguments: str, _status: int) -> None:
        (path,) = self._paths(arguments)
        if path is not None:
            del self.names[path]
            self.operations.append(Names(((path, None),)))

    def _mkdir(self, arguments: str, _status: int) -> None:
        (path,) = self._paths(arguments)
        if path is not None:
            self._change(path, FOLDER)

    # --- names ------------------------------------------------------------------------------------------------------

    def _change(self, path: Path, node: Node) -> None:
        self.names[path] = node
        self.operations.append(Names(((path, node),)))

    def _node(self, arguments: str) -> File | Path | None:
        first = arguments.split(",", maxsplit=1)[0]
        return self.open.get(int(first)) if first.isdigit() else None

    def _paths(self, arguments: str) -> list[Path | None]:
        return [self._inside(text) for text in _strings(arguments)]

    def _inside(self, text: bytes) -> Path | None:
        path = Path(os.fsdecode(text))
        return path if path == self.folder or path.is_relative_to(self.folder) else None


_CALLS: dict[str, Callable[[_Recorder, str, int], None]] = {
    "openat": _Recorder._openat,
    "open": _Recorder._openat,
    "write": _Recorder._write,
    "pwrite64": _Recorder._pwrite,
    "ftruncate": _Recorder._ftruncate,
    "fsync": _Recorder._sync,
    "fdatasync": _Recorder._sync,
    "rename": _Recorder._rename,
    "renameat": _Recorder._rename,
    "renameat2": _Recorder._rename,
    "link": _Recorder._link,
    "linkat": _Recorder._link,
    "unlink": _Recorder._unlink,
    "unlinkat": _Recorder._unlink,
    "rmdir": _Recorder._unlink,
    "mkdir": _Recorder._mkdir,
    "mkdirat": _Recorder._mkdir,
}


def _strings(arguments: str) -> list[bytes]:
    return [bytes.fromhex(text.replace("\\x", "")) for text in _STRING.findall(arguments)]
