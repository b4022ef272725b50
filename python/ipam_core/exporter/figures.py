"""A cluster's nodes and subnets as metrics, in the form of prometheus_client.

What is shown is replaced as a whole, so a scrape never sees half of a read. A node or subnet
that is gone is gone with the next read. Series: about ten for each node, and for each subnet
ten and one for each owner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.exporter import names
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.k8s.judging import State

with extra("exporter", "the exporter"):
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from ipam_core.exporter.ec2_calls import Ec2Calls
    from ipam_core.exporter.names import Name
    from ipam_core.k8s.judging import NodeReport
    from ipam_core.k8s.subnets import SubnetState

Rows = dict["Name", list[tuple[tuple[str, ...], float]]]
"""By metric: values of its labels, and its value."""


@dataclass(slots=True)
class SourceHealth:
    """How reads of one source went; times are Unix time and seconds."""

    up: bool = False
    read_at_s: float | None = None
    took_s: float = 0.0


class Figures:
    """What is shown now: a collector for prometheus_client's registry. For threads."""

    def __init__(self, calls: Ec2Calls | None = None) -> None:
        self.health: dict[str, SourceHealth] = {"kubernetes": SourceHealth()}
        if calls is not None:
            self.health["ec2"] = SourceHealth()
        self._calls = calls
        self._nodes: Rows = {}
        self._subnets: Rows = {}

    def show_nodes(self, reports: Iterable[NodeReport], *, unscheduled: int) -> None:
        """Show these nodes from now on."""
        self._nodes = {names.UNSCHEDULED: [((), unscheduled)], **node_rows(reports)}

    def show_subnets(self, states: Iterable[SubnetState]) -> None:
        """Show these subnets from now on."""
        self._subnets = subnet_rows(states)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a value."""
        rows = self._nodes | self._subnets | self._own_rows()
        for name in names.ALL:
            if name not in rows:
                continue
            is_counter = name.name.endswith("_total")
            kind = CounterMetricFamily if is_counter else GaugeMetricFamily
            family = kind(names.PREFIX + name.name, name.what, labels=name.labels)
            for labels, value in rows[name]:
                family.add_metric(labels, value)
            yield family

    def _own_rows(self) -> Rows:
        health = self.health.items()
        rows: Rows = {
            names.UP: [((source,), float(each.up)) for source, each in health],
            names.READ_AT: [
                ((source,), each.read_at_s) for source, each in health if each.read_at_s is not None
            ],
            names.READ_TIME: [((source,), each.took_s) for source, each in health],
        }
        if self._calls is not None:
            by_api = sorted(self._calls.by_api.items())
            rows[names.EC2_CALLS] = [((api,), float(count)) for api, count in by_api]
            rows[names.EC2_POSTPONED] = [((), float(self._calls.n_postponed))]
        return rows


def node_rows(reports: Iterable[NodeReport]) -> Rows:
    """Return the metrics of nodes."""
    rows: defaultdict[Name, list[tuple[tuple[str, ...], float]]] = defaultdict(list)
    for each in reports:
        node, pods = each.node, each.pods
        label = (node.name,)
        version = each.environment.version if each.environment else ""
        facts = (node.instance_type, node.instance_id, node.zone, node.group, version)
        rows[names.NODE_INFO].append(((node.name, *facts), 1))
        rows[names.NODE_STATE].append(((node.name, each.state.words), 1))
        rows[names.NODE_PODS].append((label, pods.n_pods))
        rows[names.NODE_WAITING].append((label, len(pods.waiting)))
        for name, value in (
            (names.NODE_RISK, stall_risk(each)),
            (names.NODE_STALLS_AT, each.stalls_at),
            (names.NODE_BURST, each.burst),
            (names.NODE_MAX_PODS, node.max_pods),
            (names.NODE_WAIT, each.waits_s),
        ):
            if value is not None:
                rows[name].append((label, value))
    return dict(rows)


def stall_risk(report: NodeReport) -> float | None:
    """Return how near a node is to its stall, from 0 to 1; None where that is not known.

    1 is a node that is stuck. A node that stalls at pod 26 has 25/26 with 25 pods.
    """
    if report.state is State.STUCK:
        return 1.0
    if report.explanation is None:
        return None
    if report.stalls_at is None:
        return 0.0
    return min(report.pods.n_pods / report.stalls_at, 1.0)


def subnet_rows(states: Iterable[SubnetState]) -> Rows:
    """Return the metrics of subnets."""
    rows: defaultdict[Name, list[tuple[tuple[str, ...], float]]] = defaultdict(list)
    for each in states:
        report, subnet = each.report, each.report.subnet
        label = (report.subnet_id,)
        rows[names.SUBNET_INFO].append(((report.subnet_id, subnet.cidr, each.zone), 1))
        for name, value in (
            (names.SUBNET_ADDRESSES, report.n_used + subnet.n_free),
            (names.SUBNET_FREE, max(subnet.n_free - report.n_unseen, 0)),
            (names.SUBNET_FREE_UNRESERVED, max(subnet.n_free_unreserved - report.n_unseen, 0)),
            (names.SUBNET_FREE_BLOCKS, subnet.n_free_prefixes),
            (names.SUBNET_FRAGMENTED, report.fragmentation.fragmented),
            (names.SUBNET_SCORE, report.fragmentation.score),
            (names.SUBNET_NODES, each.nodes),
        ):
            if value is not None:
                rows[name].append((label, value))
        for (owner, cluster), count in used_by(each).items():
            rows[names.SUBNET_USED].append(((report.subnet_id, owner, cluster), count))
        for pods, fits in (("idle", each.fits_idle), ("full", each.fits_full)):
            if fits is not None:
                labels = (report.subnet_id, each.fits_type, pods)
                rows[names.SUBNET_FITS].append((labels, fits))
    return dict(rows)


def used_by(state: SubnetState) -> dict[tuple[str, str], int]:
    """Return the addresses in use by (owner, cluster), those that nothing shows as `not shown`."""
    found: Counter[tuple[str, str]] = Counter()
    for each in state.report.interfaces:
        n_addresses = each.n_addresses + ADDRESSES_PER_PREFIX * len(each.prefixes)
        found[each.owner, each.cluster] += n_addresses
    if state.report.n_unseen:
        found["not shown", ""] = state.report.n_unseen
    return dict(sorted(found.items()))


def samples_of(figures: Figures) -> list[dict[str, Any]]:
    """Return everything as JSON has it: a name, its labels and a value each."""
    return [
        {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
        for family in figures.collect()
        for sample in family.samples
    ]


def text_of(figures: Figures) -> str:
    """Return everything as the text that Prometheus reads."""
    from prometheus_client import generate_latest  # noqa: PLC0415
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(figures)
    return generate_latest(registry).decode()
