"""Requests that no plugin sends: they change nothing of what pods hold, and crash nothing."""

import os
import random
import socket

import grpc
from google.protobuf.message import DecodeError

from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.server import LARGEST_REQUEST
from support.agents import (
    add_request,
    client_of,
    del_request,
    enis_of,
    log_of,
    metrics_of,
    running,
)

N_REQUESTS = 10_000 if os.environ.get("IPAM_CORE_SOAK") else 300
METHODS = (
    ("/rpc.CNIBackend/AddNetwork", rpc_pb2.AddNetworkRequest, add_request),
    ("/rpc.CNIBackend/DelNetwork", rpc_pb2.DelNetworkRequest, del_request),
)
HELD = [f"{number:064x}" for number in range(5)]
ODD = (
    b"\x00",
    b"\xff" * 10,
    b"../../etc/passwd",
    "\u202e\u0000é".encode(),
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"%s%n{0}{error}",
    b"'; DROP TABLE address; --",
    b"A" * 600,
)


def mutated(chance, data):
    """Return bytes that differ somewhere: of a field's tag, its length or its text."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.choice(ODD)
            case 3:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 4:
                data += data[: at or 1]
            case 5:
                field, odd = chance.randrange(1, 20), chance.choice(ODD)
                data += bytes([field << 3 & 0x7F | 2, len(odd) & 0x7F]) + odd
    return bytes(data)


def names_a_pod(kind, data):
    """Return whether bytes are a request about a pod that holds an address."""
    try:
        request = kind.FromString(data)
    except DecodeError:
        return False
    return (request.ContainerID, request.IfName, request.NetworkName) in {
        (held, "eth0", "aws-cni") for held in HELD
    }


def test_mutated_requests_change_nothing_that_pods_hold_and_crash_nothing(tmp_path):
    chance = random.Random(1)
    checkpoint = tmp_path / "checkpoint.db"
    variables = {"MINIMUM_IP_TARGET": "9", "WARM_IP_TARGET": "1", "IP_COOLDOWN_PERIOD": "0"}
    with (
        running(tmp_path, variables=variables, checkpoint=checkpoint) as agent,
        client_of(agent) as client,
    ):
        before = [client.add_network(add_request(held)) for held in HELD]
        assert all(reply.Success for reply in before)
        seeds = [
            (method, kind, make(container).SerializeToString())
            for method, kind, make in METHODS
            for container in (*HELD, "f" * 64)
        ]
        codes = {}
        for _ in range(N_REQUESTS):
            method, kind, data = chance.choice(seeds)
            while names_a_pod(kind, data := mutated(chance, data)):
                pass
            code = send(client.channel, method, data)
            codes[code] = codes.get(code, 0) + 1
        large = b"\x0a" + b"\xff\xff\x7f" + b"x" * (LARGEST_REQUEST + 10)
        codes |= {send(client.channel, method, large): 1 for method, *_ in METHODS}
        assert codes.keys() <= {
            "OK",
            "UNKNOWN: datastore: unknown pod",
            "INTERNAL",  # what is no message
            "INVALID_ARGUMENT",
            "RESOURCE_EXHAUSTED",  # too large
        }, codes
        assert len(codes) == 5
        for held, reply in zip(HELD, before, strict=True):
            assert client.add_network(add_request(held)) == reply
        node = agent.loop.node
        node.store._check()
        enis_of(agent)
        metrics_of(agent)
        assert not any("Traceback" in line["msg"] for line in log_of(agent))  # and each is JSON


def send(channel, method, data):
    call = channel.unary_unary(method)
    try:
        call(data, timeout=20)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNKNOWN:
            return f"UNKNOWN: {error.details()}"
        return error.code().name
    return "OK"


def test_bytes_that_are_no_http_2_and_no_http_crash_nothing(tmp_path):
    chance = random.Random(2)
    with running(tmp_path) as agent, client_of(agent) as client:
        for number in range(60):
            data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400)))
            if number % 2:
                data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + data
            with socket.socket(socket.AF_UNIX) as to:
                to.connect(str(agent.server.path))
                to.sendall(data)
            for page in (agent.introspection, agent.metrics_page):
                with socket.create_connection(("127.0.0.1", page.port)) as to:
                    to.sendall(data)
        assert client.add_network(add_request("a")).Success
        assert enis_of(agent)["AssignedIPs"] == 1
