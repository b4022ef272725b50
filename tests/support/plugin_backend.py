"""A tiny agent for tests of what speaks to one: a pool of addresses behind the real server."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import grpc

from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import UNKNOWN_POD
from ipam_core.agent.server import RpcServer


class Pool:
    """Gives `size` addresses; `requests` are (what, pod, sandbox), in order.

    `left` is how many addresses were held after each DEL.
    """

    def __init__(self, size):
        self.free = [f"10.0.0.{number}" for number in range(size, 0, -1)]
        self.held = {}
        self.requests = []
        self.left = []
        self.loses_replies = 0
        self.down = False
        self.lock = threading.Lock()

    def note(self, what, request, context):
        self.requests.append((what, request.K8S_POD_NAME, request.ContainerID))
        if self.down:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not ready")

    def add_network(self, request, context):
        with self.lock:
            self.note("ADD", request, context)
            assert request.ContainerID == request.K8S_POD_INFRA_CONTAINER_ID
            assert (request.IfName, request.NetworkName) == ("eth0", "aws-cni")
            assert request.ContainerID not in self.held, "a new sandbox each time"
            if not self.free:
                return rpc_pb2.AddNetworkReply()
            address = self.held[request.ContainerID] = self.free.pop()
            if self.loses_replies:
                self.loses_replies -= 1
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "lost")
            given = rpc_pb2.IPAllocationMetadata(IPv4Addr=address, DeviceNumber=1)
            return rpc_pb2.AddNetworkReply(Success=True, IPAllocationMetadata=[given])

    def del_network(self, request, context):
        with self.lock:
            self.note("DEL", request, context)
            address = self.held.pop(request.ContainerID, None)
            if address is None:
                context.abort(grpc.StatusCode.UNKNOWN, UNKNOWN_POD)
            self.free.append(address)
            self.left.append(len(self.held))
            return rpc_pb2.DelNetworkReply(Success=True)

    def give_more(self, count):
        with self.lock:
            self.free += [f"10.0.1.{number}" for number in range(count)]


@contextmanager
def serving(pool, socket_path):
    """Serve a pool on a socket."""
    server = RpcServer({"CNIBackend": pool}, socket_path=socket_path)
    server.start()
    try:
        yield pool
    finally:
        server.stop(1)
