"""Read files, directories, archives and the standard input into one case.

Archives are read as a stream and never unpacked: only regular members are read, and no name in
an archive becomes a path. A damaged file is read as far as possible. A file that looks like an
input and is not read is named, with the reason.
"""

from __future__ import annotations

import io
import re
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from ipam_core.diagnosis.inputs.case import Case, Unread
from ipam_core.diagnosis.inputs.packed import BUFFER, recoded, unreadable
from ipam_core.diagnosis.inputs.recognise import recognise
from ipam_core.errors import InputError
from ipam_core.unpacking import DAMAGE, ZIP, Unpacker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    _Stream = io.BufferedReader[Any]

DEEPEST = 3
"""A gzipped log in a gzipped archive is three levels deep; deeper levels are not read."""
STANDARD_INPUT = "-"
_TAR = b"ustar"
_TAR_AT = 257
_LOOKS_OURS = re.compile(
    r"\bipam|aws-?node|aws-cni|plugin\.log|\beni|events?\.|cloudtrail|describe|kubelet-?config",
    re.IGNORECASE,
)
"""Names of inputs: if such a file is not read, the output names it."""
_NAMED_SO = re.compile(
    r"networkutils|eni-?configs?\b|pods?\.(?:json|out)|ip(?:tables|rule|route)|\.(?:conflist|py|sh|md)$"
    r"|network-policy|ebpf-sdk|egress",
    re.IGNORECASE,
)
"""Names of other files in every bundle, which hold nothing that is judged."""

KINDS = (
    "/v1/enis or /v1/ipamd-env-settings of the agent, its logs, metrics and checkpoint, the "
    "DaemonSet's manifest or variables, a Node, the kubelet's configuration, CloudTrail events, "
    "kubectl get events, kubectl describe of a pod, node or DaemonSet, or a directory or "
    "archive of these"
)


def read_case(paths: Sequence[Path], advance: Callable[[int], None] | None = None) -> Case:
    """Read files, directories and archives into one case; `-` is the standard input.

    `advance` is called with every so many bytes read from disk. In a directory or archive,
    files that are not recognised are skipped; those with the name of an input are reported. A
    file that the user names must be recognised.

    Raises:
        OSError: a path cannot be read.
        InputError: a named file is not recognised or damaged, or nothing is recognised.
    """
    reader = _Reader(advance)
    for path in paths:
        if str(path) == STANDARD_INPUT:
            reader.named(_standard_input(), "standard input")
        elif path.is_dir():
            for file in _files(path):
                try:
                    reader.file_of(file, str(file.relative_to(path)))
                except OSError as error:  # others may hold enough
                    name = str(file.relative_to(path))
                    reader.case.unread.append(Unread(file=name, why=error.strerror or str(error)))
        else:
            with io.BufferedReader(_CountedFile(path, advance), BUFFER) as stream:
                reader.named(stream, path.name)
    if not reader.case.files:
        named = ", ".join(str(path) for path in paths)
        why = str(reader.case.unread[0]) if reader.case.unread else f"known are {KINDS}"
        raise InputError(f"{named}: nothing recognised; {why}")
    return reader.case


def read_streams(files: Iterable[tuple[str, IO[bytes]]]) -> Case:
    """Read files that are given by name and content, as `read_case` reads those of a path.

    A name with `/` is a file of a directory, whose first folder is not part of its name. One
    without is a file that the user names; if it is not recognised, it is reported, and the
    others are read. Each content is closed.

    Raises `InputError`: nothing is recognised.
    """
    reader = _Reader(None)
    for name, content in files:
        _, inside, below = name.partition("/")
        with io.BufferedReader(cast("Any", content), BUFFER) as stream:
            reader.passed_by(stream, below) if inside else reader.dropped(stream, name)
    if not reader.case.files:
        unread = reader.case.unread
        raise InputError(str(unread[0]) if unread else f"nothing recognised; known are {KINDS}")
    return reader.case


def total_bytes(paths: Sequence[Path]) -> int:
    """Return how many bytes there are to read. Raises `OSError`."""
    return sum(
        file.stat().st_size
        for path in paths
        if str(path) != STANDARD_INPUT
        for file in (_files(path) if path.is_dir() else [path])
    )


def _files(directory: Path) -> list[Path]:
    """Return the regular files below a directory; links are not followed."""
    return sorted(file for file in directory.rglob("*") if file.is_file() and not file.is_symlink())


def _standard_input() -> _Stream:
    return io.BufferedReader(sys.stdin.buffer, BUFFER)


class _CountedFile(io.FileIO):
    """A file that reports how much of it was read."""

    def __init__(self, path: Path, advance: Callable[[int], None] | None) -> None:
        super().__init__(path)
        self._advance = advance

    def readinto(self, buffer: Any) -> int | None:
        n_bytes = super().readinto(buffer)
        if self._advance and n_bytes:
            self._advance(n_bytes)
        return n_bytes


class _Reader:
    def __init__(self, advance: Callable[[int], None] | None) -> None:
        self.case = Case()
        self._advance = advance
        self._unpacker = Unpacker()

    def named(self, stream: _Stream, name: str) -> None:
        """Read what the user named. Raises `InputError` where nothing in it is recognised."""
        n_unread = len(self.case.unread)
        if not self._stream(stream, name, 0):
            why = [str(each) for each in self.case.unread[n_unread:]]
            raise InputError(why[0] if why else f"{name}: not recognised; known are {KINDS}")

    def dropped(self, stream: _Stream, name: str) -> None:
        """Read what the user chose, maybe with much else."""
        n_unread = len(self.case.unread)
        if not self._stream(stream, name, 0) and len(self.case.unread) == n_unread:
            self.case.unread.append(Unread(file=name, why=f"not recognised; known are {KINDS}"))

    def file_of(self, path: Path, name: str) -> None:
        """Read a file of a directory, if it is an input."""
        with io.BufferedReader(_CountedFile(path, self._advance), BUFFER) as stream:
            self.passed_by(stream, name)

    def passed_by(self, stream: _Stream, name: str, depth: int = 0) -> bool:
        """Read a file of a directory or archive, if it is an input; return whether it is."""
        n_unread = len(self.case.unread)
        found = self._stream(stream, name, depth)
        others = self.case.other_logs
        promised = _LOOKS_OURS.search(name) and not _NAMED_SO.search(name)
        if not found and promised and len(self.case.unread) == n_unread and name not in others:
            self.case.unread.append(Unread(file=name, why="nothing in it is recognised"))
        elif not found and "kubectl" in name:
            self.case.notes.append(f"{name}: nothing in it that doctor reads")
        return found

    def _stream(self, stream: _Stream, name: str, depth: int) -> bool:
        n_files = len(self.case.files)
        try:
            return self._open(stream, name, depth)
        except DAMAGE as error:
            why = f"damaged: {error or type(error).__name__}"
        except InputError as error:
            why = str(error)
        self.case.unread.append(Unread(file=name, why=why))
        return len(self.case.files) > n_files  # a log is useful up to where it is damaged

    def _open(self, stream: _Stream, name: str, depth: int) -> bool:
        head = stream.peek(BUFFER)
        if why := unreadable(head):
            if depth == 0 or _LOOKS_OURS.search(name):
                raise InputError(why)
            return False
        packed = self._unpacker.unpacked(stream, head)
        if packed is not None:
            return depth < DEEPEST and self._stream(packed, name, depth + 1)
        if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
            return depth < DEEPEST and self._tar(stream, depth + 1)
        if head.startswith(ZIP):
            return depth < DEEPEST and self._zip(stream, name, depth + 1)
        plain = recoded(stream, head) or stream
        return recognise(plain, name, self.case)

    def _tar(self, stream: IO[bytes], depth: int) -> bool:
        found = False
        for name, content in self._unpacker.members(stream):
            found |= self.passed_by(io.BufferedReader(content, BUFFER), name, depth)
        return found

    def _zip(self, stream: IO[bytes], name: str, depth: int) -> bool:
        found = False
        for member, content in self._unpacker.zip_members(stream):
            if isinstance(content, str):
                self.case.unread.append(Unread(file=f"{name}/{member}", why=content))
            else:
                found |= self.passed_by(io.BufferedReader(content, BUFFER), member, depth)
        return found
