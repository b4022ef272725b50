"""gzip streams and tar archives, read as they come, never unpacked onto a disk.

A few kilobytes may unpack to terabytes, and a header of an archive may ask for gigabytes
of memory. So what one `Unpacker` gives out is bounded. No name in an archive is a path.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Self

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 2 << 30
"""Bytes that one unpacker gives out. A node's bundle has some hundred MB of logs."""
MOST_MEMBERS = 20_000
"""Entries of an archive that are looked at."""
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)
"""What reading raises where a stream or an archive is cut off or damaged."""

_BUFFER = 1 << 18
_NAMES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_LONGEST_NAME = 1 << 16
"""Bytes of a header that names a member, or describes it: all of it is held in memory."""


class Unpacker:
    """Opens streams and archives that are in each other, up to `MOST_BYTES` in all."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def unzipped(self, stream: IO[bytes]) -> io.BufferedReader[Any]:
        """Return what a gzip stream holds: all of it up to where it is damaged.

        Reading raises `InputError` beyond the bound, and `DAMAGE`.
        """
        return io.BufferedReader(_Unzipped(gzip.GzipFile(fileobj=stream), self), _BUFFER)

    def members(self, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield the name and content of each regular member of an archive; read one by one.

        A sparse member, whose size is only claimed, is passed over. Raises `InputError`
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
    """What a gzip stream holds, in small pieces."""

    def __init__(self, plain: gzip.GzipFile, unpacker: Unpacker) -> None:
        self._plain = plain
        self._unpacker = unpacker

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._plain.read1(len(buffer))
        self._unpacker.spend(len(piece))
        buffer[: len(piece)] = piece
        return len(piece)


class _Header(tarfile.TarInfo):
    """A header of an archive. Python's own reader takes a damaged one for the end."""

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
