"""The addresses that a subnet gets back when leaked interfaces of agents are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.subnet.orphans import delete_command

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.subnet.orphans import Orphan
    from ipam_core.subnet.report import SubnetReport


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """The leaked interfaces of a subnet, and what deleting them frees.

    Attributes:
        orphans: those that agents left behind, the largest first.
        addresses: that become free, those of /28s included.
        won: /28s that become free.
        after: the subnet without them.
    """

    orphans: list[Orphan]
    addresses: int
    won: int
    after: Subnet

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return {
            "enis": [each.eni_id for each in self.orphans],
            "addresses": self.addresses,
            "won": self.won,
            "commands": [" ".join(delete_command(each.eni_id)) for each in self.orphans],
        }


def plan_deletion(report: SubnetReport) -> Deletion | None:
    """Return the leaked interfaces to delete, None if there are none."""
    found = [each for each in report.orphans if each.by_agent]
    if not found:
        return None
    after = report.subnet.copy()
    for each in found:
        after.release_addresses(each.addresses)
        for prefix in each.prefixes:
            after.release_prefix(prefix)
    return Deletion(
        orphans=sorted(found, key=lambda each: (-each.n_addresses, each.eni_id)),
        addresses=sum(each.n_addresses for each in found),
        won=after.n_free_prefixes - report.subnet.n_free_prefixes,
        after=after,
    )
