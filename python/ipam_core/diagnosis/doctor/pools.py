"""The counts of a node's pools: from its ENIs, its log or its metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.inputs.case import Evidence, HeldCidr, HeldEni, PoolCounts
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from datetime import datetime

    from ipam_core.diagnosis.inputs.case import Case
    from ipam_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The counts of one network card, and their source."""

    total: int
    assigned: int
    cooling: int
    prefixes: int
    free_prefixes: int
    evidence: Evidence
    per_eni: int = 0
    """Addresses of an ENI in the agent's own table, from its log; 0 if it is not there."""

    @property
    def assignable(self) -> int:
        """Addresses that can be assigned now."""
        return self.total - self.assigned - self.cooling


def pools_of(
    case: Case, settings: Settings, prefix_mode: bool, now: datetime | None
) -> dict[int, Pool]:
    """Return the counts of each network card: from its ENIs, else the log, else the metrics."""
    pools = {}
    if "total_ip_addresses" in case.metrics and "assigned_ip_addresses" in case.metrics:
        pools[0] = _measured_pool(case.metrics)
    logged = case.log.pool if case.log else {}
    pools |= {card: _logged_pool(*counts) for card, counts in logged.items()}
    if case.state:
        for card, enis in case.state.cards.items():
            pools[card] = _pool_of(enis, settings, prefix_mode, case.state.evidence, now)
    return pools


def n_cooling(cidr: HeldCidr, settings: Settings, now: datetime | None) -> int:
    """Return how many released addresses of a CIDR are still cooling at a time."""
    if now is None:
        return 0
    period = timedelta(seconds=settings.cooldown_s)
    return sum(now - released <= period for released in cidr.released)


def assumed_enis(
    counts: PoolCounts,
    slots: int,
    prefix_mode: bool,
    now: datetime | None,
    *,
    bare_primary: bool = False,
) -> tuple[HeldEni, ...]:
    """Return ENIs with these counts: filled, and used, one after another.

    With a `bare_primary`, as under custom networking, the first ENI holds no addresses.
    """
    size = ADDRESSES_PER_PREFIX if prefix_mode else 1
    assigned, cooling = counts.assigned, counts.cooling if now else 0
    cidrs = []
    for number in range(counts.total // size):
        n_pods = min(assigned, size)
        n_cooling = min(cooling, size - n_pods)
        assigned, cooling = assigned - n_pods, cooling - n_cooling
        cidrs.append(
            HeldCidr(
                cidr=f"assumed-{number}",
                is_prefix=prefix_mode,
                pods=("",) * n_pods,
                released=(now,) * n_cooling if now else (),
            )
        )
    bare = int(bare_primary)
    n_enis = max(-(-len(cidrs) // slots) + bare, 1)
    return tuple(
        HeldEni(
            eni_id=f"assumed-eni-{number}",
            device_number=number,
            primary=number == 0,
            trunk=False,
            efa=False,
            excluded=False,
            subnet_id="",
            cidrs=tuple(cidrs[max(number - bare, 0) * slots : (number - bare + 1) * slots]),
        )
        for number in range(n_enis)
    )


def _pool_of(
    enis: tuple[HeldEni, ...],
    settings: Settings,
    prefix_mode: bool,
    evidence: Evidence,
    now: datetime | None,
) -> Pool:
    """Return the counts of the agent's statistics (pool-rules section 3)."""
    own = [
        cidr
        for eni in enis
        if not eni.excluded
        for cidr in eni.cidrs
        if cidr.is_prefix == prefix_mode
    ]
    prefixes = [cidr for eni in enis for cidr in eni.cidrs if cidr.is_prefix]
    return Pool(
        total=len(own) * (ADDRESSES_PER_PREFIX if prefix_mode else 1),
        assigned=sum(len(cidr.pods) for cidr in own),
        cooling=sum(n_cooling(cidr, settings, now) for cidr in own),
        prefixes=len(prefixes),
        free_prefixes=sum(not cidr.pods for cidr in prefixes),
        evidence=evidence,
    )


def _logged_pool(counts: PoolCounts, evidence: Evidence) -> Pool:
    """Return the counts that the agent logged; free prefixes are a lower bound."""
    in_use = counts.assigned + counts.cooling
    return Pool(
        total=counts.total,
        assigned=counts.assigned,
        cooling=counts.cooling,
        prefixes=counts.prefixes,
        free_prefixes=max(counts.prefixes - in_use, 0),
        evidence=evidence,
        per_eni=counts.ips_per_eni,
    )


def _measured_pool(metrics: dict[str, Evidence]) -> Pool:
    def count(name: str) -> int:
        return int(float(metrics[name].value)) if name in metrics else 0

    total, prefixes = count("total_ip_addresses"), count("total_ipv4_prefixes")
    assigned = count("assigned_ip_addresses")
    return Pool(
        total=total,
        assigned=assigned,
        cooling=0,  # the metrics lack them
        prefixes=prefixes,
        free_prefixes=max(prefixes - assigned, 0),
        evidence=metrics["total_ip_addresses"],
    )
