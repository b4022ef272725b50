"""Network interfaces that nobody uses and that hold addresses of a subnet all the same.

An agent that is killed between its calls, or whose node ends first, leaves the ENIs it
created behind: `available`, described as `aws-K8S-<instance>`. No drain and no reservation
gets their addresses back; deleting them does. Source: aws/amazon-vpc-cni-k8s#69, #608.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ipam_core.subnet.owners import tags_of
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX, NODE_TAG

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.subnet.report import SubnetReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """An interface that is attached to nothing.

    Attributes:
        addresses: that it holds singly, its own included.
        prefixes: the /28s that it holds.
        instance: the node it was made for, None where it does not say.
        created: when the agent made it, as its tag has it; "" without one.
        by_agent: whether an agent left it behind: those may be deleted.
    """

    eni_id: str
    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]
    instance: str | None
    created: str
    by_agent: bool

    @property
    def n_addresses(self) -> int:
        """Addresses of the subnet that it holds, those of its /28s included."""
        return len(self.addresses) + 16 * len(self.prefixes)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return asdict(self) | {"command": " ".join(delete_command(self.eni_id))}


def orphan_of(interface: dict[str, Any]) -> Orphan:
    """Return an interface as DescribeNetworkInterfaces shows it, which hangs nowhere."""
    description = interface.get("Description") or ""
    tags = tags_of(interface)
    named = description.removeprefix(DESCRIPTION_PREFIX) if description else ""
    by_agent = description.startswith(DESCRIPTION_PREFIX) or NODE_TAG in tags
    return Orphan(
        eni_id=interface["NetworkInterfaceId"],
        addresses=tuple(
            each["PrivateIpAddress"] for each in interface.get("PrivateIpAddresses") or ()
        ),
        prefixes=tuple(each["Ipv4Prefix"] for each in interface.get("Ipv4Prefixes") or ()),
        instance=tags.get(NODE_TAG) or (named if by_agent and named != description else None),
        created=tags.get(CREATED_AT_TAG, ""),
        by_agent=by_agent,
    )


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """The leaked interfaces of a subnet, and what deleting them wins.

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
    """Return the leaked interfaces to delete, None where agents left none behind."""
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


def delete_command(eni_id: str) -> list[str]:
    """Return the words of the command that deletes an interface."""
    return ["aws", "ec2", "delete-network-interface", "--network-interface-id", eni_id]
