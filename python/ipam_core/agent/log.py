"""ipamd.log: what the package logs, in the real agent's JSON form, rotated.

    {"level":"info","ts":"2026-03-12T02:58:07.000Z","caller":"ipamd/loop.py:90","msg":"..."}

A file that has grown to 100 MB is kept as `ipamd-TIME.log.gz`, the newest five for 30 days.
Source: pkg/utils/logger of aws/amazon-vpc-cni-k8s.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import shutil
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ipam_core.errors import InputError
from ipam_core.quoting import without_container_ids

if TYPE_CHECKING:
    from typing import TextIO

LARGEST_FILE = 100 << 20
MOST_OLD = 5
OLDEST = timedelta(days=30)
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
"""What AWS_VPC_K8S_CNI_LOGLEVEL may say, in any case; anything else is debug, as upstream."""
_SANDBOX = re.compile(r"""(Sandbox\(['"])[^'"]*""")
"""A sandbox in a message of the library: its container id is written like no other text."""
_NAMES = {number: name for name, number in LEVELS.items()}
_STREAMS = ("stdout", "stderr")


class AgentLog:
    """Writes the log of the package `ipam_core` while it is open; use it in a `with`.

    `target` is a file, or the words "stdout" and "stderr".

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, target: str, level: str = "debug", *, largest: int = LARGEST_FILE) -> None:
        self._handler: logging.Handler
        if target.lower() in _STREAMS:
            self._handler = logging.StreamHandler(getattr(sys, target.lower()))
        else:
            self._handler = _RotatedFile(Path(target), largest)
        self._handler.setFormatter(_JsonFormatter())
        self._handler.addFilter(_is_no_repetition)
        self._logger = logging.getLogger("ipam_core")
        self._level_before = self._logger.level
        self._propagated = self._logger.propagate
        self._logger.setLevel(LEVELS.get(level.lower(), logging.DEBUG))
        self._logger.propagate = False  # an application's own handlers are not the agent's
        self._logger.addHandler(self._handler)

    def close(self) -> None:
        """Write no more."""
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level_before)
        self._logger.propagate = self._propagated
        self._handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _is_no_repetition(record: logging.LogRecord) -> bool:
    """Leave out what a cloud says of a call that failed: the agent's own line says it."""
    return not (record.name.startswith("ipam_core.cloud") and hasattr(record, "api"))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "level": _NAMES.get(record.levelno, "info"),
            "ts": f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z",
            "caller": f"ipamd/{record.filename}:{record.lineno}",
            "msg": _SANDBOX.sub(r"\1...", without_container_ids(message)),
        }
        return json.dumps(line, separators=(",", ":"))


class _RotatedFile(logging.Handler):
    """A file that is put aside, compressed, when the next line would make it too large.

    Compressing is done by a thread of its own. What cannot be written (a full disk) is
    lost, and the next line tried again: a log never ends the agent.
    """

    def __init__(self, path: Path, largest: int) -> None:
        super().__init__()
        self._path = path
        self._largest = largest
        self._packing: threading.Thread | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InputError(f"the log {path}: {error.strerror}") from error
        self._size = self._file.tell()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            line = self.format(record) + "\n"
            if self._size and self._size + len(line) > self._largest:
                self._rotate()
            self._file.write(line)
            self._file.flush()
            self._size += len(line)  # ASCII: JSON escapes the rest
        except (OSError, ValueError):
            return

    def _rotate(self) -> None:
        self._wait()
        now = datetime.now(UTC)
        while (old := self._name_at(now)).exists() or old.with_name(f"{old.name}.gz").exists():
            now += timedelta(milliseconds=1)
        self._file.close()
        try:
            self._path.rename(old)
        finally:
            self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")
            self._size = self._file.tell()
        self._packing = threading.Thread(target=_pack, args=(self._path, old, now))
        self._packing.start()

    def _name_at(self, time: datetime) -> Path:
        """Return what a file that is put aside at a time is called."""
        stem = f"{self._path.stem}-{time:%Y-%m-%dT%H-%M-%S}.{time.microsecond // 1000:03}"
        return self._path.with_stem(stem)

    def _wait(self) -> None:
        if self._packing is not None:
            self._packing.join()

    def close(self) -> None:
        """Close the file, once what was put aside is compressed."""
        self._wait()
        with suppress(OSError):  # what could not be written is lost
            self._file.close()
        super().close()


def _pack(path: Path, old: Path, now: datetime) -> None:
    """Compress what was put aside, and remove what is too old or too much."""
    packed = old.with_name(f"{old.name}.gz")
    with suppress(OSError):
        with old.open("rb") as source, gzip.open(packed, "wb") as target:
            shutil.copyfileobj(source, target)
        old.unlink()
    kept = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}*"), reverse=True)
    for number, each in enumerate(kept):
        with suppress(OSError):
            age = now - datetime.fromtimestamp(each.stat().st_mtime, UTC)
            if number >= MOST_OLD or age > OLDEST:
                each.unlink()
