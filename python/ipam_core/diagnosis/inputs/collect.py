"""Find what is in files, directories and archives, by content, and read it into a case.

Archives are read as a stream and never unpacked: only regular members are looked at,
and no name in an archive becomes a path. What is damaged is read as far as it goes
and noted.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Case, Evidence
from ipam_core.diagnosis.inputs.cloudtrail import is_trail, read_trail
from ipam_core.diagnosis.inputs.enis import is_enis, read_enis
from ipam_core.diagnosis.inputs.events import is_events, read_events
from ipam_core.diagnosis.inputs.log import LONGEST_LINE, is_log_line, read_log
from ipam_core.documents import load_json, text_of
from ipam_core.errors import InputError
from ipam_core.manifests import read_daemonset
from ipam_core.unpacking import DAMAGE, Unpacker
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    _Stream = io.BufferedReader[Any]

DEEPEST = 3
"""A gzipped log in a gzipped archive is three deep; deeper is not looked into."""
_BUFFER = 1 << 18
_HEAD_LINES = 20
_GZIP = b"\x1f\x8b"
_TAR = b"ustar"
_TAR_AT = 257
_OURS = ('"AvailableIPv4Cidrs"', '"ENIIPPools"', '"AssignedIPs"', '"eventSource"', '"Records"')
"""Words that show what a document was, when it no longer parses."""

KINDS = (
    "/v1/enis or /v1/ipamd-env-settings of the agent, ipamd.log, the DaemonSet's manifest, "
    "CloudTrail events, kubectl get events -o json, or a directory or archive of these"
)


def read_case(paths: Sequence[Path], advance: Callable[[int], None] | None = None) -> Case:
    """Read files, directories and archives into one case.

    `advance` is told of every so many bytes read from disk. In a directory or archive
    what is not recognised is passed over; a file that is named must be recognised.

    Raises:
        OSError: a path cannot be read.
        InputError: a named file is not recognised or damaged, or nothing is recognised.
    """
    reader = _Reader(advance)
    for path in paths:
        if path.is_dir():
            for file in _files(path):
                try:
                    reader.read(file, str(file.relative_to(path)))
                except OSError as error:  # others may tell enough
                    reader.case.notes.append(f"{file.relative_to(path)}: {error.strerror}")
        elif not reader.read(path, path.name):
            raise InputError(reader.refused or f"{path}: not recognised; known are {KINDS}")
    if not reader.case.files:
        named = ", ".join(str(path) for path in paths)
        why = reader.case.notes[0] if reader.case.notes else f"known are {KINDS}"
        raise InputError(f"{named}: nothing recognised; {why}")
    return reader.case


def total_bytes(paths: Sequence[Path]) -> int:
    """Return how many bytes there are to read. Raises `OSError`."""
    return sum(
        file.stat().st_size
        for path in paths
        for file in (_files(path) if path.is_dir() else [path])
    )


def _files(directory: Path) -> list[Path]:
    """Return the regular files below a directory; links are not followed."""
    return sorted(file for file in directory.rglob("*") if file.is_file() and not file.is_symlink())


class _CountedFile(io.FileIO):
    """A file that tells how much of it was read."""

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
        self.refused = ""
        self._advance = advance

    def read(self, path: Path, name: str) -> bool:
        """Read a file; return whether something in it was recognised."""
        self.refused = ""
        self._unpacker = Unpacker()
        with io.BufferedReader(_CountedFile(path, self._advance), _BUFFER) as stream:
            return self._stream(stream, name, 0)

    def _stream(self, stream: _Stream, name: str, depth: int) -> bool:
        n_files = len(self.case.files)
        try:
            return self._recognise(stream, name, depth)
        except DAMAGE as error:
            why = f"damaged: {error or type(error).__name__}"
        except InputError as error:
            why = str(error)
        self.refused = f"{name}: {why}"
        self.case.notes.append(self.refused)
        return len(self.case.files) > n_files  # a log is of use up to where it is damaged

    def _recognise(self, stream: _Stream, name: str, depth: int) -> bool:
        head = stream.peek(_BUFFER)
        if head.startswith(_GZIP):
            if depth == DEEPEST:
                return False
            plain = self._unpacker.unzipped(stream)
            return self._stream(plain, name, depth + 1)
        if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
            return depth < DEEPEST and self._archive(stream, depth + 1)
        if any(map(is_log_line, head.split(b"\n", _HEAD_LINES)[:_HEAD_LINES])):
            self.case.files.append((name, "log"))
            read_log(_lines(stream), name, self.case)
            return True
        if head.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"{", b"["):
            return self._json(text_of(stream), name)
        if b"kind:" in head and b"\0" not in head:
            return self._manifest(text_of(stream), name)
        return False

    def _archive(self, stream: IO[bytes], depth: int) -> bool:
        found = False
        for name, content in self._unpacker.members(stream):
            found |= self._stream(io.BufferedReader(content, _BUFFER), name, depth)
        return found

    def _json(self, content: str, name: str) -> bool:
        try:
            document = load_json(content)
        except ValueError as error:
            if any(word in content for word in _OURS):
                raise InputError(f"damaged JSON: {error}") from None
            # A manifest may be YAML that starts with a brace; the reader of those says more.
            return "DaemonSet" in content and self._manifest(content, name)
        case = self.case
        if is_enis(document):
            self._state(document, name, content)
        elif isinstance(document, dict) and "WARM_ENI_TARGET" in document:
            self._endpoint(document, name, content)
        elif is_trail(document):
            read_trail(document, name, content, case)
            case.files.append((name, "CloudTrail"))
        elif is_events(document):
            read_events(document, name, content, case)
            case.files.append((name, "events"))
        elif _has_daemonset(document):
            return self._manifest(content, name)
        else:
            return False
        return True

    def _state(self, document: dict[str, Any], name: str, content: str) -> None:
        state, known = read_enis(document, name, content), self.case.state
        self.case.files.append((name, "ENIs"))
        if known is not None:
            times = (known.newest, state.newest)
            older = None not in times and max(times) == known.newest  # type: ignore[type-var]
            left = state if older else known
            self.case.notes.append(f"{left.evidence.file}: another state of a node; not used")
            if older:
                return
        self.case.state = state

    def _endpoint(self, document: dict[str, Any], name: str, content: str) -> None:
        self.case.files.append((name, "settings"))
        self.case.endpoint = {
            variable: Evidence(
                file=name,
                line=dig.line_of(content, f'"{variable}"'),
                value=str(value).lower() if isinstance(value, bool) else str(value),
            )
            for variable, value in document.items()
            if variable in VARIABLES
        }

    def _manifest(self, content: str, name: str) -> bool:
        if "DaemonSet" not in content:
            return False
        environment = read_daemonset(content)
        self.case.files.append((name, "manifest"))
        self.case.unknown |= environment.unknown
        self.case.manifest = {
            variable: Evidence(
                file=name,
                line=dig.line_of(
                    content, f"name: {variable}\n", f'"{variable}"', f"name: {variable}"
                ),
                value=value,
            )
            for variable, value in environment.variables.items()
            if variable in VARIABLES
        }
        return True


def _has_daemonset(document: Any) -> bool:
    """Return whether a JSON document is a DaemonSet or a list with one: a pod list is not."""
    if not isinstance(document, dict):
        return False
    items = document.get("items")
    return document.get("kind") == "DaemonSet" or (
        isinstance(items, list) and any(map(_has_daemonset, items))
    )


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; one that is too long comes in pieces, none of which is valid."""
    while line := stream.readline(LONGEST_LINE):
        yield line
