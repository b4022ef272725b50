"""What the checkpoint keeps of one address, and the checksum that guards each row."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY = ("", "", "")
"""Network, container id and interface of an address that nobody holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One address: held by a sandbox, or released and then without one.

    Times are wall-clock nanoseconds since 1970. `interfaces_count` is what the agent
    notes of a pod on several network cards, 0 otherwise.
    """

    address: str
    sandbox: Sandbox | None
    pod: str | None = None
    network_card: int = 0
    interfaces_count: int = 0
    eni_id: str = ""
    assigned_ns: int
    released_ns: int | None = None

    @property
    def pod_namespace(self) -> str:
        """The part of `pod` before the slash; empty where there is none."""
        return (self.pod or "").rpartition("/")[0]

    @property
    def pod_name(self) -> str:
        """The part of `pod` after the slash."""
        return (self.pod or "").rpartition("/")[2]

    def row(self) -> tuple[Any, ...]:
        """Return the entry as a row of the table `address`, checksum included.

        Raises `ValueError` where the sandbox is known by its digest only, or where a
        text cannot be written as UTF-8.
        """
        holder = NOBODY
        if self.sandbox is not None:
            holder = (self.sandbox.network, self.sandbox.container_id, self.sandbox.ifname)
            if holder == NOBODY:
                raise ValueError(f"{self.sandbox!r} is known by its digest only")
        return sealed(
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
        return cls(
            address=address,
            sandbox=None if released is not None else Sandbox(container_id, ifname, network),
            pod=pod,
            network_card=card,
            interfaces_count=count,
            eni_id=eni_id,
            assigned_ns=assigned,
            released_ns=released,
        )


def checksum(*values: Any) -> int:
    """Return the CRC-32 of a row's values: finds any one flipped bit, and any burst of 32."""
    return zlib.crc32("\0".join(map(str, values)).encode())


def sealed(*values: Any) -> tuple[Any, ...]:
    """Return a row's values with their checksum behind them."""
    return (*values, checksum(*values))
