"""The gRPC server: its socket, health, reflection, limits; and the protocol's own files."""

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection import SERVICE_NAME

from ipam_core.agent.addresses import loopback_address, split_address
from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import Client
from ipam_core.agent.server import (
    HEALTH_SERVICE,
    LARGEST_REQUEST,
    MOST_REFLECTING,
    RpcServer,
)
from ipam_core.errors import InputError

ROOT = Path(__file__).parent.parent.parent
PROTOCOL = ROOT / "python" / "ipam_core" / "agent" / "protocol"


class Echo:
    """Answers each request with what it was asked, as far as a reply can hold it."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.leave.set()

    def add_network(self, request, context):
        self.entered.release()
        assert self.leave.wait(20)
        return rpc_pb2.AddNetworkReply(Success=True, NetworkPolicyMode=request.ContainerID)

    def del_network(self, request, context):
        context.abort(grpc.StatusCode.UNKNOWN, request.Reason)

    def get_network_policy_configs(self, request, context):
        return rpc_pb2.NetworkPolicyAgentConfigReply(Region="eu-west-1")


def serve(path, **more):
    echo = Echo()
    return RpcServer({"CNIBackend": echo, "ConfigServerBackend": echo}, socket_path=path, **more)


@pytest.fixture
def served(tmp_path):
    server = serve(tmp_path / "run" / "ipamd.sock", tcp="127.0.0.1:0")
    server.start()
    yield server
    server.stop(0)


def test_a_port_of_ipv6_is_named_as_it_is_asked(tmp_path):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("needs IPv6")
    server = serve(tmp_path / "ipamd.sock", tcp="[::1]:0")
    try:
        assert re.fullmatch(r"\[::1\]:[1-9]\d*", server.tcp)
    finally:
        server.stop(0)


def test_generating_the_messages_again_gives_the_same(tmp_path):
    """But for the compiler's version, which both files name."""
    tool = ROOT / "tools" / "generate_rpc.py"
    subprocess.run([sys.executable, tool, "--into", tmp_path], check=True)
    for name in ("rpc_pb2.py", "rpc_pb2.pyi"):
        new = (tmp_path / "ipam_core" / "agent" / "protocol" / name).read_text("utf-8")
        old = (PROTOCOL / name).read_text("utf-8")
        assert without_version(new) == without_version(old), name


def without_version(text):
    return re.sub(r"(Python Version: )[\d.]+|(PUBLIC,\n)(\s+\d+,\n){3}", r"\1\2", text)


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (
            rpc_pb2.AddNetworkRequest,
            (
                "K8S_POD_NAME=1 K8S_POD_NAMESPACE=2 K8S_POD_INFRA_CONTAINER_ID=3 Netns=4 IfName=5 "
                "NetworkName=6 ContainerID=7 ClientVersion=8 RequiresMultiNICAttachment=9"
            ),
        ),
        (
            rpc_pb2.AddNetworkReply,
            (
                "Success=1 IPAllocationMetadata=2 UseExternalSNAT=5 VPCv4CIDRs=6 PodVlanId=7 "
                "PodENIMAC=8 PodENISubnetGW=9 ParentIfIndex=10 VPCv6CIDRs=12 NetworkPolicyMode=13"
            ),
        ),
        (
            rpc_pb2.DelNetworkRequest,
            (
                "K8S_POD_NAME=1 K8S_POD_NAMESPACE=2 K8S_POD_INFRA_CONTAINER_ID=3 Reason=5 IfName=6 "
                "NetworkName=7 ContainerID=8 ClientVersion=9 K8S_POD_UID=10"
            ),
        ),
        (
            rpc_pb2.DelNetworkReply,
            "Success=1 IPAllocationMetadata=2 PodVlanId=4 NetworkPolicyMode=6",
        ),
        (
            rpc_pb2.IPAllocationMetadata,
            "IPv4Addr=1 IPv6Addr=2 DeviceNumber=3 RouteTableId=4",
        ),
        (
            rpc_pb2.NetworkPolicyAgentConfigReply,
            "NetworkPolicyMode=1 MultiNICEnabled=2 NodeIPv4=3 NodeIPv6=4 InstanceID=5 Region=6",
        ),
    ],
)
def test_names_and_numbers_of_fields_are_upstreams(message, numbers):
    """Source: rpc/rpc.proto of aws/amazon-vpc-cni-k8s v1.23.1."""
    assert " ".join(f"{f.name}={f.number}" for f in message.DESCRIPTOR.fields) == numbers
    assert message.DESCRIPTOR.full_name.startswith("rpc.")


def test_a_plugin_is_answered_on_the_socket_and_on_the_port(served):
    for target in (served.path, served.tcp):
        with Client(target) as client:
            reply = client.add_network(rpc_pb2.AddNetworkRequest(ContainerID="c1"))
            assert reply.NetworkPolicyMode == "c1"
            assert client.network_policy_configs().Region == "eu-west-1"
            with pytest.raises(grpc.RpcError) as refused:
                client.del_network(rpc_pb2.DelNetworkRequest(Reason="PodDeleted"))
            assert refused.value.details() == "PodDeleted"


def test_the_socket_is_its_owners_and_groups_alone(served):
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o660
    assert stat.S_IMODE(served.path.parent.stat().st_mode) == 0o755


def test_no_umask_opens_the_socket(tmp_path):
    mask = os.umask(0)
    try:
        server = serve(tmp_path / "s")
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o660
        server.stop(0)
    finally:
        os.umask(mask)


def test_sixteen_requests_are_answered_at_once(tmp_path):
    echo = Echo()
    echo.leave.clear()
    server = RpcServer({"CNIBackend": echo}, socket_path=tmp_path / "s")
    server.start()
    with Client(server.path) as client:
        request = rpc_pb2.AddNetworkRequest()
        threads = [threading.Thread(target=client.add_network, args=[request]) for _ in range(16)]
        for thread in threads:
            thread.start()
        entered = [echo.entered.acquire(timeout=10) for _ in threads]
        echo.leave.set()
        for thread in threads:
            thread.join()
    server.stop(0)
    assert all(entered)


def test_requests_in_flight_are_answered_when_it_stops(tmp_path):
    echo = Echo()
    echo.leave.clear()
    server = RpcServer({"CNIBackend": echo}, socket_path=tmp_path / "s")
    server.start()
    replies = []
    with Client(server.path) as client:
        ask = threading.Thread(
            target=lambda: replies.append(client.add_network(rpc_pb2.AddNetworkRequest()))
        )
        ask.start()
        assert echo.entered.acquire(timeout=10)
        stop = threading.Thread(target=server.stop, args=[20])
        stop.start()
        echo.leave.set()
        stop.join()
        ask.join()
    assert [reply.Success for reply in replies] == [True]
    assert not server.path.exists()


def test_a_second_agent_is_refused_and_the_first_goes_on(served):
    with pytest.raises(InputError, match="another agent serves it"):
        serve(served.path)
    with Client(served.path) as client:
        assert client.add_network(rpc_pb2.AddNetworkRequest()).Success


def test_of_agents_that_start_at_once_one_serves(tmp_path):
    servers, refused = [], []

    def start():
        try:
            servers.append(serve(tmp_path / "s"))
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.stop(0)
    assert (len(servers), len(refused)) == (1, 7)
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_another_program_serves_is_left_to_it(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(InputError, match="another agent serves it"):
            serve(path)
        assert path.exists()


def test_a_stale_socket_is_removed(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    server = serve(path)
    server.start()
    with Client(path) as client:
        assert client.add_network(rpc_pb2.AddNetworkRequest()).Success
    server.stop(0)
    assert not path.exists()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(InputError, match="is no socket"):
        serve(path)
    assert path.read_text() == "precious"
    path.unlink()
    serve(path).stop(0)  # the refusal left no lock behind


def test_a_socket_of_another_in_its_place_is_not_removed_at_the_end(served):
    served.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(served.path))
        served.stop(0)
        assert served.path.exists()


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    os.chown(tmp_path / "theirs", os.geteuid() or 54321, -1)
    with pytest.raises(InputError, match="is a folder of user"):
        serve(tmp_path / "theirs" / "s")


def test_a_path_too_long_for_a_socket_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="at most 100 bytes"):
        serve(tmp_path / ("x" * 120))


def test_a_port_that_is_taken_is_refused_and_the_socket_removed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=re.escape(address)):
            serve(tmp_path / "s", tcp=address)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("text", ["0.0.0.0:50051", ":50051", "10.0.0.1:1", "[::]:1"])
def test_pods_addresses_are_given_on_the_loopback_only(text):
    with pytest.raises(InputError, match="loopback"):
        loopback_address(text)


def test_an_address_is_a_host_and_a_port():
    assert loopback_address("[::1]:5") == "[::1]:5"
    assert loopback_address("localhost:0") == "localhost:0"
    assert split_address(":61678") == ("", 61678)
    for text in ("61678", "127.0.0.1:", "127.0.0.1:x", "host.example:1", "1.2.3.4:65536"):
        with pytest.raises(InputError, match=re.escape(repr(text))):
            split_address(text)


def test_health_says_whether_pods_are_served(served):
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        request = health_pb2.HealthCheckRequest(service=HEALTH_SERVICE)
        assert check(request).status == health_pb2.HealthCheckResponse.NOT_SERVING
        served.set_serving(True)
        assert check(request).status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(served):
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"rpc.CNIBackend", "rpc.ConfigServerBackend"} <= set(database.get_services())
        described = database.FindFileContainingSymbol("rpc.CNIBackend")
        assert [method.name for method in described.service[0].method] == [
            "AddNetwork",
            "DelNetwork",
        ]


def test_clients_of_reflection_that_stay_do_not_keep_pods_waiting(served):
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        ask = channel.stream_stream(f"/{SERVICE_NAME}/ServerReflectionInfo")
        over = threading.Event()
        held = [ask(iter(over.wait, True)) for _ in range(MOST_REFLECTING + 20)]
        with Client(served.path, timeout_s=10) as client:
            assert client.add_network(rpc_pb2.AddNetworkRequest()).Success
        over.set()
        for each in held:
            each.cancel()


def test_a_request_too_large_is_refused(served):
    with Client(served.path) as client:
        for size, code in (
            (LARGEST_REQUEST - 100, None),
            (LARGEST_REQUEST + 1, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            request = rpc_pb2.AddNetworkRequest(Netns="x" * size)
            if code is None:
                assert client.add_network(request).Success
            else:
                with pytest.raises(grpc.RpcError) as refused:
                    client.add_network(request)
                assert refused.value.code() is code


def test_a_service_that_is_not_there_is_unimplemented(served):
    with grpc.insecure_channel(f"unix:{served.path}") as channel:
        call = channel.unary_unary("/rpc.NPBackend/EnforceNpToPod")
        with pytest.raises(grpc.RpcError) as refused:
            call(empty_pb2.Empty().SerializeToString())
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
