"""Damage in SQLite's write-ahead log, which SQLite itself treats as the log's end.

After a crash the last commits are only in the log. SQLite replays it up to the first frame
whose checksum is wrong and drops the rest without an error. That is right for an incomplete
commit, but a flipped bit earlier in the log would lose acknowledged changes. The two can be
distinguished: commits are written and synced one at a time, so at most one can be incomplete.
If there are more commits after a bad frame, they were acknowledged.

Source: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, format, page size, sequence, salts, checksum
_FRAME = struct.Struct(">6I")  # page, pages in all after a commit (else 0), salts, checksum
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # and the byte order of the checksums' words
_WORD = 0xFFFFFFFF


def find_damage(path: Path) -> str | None:
    """Return what is wrong with a log in which every commit was synced; None: nothing.

    A log that is missing, empty, or incomplete in its last commit is intact. Changes nothing.
    Cost: 0.07 ms a frame; there are about 250.
    """
    try:
        log = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(log) <= _HEADER.size:
        return None
    magic, _, page_size, _, *salts, sum0, sum1 = _HEADER.unpack_from(log)
    order = _MAGIC.get(magic)
    if order is None or _sum(order, log[:24], (0, 0)) != (sum0, sum1):
        return "the head of the write-ahead log does not match its checksum"
    sums, sound = (sum0, sum1), True
    n_commits = 0  # after the first bad frame
    size = _FRAME.size + page_size
    for start in range(_HEADER.size, len(log) - size + 1, size):
        _, commit, *frame_salts, sum0, sum1 = _FRAME.unpack_from(log, start)
        if sound:
            sums = _sum(order, log[start : start + 8], sums)
            sums = _sum(order, log[start + _FRAME.size : start + size], sums)
            sound = frame_salts == salts and sums == (sum0, sum1)
        if not sound and frame_salts == salts and commit:
            n_commits += 1
    if n_commits > 1:
        return f"a bad frame in the write-ahead log, with {n_commits} commits at or behind it"
    return None


def _sum(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
