"""Compressed streams, tar and zip archives, read as streams, never unpacked to a disk.

A few kilobytes may unpack to terabytes, and a header of an archive may ask for gigabytes of
memory. So the output of one `Unpacker` is bounded. No name in an archive is used as a path.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Self

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 2 << 30
"""Bytes that one unpacker gives out. A node's bundle has some hundred MB of logs."""
MOST_MEMBERS = 20_000
"""The most entries of an archive that are read."""
DAMAGE = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""The errors of reading a stream or an archive that is cut off or damaged."""

ZIP = b"PK\x03\x04"
"""The first bytes of a zip archive."""
LARGEST_NESTED_ZIP = 256 << 20
"""Bytes of a zip in another archive: its index is at its end, so it is held in memory."""
_BUFFER = 1 << 18
_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
"""By the first bytes of a stream, the function that opens it."""
_NAMES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_LONGEST_NAME = 1 << 16
"""The most bytes of a header that names or describes a member: it is held in memory."""


class Unpacker:
    """Opens nested streams and archives, up to `MOST_BYTES` in all."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def unzipped(self, stream: IO[bytes]) -> io.BufferedReader[Any]:
        """Return the content of a gzip stream, up to a damaged place.

        Reading raises `InputError` beyond the bound, and `DAMAGE`.
        """
        return self._opened(gzip.GzipFile(fileobj=stream, mode="rb"))

    def unpacked(self, stream: IO[bytes], head: bytes) -> io.BufferedReader[Any] | None:
        """Return the content of a stream that starts with `head`, None if it is not compressed.

        Formats: gzip, bzip2 and xz. Reading raises as with `unzipped`.
        """
        for magic, opener in _OPENERS.items():
            if head.startswith(magic):
                return self._opened(opener(stream))
        return None

    def zip_members(self, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | str]]:
        """Yield the name and content of each file in a zip; the reason, where it cannot be read.

        A stream that cannot seek is held in memory. Raises `InputError` beyond the bounds,
        and `DAMAGE`.
        """
        if not stream.seekable():
            content = stream.read(LARGEST_NESTED_ZIP + 1)
            if len(content) > LARGEST_NESTED_ZIP:
                raise InputError("a zip in an archive, too large to be read; unpack it first")
            stream = io.BytesIO(content)
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise InputError(f"more than {MOST_MEMBERS:,} members, the most that are read")
            for member in members:
                if member.is_dir():
                    continue
                try:
                    yield member.filename, self._opened(archive.open(member))
                except (RuntimeError, NotImplementedError) as error:  # password, method
                    yield member.filename, f"{error}; unpack it first"

    def _opened(self, plain: Any) -> io.BufferedReader[Any]:
        return io.BufferedReader(_Unzipped(plain, self), _BUFFER)

    def members(self, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield the name and content of each regular member of an archive; read one by one.

        A sparse member, whose size is not real, is skipped. Raises `InputError`
        where there are more than `MOST_MEMBERS`, and `DAMAGE`.
        """
        n_members = 0
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
            while (member := archive.next()) is not None:
                n_members += 1
                if n_members > MOST_MEMBERS:
                    raise InputError(f"more than {MOST_MEMBERS:,} members, the most that are read")
                content = archive.extractfile(member) if _is_plain(member) else None
                if content is not None:
                    yield member.name, content

    def spend(self, n_bytes: int) -> None:
        """Count bytes that were unpacked. Raises `InputError` beyond the bound."""
        self._left -= n_bytes
        if self._left < 0:
            raise InputError(f"unpacks to more than {MOST_BYTES >> 30} GiB, the most that is read")


class _Unzipped(io.RawIOBase):
    """What a compressed stream holds, in small pieces."""

    def __init__(self, plain: Any, unpacker: Unpacker) -> None:
        self._plain = plain
        self._unpacker = unpacker

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._plain.read1(len(buffer))
        except gzip.BadGzipFile:
            raise
        except OSError as error:  # what bzip2 raises where it is damaged
            raise EOFError(str(error)) from None
        self._unpacker.spend(len(piece))
        buffer[: len(piece)] = piece
        return len(piece)


class _Header(tarfile.TarInfo):
    """A header of an archive. Python's own reader treats a damaged one as the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _NAMES and header.size > _LONGEST_NAME:
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.HeaderError, ValueError, OverflowError, RecursionError) as error:
            if type(error).__name__ == "EOFHeaderError":  # the end, as it is written
                raise
            raise tarfile.ReadError(f"{error or 'cut off'}") from None


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()
