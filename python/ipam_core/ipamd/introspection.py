"""A node's state as the agent's introspection endpoint /v1/enis shows it.

Source: pkg/ipamd/introspect.go and pkg/ipamd/datastore/data_store.go (ENIInfos,
ENI, CidrInfo, AddressInfo) of aws/amazon-vpc-cni-k8s: the names of the fields, the
blanked container id, and that only addresses ever used are listed.
"""

from __future__ import annotations

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import DataStore, Eni, UsedAddress

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: it has not happened."""


def enis_document(stores: Iterable[DataStore], started_at: datetime) -> dict[str, Any]:
    """Return what `curl http://localhost:61679/v1/enis` prints, by network card.

    `stores` are the node's, one a card; `started_at` is the wall-clock time (with a
    zone) at which their monotonic clock was 0. `TotalIPs` and `AssignedIPs` count both
    modes and excluded ENIs too. Cost: proportional to what is attached.
    """
    return {str(card): _card(store, started_at) for card, store in enumerate(stores)}


def _card(store: DataStore, started_at: datetime) -> dict[str, Any]:
    enis = {eni.eni_id: _eni(store, eni, started_at) for eni in store.enis()}
    cidrs = [
        cidr for eni in enis.values() for cidr in (*eni["AvailableIPv4Cidrs"], *eni["IPv6Cidrs"])
    ]
    return {
        "TotalIPs": sum(ipaddress.ip_network(cidr).num_addresses for cidr in cidrs),
        "AssignedIPs": len(list(store.assignments())),
        "ENIs": enis,
    }


def _eni(store: DataStore, eni: Eni, started_at: datetime) -> dict[str, Any]:
    used: dict[str, list[UsedAddress]] = {}
    for address in store.used_addresses(eni.eni_id):
        used.setdefault(address.prefix or _host_cidr(address.address), []).append(address)
    cidrs: dict[str, dict[str, dict[str, Any]]] = {"AvailableIPv4Cidrs": {}, "IPv6Cidrs": {}}
    for is_prefix, held in (
        (False, [_host_cidr(address) for address in store.addresses(eni.eni_id)]),
        (True, store.prefixes(eni.eni_id)),
    ):
        for cidr in held:
            family = "IPv6Cidrs" if ":" in cidr else "AvailableIPv4Cidrs"
            cidrs[family][cidr] = _cidr(cidr, is_prefix, used.get(cidr, []), started_at)
    return {
        "ID": eni.eni_id,
        "IsPrimary": eni.primary,
        "IsTrunk": eni.trunk,
        "IsEFA": eni.efa,
        "DeviceNumber": eni.device_number,
        **cidrs,
        "IsExcludedForPodIPs": eni.excluded,
        "RouteTableID": eni.route_table,
        "SubnetID": eni.subnet_id,
    }


def _cidr(
    cidr: str, is_prefix: bool, used: list[UsedAddress], started_at: datetime
) -> dict[str, Any]:
    network = ipaddress.ip_network(cidr)
    return {
        "Cidr": {
            "IP": str(network.network_address),
            "Mask": base64.b64encode(network.netmask.packed).decode("ascii"),
        },
        "IPAddresses": {address.address: _address(address, started_at) for address in used},
        "IsPrefix": is_prefix,
        "AddressFamily": "",
    }


def _address(used: UsedAddress, started_at: datetime) -> dict[str, Any]:
    namespace, _, name = (used.pod or "").partition("/")
    metadata = {"k8sPodNamespace": namespace, "k8sPodName": name} if used.pod else {}
    return {
        "Address": used.address,
        "IPAMKey": {
            "networkName": used.sandbox.network if used.sandbox else "",
            "containerID": "",
            "ifName": "",
        },
        "IPAMMetadata": metadata,
        "AssignedTime": _time(used.assigned_ns, started_at),
        "UnassignedTime": _time(used.released_ns, started_at) if used.released_ns else NEVER,
    }


def _host_cidr(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _time(monotonic_ns: int, started_at: datetime) -> str:
    """Return a time in RFC 3339 and UTC, with microseconds where there are any."""
    time = (started_at + timedelta(microseconds=monotonic_ns // 1000)).astimezone(UTC)
    return time.isoformat().replace("+00:00", "Z")
