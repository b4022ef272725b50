"""What is read of a node from an API server: maxPods, taints, its ENIConfig, its pods.

A pod's service account needs a small client only; a kubeconfig is read by kr8s (the extra `k8s`),
which knows every kind of user.

Source: pkg/ipamd/ipamd.go (nodeInit, isNodeNonSchedulable) and pkg/eniconfig/eniconfig.go of
aws/amazon-vpc-cni-k8s v1.23.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from ipam_core._dataclass import dataclass
from ipam_core.agent.surroundings import ClusterPod
from ipam_core.effects import EniConfig
from ipam_core.errors import NotFoundError
from ipam_core.k8s.access import SERVICE_ACCOUNT, Access, need_kr8s
from ipam_core.k8s.account import AccountReader
from ipam_core.k8s.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

T = TypeVar("T")

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
EXTERNAL_LABEL = "vpc.amazonaws.com/externalEniConfig"
DEFAULT_KEY = "k8s.amazonaws.com/eniConfig"
DEFAULT_NAME = "default"
ENI_CONFIGS = "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs"


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

    def read(self, timeout_s: float) -> ClusterView:
        """Read everything, within so much time. Raises whatever the client raises."""

    def close(self) -> None:
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


# --- how it is read --------------------------------------------------------------------------


class ServiceAccountReader:
    """Reads by the service account of the agent's own pod; each read is one connection."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config

    def read(self, timeout_s: float) -> ClusterView:
        """Read the node, its pods and, under custom networking, its ENIConfig."""
        folder = self._config.service_account
        with AccountReader(folder=folder, timeout_s=timeout_s) as server:
            return _read(self._config, server.get_json)

    def close(self) -> None:
        """Do nothing: no connection is kept."""


class Kr8sReader:
    """Reads by a kubeconfig through kr8s, on one connection that is replaced after a failure.

    It belongs to the thread that reads. Raises:
        MissingExtraError: kr8s is not installed.
    """

    def __init__(self, config: ClusterConfig, kubeconfig: Path) -> None:
        need_kr8s("what Kubernetes knows of a node")
        self._config = config
        self._access = Access(kubeconfigs=(kubeconfig,))
        self._runner: asyncio.Runner | None = None
        self._server: Connection | None = None

    def read(self, timeout_s: float) -> ClusterView:
        """Read the node, its pods and, under custom networking, its ENIConfig."""
        deadline_s = time.monotonic() + timeout_s
        runner = self._runner = self._runner or asyncio.Runner()

        def run(work: Coroutine[Any, Any, T]) -> T:
            return runner.run(asyncio.wait_for(work, deadline_s - time.monotonic()))

        def get_json(
            path: str, params: Mapping[str, str] | None = None, *, call: str
        ) -> dict[str, Any]:
            return run(server.get_json(path, params, call=call))

        try:
            server = self._server or run(Connection(self._access, tries=1).__aenter__())
            self._server = server
            return _read(self._config, get_json)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        runner, self._runner = self._runner, None
        server, self._server = self._server, None
        if runner is not None:
            with runner:
                if server is not None:
                    runner.run(server.__aexit__())


def _read(config: ClusterConfig, get_json: Callable[..., dict[str, Any]]) -> ClusterView:
    node = get_json(f"/api/v1/nodes/{config.node_name}", call="get node")
    name = eni_config_name(node, config.annotation, config.label)
    on_node = {"fieldSelector": f"spec.nodeName={config.node_name}"}
    pods = get_json("/api/v1/pods", on_node, call="list pods")
    eni_config = None
    if config.custom_networking:
        with suppress(NotFoundError):
            spec = get_json(f"{ENI_CONFIGS}/{name}", call="get ENIConfig")["spec"]
            groups = tuple(spec.get("securityGroups") or ())
            eni_config = EniConfig(subnet_id=spec["subnet"], security_groups=groups)
    return ClusterView(
        max_pods=_max_pods(node),
        unschedulable=_is_unschedulable(node),
        eni_config_name=name,
        eni_config=eni_config,
        pods=tuple(pod for item in pods["items"] if (pod := _pod(item)) is not None),
    )


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
