"""Many nodes that share subnets and EC2's API rate limits, in virtual time.

`simulate_fleet` plays a `FleetSpec` under a policy and returns what happened. Pods go where a
scheduler would put them and ask their node's agent for an address. If there is none they ask
again after 10 to 15 s, as the kubelet does, with a new sandbox, as the container runtime does.
One seed decides everything.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from ipam_core._kernel import Chance
from ipam_core.cloud.latency import Latencies
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI
from ipam_core.simulation import kubelet
from ipam_core.simulation.engine import RANK_POD, RANK_WORKLOAD, Engine
from ipam_core.simulation.fleet.agent import NO_NODE, Agent
from ipam_core.simulation.fleet.autoscaler import Autoscaler
from ipam_core.simulation.fleet.members import FleetNode, Kind, Launch, NodeGroup, Pod, PodOwner
from ipam_core.simulation.fleet.merging import played
from ipam_core.simulation.fleet.region import Machines
from ipam_core.simulation.fleet.resident import Residents, pods_stay
from ipam_core.simulation.fleet.result import FleetResult, Recorder
from ipam_core.simulation.fleet.rollout import Rollouts
from ipam_core.simulation.fleet.scheduler import Scheduler, Unplaced
from ipam_core.simulation.fleet.workload_specs import DaemonSet
from ipam_core.simulation.fleet.workloads import begin
from ipam_core.simulation.processes import ApiClient
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec, GroupSpec, RolloutSpec

N_SAMPLES = 240
"""How often the fleet is sampled for the series of a result."""
LAUNCH_AGAIN_NS = 60 * NS
"""An instance that found no address in its subnet is launched again after this long."""
LATE_NS = 60 * NS
"""A node that has not joined this long after its launch counts as not joined."""


class Fleet:
    """A running fleet. Workloads create and remove pods through it."""

    def __init__(
        self,
        spec: FleetSpec,
        *,
        policy: Policy,
        seed: int,
        skip_idle: bool = True,
        in_c: bool = True,
        keep_calls: bool = False,
        part: int = 0,
    ) -> None:
        self.spec = spec
        self.policy = policy
        self.seed = seed
        self.engine: Engine = Engine()
        self.recorder: Recorder = Recorder(
            measure_from_ns=spec.measure_from_ns, keep_calls=keep_calls
        )
        self.nodes: list[FleetNode] = []
        """Every node that ever came, by number."""
        self.groups: dict[str, NodeGroup] = {group.name: NodeGroup() for group in spec.groups}
        self._skip_idle = skip_idle
        self._stays = pods_stay(spec)
        self._times_ns = [spec.duration_ns * n // N_SAMPLES for n in range(N_SAMPLES + 1)]
        self._residents: Residents | None = None
        if self._stays and skip_idle and in_c and not policy.in_python:
            self._residents = Residents(spec, seed, self.engine, self._times_ns)
        self._chance = random.Random(f"{seed}/kubelet")
        self._n_pods = self._n_alive = self._n_served = 0
        self._retrying: Counter[str] = Counter()  # nodes that found no address, by group
        self._by_name: dict[str, FleetNode] = {}
        self._changed: list[Agent] = []  # whose pools must be counted again
        self.scheduler: Scheduler = Scheduler(
            self.groups,
            [(each.at_ns, each.group) for each in spec.workloads if isinstance(each, DaemonSet)],
            lambda: self.engine.now_ns,
        )
        self.unplaced: Unplaced = self.scheduler.unplaced
        self._watchers: list[PodOwner] = []
        self._rollouts = Rollouts(spec.groups)
        self.machines: Machines = Machines(spec, self.engine, seed, self.recorder.called, part)
        self._client = ApiClient(self.engine, Latencies(spec.latencies), seed=seed)
        self._autoscaler = Autoscaler(self)
        for number, workload in enumerate(spec.workloads):
            if self._residents is None or not self._residents.takes(number, workload):
                begin(workload, self, number)
        roll_out: Callable[[RolloutSpec], None] = partial(self._rollouts.begin, self.nodes)
        if self._residents is not None:
            roll_out = partial(self._residents.roll_out, roll_out)
        for rollout in spec.rollouts:
            self.engine.at(rollout.at_ns, RANK_WORKLOAD, len(spec.workloads), roll_out, rollout)
        for group in spec.groups:
            kind = Kind.of(group)
            for n in range(group.count):
                join_ns = group.join_ns * n // group.count
                self.engine.at(join_ns, RANK_WORKLOAD, -1, self.join, (group, kind, None))

    def run(self, on_progress: Callable[[float], None] = lambda _: None) -> FleetResult:
        """Play to the end; `on_progress` gets the share done."""
        play = self.engine.run if self._residents is None else self._residents.run
        for n, until_ns in enumerate(self._times_ns):
            play(until_ns)
            if self.recorder.measures(until_ns):
                self._sample(n)
            on_progress(n / N_SAMPLES)
        if self._residents is not None:
            self._residents.record(self.recorder)
        if self._stays:
            self.recorder.sort_waits()
        return self.recorder.result(
            name=self.spec.name,
            policy=self.policy.name,
            seed=self.seed,
            duration_ns=self.engine.now_ns,
            still_waiting=[
                self.engine.now_ns - asked_ns
                for asked_ns in self._asked_ns()
                if asked_ns >= self.spec.measure_from_ns
            ],
            not_placed=len(self.unplaced) + (self._residents.n_unplaced if self._residents else 0),
            not_joined=self._n_not_joined(),
        )

    def _sample(self, number: int) -> None:
        """Look at the fleet once: at the nodes whose pools may have changed since the last time."""
        n_refusals = None
        if self._residents is not None:
            self._n_alive, self._n_served, n_refusals = self._residents.count(self.groups, number)
        else:
            agents = self._changed[:]
            self._changed.clear()
            for agent in agents:
                if self.nodes[agent.number].recount():
                    agent.note_change()
        self.recorder.sample(
            self.engine.now_ns,
            self.groups,
            self.machines.subnets,
            n_pods=self._n_alive,
            n_waiting=self._n_alive - self._n_served,
            n_refusals=n_refusals,
        )

    def _n_not_joined(self) -> int:
        """Return the number of nodes requested a minute or more ago that have not joined."""
        late_ns = self.engine.now_ns - LATE_NS
        return self._retrying.total() + sum(
            not node.joined and not node.gone and node.launched_ns <= late_ns for node in self.nodes
        )

    def _asked_ns(self) -> Iterable[int]:
        """Yield since when each pod waits that has no address, node by node."""
        if self._residents is not None:
            yield from self._residents.asked_ns()
        for node in self.nodes:
            pods = sorted(node.pods, key=lambda pod: pod.number)
            yield from (pod.asked_ns for pod in pods if not pod.served)
        yield from (pod.asked_ns for pod in self.unplaced)

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
        pod = Pod(self._n_pods, owner, lifetime_ns, group=group, pinned=node is not None)
        pod.asked_ns = self.engine.now_ns
        node = node or self.scheduler.find(group)
        if node is None:
            self.unplaced.add(pod)
            self.recorder.refused(NO_NODE, self.engine.now_ns)
            self._autoscaler.pods_wait()
        else:
            self._bind(pod, node)
        return pod

    def remove(self, pod: Pod) -> None:
        """Remove a pod; its address, if it has one, cools."""
        if pod.gone:
            return
        node = pod.node
        self._take_away(pod)
        pod.owner.ended(pod)
        if node is not None and not node.gone:
            self._place_waiting()
            self._autoscaler.changed(node)

    def _take_away(self, pod: Pod) -> None:
        pod.gone = True
        self._n_alive -= 1
        self._n_served -= pod.served
        if pod.node is None:
            self.unplaced.remove(pod)
        else:
            pod.node.drop(pod, self.engine.now_ns)
            self._release(pod)

    def _evict(self, pod: Pod) -> None:
        """Evict a pod from its node; its controller makes another, which goes elsewhere."""
        self._take_away(pod)
        new = self.create(pod.owner, group=pod.group, lifetime_ns=pod.lifetime_ns)
        pod.owner.replaced(pod, new)

    def node_named(self, name: str) -> FleetNode:
        """Return the node with a name such as web-3. Raises `InputError`."""
        if name not in self._by_name:
            raise InputError(f"no node {name!r} at {self.engine.now_ns / NS:g} s")
        return self._by_name[name]

    def watch_nodes(self, owner: PodOwner) -> None:
        """Inform a workload about every node that is ready for pods."""
        self._watchers.append(owner)

    def _bind(self, pod: Pod, node: FleetNode) -> None:
        pod.node = node
        node.put(pod, self.engine.now_ns)
        self._autoscaler.changed(node)
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
            self.engine.at(now_ns + self._backoff_ns(node), RANK_POD, pod.number, self._ask, pod)
            return
        pod.served = True
        node.serve()
        self._n_served += 1
        self.recorder.served(pod.asked_ns, now_ns)
        if pod.lifetime_ns is not None:
            self.engine.at(now_ns + pod.lifetime_ns, RANK_POD, pod.number, self.remove, pod)
        pod.owner.served(pod)

    def _release(self, pod: Pod) -> None:
        """Have the agent release a pod's address; repeat while it does not answer."""
        node = pod.node
        if node is None or node.gone or node.agent.remove(pod.sandbox):
            return
        when_ns = self.engine.now_ns + self._backoff_ns(node)
        self.engine.at(when_ns, RANK_POD, pod.number, self._release, pod)

    def _backoff_ns(self, node: FleetNode) -> int:
        return round(kubelet.backoff_s(node.chance or self._chance) * NS)

    def _place_waiting(self) -> None:
        """Put pods that found no node where there is room now."""
        if self.unplaced:
            self.scheduler.place_waiting(self._bind)

    # --- nodes ----------------------------------------------------------------------

    def join(self, given: tuple[GroupSpec, Kind, Launch | None]) -> None:
        """Add a node of a kind: an instance with its primary ENI, whose agent starts.

        Its subnet is the next in turn that has an address for the ENI. If none has, the launch
        is tried again later.
        """
        group, kind, launch = given
        number, members = len(self.nodes), self.groups[group.name]
        n_in_group = members.n_joined
        now_ns = self.engine.now_ns
        for turn in range(len(group.subnets)):
            subnet_id = group.subnets[(n_in_group + turn) % len(group.subnets)]
            try:
                eni = self.machines.create_eni(subnet_id)
                break
            except Ec2Error as full:
                self.recorder.failed("RunInstances", full.code, now_ns)
        else:
            self._retrying[group.name] += 1
            when_ns = now_ns + LAUNCH_AGAIN_NS
            self.engine.at(when_ns, RANK_WORKLOAD, -1, self._join_again, given)
            return
        instance = self.machines.launch(eni, number, kind.limits, group.pod_subnet)
        agent = self._make_agent(
            group.name,
            self._client,
            instance,
            kind.limits,
            self._rollouts.settings[group.name],
            policy=self.policy,
            max_pods=kind.max_pods,
            number=number,
            seed=self.seed * 1_000_003 + number,
            skip_idle=self._skip_idle,
            on_ready=self._is_ready,
            changed=self._changed,
        )
        node = FleetNode(
            f"{group.name}-{n_in_group}",
            group,
            kind,
            agent,
            now_ns,
            members=members,
            changed=self.scheduler.changed,
            launch=launch,
        )
        if self._stays:
            node.chance = Chance(self.seed, number)
        self.nodes.append(node)
        self._by_name.setdefault(node.name, node)
        self._autoscaler.arrived(node)
        if self._residents is not None:
            self._residents.add_node(node)
        agent.start()

    def _make_agent(self, group: str, *arguments: Any, **more: Any) -> Agent:
        if self._residents is not None:
            return self._residents.make_agent(group, *arguments, **more)
        return Agent(*arguments, **more)

    def _join_again(self, given: tuple[GroupSpec, Kind, Launch | None]) -> None:
        self._retrying[given[0].name] -= 1
        self.join(given)

    def _is_ready(self, agent: Agent) -> None:
        node = self.nodes[agent.number]
        if not node.joined:
            node.join()
            for watcher in self._watchers:
                watcher.joined(node)
            if self._residents is not None:
                self._residents.joined(node)
            self._place_waiting()
            self._autoscaler.joined(node)
        self._rollouts.is_down_no_more(node)

    def drain(self, node: FleetNode) -> None:
        """End a node; its pods go to others, or wait for one."""
        node.leave()
        for pod in sorted(node.pods, key=lambda pod: pod.number):
            if pod.owner.is_daemon or pod.pinned:
                self.remove(pod)
            else:
                self._evict(pod)
        node.agent.stop()
        node.agent.instance.terminate()
        self._rollouts.is_down_no_more(node)


def simulate_fleet(
    spec: FleetSpec,
    *,
    policy: Policy = VPC_CNI,
    seed: int | None = None,
    keep_calls: bool = False,
    on_progress: Callable[[float], None] = lambda _: None,
    executor: Executor | None = None,
) -> FleetResult:
    """Play a fleet under a policy and return what happened.

    `seed` is the spec's if left out. With `keep_calls` the result holds every EC2 call
    (`ipam_core.cloud.cloudtrail.trail` gives them the form of CloudTrail). Any
    `concurrent.futures.Executor` may play its independent parts; the result is the same. Raises
    `InputError` if a workload names a node that does not exist, and as `completed`.
    """
    run = (spec, policy, spec.seed if seed is None else seed)
    return next(simulate_many([run], executor, keep_calls=keep_calls, on_progress=on_progress))


def simulate_many(
    runs: Iterable[tuple[FleetSpec, Policy, int]],
    executor: Executor | None = None,
    *,
    keep_calls: bool = False,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Iterator[FleetResult]:
    """Play independent runs; yield their results in order.

    Each run is (spec, policy, seed). Any `Executor` may do the work, part by part; without one
    it is done here. Raises as `simulate_fleet`.
    """
    return played(runs, Fleet, executor, on_progress, keep_calls=keep_calls)
