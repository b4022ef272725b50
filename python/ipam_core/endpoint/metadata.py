"""What each instance's metadata shows, which lags behind EC2 as in a simulation.

Source: the EC2 user guide, "Instance metadata categories" and "Instance identity documents".
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.cloud.cloudtrail import ROLE
from ipam_core.cloud.region import wall_time_of
from ipam_core.endpoint.callers import role_credentials
from ipam_core.endpoint.described import architecture, dns_name, zone_id
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Instance, Interface

_OVER = frozenset({"terminated"})
_SHOWN = frozenset({"attached", "detaching"})
"""The states of an attachment in which the instance has the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEni:
    """An ENI as metadata shows it."""

    eni_id: str
    mac: str
    subnet_id: str
    device_number: int
    network_card: int
    groups: tuple[str, ...]
    ipv4: tuple[str, ...]
    """Its addresses, the primary one first."""
    prefixes: tuple[str, ...]
    ipv6: tuple[str, ...]
    ipv6_prefixes: tuple[str, ...]


class Metadata:
    """The metadata of every instance of an account.

    The account's table of interfaces reports each change, which shows `lag_ns` later. An
    instance that has just been launched shows what it has.

    Attributes:
        lag_ns: may be changed at any time.
    """

    def __init__(self, account: Account, *, lag_ns: int = NS) -> None:
        self._account = account
        self.lag_ns = lag_ns
        self._history: defaultdict[str, deque[tuple[int, dict[str, ShownEni]]]]
        self._history = defaultdict(deque)
        self._instance_of: dict[str, str] = {}
        for eni in account.enis:
            self.changed(eni)
        account.enis.on_change = self.changed
        account.instances.on_change = self._instance_changed

    def _instance_changed(self, instance: Instance) -> None:
        """Forget what an instance showed that is gone."""
        if instance.instance_id not in self._account.instances.by_key:
            self._history.pop(instance.instance_id, None)

    def changed(self, eni: Interface) -> None:
        """Note that an interface changed, or was deleted."""
        time_ns = self._account.event_ns()
        attachment = eni.attachment if eni.eni_id in self._account.enis.by_key else None
        before = self._instance_of.get(eni.eni_id)
        now = None
        if attachment is not None and (eni.is_primary or attachment.status in _SHOWN):
            now = eni.instance_id
        if before is not None and before != now:
            del self._instance_of[eni.eni_id]
            self._note(before, eni.eni_id, None, time_ns)
        if now is not None:
            self._instance_of[eni.eni_id] = now
            self._note(now, eni.eni_id, _shown(eni), time_ns)

    def _note(self, instance_id: str, eni_id: str, shown: ShownEni | None, time_ns: int) -> None:
        history = self._history[instance_id]
        enis = dict(history[-1][1]) if history else {}
        if shown is None:
            enis.pop(eni_id, None)
        elif enis.get(eni_id) == shown:
            return
        else:
            enis[eni_id] = shown
        self._forget(history)
        history.append((time_ns, enis))

    def _forget(self, history: deque[tuple[int, dict[str, ShownEni]]]) -> None:
        """Drop states that are older than the one that is shown."""
        shown_ns = self._account.now_ns() - self.lag_ns
        while len(history) > 1 and history[1][0] <= shown_ns:
            history.popleft()

    def enis(self, instance_id: str) -> list[ShownEni]:
        """Return the ENIs that an instance's metadata shows now, by card and device number."""
        history = self._history.get(instance_id)
        if not history:
            return []
        self._forget(history)
        return sorted(history[0][1].values(), key=lambda e: (e.network_card, e.device_number))

    def instance(self, instance_id: str) -> Instance | None:
        """Return an instance that has metadata: it is there, and not terminated."""
        self._account.settle()
        found = self._account.instances.by_key.get(instance_id)
        return None if found is None or found.state in _OVER else found

    def needs_token(self, instance: Instance) -> bool:
        """Return whether an instance answers only who has a token: IMDSv2 alone."""
        return self._account.http_tokens_of(instance) == "required"

    def instance_at(self, address: str) -> str | None:
        """Return the instance that has an address of the VPC, as a packet's source says it."""
        for subnet in self._account.subnets:
            holder = subnet.holders.get(address)
            if holder is not None and holder.instance_id is not None:
                return holder.instance_id
        return None

    # --- paths ----------------------------------------------------------------------

    def tree(self, instance: Instance) -> dict[str, str]:
        """Return every path below `/latest/` with its text. Cost: 20 paths an ENI."""
        account = self._account
        enis = self.enis(instance.instance_id)
        primary = next((eni for eni in enis if eni.device_number == 0), None)
        address = primary.ipv4[0] if primary else instance.private_address
        credentials = role_credentials(instance.instance_id, self._later_of_clocks())
        found = {
            "ami-id": instance.image_id,
            "ami-launch-index": str(instance.launch_index),
            "ami-manifest-path": "(unknown)",
            "hostname": dns_name(account, address),
            "iam/info": json.dumps(
                {
                    "Code": "Success",
                    "LastUpdated": credentials["LastUpdated"],
                    "InstanceProfileArn": (
                        f"arn:aws:iam::{account.account_id}:instance-profile/{ROLE}"
                    ),
                    "InstanceProfileId": "AIPAEXAMPLEEXAMPLE000",
                },
                indent=2,
            ),
            f"iam/security-credentials/{ROLE}": json.dumps(credentials, indent=2),
            "instance-action": "none",
            "instance-id": instance.instance_id,
            "instance-life-cycle": "on-demand",
            "instance-type": instance.limits.instance_type,
            "local-hostname": dns_name(account, address),
            "local-ipv4": address,
            "placement/availability-zone": instance.zone,
            "placement/availability-zone-id": zone_id(account, instance.zone),
            "placement/region": account.region_name,
            "profile": "default-hvm",
            "reservation-id": instance.reservation_id,
            "security-groups": self._group_names(instance.groups),
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
            "system": "nitro" if instance.limits.nitro else "xen-hvm",
        }
        if primary is not None:
            found["mac"] = primary.mac
            if primary.ipv6:
                found["ipv6"] = primary.ipv6[0]
        for eni in enis:
            for name, text in self._eni(eni, instance).items():
                if text:
                    found[f"network/interfaces/macs/{eni.mac}/{name}"] = text
        return {
            **{f"meta-data/{path}": text for path, text in found.items()},
            "dynamic/instance-identity/document": self._document(instance, address),
        }

    def _eni(self, eni: ShownEni, instance: Instance) -> Mapping[str, str]:
        account = self._account
        subnet = account.subnets.by_key[eni.subnet_id]
        network = account.vpcs.by_key[subnet.vpc_id]
        cards = instance.limits.enis_per_network_card
        return {
            "device-number": str(eni.device_number),
            "interface-id": eni.eni_id,
            "ipv4-prefix": "\n".join(eni.prefixes),
            "ipv6-prefix": "\n".join(eni.ipv6_prefixes),
            "ipv6s": "\n".join(eni.ipv6),
            "local-hostname": dns_name(account, eni.ipv4[0]),
            "local-ipv4s": "\n".join(eni.ipv4),
            "mac": eni.mac,
            "network-card": str(eni.network_card) if len(cards) > 1 else "",
            "owner-id": account.account_id,
            "security-group-ids": "\n".join(eni.groups),
            "security-groups": self._group_names(eni.groups),
            "subnet-id": eni.subnet_id,
            "subnet-ipv4-cidr-block": subnet.subnet.cidr,
            "subnet-ipv6-cidr-blocks": subnet.ipv6.cidr if subnet.ipv6 else "",
            "vpc-id": network.vpc_id,
            "vpc-ipv4-cidr-block": network.blocks[0][0],
            "vpc-ipv4-cidr-blocks": "\n".join(block for block, _ in network.blocks),
            "vpc-ipv6-cidr-blocks": network.ipv6_block[0],
        }

    def _group_names(self, groups: tuple[str, ...]) -> str:
        rows = (self._account.groups.by_key.get(group) for group in groups)
        return "\n".join(row.name for row in rows if row is not None)

    def _document(self, instance: Instance, address: str) -> str:
        launched = wall_time_of(instance.launched_ns)
        return json.dumps(
            {
                "accountId": self._account.account_id,
                "architecture": architecture(instance.limits.instance_type),
                "availabilityZone": instance.zone,
                "billingProducts": None,
                "devpayProductCodes": None,
                "marketplaceProductCodes": None,
                "imageId": instance.image_id,
                "instanceId": instance.instance_id,
                "instanceType": instance.limits.instance_type,
                "kernelId": None,
                "pendingTime": launched.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "privateIp": address,
                "ramdiskId": None,
                "region": self._account.region_name,
                "version": "2017-09-30",
            },
            indent=2,
        )

    def _later_of_clocks(self) -> datetime:
        """Return the VPC's time, or the time of day where that is later.

        An SDK compares the end of credentials with its own clock.
        """
        own = wall_time_of(self._account.now_ns())
        return max(own, datetime.now(UTC))


def _shown(eni: Interface) -> ShownEni:
    return ShownEni(
        eni_id=eni.eni_id,
        mac=eni.mac,
        subnet_id=eni.subnet_id,
        device_number=eni.device_number,
        network_card=eni.network_card,
        groups=eni.groups,
        ipv4=(eni.primary_address, *eni.addresses),
        prefixes=tuple(eni.prefixes),
        ipv6=tuple(eni.ipv6_addresses),
        ipv6_prefixes=tuple(eni.ipv6_prefixes),
    )
