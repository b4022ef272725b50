"""A recording on disk: the CSV of pod events, and next to it a file that says what it is.

`pods.csv` has times from its start. `pods.csv.json` has that start as a time of the wall
clock, the salt of hashed names (with it a guess of a name can be checked, so share the CSV
without it), and, after an orderly end, where the source goes on.

A recording that grows is appended to by one write and one sync for each batch of events. A
process that is killed, or a full disk, leaves at most the start of a line, which is cut off
when the recording goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ipam_core.disk import sync_names
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.recording.pods import Names
from ipam_core.recording.times import rfc3339, unix_of
from ipam_core.simulation.fleet.pod_events import each_event, format_events, is_parquet
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ipam_core.simulation.fleet.pod_event import PodEvent

VERSION = 1
_SALT_BYTES = 16
_MOST_META_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 16


def new_names(*, hashed: bool) -> Names:
    """Return names for a new recording: hashed with a new salt, or as they are."""
    return Names(secrets.token_bytes(_SALT_BYTES) if hashed else None)


def meta_path(path: Path) -> Path:
    """Return the file that says what the CSV at a path is."""
    return path.with_name(f"{path.name}.json")


def read_meta(path: Path) -> tuple[float, Names] | None:
    """Return the start (Unix time) and the names of the recording at a path; None: no such.

    Raises `InputError` where the file next to it is not one that `record` wrote.
    """
    where = meta_path(path)
    try:
        text = where.read_bytes()[:_MOST_META_BYTES]
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        version, start_s = found["version"], unix_of(found["start"])
        salt = None if found["salt"] is None else bytes.fromhex(found["salt"])
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{where}: not what `ipam-core record` writes next to its CSV") from None
    if version != VERSION or start_s is None:
        raise InputError(f"{where}: version {quoted(version)}, this ipam-core knows {VERSION}")
    return start_s, Names(salt)


def write_whole(path: Path, events: Iterable[PodEvent], *, start_s: float, names: Names) -> None:
    """Write a recording that is complete; what was there before is replaced, or kept whole.

    It is Parquet where the name ends so.

    Raises:
        InputError: another process records into it.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
        OSError: it cannot be written.
    """
    with ExitStack() as stack:
        if path.exists():
            _lock(stack.enter_context(path.open("rb")), path)
        # What fails leaves both files as they were.
        with _replacing(path, before=lambda: _write_meta(path, start_s, names)) as partial:
            if is_parquet(path):
                from ipam_core.simulation.fleet import parquet  # noqa: PLC0415  (heavy)

                parquet.write(partial, events)
            else:
                partial.write_text(format_events(events), "utf-8", newline="")


class Recording:
    """A recording that grows. Only one process at a time may have it open. `close` it.

    `there` are the pods that the CSV has now, by the name in it: their node, and since when
    (Unix time). `since` is what `end` noted: where the source goes on; "" after any other end.
    `is_new` is True where it began now, and does not go on.
    """

    def __init__(self, path: Path, stream: Any, start_s: float, names: Names) -> None:
        self.path = path
        self.start_s = start_s
        self.names = names
        self.since: str = ""
        self.there: dict[str, tuple[str, float]] = {}
        self.n_events: int = 0
        self.is_new = True
        self._stream = stream
        self._last_ns = 0

    @classmethod
    def open(cls, path: Path, *, now_s: float, hashed: bool | None = None) -> Self:
        """Begin a recording at `now_s`, or go on with the one that is there.

        `hashed` False or None begins with names as they are.

        Raises:
            InputError: what is there is no recording, its names are not as `hashed` says,
                another process has it open, or it would be Parquet, which cannot grow.
            OSError: it cannot be written.
        """
        if is_parquet(path):
            raise InputError(
                f"{path}: a Parquet file cannot grow; record into a .csv, and convert it with "
                "--recording"
            )
        stream = path.open("a+b", buffering=0)
        try:
            _lock(stream, path)
            meta = read_meta(path)
            is_new = os.fstat(stream.fileno()).st_size == 0
            if meta is None and not is_new:
                raise InputError(f"{path} is there, and no recording: {meta_path(path)} is missing")
            if meta is None or is_new:
                meta = round(now_s, 3), new_names(hashed=bool(hashed))
                _write_meta(path, *meta)
            elif hashed is not None and hashed != (meta[1].salt is not None):
                was = "hashed" if meta[1].salt is not None else "not hashed"
                raise InputError(f"{path}: its names are {was}; begin another recording")
            found = cls(path, stream, *meta)
            found.is_new = is_new
            found._read()
            found._take_since()
        except BaseException:
            stream.close()
            raise
        return found

    def _read(self) -> None:
        """Take over what the CSV has, without the start of a line at its end, event by event."""
        whole = _end_of_lines(self._stream)
        if whole < os.fstat(self._stream.fileno()).st_size:
            self._stream.truncate(whole)
        if not whole:
            self._write(format_events(()).encode())
            return
        with self.path.open(encoding="utf-8", errors="replace", newline="") as lines:
            for event in each_event(lines, str(self.path)):
                self._note(event)

    def _take_since(self) -> None:
        """Take over where the source goes on: once, as it is wrong after the next event."""
        found = json.loads(meta_path(self.path).read_bytes())
        if isinstance(since := found.get("since"), str):
            self.since = since
            _write_meta(self.path, self.start_s, self.names)

    def end(self, since: str) -> None:
        """Note where the source goes on after the last event. Raises `OSError`."""
        _write_meta(self.path, self.start_s, self.names, since)

    @property
    def last_s(self) -> float:
        """When its last event was, its start if it has none (Unix time)."""
        return self.start_s + self._last_ns / NS

    def append(self, events: Iterable[PodEvent]) -> int:
        """Write events of the wall clock, their `time_ns` since 1970; return how many.

        Their order is that of the list; an event earlier than the last one is written at its
        time, and one that changes nothing (a pod that is there comes) is left out.
        Pods and nodes are called as `names` calls them. It returns when they are on the disk.

        Raises `OSError`: nothing of it counts as written, and the next call writes it again
        if it is given again.
        """
        new: list[PodEvent] = []
        changed: dict[str, bool] = {}
        last_ns = self._last_ns
        for event in events:
            if event.add == changed.get(event.pod, event.pod in self.there):
                continue
            changed[event.pod] = event.add
            last_ns = max(event.time_ns - round(self.start_s * NS), last_ns)
            new.append(replace(event, time_ns=last_ns))
        if new:
            self._write(format_events(new, header=False).encode())
            for event in new:
                self._note(event)
        return len(new)

    def _note(self, event: PodEvent) -> None:
        if event.add:
            self.there[event.pod] = (event.node, self.start_s + event.time_ns / NS)
        else:
            del self.there[event.pod]
        self._last_ns = max(self._last_ns, event.time_ns)
        self.n_events += 1

    def _write(self, content: bytes) -> None:
        end = os.fstat(self._stream.fileno()).st_size
        try:
            written = self._stream.write(content)
            if written != len(content):
                raise OSError(28, "only a part was written: is the disk full?", str(self.path))
            os.fsync(self._stream.fileno())
        except OSError:
            with suppress(OSError):  # no part of a line stays, where that is possible
                self._stream.truncate(end)
            raise

    def remove(self) -> None:
        """Remove its files: nothing was followed. `close` it."""
        self.path.unlink(missing_ok=True)
        meta_path(self.path).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; another process may go on with it."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end_of_lines(stream: Any) -> int:
    """Return where the last line of a file ends that is whole. Cost: what comes after it."""
    end = os.fstat(stream.fileno()).st_size
    while end:
        start = max(end - _BLOCK_BYTES, 0)
        at = os.pread(stream.fileno(), end - start, start).rfind(b"\n")
        if at >= 0:
            return int(start + at + 1)
        end = start
    return 0


def _lock(stream: Any, path: Path) -> None:
    """Let no other process record into a file while a stream is open."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{path}: another process records into it") from None


def _write_meta(path: Path, start_s: float, names: Names, since: str = "") -> None:
    salt = None if names.salt is None else names.salt.hex()
    said = {"version": VERSION, "start": rfc3339(start_s), "salt": salt}
    text = json.dumps(said | ({"since": since} if since else {}), indent=2)
    replace_file(meta_path(path), f"{text}\n".encode())


def replace_file(path: Path, content: bytes) -> None:
    """Put content in a file's place: whole, or not at all."""
    with _replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def _replacing(path: Path, before: Callable[[], object] = lambda: None) -> Iterator[Path]:
    """Give a file to write, which is on the disk and in the place of another one at the end.

    `before` is called when it is on the disk, before it takes that place.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        before()
        partial.replace(path)
        sync_names(path.parent)  # a name is durable with its folder
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
