"""The world of a scenario: one node with its region, instance, pods, and the calls it made.

Calls take no time here: a scenario shows what a node does, not how long EC2 takes. The holder
of a world moves its time, `now_ns`, and makes things happen in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.cloud.region import PRIMARY_SUBNET, Call, Fault, SimulatedEni, SimulatedRegion
from ipam_core.cloud.simulated import CHANGING_APIS, SimulatedInstance
from ipam_core.cloud.subnets import CountedSubnet
from ipam_core.errors import InputError, NotReadyError, PoolExhaustedError
from ipam_core.instances import InstanceLimits
from ipam_core.ipamd.messages import NO_ADDRESS_ERROR
from ipam_core.node import Node, StartError
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings
from ipam_core.tags import NO_MANAGE_TAG, NODE_TAG, ROLE_TAG
from ipam_core.units import NS

if TYPE_CHECKING:
    from ipam_core.policy import Policy
    from ipam_core.simulation.scenario.spec import Scenario, ScenarioStep

NETWORKS = tuple(f"10.{16 * number}.0.0/12" for number in range(16))
"""The networks of a scenario's subnets, one for each."""


@dataclass(slots=True, kw_only=True)
class Pod:
    """A pod that asked for an address; `sandbox` is that of its next try, or of its last."""

    name: str
    made: Sandbox | None = None
    all_cards: bool = False
    n_refused: int = 0

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox, made when it is asked for: many a refused pod's never is."""
        if self.made is None:
            again = f"-{self.n_refused + 1}" if self.n_refused else ""
            self.made = Sandbox(f"{self.name}-sandbox{again}")
        return self.made

    def refused(self) -> None:
        """Use a new sandbox for the next try, as a container runtime does."""
        self.n_refused += 1
        self.made = None


class World:
    """One node and its surroundings: region, instance, pods, and the calls it made."""

    def __init__(self, scenario: Scenario, *, policy: Policy = VPC_CNI, seed: int = 0) -> None:
        """Make the world before the agent's first start."""
        self.scenario = scenario
        self.policy = policy
        self.now_ns: int = 0
        self.env: dict[str, str] = dict(scenario.env)
        self.max_pods: int = scenario.max_pods
        self.running: list[Pod] = []
        self.waiting: list[Pod] = []
        self.pod_error: str | None = None
        self.init_error: str | None = None
        self.unsettled: bool = False
        self.calls: list[Call] = []
        self.answers: dict[str, Any] = {}
        """The answers to steps that ask something, by key of an `expect`."""
        self._seed = seed
        self._n_pods = 0
        self._n_changes = 0
        enis_per_card = scenario.enis_per_card or (scenario.max_enis,)
        self._limits = InstanceLimits(
            instance_type=scenario.instance_type,
            max_enis=scenario.max_enis,
            ipv4_per_eni=scenario.ipv4_per_eni,
            hypervisor="nitro" if scenario.nitro else "xen",
            bare_metal=False,
            enis_per_network_card=enis_per_card,
            default_network_card=0,
            max_pods=scenario.max_pods,
            trunking=scenario.trunking,
        )
        self.subnets: dict[str, CountedSubnet] = {
            PRIMARY_SUBNET: CountedSubnet(NETWORKS[0]),
            "eniconfig": CountedSubnet(NETWORKS[1]),
        }
        self.subnets["eniconfig"].tags["zone"] = "elsewhere"
        self.region: SimulatedRegion = SimulatedRegion(
            dict(self.subnets), clock_ns=lambda: self.now_ns
        )
        self.instance: SimulatedInstance = SimulatedInstance(
            self.region,
            enis_per_card=enis_per_card,
            slots=self._limits.slots,
            instance_type=self._limits.instance_type,
            on_call=self._note_call,
            metadata_lag_s=scenario.metadata_lag_s,
        )
        self._fresh_instance()
        self.node: Node = self._new_node()

    def _fresh_instance(self) -> None:
        self.instance.attach(self.place("eni-primary"), 0)
        for number in range(self.scenario.unmanaged_enis):
            eni = self.place(f"eni-unmanaged-{number + 1}")
            eni.tags[NO_MANAGE_TAG] = "true"
            self.instance.attach(eni, self.instance.free_device())

    def place(self, eni_id: str, n_addresses: int = 0, n_prefixes: int = 0) -> SimulatedEni:
        """Add an ENI that was not made by the agent, in the primary ENI's subnet."""
        eni = self.region.place_eni(
            eni_id, PRIMARY_SUBNET, n_addresses=n_addresses, n_prefixes=n_prefixes
        )
        if eni_id not in self.scenario.untagged_enis:
            eni.tags[NODE_TAG] = self.instance.instance_id
        eni.tags |= self.scenario.eni_tags.get(eni_id, {})
        return eni

    def _into_store(self, eni: SimulatedEni, *, created_ns: int, excluded: bool = False) -> None:
        store = self.node.store
        store.add_eni(
            eni.eni_id,
            device_number=eni.device_number,
            primary=eni.device_number == 0,
            trunk=eni.interface_type == "trunk",
            efa=eni.interface_type == "efa",
            excluded=excluded,
            created_ns=created_ns,
            subnet_id=eni.subnet_id,
        )
        for address in eni.addresses:
            store.add_address(eni.eni_id, address)
        for prefix in eni.prefixes:
            store.add_prefix(eni.eni_id, prefix)

    def _new_node(self) -> Node:
        self.region.cluster = self.env.get("CLUSTER_NAME", "")
        return Node(
            self._limits,
            Settings.from_env(self.env),
            policy=self.policy,
            max_pods=self.max_pods,
            clock_ns=lambda: self.now_ns,
            seed=self._seed,
        )

    def _note_call(self, call: Call) -> None:
        self.calls.append(call)
        if call.error is None and call.api in CHANGING_APIS:
            self._n_changes += 1

    def _drive(self, step: Any) -> Any:
        return drive(step, self.instance, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        """Wait: no time passes, unless metadata lags; then the agent waits until it is current."""
        if self.scenario.metadata_lag_s:
            self.pass_time(round(seconds * NS))

    def check_pool(self) -> None:
        """Let the agent check its pool once; one that does nothing is recognised sooner."""
        # With a memory an own rule is asked by the check alone.
        if self.node.memories or not self.node.would_idle():
            self._drive(self.node.adjust())

    def reconcile(self) -> None:
        """Let the agent reconcile, if it is due."""
        if self.node.may_act_at_reconcile():
            self._drive(self.node.reconcile())

    def pass_time(self, time_ns: int) -> None:
        """Let so many nanoseconds pass."""
        self.now_ns += time_ns

    def start(self) -> None:
        """Start the agent; `init_error` is the reason if it did not start."""
        self.init_error = None
        try:
            self._drive(self.node.start())
        except StartError as error:
            self.init_error = error.message

    def add_running(self, name: str, sandbox: Sandbox) -> None:
        """Let a pod run that this player did not place."""
        self.running.append(Pod(name=name, made=sandbox))

    def _new_pod(self) -> Pod:
        self._n_pods += 1
        return Pod(name=f"p{self._n_pods}")

    def _ask(self, pod: Pod) -> bool:
        """Ask as a container runtime does: it deletes a sandbox that was refused at once."""
        name = f"default/{pod.name}"
        try:
            if pod.all_cards:
                self.node.add_pod_to_all_cards(pod.sandbox, name)
                return True
            if self.node.try_add_pod(pod.sandbox, name) is not None:
                return True
        except NotReadyError:
            return False  # the kubelet's call is refused, and is repeated
        except PoolExhaustedError:
            pass
        self.pod_error = NO_ADDRESS_ERROR
        self.node.try_remove_pod(pod.sandbox)
        pod.refused()
        return False

    def _try_waiting(self) -> None:
        """Let each waiting pod ask once more; a refused one does not stop the others.

        Where one was refused, another with a new sandbox, which holds nothing, is refused at the
        same moment for the same reason: it need not ask.
        """
        served: list[Pod] = []
        is_empty = False
        for pod in self.waiting:
            alike = pod.n_refused > 0 and not pod.all_cards
            if is_empty and alike:
                self.node.waiting.note_refused_at(f"default/{pod.name}", self.now_ns)
                pod.refused()
            elif self._ask(pod):
                served.append(pod)
            else:
                is_empty = alike
        if served:
            self.running += served
            self.waiting = [pod for pod in self.waiting if pod not in served]

    # --- steps outside the agent --------------------------------------------------

    def subnet(self, step: ScenarioStep) -> None:
        """Set the free addresses of a subnet, and its tag."""
        subnet_id = step.get("id", PRIMARY_SUBNET)
        if subnet_id not in self.subnets:
            if len(self.subnets) == len(NETWORKS):
                raise InputError(f"at most {len(NETWORKS)} subnets")
            self.subnets[subnet_id] = CountedSubnet(NETWORKS[len(self.subnets)])
            self.region.subnets[subnet_id] = self.subnets[subnet_id]
        subnet = self.subnets[subnet_id]
        subnet.set_free(step.get("free_ips"), step.get("free_prefixes"))
        if (tag := step.get("tag")) is not None:
            subnet.tags[ROLE_TAG] = tag
        subnet.tags.update(step.get("tags", {}))

    def ec2_fail(self, step: ScenarioStep) -> None:
        """Let calls fail."""
        fault = Fault(step.get("api"), step.get("code"), step.get("times"), step.get("message", ""))
        self.region.faults.append(fault)

    def ec2_heal(self, _: ScenarioStep) -> None:
        """Let no call fail any longer."""
        self.region.faults.clear()

    def cordon(self, _: ScenarioStep) -> None:
        """Make the node unschedulable."""
        self.instance.unschedulable = True

    def uncordon(self, _: ScenarioStep) -> None:
        """Make the node schedulable."""
        self.instance.unschedulable = False

    def preattach(self, step: ScenarioStep) -> None:
        """Let the ENIs hold addresses in EC2 before the start."""
        for number, n_addresses in enumerate(step.get("ips_per_eni")):
            if number == 0:
                primary = self.region.enis["eni-primary"]
                primary.addresses += self.place("eni-spare", n_addresses).addresses
                self.region.forget_eni("eni-spare")
            else:
                eni = self.place(f"eni-before-{number}", n_addresses)
                self.instance.attach(eni, self.instance.free_device())

    def imds_hide(self, step: ScenarioStep) -> None:
        """Let metadata show no secondary address, or not one ENI."""
        if (eni_id := step.get("eni")) is None:
            self.instance.metadata_hides_addresses = True
        else:
            self.instance.metadata_hides_enis.add(eni_id)
