"""Play a scenario in virtual time and record what happens.

Calls take no time here: a scenario is about what a node does, not how long EC2
takes. Time moves only in `run` and `settle`, 5 s a pool step, and by ten minutes
where a step says so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.cloud.region import (
    PRIMARY_SUBNET,
    Call,
    Fault,
    SimulatedEni,
    SimulatedRegion,
)
from ipam_core.cloud.simulated import CHANGING_APIS, SimulatedInstance
from ipam_core.cloud.subnets import CountedSubnet
from ipam_core.errors import (
    InputError,
    NotReadyError,
    PoolExhaustedError,
    UnknownSandboxError,
)
from ipam_core.instances import InstanceLimits
from ipam_core.ipamd.messages import NO_ADDRESS_ERROR
from ipam_core.node import Node, StartError
from ipam_core.node.node import LOOK_INTERVAL_S
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings
from ipam_core.simulation.scenario import outside
from ipam_core.simulation.scenario.checking import Mismatch, compare
from ipam_core.simulation.scenario.observe import observe
from ipam_core.simulation.scenario.restarts import checkpoint_of
from ipam_core.simulation.scenario.timeline import Result, described, moment_of
from ipam_core.tags import NO_MANAGE_TAG, NODE_TAG, ROLE_TAG
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam_core.policy import Policy
    from ipam_core.simulation.scenario.spec import Scenario, ScenarioStep

STEP_NS = int(LOOK_INTERVAL_S * NS)
QUIET_STEPS = 37
"""So many pool steps (185 s) without a change are settled."""
MOST_STEPS = 400
"""After so many pool steps (2,000 s) a pool has not settled."""
TEN_MINUTES_NS = 600 * NS
NETWORKS = tuple(f"10.{16 * number}.0.0/12" for number in range(16))
"""Where the addresses of a scenario's subnets come from, one network a subnet."""


@dataclass(slots=True, kw_only=True)
class Pod:
    """A pod that asked for an address; `sandbox` is that of its next try, or of its last."""

    name: str
    sandbox: Sandbox
    all_cards: bool = False
    n_refused: int = 0

    def refused(self) -> None:
        """Have the next try come with a new sandbox, as a container runtime makes it."""
        self.n_refused += 1
        self.sandbox = Sandbox(f"{self.name}-sandbox-{self.n_refused + 1}")


def play(
    scenario: Scenario, *, policy: Policy = VPC_CNI, seed: int = 0, record: bool = True
) -> Result:
    """Play a scenario from its first step to its last and return what happened.

    `seed` decides whatever the real agent leaves to chance. Without `record` the
    timeline stays empty. Raises `InputError` where a step cannot be done.
    """
    return Player(scenario, policy=policy, seed=seed, record=record).play()


class Player:
    """Plays one scenario; between steps its node, region and pods can be looked at."""

    def __init__(
        self, scenario: Scenario, *, policy: Policy = VPC_CNI, seed: int = 0, record: bool = True
    ) -> None:
        self.scenario = scenario
        self.policy = policy
        self.now_ns = 0
        self.env: dict[str, str] = dict(scenario.env)
        self.max_pods = scenario.max_pods
        self.running: list[Pod] = []
        self.waiting: list[Pod] = []
        self.pod_error: str | None = None
        self.init_error: str | None = None
        self.unsettled: bool = False
        self.calls: list[Call] = []
        self.result = Result(scenario=scenario, seed=seed)
        self.answers: dict[str, Any] = {}
        """What steps that ask something were told, by key of an `expect`."""
        self._seed = seed
        self._record = record
        self._n_pods = 0
        self._n_changes = 0
        self._n_shown = 0
        self._n_cooling = 0
        self._expects_next = False
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
        self.subnets = {
            PRIMARY_SUBNET: CountedSubnet(NETWORKS[0]),
            "eniconfig": CountedSubnet(NETWORKS[1]),
        }
        self.subnets["eniconfig"].tags["zone"] = "elsewhere"
        self.region = SimulatedRegion(dict(self.subnets), clock_ns=lambda: self.now_ns)
        self.instance: SimulatedInstance = SimulatedInstance(
            self.region,
            enis_per_card=enis_per_card,
            slots=self._limits.slots,
            on_call=self._note_call,
            metadata_lag_s=scenario.metadata_lag_s,
        )
        self._fresh_instance()
        self.node: Node = self._new_node()

    def play(self) -> Result:
        """Play every step, then compare with what holds at the end."""
        for _ in self.steps():
            pass
        return self.finish()

    def steps(self) -> Iterator[ScenarioStep]:
        """Play step by step: each is yielded when it is done."""
        following = (*(step.op for step in self.scenario.steps[1:]), "")
        for number, step in enumerate(self.scenario.steps, 1):
            self._expects_next = following[number - 1] == "expect"
            try:
                _PLAY[step.op](self, step)
            except InputError as error:
                raise InputError(
                    f"{self.scenario.scenario_id}: step {number} ({step.op}): {error}"
                ) from error
            if self._record and step.op not in ("expect", "mark"):
                self._show(described(step))
            yield step

    def finish(self) -> Result:
        """Compare with what holds at the end and return the result."""
        self._compare(self.scenario.expect, "end")
        return self.result

    # --- the world ------------------------------------------------------------

    def _fresh_instance(self) -> None:
        self.instance.attach(self.place("eni-primary"), 0)
        for number in range(self.scenario.unmanaged_enis):
            eni = self.place(f"eni-unmanaged-{number + 1}")
            eni.tags[NO_MANAGE_TAG] = "true"
            self.instance.attach(eni, self.instance.free_device())

    def add_running(self, name: str, sandbox: Sandbox) -> None:
        """Let a pod run that this player did not see placed."""
        self.running.append(Pod(name=name, sandbox=sandbox))

    def place(self, eni_id: str, n_addresses: int = 0, n_prefixes: int = 0) -> SimulatedEni:
        """Add an ENI that was not made by the agent, in the primary ENI's subnet."""
        eni = self.region.place_eni(
            eni_id, PRIMARY_SUBNET, n_addresses=n_addresses, n_prefixes=n_prefixes
        )
        if eni_id not in self.scenario.untagged_enis:
            eni.tags[NODE_TAG] = self.instance.instance_id
        eni.tags |= self.scenario.eni_tags.get(eni_id, {})
        return eni

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
        """Wait: no time passes, unless metadata lags, which the agent then waits out."""
        if self.scenario.metadata_lag_s:
            self.now_ns += round(seconds * NS)

    # --- steps of the timeline --------------------------------------------------

    def boot(self, _: ScenarioStep) -> None:
        """Start the agent on a fresh node."""
        self._start()

    def restart(self, step: ScenarioStep) -> None:
        """Restart the agent: what it keeps is in EC2 and in the checkpoint."""
        for name, value in step.get("env", {}).items():
            if value is None:
                self.env.pop(name, None)
            else:
                self.env[name] = value
        if self.node.ready:  # one that did not start has not written it
            self.instance.checkpoint = checkpoint_of(self.node, self.now_ns)
        running = {pod.sandbox.container_id for pod in self.running}
        self.instance.checkpoint = [
            entry
            for entry in self.instance.checkpoint
            if entry.released_ago_s is not None or entry.container_id in running
        ]
        self.node = self._new_node()
        self._start()

    def _start(self) -> None:
        self.init_error = None
        try:
            self._drive(self.node.start())
        except StartError as error:
            self.init_error = error.message

    def settle(self, step: ScenarioStep) -> None:
        """Run pool steps until nothing changes any more; at most 2,000 s.

        A pool that has not come to rest by then is a failure, unless `never` says so, or an
        `expect` that follows at once says what holds then.
        """
        self._settle(never=step.get("never", False), judged=not self._expects_next)

    def _settle(self, *, never: bool = False, judged: bool = True) -> None:
        quiet = 0
        for _ in range(MOST_STEPS):
            quiet = 0 if self._pool_step() else quiet + 1
            if quiet == QUIET_STEPS:
                break
        self.unsettled = quiet < QUIET_STEPS
        if self.unsettled != never and (judged or never):
            self.result.mismatches.append(
                Mismatch(where="settle", key="unsettled", expected=never, met=self.unsettled)
            )

    def run(self, step: ScenarioStep) -> None:
        """Run pool steps for so many seconds."""
        for _ in range(step.get("seconds") * NS // STEP_NS):
            self._pool_step()

    def _pool_step(self) -> bool:
        """Play 5 s; return whether the pool changed or a waiting pod was placed."""
        before = self._n_changes, len(self.waiting)
        self.now_ns += STEP_NS // 2
        if self.node.ready:
            self._drive(self.node.look())
            self._try_waiting()
        changed = before != (self._n_changes, len(self.waiting))
        if self._record and (
            changed
            or self._n_shown < len(self.calls)
            or self._n_cooling != self.node.store.stats(self.now_ns).cooling
        ):
            self._show("")
        self.now_ns += STEP_NS - STEP_NS // 2
        if self.node.ready:
            self._drive(self.node.reconcile())
        return changed

    def _try_waiting(self) -> None:
        """Let each waiting pod ask once more; one that is refused holds up no other."""
        served = [pod for pod in self.waiting if self._ask(pod)]
        if served:
            self.running += served
            self.waiting = [pod for pod in self.waiting if pod not in served]

    def _ask(self, pod: Pod) -> bool:
        """Ask as a container runtime does: it deletes a sandbox that was refused at once."""
        ask = self.node.add_pod_to_all_cards if pod.all_cards else self.node.add_pod
        try:
            ask(pod.sandbox, f"default/{pod.name}")
        except NotReadyError:
            return False  # the kubelet's call is refused, and comes again
        except PoolExhaustedError:
            self.pod_error = NO_ADDRESS_ERROR
        else:
            return True
        with suppress(UnknownSandboxError):
            self.node.remove_pod(pod.sandbox)
        pod.refused()
        return False

    def _new_pod(self) -> Pod:
        self._n_pods += 1
        name = f"p{self._n_pods}"
        return Pod(name=name, sandbox=Sandbox(f"{name}-sandbox"))

    def add_pods(self, step: ScenarioStep) -> None:
        """Let pods ask for addresses; those refused wait."""
        for _ in range(step.get("n")):
            pod = self._new_pod()
            pod.all_cards = step.get("all_cards", False)
            (self.running if self._ask(pod) else self.waiting).append(pod)
            if step.get("each_settled", False):
                self._settle()

    def del_pods(self, step: ScenarioStep) -> None:
        """Remove running pods: oldest, newest, or by order of placement, 0 the oldest."""
        which = step.get("which")
        if which is None:
            n = min(step.get("n"), len(self.running))
            newest = step.get("order", "oldest") == "newest"
            which = range(len(self.running) - n, len(self.running)) if newest else range(n)
        elif len(set(which)) < len(which):
            raise InputError(f"which: a pod removed twice in {which}")
        elif which and max(which) >= len(self.running):
            raise InputError(f"which: {max(which)} of {len(self.running)} running pods, from 0")
        gone = [self.running[number] for number in which]
        self.running = [pod for pod in self.running if pod not in gone]
        for pod in gone:
            try:
                released = self.node.remove_pod(pod.sandbox)
            except (UnknownSandboxError, NotReadyError):
                continue  # its address went with its ENI, or its node is down
            self._drive(self.node.drain(released))

    def subnet(self, step: ScenarioStep) -> None:
        """State what a subnet has free, and its tag."""
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
        """Let no call fail any more."""
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

    def attach_eni(self, step: ScenarioStep) -> None:
        """Attach an ENI from outside; the store knows of it at once."""
        role = step.get("role", "secondary")
        eni = self.place(step.get("name"), step.get("ips", 0))
        eni.interface_type = "interface" if role == "secondary" else role
        self.instance.attach(eni, self.instance.free_device())
        self._into_store(eni, created_ns=self.now_ns)
        if step.get("old", False):
            self.now_ns += TEN_MINUTES_NS

    def detach_eni(self, step: ScenarioStep) -> None:
        """Let the newest secondary ENI vanish outside the agent's control."""
        with_pods = step.get("with_pods")
        candidates = [
            eni.eni_id
            for eni in self.node.store.enis()
            if not (eni.primary or eni.trunk or eni.efa)
            and eni.eni_id in self.region.enis
            and with_pods
            in (None, self.node.store.eni_stats(eni.eni_id, self.now_ns).assigned_any > 0)
        ]
        if not candidates:
            return
        order = list(self.region.enis)
        self.region.delete_eni(max(candidates, key=order.index))
        self.instance.publish_metadata()

    def state(self, step: ScenarioStep) -> None:
        """Put a new agent on a node whose ENIs are just these; nothing is grown."""
        self.env = dict(step.get("env", self.env))
        self.max_pods = step.get("max_pods", self.max_pods)
        for eni_id in [eni.eni_id for eni in self.instance.attached()]:
            self.region.forget_eni(eni_id)
        self.running, self.waiting, self._n_pods = [], [], 0
        self.instance.checkpoint = []
        self.mark(step)
        self.init_error = None
        self.node = self._new_node()
        self.node.ready = True
        for number, raw in enumerate(step.get("enis")):
            self._state_eni(raw, number)

    def _state_eni(self, raw: dict[str, Any], number: int) -> None:
        role = raw.get("role", "secondary")
        total, used = [*raw.get("ips", [0, 0]), 0, 0][:2]
        used_in_prefix = raw.get("prefixes", [])
        eni = self.place(raw.get("name", f"eni-{role}-{number}"), total, len(used_in_prefix))
        eni.interface_type = role if role in ("trunk", "efa") else "interface"
        primary = role == "primary"
        self.instance.attach(eni, 0 if primary else max(number, 1))
        self._into_store(
            eni, created_ns=self.now_ns - TEN_MINUTES_NS, excluded=raw.get("excluded", False)
        )
        addresses = eni.addresses[:used]
        for prefix, count in zip(eni.prefixes, used_in_prefix, strict=True):
            base, _, last = prefix.removesuffix("/28").rpartition(".")
            addresses += [f"{base}.{int(last) + offset}" for offset in range(count)]
        for address in addresses:
            pod = self._new_pod()
            self.node.store.adopt(pod.sandbox, address, f"default/{pod.name}", self.now_ns)
            self.running.append(pod)

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

    def free_eni(self, step: ScenarioStep) -> None:
        """Ask once for an ENI to give up."""
        freed = self._drive(self.node.free_eni(step.get("warm_ip"), step.get("min_ip")))
        self.answers["removed"] = freed

    def cleanup_leaked(self, step: ScenarioStep) -> None:
        """Run the leaked-ENI task once over these ENIs."""
        self.region.cluster = step.get("cluster", "")
        for raw in step.get("enis"):
            eni = self.region.place_eni(raw["name"], PRIMARY_SUBNET)
            eni.description = raw.get("description", "")
            eni.tags = dict(raw.get("tags", {}))
            if raw.get("status", "available") != "available":
                self.region.attach(eni, "i-another")
        try:
            now_s = datetime.fromisoformat(step.get("now")).timestamp()
        except ValueError as error:
            raise InputError(f"now is a time as in RFC 3339, not {step.get('now')!r}") from error
        cleanup = self._drive(self.node.clean_leaked(now_s))
        self.answers["deleted"] = list(cleanup.deleted)
        self.answers["tagged_created_at"] = list(cleanup.tagged_created_at)

    def mark(self, _: ScenarioStep) -> None:
        """Zero the counts of calls, the list of requests and the last pod error."""
        self.calls.clear()
        self._n_shown = 0
        self.pod_error = None

    def expect(self, step: ScenarioStep) -> None:
        """Compare now."""
        self._compare(step.arguments, step.label or f"at {self.now_ns / NS:g} s")

    # --- what is ---------------------------------------------------------------

    def _compare(self, expected: Any, where: str) -> None:
        self.result.mismatches += compare(expected, self.observe, where)

    def observe(self, key: str) -> Any:
        """Return what is met for a key of an `expect`."""
        return observe(self, key)

    def _show(self, what: str) -> None:
        """Add a moment to the timeline."""
        stats = self.node.store.stats(self.now_ns)
        calls = self.calls[self._n_shown :]
        self._n_shown = len(self.calls)
        self._n_cooling = stats.cooling
        self.result.timeline.append(
            moment_of(
                self.now_ns,
                what,
                stats,
                calls,
                running=len(self.running),
                waiting=len(self.waiting),
            )
        )


_PLAY: dict[str, Callable[[Player, ScenarioStep], None]] = {
    op: getattr(Player, op)
    for op in (
        "boot",
        "restart",
        "settle",
        "run",
        "add_pods",
        "del_pods",
        "subnet",
        "ec2_fail",
        "ec2_heal",
        "cordon",
        "uncordon",
        "preattach",
        "imds_hide",
        "attach_eni",
        "detach_eni",
        "state",
        "free_eni",
        "cleanup_leaked",
        "mark",
        "expect",
    )
} | {
    "checkpoint": outside.checkpoint,
    "outside_attach": outside.attach,
    "outside_detach": outside.detach,
    "outside_give": outside.give,
    "outside_take": outside.take,
}
