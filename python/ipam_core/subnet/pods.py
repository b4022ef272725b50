"""kubectl's list of pods: which addresses a drain evicts, and which nodes the list covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ipam_core.errors import InputError

_LAST = frozenset(map(str, range(256)))
"""The last numbers of IPv4 addresses."""
_STAYING_OWNERS = ("DaemonSet", "Node")
"""The kinds of controllers whose pods stay on a drained node."""


@dataclass(slots=True)
class PodList:
    """Pods as kubectl lists them.

    Attributes:
        evicted: addresses of the pods that a drain evicts: all except those of DaemonSets,
            of the host network, and static ones.
        addresses: of all pods, and of their hosts: a node that holds none of them is in
            another cluster, or empty, and the list does not cover it.
        n_pods: how many pods were listed.
    """

    evicted: list[str] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    n_pods: int = 0
    _blocks: set[tuple[str, int]] = field(default_factory=set)  # the /28s of `addresses`

    def add(self, document: dict[str, Any], source: str) -> None:
        """Take over one list. Raises `InputError`: it is not one of pods."""
        for pod in document["items"]:
            kind = pod.get("kind") or document.get("kind", "").removesuffix("List")
            if kind != "Pod":
                raise InputError(
                    f"{source}: a list of {_plural(kind)}, not of pods; kubectl get pods -A -o "
                    "json prints them"
                )
            self.n_pods += 1
            status = pod.get("status", {})
            owners = pod["metadata"].get("ownerReferences", ())
            stays = pod["spec"].get("hostNetwork") or any(
                owner["kind"] in _STAYING_OWNERS for owner in owners
            )
            if status.get("phase") not in ("Running", "Pending"):
                continue
            found = [status.get("podIP"), status.get("hostIP")]
            for each in found:
                if isinstance(each, str):
                    self.addresses.add(each)
                    self._blocks.add(_block_of(each))
            if not stays and isinstance(found[0], str):
                self.evicted.append(found[0])

    def is_on(self, interface: dict[str, Any]) -> bool:
        """Return whether an interface holds an address of the list."""
        if any(
            each in self.addresses
            for each in _texts(interface, "PrivateIpAddresses", "PrivateIpAddress")
        ):
            return True
        prefixes = _texts(interface, "Ipv4Prefixes", "Ipv4Prefix")
        return any(_block_of(each.partition("/")[0]) in self._blocks for each in prefixes)


def _texts(interface: dict[str, Any], key: str, name: str) -> list[str]:
    """Return the texts under a name in a list of mappings; a report names other values."""
    listed = interface.get(key)
    entries = listed if isinstance(listed, list) else []
    found = (each.get(name) for each in entries if isinstance(each, dict))
    return [each for each in found if isinstance(each, str)]


def _block_of(address: str) -> tuple[str, int]:
    rest, _, last = address.rpartition(".")
    return rest, int(last) >> 4 if last in _LAST else -1


def _plural(kind: str) -> str:
    return f"{kind}s" if kind else "things without a kind"
