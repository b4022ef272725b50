"""Bytes that are not UTF-8 text: UTF-16, which is read, and formats that are not, with why."""

from __future__ import annotations

import codecs
import io
from typing import IO, Any

BUFFER = 1 << 18
_UNREADABLE = {
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it with `zstd -d` first",
    b"\x04\x22\x4d\x18": "compressed with lz4; unpack it with `lz4 -d` first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it with `7z x` first",
    b"Rar!": "a RAR archive; unpack it with `unrar x` first",
    b"LPKSHHRH": "a journal in binary; print it with `journalctl --file` first",
    b"%PDF": "a PDF; give the text it was made of",
    b"\x89PNG": "a picture; give the text it shows",
    b"\xff\xd8\xff": "a picture; give the text it shows",
    b"{\\rtf": "a word processor's file; save it as plain text",
    b"<!DOCTYPE": "a web page; save the plain text instead",
    b"<html": "a web page; save the plain text instead",
}
"""By the first bytes of a file: why it is not read, and how to make it readable."""


def unreadable(head: bytes) -> str:
    """Return why a file with this start is not read, '' if the format is not known."""
    return next((why for magic, why in _UNREADABLE.items() if head.startswith(magic)), "")


def recoded(stream: IO[bytes], head: bytes) -> io.BufferedReader | None:
    """Return a stream of UTF-16 as UTF-8, None if it is something else.

    PowerShell's `>` writes UTF-16, with a byte order mark or without.
    """
    encoding = next(
        (
            name
            for mark, name in (
                (codecs.BOM_UTF16_LE, "utf-16-le"),
                (codecs.BOM_UTF16_BE, "utf-16-be"),
            )
            if head.startswith(mark)
        ),
        "",
    )
    if not encoding and len(head) >= 8:
        odd, even = head[1:64:2], head[:64:2]
        if not odd.strip(b"\0") and b"\0" not in even:
            encoding = "utf-16-le"
        elif not even.strip(b"\0") and b"\0" not in odd:
            encoding = "utf-16-be"
    return io.BufferedReader(_Recoded(stream, encoding), BUFFER) if encoding else None


class _Recoded(io.RawIOBase):
    """A stream of UTF-16 as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._stream.read(BUFFER)
            self._ended = not piece
            text = self._decoder.decode(piece, final=self._ended)
            self._ready = text.encode("utf-8", "replace")
        n_bytes = min(len(buffer), len(self._ready))
        buffer[:n_bytes] = self._ready[:n_bytes]
        self._ready = self._ready[n_bytes:]
        return n_bytes
