"""What Kubernetes knows of a node: maxPods, taints, its ENIConfig, its pods.

Read with kr8s (the extra `k8s`) in a thread of its own, when it is asked for and the last answer
is older than `FRESH_S`: a pool that rests asks nothing. Whoever asks waits a second at most; an
API server that is slow or down is passed over, and what it said last holds.

Source: pkg/ipamd/ipamd.go (nodeInit, isNodeNonSchedulable) and pkg/eniconfig/eniconfig.go of
aws/amazon-vpc-cni-k8s v1.23.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from ipam_core.agent.surroundings import ClusterPod
from ipam_core.effects import EniConfig
from ipam_core.errors import CloudError, UnreachableError
from ipam_core.k8s.access import SERVICE_ACCOUNT, Access, close_api, need_kr8s, open_api
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
EXTERNAL_LABEL = "vpc.amazonaws.com/externalEniConfig"
DEFAULT_KEY = "k8s.amazonaws.com/eniConfig"
DEFAULT_NAME = "default"
ENI_CONFIGS = "crd.k8s.amazonaws.com/v1alpha1"
FRESH_S = 10.0
PATIENCE_S = 1.0
TIMEOUT_S = 5.0
"""How old an answer may be; how long who asks waits; how long a read takes at most."""
READ = "Kubernetes"
"""What errors name instead of an EC2 call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """What was read. `eni_config` None: there is none of that name, or it was not asked for."""

    max_pods: int | None
    unschedulable: bool
    eni_config_name: str
    eni_config: EniConfig | None = None
    pods: tuple[ClusterPod, ...] = ()


class ClusterReader(Protocol):
    """Reads from an API server."""

    async def read(self) -> ClusterView:
        """Read everything. Raises whatever the client raises."""

    async def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Which node is asked about, and where. `kubeconfig` None: by the service account."""

    node_name: str
    kubeconfig: Path | None = None
    service_account: Path = SERVICE_ACCOUNT
    custom_networking: bool = False
    annotation: str = DEFAULT_KEY
    label: str = DEFAULT_KEY

    @classmethod
    def from_env(
        cls,
        variables: Mapping[str, str],
        *,
        kubeconfig: Path | None = None,
        service_account: Path = SERVICE_ACCOUNT,
        custom_networking: bool = False,
    ) -> Self | None:
        """Return where Kubernetes is, None where it is not: no kubeconfig, no service account.

        KUBECONFIG names a kubeconfig too; the user's own (~/.kube/config) is never read.
        Without MY_NODE_NAME there is no node to ask about.
        """
        if kubeconfig is None and variables.get("KUBECONFIG"):
            kubeconfig = Path(variables["KUBECONFIG"])
        node_name = variables.get("MY_NODE_NAME", "")
        if not node_name or (kubeconfig is None and not (service_account / "token").exists()):
            return None
        return cls(
            node_name=node_name,
            kubeconfig=kubeconfig,
            service_account=service_account,
            custom_networking=custom_networking,
            annotation=variables.get("ENI_CONFIG_ANNOTATION_DEF") or DEFAULT_KEY,
            label=variables.get("ENI_CONFIG_LABEL_DEF") or DEFAULT_KEY,
        )


class Kubernetes:
    """What is known of a node, for threads. `start` it, and `stop` it.

    Every question raises `UnreachableError` only where nothing was ever read.
    """

    def __init__(
        self,
        reader: ClusterReader,
        *,
        fresh_s: float = FRESH_S,
        patience_s: float = PATIENCE_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._view: ClusterView | None = None
        self._read_s = float("-inf")
        self._failure = ""
        self._wanted = threading.Event()
        self._answered = threading.Condition()
        self._n_reads = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kubernetes", daemon=True)

    @classmethod
    def of(cls, config: ClusterConfig) -> Self:
        """Return one that reads with kr8s. Raises `MissingExtraError`."""
        return cls(Kr8sReader(config))

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; a read under way is left."""
        self._stopping = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(self._timeout_s + 1)

    # --- questions --------------------------------------------------------------------

    def max_pods(self) -> int | None:
        """Return the node's capacity of pods; None: it does not say."""
        return self._known().max_pods

    def unschedulable(self) -> bool:
        """Return whether the node carries the taint of a cordoned node."""
        return self._known().unschedulable

    def eni_config_name(self) -> str:
        """Return the name of the node's ENIConfig: by a label or an annotation, or "default"."""
        return self._known().eni_config_name

    def eni_config(self) -> EniConfig:
        """Return the node's ENIConfig. Raises `CloudError` where there is none of its name."""
        view = self._known()
        if view.eni_config is None:
            raise CloudError(READ, "NotFound", f"no ENIConfig {quoted(view.eni_config_name)}")
        return view.eni_config

    def pods(self) -> tuple[ClusterPod, ...]:
        """Return the node's pods that have an address of their own."""
        return self._known().pods

    def _known(self) -> ClusterView:
        """Return what was read last, after a short wait for news where it is old."""
        if self._clock() - self._read_s > self._fresh_s:
            with self._answered:
                before = self._n_reads
                self._wanted.set()
                self._answered.wait_for(lambda: self._n_reads != before, self._patience_s)
        if self._view is None:
            raise UnreachableError(READ, "Unreachable", self._failure or "no answer yet")
        return self._view

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._stopping:
                    break
                self._read(runner)
            runner.run(self._reader.close())

    def _read(self, runner: asyncio.Runner) -> None:
        try:
            view = runner.run(asyncio.wait_for(self._reader.read(), self._timeout_s))
        except Exception as error:  # of any client library
            said = " ".join(str(error).split()) or f"no answer in {self._timeout_s:g} s"
            failure = f"{type(error).__name__}: {said}"
            if failure != self._failure:
                _log.warning("Kubernetes does not answer: %s; what is known goes on", failure)
            self._failure = failure
        else:
            if self._failure:
                _log.info("Kubernetes answers again")
            self._failure = ""
            self._view, self._read_s = view, self._clock()
        with self._answered:
            self._n_reads += 1
            self._answered.notify_all()


@dataclass(slots=True)
class Kr8sReader:
    """Reads through kr8s, on one connection that is replaced after a failure.

    Raises:
        MissingExtraError: kr8s is not installed.
    """

    config: ClusterConfig
    _api: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        need_kr8s("what Kubernetes knows of a node")

    async def read(self) -> ClusterView:
        """Read the node, its pods and, under custom networking, its ENIConfig."""
        try:
            return await self._read()
        except BaseException:
            await self.close()
            raise

    async def _read(self) -> ClusterView:
        config = self.config
        if self._api is None:
            kubeconfigs = (config.kubeconfig,) if config.kubeconfig else ()
            access = Access(kubeconfigs=kubeconfigs, service_account=config.service_account)
            self._api = await open_api(access)
        node = await self._get("v1", f"nodes/{config.node_name}")
        name = eni_config_name(node, config.annotation, config.label)
        on_node = {"fieldSelector": f"spec.nodeName={config.node_name}"}
        pods = await self._get("v1", "pods", on_node)
        eni_config = None
        if config.custom_networking:
            eni_config = await self._eni_config(name)
        return ClusterView(
            max_pods=_max_pods(node),
            unschedulable=_is_unschedulable(node),
            eni_config_name=name,
            eni_config=eni_config,
            pods=tuple(pod for item in pods["items"] if (pod := _pod(item)) is not None),
        )

    async def close(self) -> None:
        """Close the connection."""
        api, self._api = self._api, None
        if api is not None:
            await close_api(api)

    async def _get(self, version: str, url: str, params: Any = None) -> dict[str, Any]:
        async with self._api.call_api("GET", version=version, url=url, params=params) as reply:
            found: dict[str, Any] = reply.json()
        return found

    async def _eni_config(self, name: str) -> EniConfig | None:
        import kr8s  # noqa: PLC0415  (heavy)

        try:
            found = await self._get(ENI_CONFIGS, f"eniconfigs/{name}")
        except kr8s.ServerError as error:
            if error.response is not None and error.response.status_code == 404:
                return None
            raise
        spec = found["spec"]
        groups = tuple(spec.get("securityGroups") or ())
        return EniConfig(subnet_id=spec["subnet"], security_groups=groups)


# --- what objects say ------------------------------------------------------------------------


def eni_config_name(node: Mapping[str, Any], annotation: str, label: str) -> str:
    """Return the name of a node's ENIConfig, as upstream's GetNodeSpecificENIConfigName does."""
    labels = node["metadata"].get("labels") or {}
    annotations = node["metadata"].get("annotations") or {}
    for where, key in ((labels, EXTERNAL_LABEL), (annotations, annotation), (labels, label)):
        if key in where:
            return str(where[key])
    return DEFAULT_NAME


def _max_pods(node: Mapping[str, Any]) -> int | None:
    text = str((node.get("status") or {}).get("capacity", {}).get("pods", ""))
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _is_unschedulable(node: Mapping[str, Any]) -> bool:
    return any(
        taint.get("key") == UNSCHEDULABLE and taint.get("effect") == "NoSchedule"
        for taint in (node.get("spec") or {}).get("taints") or ()
    )


def _pod(item: Mapping[str, Any]) -> ClusterPod | None:
    """Return a pod, None for one on the host's network, or that has ended or no address."""
    status = item.get("status") or {}
    address = status.get("podIP", "")
    on_host = (item.get("spec") or {}).get("hostNetwork", False)
    if not address or on_host or status.get("phase") in ("Succeeded", "Failed"):
        return None
    named = item["metadata"]
    return ClusterPod(namespace=named["namespace"], name=named["name"], address=address)
