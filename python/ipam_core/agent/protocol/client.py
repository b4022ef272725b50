"""Ask an agent as a CNI plugin does, over its unix socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import grpc
from google.protobuf import empty_pb2

from ipam_core.agent.protocol.services import caller_of

if TYPE_CHECKING:
    from pathlib import Path

    from ipam_core.agent.protocol import rpc_pb2

UNKNOWN_POD = "datastore: unknown pod"
"""In the error of a DEL for a sandbox that holds nothing; the plugin then succeeds."""
TIMEOUT_S = 30.0


class Client:
    """One connection to an agent. Close it, or use it in a `with`. Safe for threads.

    `target` is the path of a unix socket, or `HOST:PORT`. Every call raises
    `grpc.RpcError`: its `code()` is UNAVAILABLE where nobody serves, or the agent is not
    ready. Calls end within `timeout_s`.
    """

    def __init__(self, target: Path | str, *, timeout_s: float = TIMEOUT_S) -> None:
        named = target if isinstance(target, str) else f"unix:{target.absolute()}"
        # A restarted agent is reached at once, not after gRPC's own back-off.
        self.channel: grpc.Channel = grpc.insecure_channel(
            named,
            options=(
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.use_local_subchannel_pool", 1),
            ),
        )
        self._timeout_s = timeout_s
        self._add = caller_of(self.channel, "CNIBackend", "AddNetwork")
        self._del = caller_of(self.channel, "CNIBackend", "DelNetwork")
        self._configs = caller_of(self.channel, "ConfigServerBackend", "GetNetworkPolicyConfigs")

    def add_network(self, request: rpc_pb2.AddNetworkRequest) -> rpc_pb2.AddNetworkReply:
        """Ask for an address; a reply without `Success`: there is none now."""
        reply: rpc_pb2.AddNetworkReply = self._add(request, timeout=self._timeout_s)
        return reply

    def del_network(self, request: rpc_pb2.DelNetworkRequest) -> rpc_pb2.DelNetworkReply:
        """Give back what a sandbox holds; for an unknown one the error has `UNKNOWN_POD`."""
        reply: rpc_pb2.DelNetworkReply = self._del(request, timeout=self._timeout_s)
        return reply

    def network_policy_configs(self) -> rpc_pb2.NetworkPolicyAgentConfigReply:
        """Ask what an agent of network policies asks."""
        reply: rpc_pb2.NetworkPolicyAgentConfigReply = self._configs(
            empty_pb2.Empty(), timeout=self._timeout_s
        )
        return reply

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
