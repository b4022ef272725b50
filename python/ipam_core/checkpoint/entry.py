"""What the checkpoint keeps of one address, and the checksum that guards each row."""

from __future__ import annotations

import zlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row = tuple[Any, ...]
"""A row of a table, its key first and its checksum last."""

NOBODY = ("", "", "")
"""Network, container id and interface of an address that no sandbox holds."""


class Entry(NamedTuple):
    """One address: held by a sandbox, or released and then without one.

    Times are wall-clock nanoseconds since 1970. `interfaces_count` is what the agent
    notes of a pod on several network cards, 0 otherwise. A named tuple because a
    restart makes thousands: a dataclass takes three times as long.
    """

    address: str
    sandbox: Sandbox | None
    assigned_ns: int
    pod: str | None = None
    network_card: int = 0
    interfaces_count: int = 0
    eni_id: str = ""
    released_ns: int | None = None

    @property
    def pod_namespace(self) -> str:
        """The part of `pod` before the slash; empty where there is none."""
        return (self.pod or "").rpartition("/")[0]

    @property
    def pod_name(self) -> str:
        """The part of `pod` after the slash."""
        return (self.pod or "").rpartition("/")[2]

    def row(self) -> Row:
        """Return the entry as a row of the table `address`, checksum included.

        Raises `ValueError` if only the digest of the sandbox is known, or if a text cannot be
        written as UTF-8.
        """
        holder = NOBODY if self.sandbox is None else names_of(self.sandbox)
        return with_checksum(
            self.address,
            self.network_card,
            *holder,
            self.pod,
            self.interfaces_count,
            self.eni_id,
            self.assigned_ns,
            self.released_ns,
        )

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Entry:
        """Return the entry of a row of the table `address`."""
        address, card, network, container_id, ifname, pod, count, eni_id, assigned, released, _ = (
            row
        )
        sandbox = None if released is not None else Sandbox(container_id, ifname, network)
        return cls(address, sandbox, assigned, pod, card, count, eni_id, released)


def names_of(sandbox: Sandbox) -> tuple[str, str, str]:
    """Return a sandbox's names as rows hold them. Raises `ValueError` if they are not known."""
    names = (sandbox.network, sandbox.container_id, sandbox.ifname)
    if names == NOBODY:
        raise ValueError(f"{sandbox!r} is known by its digest only")
    return names


def split_latest(entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the one entry that each sandbox holds on a card, and those it had before.

    A sandbox has two only if the first could not be acknowledged, and not removed: otherwise
    it would have kept its address. Released entries are left out.
    """
    held: dict[tuple[int, Sandbox], Entry] = {}
    before: list[Entry] = []
    for entry in sorted(entries, key=attrgetter("assigned_ns")):
        if entry.sandbox is not None:
            place = entry.network_card, entry.sandbox
            if place in held:
                before.append(held[place])
            held[place] = entry
    return list(held.values()), before


_JOINED = tuple("\0".join(["%s"] * n_values) for n_values in range(16))
"""The format that joins this number of values: half the time of `str.join`."""


def checksum(*values: Any) -> int:
    """Return the CRC-32 of a row's values: it detects any flipped bit, and any burst of 32."""
    return zlib.crc32((_JOINED[len(values)] % values).encode())


def with_checksum(*values: Any) -> Row:
    """Return a row's values, followed by their checksum."""
    return (*values, checksum(*values))
