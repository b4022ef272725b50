"""How a subnet fragments as pods and nodes come and go, under each placement of addresses.

Nodes join and leave, pods start and end, each at a constant mean rate and at random moments
(Poisson); the lifetime of a pod is exponential. A node holds what the target rules make it
draw for its pods (`node_draws`): it asks EC2 at once for what it is short of, and gives back
at once what it has over, each unused address with the same probability.
"""

from __future__ import annotations

import random
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError, NoFreePrefixError, SubnetExhaustedError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.quoting import quoted
from ipam_core.subnet.draw import node_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam_core._subnet import Subnet, _AddressPlacement
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings
    from ipam_core.subnet.draw import NodeDraws

T = TypeVar("T")

MOST_NODES = 100_000
"""More than the largest subnet has addresses."""
MOST_EVENTS = 1_000_000_000
"""Pods and nodes that come or go, over all placements: some hours of computing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """The rates at which nodes and pods come and go.

    Attributes:
        nodes: at the start, and the mean number over the whole time.
        node_life_h: how long a node stays, on average, in hours.
        pods_per_node: the mean number over the whole time.
        pod_life_h: how long a pod runs, on average, in hours.
        hours: how long to look ahead.
        samples: points in time at which the subnet is sampled, without the start.
    """

    nodes: int
    node_life_h: float
    pods_per_node: float
    pod_life_h: float
    hours: float
    samples: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The subnet at one moment.

    `pods` have an address; `unserved` are on a node and have none. Since the start:
    `refused` counts EC2's refusals, `lost` the pods that found no node with room, and
    `not_joined` the nodes that found no address for themselves.
    """

    hour: float
    nodes: int
    pods: int
    unserved: int
    lost: int
    not_joined: int
    free: int
    free_prefixes: int
    score: int | None
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The samples of each placement, in order of time; `max_pods` is the kubelet's maxPods."""

    cidr: str
    max_pods: int
    max_pods_rule: str
    samples: dict[str, list[Sample]]

    @property
    def refused(self) -> bool:
        """Whether EC2 refused anything, or a pod found no room."""
        return any(
            samples[-1].refused or samples[-1].lost or samples[-1].not_joined
            for samples in self.samples.values()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as JSON's types."""
        return {
            "cidr": self.cidr,
            "max_pods": self.max_pods,
            "max_pods_rule": self.max_pods_rule,
            "placements": {
                placement: [
                    {name: getattr(sample, name) for name in Sample.__slots__} for sample in samples
                ]
                for placement, samples in self.samples.items()
            },
        }


def _check_bounds(churn: Churn, n_placements: int) -> None:
    if churn.nodes > MOST_NODES:
        raise InputError(f"nodes: at most {MOST_NODES:,}, not {quoted(churn.nodes)}")
    a_node_hour = 1 / churn.node_life_h + churn.pods_per_node / churn.pod_life_h
    n_events = 2 * n_placements * churn.hours * churn.nodes * a_node_hour
    if n_events > MOST_EVENTS:
        raise InputError(
            f"{n_events:.2g} pods and nodes would come and go: at most {MOST_EVENTS:,}; give "
            "fewer hours or nodes, or longer lives"
        )


class _Node:
    __slots__ = ("addresses", "enis", "pods", "prefixes")

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.prefixes: list[str] = []
        self.enis = 1
        self.pods = 0

    @property
    def served(self) -> int:
        """Pods that have an address: an ENI's own goes to none."""
        pool = len(self.addresses) - self.enis + ADDRESSES_PER_PREFIX * len(self.prefixes)
        return min(self.pods, max(pool, 0))


def forecast(
    subnet: Subnet,
    limits: InstanceLimits,
    settings: Settings,
    churn: Churn,
    *,
    prefix_mode: bool = False,
    max_pods: int | None = None,
    seed: int = 0,
    placements: tuple[_AddressPlacement, ...] = ("random", "lowest", "densest"),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Forecast:
    """Churn a copy of a subnet under each placement.

    What the subnet holds at the start stays. `max_pods` is the kubelet's maxPods; left out,
    the usual one of the type in this mode. `on_progress` gets the share done. Cost: about 10
    microseconds an event, which is a pod or node that comes or goes.

    Raises `InputError`: a node cannot run so many pods, or its agent does not start; or it
    would take hours.
    """
    _check_bounds(churn, len(placements))
    rule = "given"
    if max_pods is None:
        in_mode = replace(settings, enable_prefix_delegation=prefix_mode)
        usual = instances.max_pods(limits, in_mode)
        max_pods, rule = usual.value, usual.rule
    draws = node_draws(limits, settings, prefix_mode=prefix_mode, max_pods=max_pods)
    if why := draws.why_not(ceil(churn.pods_per_node)):
        raise InputError(f"{churn.pods_per_node:g} pods a node: {limits.instance_type}: {why}")
    samples: dict[str, list[Sample]] = {}
    n_samples = len(placements) * (churn.samples + 1)
    for at, placement in enumerate(placements):
        copy = subnet.copy(placement=placement, seed=seed)
        life = _Life(copy, draws, churn, seed)
        samples[placement] = []
        for done, sample in enumerate(life.run(), at * (churn.samples + 1) + 1):
            samples[placement].append(sample)
            on_progress(done / n_samples)
    return Forecast(cidr=subnet.cidr, max_pods=max_pods, max_pods_rule=rule, samples=samples)


class _Life:
    """One subnet's nodes and pods, from one event to the next.

    All four kinds of event are memoryless, so the next one of all comes after an
    exponential time, and is of each kind by its share in the sum of rates (Gillespie 1977).
    """

    def __init__(self, subnet: Subnet, draws: NodeDraws, churn: Churn, seed: int) -> None:
        self.subnet = subnet
        self.churn = churn
        self.random = random.Random(seed)
        self.draws = draws
        self.nodes: list[_Node] = []
        self.pods: list[_Node] = []  # the node of each pod
        self.refused = self.lost = self.not_joined = 0

    def run(self) -> Iterator[Sample]:
        """Yield a sample of the start, and one after each equal part of the time."""
        churn = self.churn
        for _ in range(churn.nodes):
            self.add_node()
        for _ in range(round(churn.nodes * churn.pods_per_node)):
            self.add_pod()
        now_h = 0.0
        yield self.sample(now_h)
        for at in range(1, churn.samples + 1):
            until_h = churn.hours * at / churn.samples
            while (now_h := now_h + self.random.expovariate(sum(self.rates()))) < until_h:
                self.step()
            now_h = until_h  # memoryless: the wait starts again
            yield self.sample(now_h)

    def rates(self) -> tuple[float, float, float, float]:
        """Return events an hour: nodes joining and leaving, pods starting and ending."""
        churn = self.churn
        return (
            churn.nodes / churn.node_life_h,
            len(self.nodes) / churn.node_life_h,
            churn.nodes * churn.pods_per_node / churn.pod_life_h,
            len(self.pods) / churn.pod_life_h,
        )

    def step(self) -> None:
        (event,) = self.random.choices(
            (self.add_node, self.remove_node, self.add_pod, self.remove_pod), self.rates()
        )
        event()

    def add_node(self) -> None:
        node = _Node()
        self.adjust(node)
        if node.addresses:  # without an address there is no instance
            self.nodes.append(node)
        else:
            self.not_joined += 1

    def remove_node(self) -> None:
        """End a node; its pods start on others."""
        node = _take_any(self.nodes, self.random)
        self.subnet.release_addresses(node.addresses)
        for prefix in node.prefixes:
            self.subnet.release_prefix(prefix)
        self.pods = [each for each in self.pods if each is not node]
        for _ in range(node.pods):
            self.add_pod()

    def add_pod(self) -> None:
        """Start a pod on a node that has room, the emptier of two at random; else it is lost."""
        most = self.draws.most_pods
        if self.nodes:
            node = min(self.random.choices(self.nodes, k=2), key=lambda node: node.pods)
            if node.pods >= most:
                node = min(self.nodes, key=lambda node: node.pods)
            if node.pods < most:
                node.pods += 1
                self.pods.append(node)
                self.adjust(node)
                return
        self.lost += 1

    def remove_pod(self) -> None:
        node = _take_any(self.pods, self.random)
        node.pods -= 1
        self.adjust(node)

    def adjust(self, node: _Node) -> None:
        """Ask EC2 for the addresses that a node is short of, and give back those it has over."""
        draw = self.draws.at(node.pods)
        over = len(node.addresses) - draw.singles
        for _ in range(over):  # the first address is the instance's own
            place = self.random.randrange(1, len(node.addresses))
            node.addresses[place], node.addresses[-1] = node.addresses[-1], node.addresses[place]
            self.subnet.release_address(node.addresses.pop())
        for _ in range(len(node.prefixes) - draw.prefixes):
            self.subnet.release_prefix(_take_any(node.prefixes, self.random))
        node.enis = draw.enis
        try:
            node.addresses += self.subnet.take_addresses(max(-over, 0))
            node.prefixes += self.subnet.take_prefixes(max(draw.prefixes - len(node.prefixes), 0))
        except (SubnetExhaustedError, NoFreePrefixError):
            self.refused += 1

    def sample(self, hour: float) -> Sample:
        return Sample(
            hour=hour,
            nodes=len(self.nodes),
            pods=(served := sum(node.served for node in self.nodes)),
            unserved=len(self.pods) - served,
            lost=self.lost,
            not_joined=self.not_joined,
            free=self.subnet.n_free,
            free_prefixes=self.subnet.n_free_prefixes,
            score=self.subnet.fragmentation().score,
            refused=self.refused,
        )


def _take_any(things: list[T], chance: random.Random) -> T:
    """Remove a random element of a list, each with the same probability."""
    place = chance.randrange(len(things))
    things[place], things[-1] = things[-1], things[place]
    return things.pop()
