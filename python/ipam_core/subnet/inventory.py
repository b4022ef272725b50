"""The subnets in the output of the AWS command line, in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.subnet.owners import (
    instance_of,
    is_node,
    looks_like_a_node,
    shows_a_node,
    trunk_of,
)
from ipam_core.subnet.pods import PodList
from ipam_core.subnet.reading import KNOWN, as_document, documents_in, documents_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Inventory:
    """Subnets, interfaces, CIDR reservations, instances and pods, as AWS shows them.

    Attributes:
        subnets: by id.
        interfaces: of all subnets, by the subnet's id; each interface once.
        reservations: (cidr, type) pairs of IPv4, by the subnet's id.
        instances: types by id; empty where describe-instances is missing.
        pods: those of kubectl's list; None where it is missing.
        notices: facts about the input that a reader should know.
    """

    subnets: dict[str, dict[str, Any]] = field(default_factory=dict)
    interfaces: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reservations: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    pods: PodList | None = None
    notices: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)  # interfaces
    _tagged: set[str] = field(default_factory=set)  # instances, proven to be nodes
    _holding: set[str] = field(default_factory=set)  # instances with more than one address
    _attached: dict[str, str] = field(default_factory=dict)  # the instance of an interface
    _pages: dict[str, list[bool]] = field(default_factory=dict)  # by key: whether more follow
    _sources: dict[str, str] = field(default_factory=dict)  # by key: a page that others follow
    _listed: set[str] | None = None  # what `listed_nodes` found since the last document

    def add(self, document: Any, source: str) -> None:
        """Take over one document; `source` is what messages call it.

        Raises `InputError`: it is not a known document, or not as AWS writes it.
        """
        document = as_document(document, source)
        more = bool(document.get("NextToken"))
        self._listed = None
        for key in KNOWN:
            if key not in document:
                continue
            entries = document[key]
            if not isinstance(entries, list):
                raise InputError(f"{source}: {key} is {type(entries).__name__}, not a list")
            self._pages.setdefault(key, []).append(more)
            if more:
                self._sources.setdefault(key, source)
            try:
                if key == "items":
                    self.pods = PodList() if self.pods is None else self.pods
                    self.pods.add(document, source)
                else:
                    getattr(self, f"_add_{key.lower()}")(entries)
            except (KeyError, TypeError, AttributeError) as error:
                problem = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise InputError(
                    f"{source}: an entry of {key} is not as AWS writes it: {problem}"
                ) from None

    def _add_subnets(self, entries: list[Any]) -> None:
        for subnet in entries:
            subnet_id = _text(subnet, "SubnetId")
            count = subnet.get("AvailableIpAddressCount")
            if not isinstance(count, int | None) or isinstance(count, bool):
                raise TypeError(f"AvailableIpAddressCount {quoted(count)} is no number")
            if not _is_ipv6_only(subnet):  # Python's ipaddress would accept a number
                _text(subnet, "CidrBlock")
            self.subnets[subnet_id] = subnet

    def _add_networkinterfaces(self, entries: list[Any]) -> None:
        seen = self._seen
        for interface in entries:
            eni_id = _text(interface, "NetworkInterfaceId")
            if eni_id not in seen:
                seen.add(eni_id)
                self.interfaces.setdefault(_text(interface, "SubnetId"), []).append(interface)
                try:
                    instance = instance_of(interface)
                    if isinstance(instance, str) and instance:
                        self._attached[eni_id] = instance
                        if shows_a_node(interface):
                            self._tagged.add(instance)
                        elif looks_like_a_node(interface):
                            self._holding.add(instance)
                except (AttributeError, TypeError):
                    pass  # not as AWS writes it: a report names it

    def _add_subnetipv4cidrreservations(self, entries: list[Any]) -> None:
        for entry in entries:
            known = self.reservations.setdefault(_text(entry, "SubnetId"), [])
            reservation = (_text(entry, "Cidr"), _text(entry, "ReservationType"))
            if reservation not in known:
                known.append(reservation)

    def _add_reservations(self, entries: list[Any]) -> None:
        for reservation in entries:
            for instance in reservation["Instances"]:
                instance_id = _text(instance, "InstanceId")
                self.instances[instance_id] = _text(instance, "InstanceType")
                if is_node(instance):
                    self._tagged.add(instance_id)

    @property
    def probable_nodes(self) -> set[str]:
        """Ids of the instances that hold more than one address, and are not described.

        An instance that is described and not tagged is no node, with any number of addresses.
        """
        return self._holding - self._tagged - self.instances.keys()

    @property
    def nodes(self) -> set[str]:
        """Ids of the instances that are nodes of a cluster, probable ones included."""
        return self._tagged | self.probable_nodes

    @property
    def inputs(self) -> dict[str, bool]:
        """Whether the output of each command was given."""
        return {command: key in self._pages for key, command in KNOWN.items()}

    def node_of(self, interface: dict[str, Any], nodes: set[str]) -> str | None:
        """Return which of `nodes` an interface belongs to: a branch ENI to that of its trunk."""
        instance = instance_of(interface)
        if instance is None and (trunk := trunk_of(interface)):
            instance = self._attached.get(trunk)
        return instance if isinstance(instance, str) and instance in nodes else None

    def listed_nodes(self) -> set[str]:
        """Return the instances that hold an address which kubectl's list names."""
        if self.pods is None:
            return set()
        if self._listed is not None:
            return self._listed
        holds = self.pods.is_on
        self._listed = {
            self._attached[interface["NetworkInterfaceId"]]
            for interfaces in self.interfaces.values()
            for interface in interfaces
            if interface["NetworkInterfaceId"] in self._attached and holds(interface)
        }
        return self._listed

    def missing(self, subnet_id: str) -> list[str]:
        """Return the reasons why interfaces of a subnet may be missing, in words; [] if none."""
        found = []
        if "NetworkInterfaces" not in self._pages:
            found.append(f"nothing that {KNOWN['NetworkInterfaces']} prints was given")
        elif all(self._pages["NetworkInterfaces"]):
            found.append(f"{self._sources['NetworkInterfaces']} is a page that others follow")
        owner = self.subnets[subnet_id].get("OwnerId")
        seen = {
            entry["OwnerId"]
            for entry in self.interfaces.get(subnet_id, ())
            if isinstance(entry.get("OwnerId"), str)
        }
        if isinstance(owner, str) and owner and seen and owner not in seen:
            found.append(
                f"account {owner} shares this subnet: the ENIs of other accounts are not shown"
            )
        return found

    def choose(self, wanted: Iterable[str]) -> list[str]:
        """Return the ids of the subnets to report on: those wanted, else all that have IPv4.

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
        self._notice_what_is_not_reported()
        return chosen or [name for name in self.subnets if name not in ipv6_only]

    def _notice_what_is_not_reported(self) -> None:
        for key, pages in self._pages.items():
            if all(pages) and key != "NetworkInterfaces":
                self.notices.append(
                    f"{self._sources[key]} is a page that others follow: the rest of its "
                    f"{key} is not in the input"
                )
        unknown = Counter(
            {name: len(enis) for name, enis in self.interfaces.items() if name not in self.subnets}
        )
        if unknown:
            n_enis = unknown.total()
            names = ", ".join(sorted(map(str, unknown))[:3]) + (", ..." if len(unknown) > 3 else "")
            self.notices.append(
                f"{n_enis} ENI{'s' * (n_enis != 1)} of subnets that {KNOWN['Subnets']} does not "
                f"list here: {names}"
            )
        if self.pods is not None and self.pods.n_pods == 0:
            self.notices.append("kubectl's list holds no pod")


def read_inventory(paths: Iterable[Path | str]) -> Inventory:
    """Read files that hold what the commands in `KNOWN` print, in any order and form.

    Cost: that of parsing them. Raises `InputError`: a file is neither JSON nor YAML, is
    incomplete, or holds something else. OSError: it cannot be read.
    """
    inventory = Inventory()
    for path in paths:
        for document in documents_of(Path(path)):
            inventory.add(document, str(path))
    return inventory


def inventory_of(files: Iterable[tuple[str, IO[bytes]]]) -> Inventory:
    """Read what is given by name and content, as `read_inventory` reads files.

    Raises `InputError` as there.
    """
    inventory = Inventory()
    for name, stream in files:
        for document in documents_in(stream, name):
            inventory.add(document, name)
    return inventory


def _text(entry: dict[str, Any], key: str) -> str:
    """Return an entry's text. Raises KeyError: it is missing; TypeError: it is not a text."""
    value = entry[key]
    if not (isinstance(value, str) and value):
        raise TypeError(f"{key} {quoted(value)} is no text")
    return value


def _is_ipv6_only(subnet: dict[str, Any]) -> bool:
    return bool(subnet.get("Ipv6Native")) or not subnet.get("CidrBlock")
