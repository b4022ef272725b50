"""Network interfaces that are not in use and still hold addresses of a subnet.

An agent that is killed between its calls, or whose node ends first, leaves the ENIs it
created behind: `available`, described as `aws-K8S-<instance>`. No drain and no reservation
gets their addresses back; deleting them does. Source: aws/amazon-vpc-cni-k8s#69, #608.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ipam_core._dataclass import dataclass
from ipam_core.subnet.owners import tags_of
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX, NODE_TAG


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """An interface that is not attached.

    Attributes:
        addresses: that it holds singly, its own included.
        prefixes: the /28s that it holds.
        instance: the node it was created for, None if it does not show it.
        created: when the agent created it, as in its tag; "" without one.
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
    """Return an unattached interface as DescribeNetworkInterfaces shows it."""
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


def delete_command(eni_id: str) -> list[str]:
    """Return the words of the command that deletes an interface."""
    return ["aws", "ec2", "delete-network-interface", "--network-interface-id", eni_id]
