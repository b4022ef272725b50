"""The agent's loop: start a node, check its pool, reconcile, clean up, save; never give up.

The intervals are the node's (`node.timers`): wait 2.5 s, check the pool, wait 2.5 s, maybe
reconcile, again. Source: StartNodeIPPoolManager in pkg/ipamd/ipamd.go of
aws/amazon-vpc-cni-k8s. One difference: where upstream's agent exits because a start failed, to
be started again by the kubelet, this one restarts by itself, so that its log, metrics and
introspection stay. Settings with which no start succeeds end it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from ipam_core.agent.cluster_pods import ClusterPods
from ipam_core.agent.node_log import NodeLog
from ipam_core.agent.observed import ObservedCloud, TerminatingError, sdk_text
from ipam_core.agent.pods import LockedNode, ReadyGate
from ipam_core.agent.watched import ReconcileCounts, WatchedNode, cidrs_by_eni
from ipam_core.checkpoint import DurableNode
from ipam_core.cloud import drive
from ipam_core.cloud.host import HostNetwork
from ipam_core.errors import CheckpointError, InputError, IpamError, NotReadyError
from ipam_core.ipamd import log_lines as lines
from ipam_core.node.leaks import LEAK_INTERVAL_S
from ipam_core.node.timers import LOOK_INTERVAL_S
from ipam_core.settings import problems
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core._store import Assignment
    from ipam_core.agent.clock import Clock
    from ipam_core.agent.config import AgentConfig
    from ipam_core.agent.metrics import Metrics
    from ipam_core.agent.pods import Pods
    from ipam_core.agent.surroundings import Cluster, NodeFacts, Surroundings
    from ipam_core.checkpoint import Checkpoint
    from ipam_core.cloud import Cloud
    from ipam_core.cloud.host.operations import Host
    from ipam_core.effects import Step
    from ipam_core.node import Node

T = TypeVar("T")
_log = logging.getLogger(__name__)

HALF_S = LOOK_INTERVAL_S / 2
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
"""A start, or a step that met a fault of this package, is tried again after 1 s, then twice as
long, up to a minute."""
LATEST_FIRST_LEAK_S = 300.0
"""The leaked-ENI task first runs at a random time within this, so that nodes do not all at once."""
GROUPS_INTERVAL_S = 30.0
"""How often ENIs follow the primary ENI's security groups."""
FACTS_INTERVAL_S = 60.0
"""How often the VPC's CIDRs are read again."""
SAVE_INTERVAL_S = 600.0
"""The layout is saved when the pool changed, and this often, which forgets what has cooled."""


class Loop:
    """Runs one node for an agent. `run` is its thread; `on_ready` is called when pods are served.

    Attributes:
        gate: who answers pods now.
        failure: why it ended by itself; None: it did not.
    """

    def __init__(
        self,
        config: AgentConfig,
        surroundings: Surroundings,
        *,
        clock: Clock,
        metrics: Metrics,
        checkpoint: Checkpoint | None = None,
        cluster: Cluster | None = None,
        host: Host | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.gate: ReadyGate = ReadyGate()
        self.failure: InputError | None = None
        self.node: Node | None = None
        self._facts: NodeFacts | None = None
        self._config = config
        self._surroundings = surroundings
        self._clock = clock
        self._metrics = metrics
        self._checkpoint = checkpoint
        self._cluster = cluster
        self._cluster_pods = None if cluster is None else ClusterPods(cluster, checkpoint)
        self._host = host
        self._on_ready = on_ready
        self._on_end = on_end
        self._stopping = threading.Event()
        self._began_ns = clock.now_ns()
        self._random = random.Random(config.seed)
        self._to_drain: list[Assignment] = []
        self._draining = threading.Lock()
        self._due: dict[str, int] = {}
        self._saved: dict[str, set[str]] | None = None
        self._thread = threading.Thread(target=self.run, name="pool", daemon=True)
        self._cleaner = threading.Thread(target=self._clean_leaked, name="leaks", daemon=True)

    # --- from outside -----------------------------------------------------------------

    def start(self) -> None:
        """Run in a thread of its own from now on."""
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Ask EC2 for nothing more; wait for the call under way, for so long."""
        if self.node is not None:
            self.node.terminating = True
        self._stopping.set()
        for thread in (self._thread, self._cleaner):
            if thread.ident is not None:
                thread.join(patience_s)

    def facts(self) -> NodeFacts:
        """Return what is known of the instance. Raises `NotReadyError` before it was read."""
        if self._facts is None:
            raise NotReadyError
        return self._facts

    def released(self, node: Node, assignments: Sequence[Assignment]) -> None:
        """Take note of what a pod let go: in secondary-IP mode a prefix may have emptied."""
        if node.mode != "secondary-ip":
            return
        of_prefixes = [each for each in assignments if each.prefix is not None]
        with self._draining:
            self._to_drain += of_prefixes

    # --- the thread ---------------------------------------------------------------------

    def run(self) -> None:
        """Start the node, and keep its pool until `stop`."""
        try:
            if self._start_until_ready():
                self._keep_pool()
        except TerminatingError:
            pass
        finally:
            self.gate.close()
            self._on_end()

    def _wait(self, seconds: float) -> None:
        if self._clock.wait(self._stopping, seconds):
            raise TerminatingError

    # --- the start ----------------------------------------------------------------------

    def _start_until_ready(self) -> bool:
        """Start the node, however often; return whether it serves pods."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                self._start_once()
            except InputError as error:
                lines.NO_START.say(_log, error=error)
                self.failure = error
                return False
            except TerminatingError:
                raise
            except Exception as error:
                if isinstance(error, IpamError):
                    lines.NO_START.say(_log, error=error)
                else:  # a fault of this package
                    _log.exception("Initialization failure: %s", type(error).__name__)
                self._note_startup("false", "node_initialization")
            else:
                return True
            self._wait(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    def _note_startup(self, success: str, reason: str) -> None:
        with_cluster = "false" if self._cluster is None else "true"
        startup = self._metrics.startup.labels(success, with_cluster, reason)
        startup.observe(self._since_s(self._began_ns))

    def _start_once(self) -> None:
        facts = self._surroundings.read_facts()
        self._facts = facts
        settings = self._config.settings
        if self._host is not None and settings.enable_ipv6:
            raise InputError("--host-network: only with IPv4, not with ENABLE_IPv6")
        node = WatchedNode(
            facts.limits,
            settings,
            metrics=self._metrics,
            policy=self._config.policy,
            max_pods=self._max_pods(),
            clock_ns=self._clock.now_ns,
            seed=self._config.seed,
            host_network=self._host is not None,
            follow_groups=True,
        )
        if refused := problems(settings, nitro=node.nitro):
            raise InputError("; ".join(refused))
        self.node = node
        node.terminating = self._stopping.is_set()
        cloud: Cloud = self._surroundings
        if self._host is not None:
            cloud = HostNetwork(cloud, self._host, self._config.network.host)
        self._cloud = ObservedCloud(
            cloud,
            subnet_id=facts.instance.subnet_id,
            metrics=self._metrics,
            clock=self._clock,
            stopping=self._stopping,
        )
        self._node_log = NodeLog(node, facts)
        self._node_log.before_start()
        self._metrics.watch(node)
        began_ns = self._clock.now_ns()
        succeeded = False
        try:
            with self._metrics.in_progress("nodeInit"):
                self._drive(node.start())
            succeeded = True
        finally:
            self._metrics.node_initialization.labels("true" if succeeded else "false").observe(
                self._since_s(began_ns)
            )
        self._node_log.started()
        self.gate.open(node, self._pods_of(node))
        self._note_startup("true", "")
        self._save_if_changed()
        self._on_ready()

    def _max_pods(self) -> int | None:
        """Return the node's capacity: given, else Kubernetes', else the type's usual one."""
        if self._config.max_pods is not None or self._cluster is None:
            return self._config.max_pods
        try:
            return self._cluster.max_pods()
        except Exception as error:  # of any client library
            _log.warning("Failed to get node, %s", error)
            return None

    def _pods_of(self, node: Node) -> Pods:
        return LockedNode(node) if self._checkpoint is None else DurableNode(node, self._checkpoint)

    # --- the loop -----------------------------------------------------------------------

    def _keep_pool(self) -> None:
        self._cleaner.start()
        self._is_due("facts", FACTS_INTERVAL_S)
        self._is_due("groups", GROUPS_INTERVAL_S)
        self._is_due("save", SAVE_INTERVAL_S)
        retry_s = 0.0
        while True:
            try:
                self._wait(HALF_S + retry_s)
                self._check_pool()
                self._wait(HALF_S)
                self._reconcile()
            except TerminatingError:
                raise
            except Exception:  # a fault of this package: the pool is kept all the same
                _log.exception("the pool's loop failed; it goes on")
                self._metrics.agent_error("loop")
                retry_s = min(max(2 * retry_s, FIRST_RETRY_S), LONGEST_RETRY_S)
            else:
                retry_s = 0.0

    def _check_pool(self) -> None:
        node = self._node_of_loop()
        self._drain()
        function = self._node_log.before_check()
        if function:
            with self._metrics.in_progress(function):
                shrank = self._drive(node.adjust())
        else:
            shrank = self._drive(node.adjust())
        self._node_log.checked(shrank=shrank)
        self._save_if_changed()

    def _reconcile(self) -> None:
        node = self._node_of_loop()
        self._drain()
        if self._is_due("facts", FACTS_INTERVAL_S):
            self._read_facts_again()
            if self._cluster_pods is not None:
                self._cluster_pods.release_gone(self.gate.running.pods)
        if self._is_due("groups", GROUPS_INTERVAL_S):
            self._drive(node.follow_security_groups())
        now_ns = node.clock_ns()
        if not node.may_reconcile(now_ns):
            self._drive(node.reconcile())  # what the checkpoint shall forget is struck all the same
            self._save_if_changed()
            return
        self._node_log.before_reconcile(now_ns)
        counts = ReconcileCounts(node)
        with self._metrics.in_progress("nodeIPPoolReconcile"):
            self._drive(node.reconcile())
        counts.report(self._metrics)
        self._save_if_changed()
        self._node_log.reconciled(now_ns)

    def _node_of_loop(self) -> Node:
        assert self.node is not None
        return self.node

    def _drain(self) -> None:
        """Give back the prefixes that pods left empty, if the node is not in prefix mode."""
        with self._draining:
            released, self._to_drain = self._to_drain, []
        if released:
            self._drive(self._node_of_loop().drain(released))

    def _read_facts_again(self) -> None:
        """Read again what may change: the VPC's CIDRs, and what Kubernetes was late to say."""
        node, max_pods = self._node_of_loop(), self._max_pods()
        if max_pods is not None and max_pods != node.max_pods:
            lines.MAX_PODS.say(_log, before=node.max_pods, now=max_pods)
            node.set_max_pods(max_pods)
        try:
            self._facts = self._surroundings.read_facts()
        except IpamError as error:  # what was known goes on
            _log.warning("skipping periodic update to VPC CIDRs due to error: %s", error)

    def _save_if_changed(self) -> None:
        """Keep the stores' layout in the checkpoint if it is not what was last kept there.

        A save that failed is logged, and made at the next call. Cost: a walk over the ENIs.
        """
        pods = self.gate.running.pods
        if not isinstance(pods, DurableNode):
            return
        layout = cidrs_by_eni(self._node_of_loop())
        if layout == self._saved and not self._is_due("save", SAVE_INTERVAL_S):
            return
        self._saved = None
        try:
            pods.save_layout(self._clock.now_ns())
        except CheckpointError as error:
            lines.NOT_WRITTEN.say(_log, error=error)
            self._metrics.agent_error("backingStore")
        else:
            self._saved = layout

    def _clean_leaked(self) -> None:
        """Run the leaked-ENI task every hour, in a thread of its own: its tries take minutes."""
        if (
            not self._config.clean_leaked
            or self._config.settings.disable_network_resource_provisioning
        ):
            return
        wait_s = self._random.uniform(0, LATEST_FIRST_LEAK_S)
        while not self._clock.wait(self._stopping, wait_s):
            wait_s = LEAK_INTERVAL_S
            try:
                cleaned = self._drive(self._node_of_loop().clean_leaked(time.time()))
                for eni_id, error in cleaned.not_deleted:
                    lines.LEAK_STAYS.say(_log, eni=eni_id, error=sdk_text(error))
            except TerminatingError:
                return
            except Exception:
                _log.exception("the leaked-ENI task failed; it runs again in an hour")

    def _drive(self, step: Step[T]) -> T:
        checkpoint = self._cluster_pods or self._checkpoint
        return drive(step, self._cloud, checkpoint, sleep=self._cloud.sleep)

    def _is_due(self, what: str, interval_s: float) -> bool:
        """Return whether something is due, and if so note when it is again."""
        now_ns = self._clock.now_ns()
        due_ns = self._due.get(what, 0)
        if now_ns < due_ns:
            return False
        self._due[what] = now_ns + round(interval_s * NS)
        return True

    def _since_s(self, began_ns: int) -> float:
        return (self._clock.now_ns() - began_ns) / NS
