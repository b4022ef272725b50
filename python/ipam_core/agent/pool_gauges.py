"""What a node's pool holds, as gauges by upstream's names: read from the stores when asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from ipam_core.errors import UnknownEniError
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam_core._store import EniStats
    from ipam_core.node.state import NodeState

PREFIX = "awscni_"


def pool_gauges(node: NodeState, *, by_subnet: bool = False) -> Iterator[GaugeMetricFamily]:
    """Yield the gauges of a node's pool, all network cards together.

    `by_subnet` gives those of #3619 a label `subnet`. An ENI that goes meanwhile is left
    out. Cost: proportional to the pods that hold an address.
    """
    now_ns = node.clock_ns()
    n_usable = node.max_enis - sum(node.n_unmanaged)
    per_eni = node.slots * (ADDRESSES_PER_PREFIX if node.prefix_mode else 1)
    yield _one("eni_max", "ENIs that may be attached, unmanaged ones left out", n_usable)
    yield _one("ip_max", "Addresses that these ENIs may hold", n_usable * per_eni)
    held: list[EniStats] = []
    per_cidr: Counter[str] = Counter()
    for store in node.stores:
        for eni in store.enis():
            try:
                held.append(store.eni_stats(eni.eni_id, now_ns))
                used = store.used_addresses(eni.eni_id)
            except UnknownEniError:
                continue
            per_cidr.update(
                each.prefix or f"{each.address}/{128 if ':' in each.address else 32}"
                for each in used
                if each.sandbox is not None
            )
    yield _sum("eni_allocated", "ENIs attached", ((e.eni.subnet_id, 1) for e in held), by_subnet)
    yield _sum(
        "total_ip_addresses",
        "Addresses attached",
        ((each.eni.subnet_id, _n_addresses(node, each)) for each in held),
        by_subnet,
    )
    yield _one(
        "assigned_ip_addresses", "Addresses that pods hold", sum(e.assigned_any for e in held)
    )
    yield _one("total_ipv4_prefixes", "Prefixes attached", sum(_n_prefixes(node, e) for e in held))
    yield _by("assigned_ip_per_eni", "eni", ((e.eni.eni_id, e.assigned_any) for e in held))
    yield _by("assigned_ip_per_cidr", "cidr", sorted(per_cidr.items()))


def _n_addresses(node: NodeState, held: EniStats) -> int:
    """Return how many addresses an ENI holds, of both kinds; of a /80 none is counted."""
    return held.addresses + ADDRESSES_PER_PREFIX * _n_prefixes(node, held)


def _n_prefixes(node: NodeState, held: EniStats) -> int:
    return 0 if node.mode == "ipv6" else held.prefixes


def _one(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, what, value=value)


def _sum(
    name: str, what: str, values: Iterable[tuple[str, int]], by_subnet: bool
) -> GaugeMetricFamily:
    """Return a sum, or one of each subnet."""
    totals: Counter[str] = Counter()
    for subnet_id, value in values:
        totals[subnet_id] += value
    if not by_subnet:
        return _one(name, what, totals.total())
    return _by(name, "subnet", sorted(totals.items()), what)


def _by(
    name: str, label: str, values: Iterable[tuple[str, int]], what: str = ""
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        PREFIX + name, what or f"Addresses that pods hold, by {label}", labels=[label]
    )
    for value_of, value in values:
        family.add_metric([value_of], value)
    return family
