"""Many nodes that share subnets and EC2's patience, in virtual time.

`simulate_fleet` plays a `FleetSpec` under a policy and returns what happened. Pods go
where a scheduler would put them and ask their node's agent for an address. Where there is
none they ask again after 10 to 15 s, as the kubelet does, with a new sandbox, as the
container runtime does. One seed decides everything.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from ipam_core.cloud.latency import Latencies
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import SubnetFullSignal
from ipam_core.effects import EniConfig
from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings
from ipam_core.simulation.engine import RANK_POD, RANK_WORKLOAD, Engine
from ipam_core.simulation.fleet.agent import Agent
from ipam_core.simulation.fleet.members import FleetNode, Pod, PodOwner
from ipam_core.simulation.fleet.region import region_of
from ipam_core.simulation.fleet.result import FleetResult, Recorder
from ipam_core.simulation.fleet.rollout import Rollout
from ipam_core.simulation.fleet.workloads import begin
from ipam_core.simulation.processes import ApiClient
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec, GroupSpec, RolloutSpec

KUBELET_BACKOFF_S = 10.0
KUBELET_JITTER = 0.5
"""The kubelet syncs a pod that failed again after 10 s and up to half as much more.

Source: pkg/kubelet (backOffPeriod, workerBackOffPeriodJitterFactor) of kubernetes.
"""
N_SAMPLES = 240
"""How often the fleet is looked at for the series of a result."""
NO_NODE = "no node has room"
LAUNCH_AGAIN_NS = 60 * NS
"""An instance that found no address in its subnet is launched again after this long."""


class Fleet:
    """A fleet under way. Workloads create and remove pods through it."""

    def __init__(
        self,
        spec: FleetSpec,
        *,
        policy: Policy,
        seed: int,
        skip_idle: bool = True,
        keep_calls: bool = False,
    ) -> None:
        self.spec = spec
        self.policy = policy
        self.seed = seed
        self.engine = engine = Engine()
        self.recorder = Recorder(measure_from_ns=spec.measure_from_ns, keep_calls=keep_calls)
        self.nodes: list[FleetNode] = []
        self._skip_idle = skip_idle
        self._chance = random.Random(f"{seed}/kubelet")
        self._n_pods = 0
        self._n_alive = 0
        self._n_served = 0
        self._n_in_group = {group.name: 0 for group in spec.groups}
        self._n_booting = dict(self._n_in_group)
        self._unplaced: deque[tuple[Pod, str | None]] = deque()
        self._watchers: list[PodOwner] = []
        self._env = {group.name: dict(group.env) for group in spec.groups}
        self._settings = {name: Settings.from_env(env) for name, env in self._env.items()}
        self._rollouts: list[Rollout] = []
        self.region = region_of(spec, engine, seed)
        self._zones = {subnet.subnet_id: subnet.zone for subnet in spec.subnets}
        self._client = ApiClient(engine, Latencies(spec.latencies), seed=seed)
        for number, workload in enumerate(spec.workloads):
            begin(workload, self, number)
        for rollout in spec.rollouts:
            engine.at(rollout.at_ns, RANK_WORKLOAD, len(spec.workloads), self._roll_out, rollout)
        for group in spec.groups:
            for n in range(group.count):
                join_ns = group.join_ns * n // group.count
                engine.at(join_ns, RANK_WORKLOAD, -1, self._join, group)

    def run(self, on_progress: Callable[[float], None] = lambda _: None) -> FleetResult:
        """Play to the end; `on_progress` is told the share done."""
        duration_ns = self.spec.duration_ns
        for n in range(N_SAMPLES + 1):
            self.engine.run(duration_ns * n // N_SAMPLES)
            self.recorder.sample(
                self.engine.now_ns,
                self.nodes,
                n_pods=self._n_alive,
                n_waiting=self._n_alive - self._n_served,
            )
            on_progress(n / N_SAMPLES)
        return self.recorder.result(
            name=self.spec.name,
            policy=self.policy.name,
            seed=self.seed,
            duration_ns=self.engine.now_ns,
            still_waiting=[
                self.engine.now_ns - pod.asked_ns
                for pod in self._all_pods()
                if not pod.served and pod.asked_ns >= self.spec.measure_from_ns
            ],
        )

    def _all_pods(self) -> Iterable[Pod]:
        for node in self.nodes:
            yield from sorted(node.pods, key=lambda pod: pod.number)
        for pod, _ in self._unplaced:
            yield pod

    # --- pods -------------------------------------------------------------------

    def create(
        self,
        owner: PodOwner,
        *,
        node: FleetNode | None = None,
        group: str | None = None,
        lifetime_ns: int | None = None,
    ) -> Pod:
        """Create a pod, on a node or where the scheduler puts it, and let it ask."""
        self._n_pods += 1
        self._n_alive += 1
        pod = Pod(self._n_pods, owner, lifetime_ns)
        pod.asked_ns = self.engine.now_ns
        node = node or self._place(group)
        if node is None:
            self._unplaced.append((pod, group))
            self.recorder.refused(NO_NODE, self.engine.now_ns)
            self._scale_out()
        else:
            self._bind(pod, node)
        return pod

    def remove(self, pod: Pod) -> None:
        """Take a pod away; its address, if it has one, cools."""
        if pod.gone:
            return
        pod.gone = True
        self._n_alive -= 1
        self._n_served -= pod.served
        node = pod.node
        if node is None:
            self._unplaced = deque(item for item in self._unplaced if item[0] is not pod)
        else:
            node.pods.discard(pod)
            self._release(pod)
        pod.owner.ended(pod)
        if node is not None and not node.gone:
            if self._unplaced:
                self._place_waiting()
            if node.group.autoscale is not None and node.is_empty:
                self._scale_in_later(node)

    def node_named(self, name: str) -> FleetNode:
        """Return the node of a name such as web-3. Raises `InputError`."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise InputError(f"no node {name!r} at {self.engine.now_ns / NS:g} s")

    def watch_nodes(self, owner: PodOwner) -> None:
        """Tell a workload of every node that is ready for pods."""
        self._watchers.append(owner)

    def _bind(self, pod: Pod, node: FleetNode) -> None:
        pod.node = node
        node.pods.add(pod)
        if not pod.owner.is_daemon:
            node.empty_ns = -1
        self._ask(pod)

    def _ask(self, pod: Pod) -> None:
        if pod.gone:
            return
        node, now_ns = pod.node, self.engine.now_ns
        assert node is not None
        if not node.agent.add(pod.sandbox, pod.name):
            self.recorder.refused(node.agent.refusal_cause(), now_ns)
            node.agent.remove(pod.sandbox)  # the runtime deletes what was refused at once
            pod.try_again()
            self.engine.at(now_ns + self._backoff_ns(), RANK_POD, pod.number, self._ask, pod)
            return
        pod.served = True
        self._n_served += 1
        self.recorder.served(pod.asked_ns, now_ns)
        if pod.lifetime_ns is not None:
            self.engine.at(now_ns + pod.lifetime_ns, RANK_POD, pod.number, self.remove, pod)
        pod.owner.served(pod)

    def _release(self, pod: Pod) -> None:
        """Have the agent release a pod's address, again and again while it does not answer."""
        node = pod.node
        if node is None or node.gone or node.agent.remove(pod.sandbox):
            return
        when_ns = self.engine.now_ns + self._backoff_ns()
        self.engine.at(when_ns, RANK_POD, pod.number, self._release, pod)

    def _backoff_ns(self) -> int:
        return round(KUBELET_BACKOFF_S * (1 + KUBELET_JITTER * self._chance.random()) * NS)

    # --- the scheduler --------------------------------------------------------------

    def _place(self, group: str | None) -> FleetNode | None:
        """Return the node with the smallest share of its room taken, None where all are full."""
        found, least = None, 1.0
        for node in self.nodes:
            if node.joined and not node.gone and group in (None, node.group.name) and node.room:
                taken = len(node.pods) / node.room
                if taken < least:
                    found, least = node, taken
        return found

    def _place_waiting(self) -> None:
        """Put pods that found no node where there is room now, in their order."""
        for _ in range(len(self._unplaced)):
            pod, group = self._unplaced.popleft()
            node = self._place(group)
            if node is None:
                self._unplaced.append((pod, group))
            else:
                self._bind(pod, node)

    # --- nodes ----------------------------------------------------------------------

    def _join(self, group: GroupSpec) -> None:
        """Add a node: an instance with its primary ENI, whose agent starts.

        Where the subnet has no address for the ENI, the instance is tried again later.
        """
        number = len(self.nodes)
        n_in_group = self._n_in_group[group.name]
        subnet_id = group.subnets[n_in_group % len(group.subnets)]
        now_ns = self.engine.now_ns
        try:
            eni = self.region.create_eni(subnet_id)
        except SubnetFullSignal as full:
            self.recorder.failed("RunInstances", full.code, now_ns)
            self.engine.at(now_ns + LAUNCH_AGAIN_NS, RANK_WORKLOAD, -1, self._join, group)
            return
        self._n_in_group[group.name] = n_in_group + 1
        limits = group.limits
        instance = SimulatedInstance(
            self.region,
            enis_per_card=limits.enis_per_network_card,
            slots=limits.slots,
            instance_id=f"i-{number + 1:017x}",
            subnet_id=subnet_id,
            zone_subnets=tuple(
                other for other, zone in self._zones.items() if zone == self._zones[subnet_id]
            ),
            eni_config=EniConfig(subnet_id=group.pod_subnet or subnet_id),
            on_call=self.recorder.called,
            metadata_lag_s=self.spec.metadata_lag_s,
        )
        eni.goes_with_instance = True
        instance.attach(eni, 0)
        agent = Agent(
            self._client,
            instance,
            limits,
            self._settings[group.name],
            policy=self.policy,
            max_pods=group.kubelet_max_pods,
            number=number,
            seed=self.seed * 1_000_003 + number,
            skip_idle=self._skip_idle,
            on_ready=self._is_ready,
        )
        self.nodes.append(FleetNode(f"{group.name}-{n_in_group}", group, agent))
        agent.start()

    def _is_ready(self, agent: Agent) -> None:
        node = self.nodes[agent.number]
        if not node.joined:
            node.joined = True
            for watcher in self._watchers:
                watcher.joined(node)
            if self._unplaced:
                self._place_waiting()
            if node.group.autoscale is not None and node.is_empty:
                self._scale_in_later(node)  # the pods that it was booted for are gone
        for rollout in self._rollouts:
            rollout.is_down_no_more(node)

    def _scale_out(self) -> None:
        """Boot as many nodes as the pods without a node need."""
        for group in self.spec.groups:
            scale = group.autoscale
            if scale is None:
                continue
            n_pods = sum(wanted in (None, group.name) for _, wanted in self._unplaced)
            n_alive = sum(not n.gone for n in self.nodes if n.group is group)
            booting = self._n_booting[group.name]
            need = min(-(-n_pods // max(group.room, 1)), scale.most - n_alive) - booting
            for _ in range(need):
                self._n_booting[group.name] += 1
                when_ns = self.engine.now_ns + scale.boot_ns
                self.engine.at(when_ns, RANK_WORKLOAD, -1, self._booted, group)

    def _booted(self, group: GroupSpec) -> None:
        self._n_booting[group.name] -= 1
        self._join(group)

    def _scale_in_later(self, node: FleetNode) -> None:
        """Look at a node that is empty now once more, when it may have to go."""
        scale = node.group.autoscale
        assert scale is not None
        node.empty_ns = self.engine.now_ns
        when_ns = self.engine.now_ns + scale.empty_ns
        self.engine.at(when_ns, RANK_WORKLOAD, -1, self._scale_in, (node, node.empty_ns))

    def _scale_in(self, given: tuple[FleetNode, int]) -> None:
        """Give a node up that has been empty since the time given."""
        node, empty_ns = given
        n_alive = sum(not other.gone for other in self.nodes if other.group is node.group)
        if node.gone or node.empty_ns != empty_ns or n_alive <= node.group.count:
            return
        node.gone = True
        for pod in sorted(node.pods, key=lambda pod: pod.number):
            self.remove(pod)
        node.agent.stop()
        node.agent.instance.terminate()
        for rollout in self._rollouts:
            rollout.is_down_no_more(node)

    def _roll_out(self, spec: RolloutSpec) -> None:
        """Begin to give nodes other settings; nodes that join from now on have them."""
        nodes = [
            node for node in self.nodes if not node.gone and spec.group in (None, node.group.name)
        ]
        for group in self.spec.groups:
            if spec.group in (None, group.name):
                env = {
                    name: value
                    for name, value in {**self._env[group.name], **spec.env}.items()
                    if value is not None
                }
                self._env[group.name] = env
                self._settings[group.name] = Settings.from_env(env)
        rollout = Rollout(spec, nodes, dict(self._settings))
        self._rollouts.append(rollout)
        rollout.go_on()


def simulate_fleet(
    spec: FleetSpec,
    *,
    policy: Policy = VPC_CNI,
    seed: int | None = None,
    keep_calls: bool = False,
    on_progress: Callable[[float], None] = lambda _: None,
) -> FleetResult:
    """Play a fleet's life under a policy and return what happened.

    `seed` is the spec's where left out. With `keep_calls` the result holds every EC2 call
    (`ipam_core.cloud.cloudtrail.trail` writes them down). Raises `InputError` where a
    workload names what is not there.
    """
    chosen = spec.seed if seed is None else seed
    return Fleet(spec, policy=policy, seed=chosen, keep_calls=keep_calls).run(on_progress)


def simulate_many(
    runs: Iterable[tuple[FleetSpec, Policy, int]], executor: Executor | None = None
) -> Iterator[FleetResult]:
    """Play runs that know nothing of each other; yield their results in order.

    Each run is (spec, policy, seed). Any `concurrent.futures.Executor` may do the work;
    without one it is done here.
    """
    jobs = list(runs)
    yield from executor.map(_play, jobs) if executor else map(_play, jobs)


def _play(run: tuple[FleetSpec, Policy, int]) -> FleetResult:
    spec, policy, seed = run
    return simulate_fleet(spec, policy=policy, seed=seed)
