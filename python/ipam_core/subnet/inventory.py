"""What the AWS command line prints about subnets, read and put together."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core.documents import load_json, read_text
from ipam_core.errors import InputError
from ipam_core.subnet.owners import instance_of, is_node, is_of_a_node

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN = {
    "Subnets": "aws ec2 describe-subnets",
    "NetworkInterfaces": "aws ec2 describe-network-interfaces",
    "SubnetIpv4CidrReservations": "aws ec2 get-subnet-cidr-reservations",
    "Reservations": "aws ec2 describe-instances",
    "items": "kubectl get pods -A -o json",
}
"""The key by which each document is known, and the command that prints it."""


@dataclass(slots=True)
class Inventory:
    """Subnets, interfaces, CIDR reservations, instances and pods, as AWS shows them.

    Attributes:
        subnets: by id.
        interfaces: of all subnets, by the subnet's id; each interface once.
        reservations: (cidr, type) pairs of IPv4, by the subnet's id.
        instances: types by id; empty where describe-instances is missing.
        nodes: ids of the instances that are nodes of a cluster, by tag or by what they hold.
        pods: addresses of pods that a drain evicts; None where kubectl's list is missing.
        notices: what a reader should know of the input.
    """

    subnets: dict[str, dict[str, Any]] = field(default_factory=dict)
    interfaces: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reservations: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    pods: list[str] | None = None
    notices: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)  # interfaces

    def add(self, document: Any, source: str) -> None:
        """Take over one document; `source` is what messages call it.

        Raises `InputError`: it is none of those known, or not as AWS writes it.
        """
        found = [key for key in KNOWN if isinstance(document, dict) and key in document]
        if not found:
            raise InputError(f"{source}: not the JSON of {', '.join(KNOWN.values())}")
        if document.get("NextToken"):
            self.notices.append(f"{source} is one page of several: it holds a NextToken")
        for key in found:
            entries = document[key]
            if not isinstance(entries, list):
                raise InputError(f"{source}: {key} is {type(entries).__name__}, not a list")
            try:
                getattr(self, f"_add_{key.lower()}")(entries)
            except (KeyError, TypeError, AttributeError) as error:
                told = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise InputError(
                    f"{source}: an entry of {key} is not as AWS writes it: {told}"
                ) from None

    def _add_subnets(self, entries: list[Any]) -> None:
        for subnet in entries:
            subnet_id = subnet["SubnetId"]
            if not isinstance(subnet_id, str):
                raise TypeError(f"SubnetId {subnet_id!r} is no text")
            self.subnets[subnet_id] = subnet

    def _add_networkinterfaces(self, entries: list[Any]) -> None:
        seen = self._seen
        for interface in entries:
            eni_id = interface["NetworkInterfaceId"]
            if eni_id not in seen:
                seen.add(eni_id)
                self.interfaces.setdefault(interface["SubnetId"], []).append(interface)
                try:
                    instance = instance_of(interface)
                    if instance and instance not in self.nodes and is_of_a_node(interface):
                        self.nodes.add(instance)
                except (AttributeError, TypeError):
                    pass  # not as AWS writes it: a report's to tell of

    def _add_subnetipv4cidrreservations(self, entries: list[Any]) -> None:
        for entry in entries:
            known = self.reservations.setdefault(entry["SubnetId"], [])
            reservation = (entry["Cidr"], entry["ReservationType"])
            if reservation not in known:
                known.append(reservation)

    def _add_reservations(self, entries: list[Any]) -> None:
        for reservation in entries:
            for instance in reservation["Instances"]:
                instance_id = instance["InstanceId"]
                self.instances[instance_id] = instance["InstanceType"]
                if is_node(instance):
                    self.nodes.add(instance_id)

    def _add_items(self, entries: list[Any]) -> None:
        self.pods = self.pods or []
        for pod in entries:
            owners = pod["metadata"].get("ownerReferences", ())
            status = pod.get("status", {})
            stays = pod["spec"].get("hostNetwork") or any(
                owner["kind"] in ("DaemonSet", "Node") for owner in owners
            )
            if not stays and status.get("phase") in ("Running", "Pending") and "podIP" in status:
                self.pods.append(status["podIP"])

    def choose(self, wanted: Iterable[str]) -> list[str]:
        """Return the ids of the subnets to look at: those wanted, else all that have IPv4.

        Raises `InputError`: a wanted subnet is not in the input or has no IPv4; there is none.
        """
        known = ", ".join(sorted(self.subnets)[:5]) + ("..." if len(self.subnets) > 5 else "")
        chosen = list(dict.fromkeys(wanted))
        for subnet_id in chosen:
            if subnet_id not in self.subnets:
                raise InputError(
                    f"subnet {subnet_id!r} is not in the input; there: {known or 'none'}"
                )
        ipv6_only = [name for name in chosen or self.subnets if _is_ipv6_only(self.subnets[name])]
        if ipv6_only and (chosen or len(ipv6_only) == len(self.subnets)):
            raise InputError(
                f"subnet {ipv6_only[0]} is IPv6-only: it has no IPv4 addresses to report"
            )
        if not self.subnets:
            raise InputError(f"no subnet in the input; {KNOWN['Subnets']} prints them")
        self.notices += [f"subnet {name} is IPv6-only and left out" for name in ipv6_only]
        return chosen or [name for name in self.subnets if name not in ipv6_only]


def read_inventory(paths: Iterable[Path | str]) -> Inventory:
    """Read files that hold what the commands in `KNOWN` print, in any order.

    Cost: that of parsing the JSON. Raises `InputError`: a file is not JSON, is cut off, or
    holds something else. OSError: it cannot be read.
    """
    inventory = Inventory()
    for path in paths:
        try:
            document = _load(read_text(Path(path)))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        inventory.add(document, str(path))
    return inventory


def _load(content: str) -> Any:
    try:
        return load_json(content)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) - 1
        told = "empty" if not content.strip() else "cut off" if cut else error.msg
        raise InputError(
            f"not whole JSON: {told} (line {error.lineno}, column {error.colno})"
        ) from None


def _is_ipv6_only(subnet: dict[str, Any]) -> bool:
    return bool(subnet.get("Ipv6Native")) or not subnet.get("CidrBlock")
