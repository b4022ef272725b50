"""What the agent answers a CNI plugin and a policy agent: the servicers of rpc.proto.

Source: pkg/ipamd/rpc_handler.go of aws/amazon-vpc-cni-k8s v1.23.1 for what is said when; the
plugin's side is cmd/routed-eni-cni-plugin/cni.go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import grpc

from ipam_core._store import Sandbox
from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import UNKNOWN_POD
from ipam_core.errors import (
    CheckpointError,
    IpamError,
    NotReadyError,
    PoolExhaustedError,
    UnknownEniError,
    UnknownSandboxError,
)
from ipam_core.ipamd import log_lines as lines
from ipam_core.ipamd.messages import NO_ADDRESS_ERROR
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core._store import Assignment
    from ipam_core.agent.environment import NetworkSettings
    from ipam_core.agent.metrics import Metrics
    from ipam_core.agent.pods import ReadyGate, Running
    from ipam_core.agent.surroundings import NodeFacts
    from ipam_core.node import Node

_log = logging.getLogger(__name__)

LONGEST_NAME = 512
"""Letters of a name in a request; those of Kubernetes have 253 at most."""
LONGEST_PATH = 4096
NIL = "<nil>"
"""How Go writes that there is no error."""

Request = rpc_pb2.AddNetworkRequest | rpc_pb2.DelNetworkRequest


class CniBackend:
    """Answers the CNI plugin, for threads.

    `own_version` is what a plugin must say it is, "" for any. `on_released` gets what
    a pod let go, with the node, after the plugin can have its answer.
    """

    def __init__(
        self,
        gate: ReadyGate,
        *,
        network: NetworkSettings,
        facts: Callable[[], NodeFacts],
        metrics: Metrics,
        own_version: str = "",
        on_released: Callable[[Node, Sequence[Assignment]], None] = lambda *_: None,
    ) -> None:
        self._gate = gate
        self._network = network
        self._facts = facts
        self._metrics = metrics
        self._own_version = own_version
        self._on_released = on_released

    # --- ADD ----------------------------------------------------------------------

    def add_network(
        self, request: rpc_pb2.AddNetworkRequest, context: Any
    ) -> rpc_pb2.AddNetworkReply:
        """Give a sandbox an address; no `Success` where there is none now."""
        self._metrics.add_requests.inc()
        self._check_form(request, context)
        lines.RECEIVED_ADD.say(
            _log,
            netns=request.Netns,
            sandbox=lines.short_id(request.ContainerID),
            ifname=request.IfName,
        )
        self._check_version(request, lines.REJECTED_ADD, context)
        running = self._running(context)
        error = NIL
        reply = rpc_pb2.AddNetworkReply()
        sandbox = _sandbox_of(request)
        if request.RequiresMultiNICAttachment and not running.node.settings.enable_multi_nic:
            lines.NO_MULTI_NIC.say(_log, what=_pod_of(request))
            return reply
        if sandbox is None:
            lines.NO_KEY.say(_log, what=_pod_of(request))
            return reply
        try:
            taken = self._assign(running, sandbox, request)
            self._fill(reply, running.node, taken)
        except PoolExhaustedError:
            error = NO_ADDRESS_ERROR
        except IpamError as refused:  # the checkpoint cannot be written, an ENI has just gone
            error = str(refused)
        lines.SENT_ADD.say(
            _log, success=_go_bool(reply.Success), addresses=_addresses(reply), error=error
        )
        return reply

    def _assign(
        self, running: Running, sandbox: Sandbox, request: rpc_pb2.AddNetworkRequest
    ) -> list[Assignment]:
        """Take addresses, and log and count it where there are none."""
        node, pod = running.node, _pod_of(request)
        if _log.isEnabledFor(logging.DEBUG):
            stats = node.store.stats(node.clock_ns())
            lines.POOL_AT_ADD.say(_log, total=stats.total, assigned=stats.assigned)
        try:
            if request.RequiresMultiNICAttachment:
                return running.pods.add_pod_to_all_cards(sandbox, pod)
            return [running.pods.add_pod(sandbox, pod)]
        except PoolExhaustedError:
            self._metrics.no_address.inc()
            lines.NO_ADDRESS.say(_log)
            lines.NO_CARD.say(_log, card=node.cards[-1], error=NO_ADDRESS_ERROR)
            raise
        except CheckpointError as error:
            self._metrics.agent_error("backingStore")
            lines.NOT_WRITTEN.say(_log, error=error)
            raise

    def _fill(
        self, reply: rpc_pb2.AddNetworkReply, node: Node, taken: Sequence[Assignment]
    ) -> None:
        """Enter what a sandbox got. Raises `UnknownEniError` where an ENI has just gone."""
        reply.IPAllocationMetadata.extend(_metadata(node, each) for each in taken)
        facts = self._facts()
        if node.mode == "ipv6":
            reply.VPCv6CIDRs.extend(facts.vpc_ipv6_cidrs)
        else:
            reply.UseExternalSNAT = self._network.host.external_snat
            reply.VPCv4CIDRs.extend(facts.vpc_ipv4_cidrs)
            if not self._network.host.external_snat:
                reply.VPCv4CIDRs.extend(self._network.exclude_snat_cidrs)
        reply.NetworkPolicyMode = self._network.policy_mode
        reply.Success = True

    # --- DEL ----------------------------------------------------------------------

    def del_network(
        self, request: rpc_pb2.DelNetworkRequest, context: Any
    ) -> rpc_pb2.DelNetworkReply:
        """Take back what a sandbox holds; an error with `UNKNOWN_POD` where it holds nothing."""
        self._check_form(request, context)
        self._metrics.del_request(request.Reason)
        lines.RECEIVED_DEL.say(_log, sandbox=lines.short_id(request.ContainerID))
        self._check_version(request, lines.REJECTED_DEL, context)
        running = self._running(context)
        sandbox = _sandbox_of(request)
        reply = rpc_pb2.DelNetworkReply(NetworkPolicyMode=self._network.policy_mode)
        try:
            if sandbox is None:
                raise UnknownSandboxError(request.ContainerID)
            released = running.pods.remove_pod(sandbox)
        except UnknownSandboxError:
            lines.SENT_DEL.say(_log, addresses="[]", error=UNKNOWN_POD)
            context.abort(grpc.StatusCode.UNKNOWN, UNKNOWN_POD)
        except NotReadyError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except IpamError as error:
            self._metrics.agent_error("backingStore")
            lines.NOT_WRITTEN.say(_log, error=error)
            context.abort(grpc.StatusCode.UNKNOWN, "the release could not be made durable")
        self._on_released(running.node, released)
        reply.IPAllocationMetadata.extend(_metadata_if_there(running.node, released))
        reply.Success = True
        lines.SENT_DEL.say(_log, addresses=_addresses(reply), error=NIL)
        return reply

    # --- both ---------------------------------------------------------------------

    def _running(self, context: Any) -> Running:
        """Return the node that answers; the call ends as UNAVAILABLE while there is none."""
        try:
            return self._gate.running
        except NotReadyError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise  # never: `abort` raises

    def _check_version(self, request: Request, line: lines.LogLine, context: Any) -> None:
        version = request.ClientVersion
        if self._own_version and version != self._own_version:
            error = f'wrong client version "{version}" (!= "{self._own_version}")'
            line.say(_log, error=f"rpc error: code = FailedPrecondition desc = {error}")
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, error)

    def _check_form(self, request: Request, context: Any) -> None:
        """Refuse names that nothing can be called, before anything is done or logged."""
        for field, value in request.ListFields():
            if not isinstance(value, str):
                continue
            longest = LONGEST_PATH if field.name == "Netns" else LONGEST_NAME
            if len(value) > longest or not value.isprintable():
                # Not the value: it may be a container id.
                why = f"{len(value)} letters" if len(value) > longest else "not printable"
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"{field.name}: {why}; printable text of at most {longest} letters",
                )


class ConfigServerBackend:
    """Answers an agent of network policies."""

    def __init__(
        self, *, network: NetworkSettings, multi_nic: bool, facts: Callable[[], NodeFacts]
    ) -> None:
        self._network = network
        self._multi_nic = multi_nic
        self._facts = facts

    def get_network_policy_configs(
        self, _: object, context: Any
    ) -> rpc_pb2.NetworkPolicyAgentConfigReply:
        """Return what it needs to know of the node."""
        lines.POLICY_CONFIGS.say(_log)
        try:
            facts = self._facts()
        except NotReadyError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise  # never: `abort` raises
        return rpc_pb2.NetworkPolicyAgentConfigReply(
            NetworkPolicyMode=self._network.policy_mode,
            MultiNICEnabled=self._multi_nic,
            NodeIPv4=facts.node_ipv4,
            NodeIPv6=facts.node_ipv6,
            InstanceID=facts.instance.instance_id,
            Region=facts.region,
        )


def _sandbox_of(request: Request) -> Sandbox | None:
    """Return the sandbox that a request is about; None where a part of its name is missing."""
    if not (request.ContainerID and request.IfName and request.NetworkName):
        return None
    return Sandbox(request.ContainerID, request.IfName, request.NetworkName)


def _pod_of(request: Request) -> str | None:
    """Return "namespace/name": a pod that waits is known by it, whatever its sandbox."""
    if not request.K8S_POD_NAME:
        return None
    return f"{request.K8S_POD_NAMESPACE}/{request.K8S_POD_NAME}"


def _metadata(node: Node, assignment: Assignment) -> rpc_pb2.IPAllocationMetadata:
    """Return an address as the plugin needs it. Raises `UnknownEniError`."""
    store = node.store_of(assignment.eni_id)
    if store is None:
        raise UnknownEniError(assignment.eni_id)
    eni = store.eni(assignment.eni_id)
    kind = "IPv6Addr" if ":" in assignment.address else "IPv4Addr"
    return rpc_pb2.IPAllocationMetadata(
        DeviceNumber=eni.device_number,
        RouteTableId=eni.route_table,
        **{kind: assignment.address},
    )


def _metadata_if_there(
    node: Node, released: Sequence[Assignment]
) -> list[rpc_pb2.IPAllocationMetadata]:
    """Return what was released; of an ENI that has gone nothing is left on the host."""
    found = []
    for assignment in released:
        try:
            found.append(_metadata(node, assignment))
        except UnknownEniError:
            _log.info("released %s of an ENI that is gone", quoted(assignment.address))
    return found


def _addresses(reply: rpc_pb2.AddNetworkReply | rpc_pb2.DelNetworkReply) -> str:
    return "[" + " ".join(m.IPv4Addr or m.IPv6Addr for m in reply.IPAllocationMetadata) + "]"


def _go_bool(value: bool) -> str:
    return "true" if value else "false"
