"""What a plugin is answered, over the agent's own socket."""

import threading

import grpc
import pytest

from ipam_core._store import Sandbox
from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import UNKNOWN_POD
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.checkpoint import Checkpoint
from ipam_core.errors import CheckpointWriteError
from ipam_core.instances import InstanceLimits, limits
from support.agents import (
    add_request,
    client_of,
    config_in,
    del_request,
    enis_of,
    log_of,
    metrics_of,
    running,
    wait_until,
)

TWO_CARDS = InstanceLimits(
    instance_type="two-cards",
    max_enis=4,
    ipv4_per_eni=5,
    hypervisor="nitro",
    bare_metal=False,
    enis_per_network_card=(4, 4),
    default_network_card=0,
    max_pods=34,
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    variables = {"MINIMUM_IP_TARGET": "9", "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16"}
    with running(tmp_path_factory.mktemp("agent"), variables=variables) as found:
        yield found


@pytest.fixture(scope="module")
def client(agent):
    with client_of(agent) as found:
        yield found


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as refused:
        call(request)
    return refused.value.code(), refused.value.details()


def test_an_added_pod_gets_an_address_of_the_primary_eni(agent, client):
    reply = client.add_network(add_request("a1"))
    assert reply.Success
    (metadata,) = reply.IPAllocationMetadata
    assert metadata.IPv4Addr in agent.loop.node.store.addresses("eni-00000000000000001")
    assert (metadata.IPv6Addr, metadata.DeviceNumber, metadata.RouteTableId) == ("", 0, 254)
    assert not reply.UseExternalSNAT
    assert list(reply.VPCv4CIDRs) == ["10.0.0.0/16", "192.168.0.0/16"]
    assert (reply.NetworkPolicyMode, reply.PodVlanId, reply.PodENIMAC) == ("", 0, "")


def test_a_sandbox_that_asks_again_keeps_its_address(client):
    first = client.add_network(add_request("b1"))
    assert client.add_network(add_request("b1")) == first


def test_a_deleted_pod_releases_its_address_and_is_then_unknown(agent, client):
    added = client.add_network(add_request("c1"))
    deleted = client.del_network(del_request("c1"))
    assert deleted.Success
    assert deleted.IPAllocationMetadata == added.IPAllocationMetadata
    assert agent.loop.node.store.find(Sandbox("c1")) is None
    code, details = refusal(client.del_network, del_request("c1"))
    assert code is grpc.StatusCode.UNKNOWN
    assert details == UNKNOWN_POD  # the plugin looks for this text, and succeeds


@pytest.mark.parametrize("field", ["ContainerID", "IfName", "NetworkName"])
def test_without_a_part_of_the_sandboxs_name_there_is_no_success_and_no_error(client, field):
    assert client.add_network(add_request("d1", **{field: ""})) == rpc_pb2.AddNetworkReply()
    assert refusal(client.del_network, del_request("d1", **{field: ""}))[1] == UNKNOWN_POD


def test_all_cards_are_refused_without_the_multi_nic_setting(agent, client):
    reply = client.add_network(add_request("e1", RequiresMultiNICAttachment=True))
    assert reply == rpc_pb2.AddNetworkReply()
    assert agent.loop.node.store.find(Sandbox("e1")) is None


def test_any_version_is_taken_unless_told(client):
    assert client.add_network(add_request("f1", ClientVersion="v9.9.9")).Success
    assert client.add_network(add_request("f2", ClientVersion="")).Success


def test_a_policy_agent_learns_of_the_node(client):
    reply = client.network_policy_configs()
    assert (reply.NetworkPolicyMode, reply.MultiNICEnabled, reply.Region) == (
        "",
        False,
        "eu-west-1",
    )
    assert reply.InstanceID == "i-00000000000000001"
    assert reply.NodeIPv4.startswith("10.0.")
    assert reply.NodeIPv6 == ""


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (add_request("x", ContainerID="x" * 513), "ContainerID"),
        (add_request("g1", Netns="/" * 4097), "Netns"),
        (add_request("g1", ContainerID="g\n1"), "ContainerID"),
        (add_request("g1", IfName="eth\x000"), "IfName"),
        (add_request("g1", K8S_POD_NAME="a\u202eb"), "K8S_POD_NAME"),
    ],
)
def test_names_that_nothing_can_have_are_refused(client, request_, field):
    code, details = refusal(client.add_network, request_)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "letters" in details
    assert request_.ContainerID not in details
    assert details.startswith(f"{field}: ")


def test_container_ids_are_nowhere_in_the_log_nor_on_a_page(agent, client):
    container = "0123456789abcdef" * 4
    client.add_network(add_request(container, Netns="/var/run/netns/cni-1"))
    client.del_network(del_request(container))
    shown = str(log_of(agent)) + str(enis_of(agent)) + metrics_of(agent)
    assert container not in shown
    assert container[:13] in shown  # enough to look it up by


# --- when there is no address -------------------------------------------------------------


def test_no_address_is_no_success_and_no_error_and_the_pod_waits(tmp_path):
    """The pod, not its sandbox: a runtime makes a new one for each try, and deletes it."""
    with (
        running(tmp_path, variables={"MINIMUM_IP_TARGET": "2"}) as agent,
        client_of(agent) as client,
    ):
        for number in range(2):
            assert client.add_network(add_request(f"a{number}")).Success
        for number in range(3):
            sandbox = f"try{number}"
            assert client.add_network(add_request(sandbox, "late")) == rpc_pb2.AddNetworkReply()
            assert refusal(client.del_network, del_request(sandbox, "late"))[1] == UNKNOWN_POD
        waiting = agent.loop.node.waiting
        assert len(waiting) == 1
        assert "shop/late" in waiting
        assert "awscni_no_available_ip_addresses 3.0" in metrics_of(agent)


# --- several network cards ------------------------------------------------------------------


@pytest.fixture
def on_two_cards(tmp_path):
    variables = {"ENABLE_MULTI_NIC": "true", "WARM_IP_TARGET": "2"}
    host = SimulatedHost(TWO_CARDS, seed=1)
    with running(tmp_path, host=host, variables=variables) as agent, client_of(agent) as client:
        cards = agent.loop.node.stores
        assert wait_until(lambda: all(store.stats().total for store in cards))
        yield agent, client


def test_a_pod_of_all_cards_gets_an_address_of_each_and_releases_all(on_two_cards):
    agent, client = on_two_cards
    reply = client.add_network(add_request("a1", RequiresMultiNICAttachment=True))
    assert reply.Success
    first, second = reply.IPAllocationMetadata
    assert first.RouteTableId == 254
    (eni,) = agent.loop.node.stores[1].enis()
    assert (second.DeviceNumber, second.RouteTableId) == (eni.device_number, eni.route_table)
    assert second.RouteTableId > 254
    deleted = client.del_network(del_request("a1"))
    assert deleted.IPAllocationMetadata == reply.IPAllocationMetadata


def test_any_other_pod_gets_one_address_there(on_two_cards):
    _, client = on_two_cards
    assert len(client.add_network(add_request("b1")).IPAllocationMetadata) == 1
    assert client.network_policy_configs().MultiNICEnabled


# --- other settings ----------------------------------------------------------------------------


def test_a_strict_agent_takes_plugins_of_its_own_version_alone(tmp_path):
    with running(tmp_path, own_version="v1.23.1") as agent, client_of(agent) as client:
        for version in ("v1.22.0", ""):
            for call, request in (
                (client.add_network, add_request("a", ClientVersion=version)),
                (client.del_network, del_request("a", ClientVersion=version)),
            ):
                code, details = refusal(call, request)
                assert code is grpc.StatusCode.FAILED_PRECONDITION
                assert details == f'wrong client version "{version}" (!= "v1.23.1")'
        assert client.add_network(add_request("a", ClientVersion="v1.23.1")).Success


def test_external_snat_leaves_the_excluded_cidrs_out(tmp_path):
    variables = {
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "192.168.0.0/16",
        "NETWORK_POLICY_ENFORCING_MODE": "standard",
    }
    with running(tmp_path, variables=variables) as agent, client_of(agent) as client:
        reply = client.add_network(add_request("a"))
        assert reply.UseExternalSNAT
        assert list(reply.VPCv4CIDRs) == ["10.0.0.0/16"]
        assert reply.NetworkPolicyMode == "standard"
        assert client.del_network(del_request("a")).NetworkPolicyMode == "standard"


def test_in_ipv6_mode_a_pod_gets_an_ipv6_address(tmp_path):
    variables = {
        "ENABLE_IPv4": "false",
        "ENABLE_IPv6": "true",
        "ENABLE_PREFIX_DELEGATION": "true",
    }
    with running(tmp_path, variables=variables) as agent, client_of(agent) as client:
        reply = client.add_network(add_request("a"))
        (metadata,) = reply.IPAllocationMetadata
        assert ":" in metadata.IPv6Addr
        assert metadata.IPv4Addr == ""
        assert list(reply.VPCv4CIDRs) == []
        assert client.del_network(del_request("a")).IPAllocationMetadata == [metadata]


# --- not ready; not durable ----------------------------------------------------------------------


class Unready:
    """A host whose metadata does not answer until told."""

    def __init__(self):
        self.host = SimulatedHost(limits("m5.large"), seed=1)
        self.go_on = threading.Event()

    def read_facts(self):
        assert self.go_on.wait(20)
        return self.host.read_facts()

    def perform(self, effect):
        return self.host.perform(effect)


def test_before_the_start_is_done_a_plugin_is_told_to_come_again(tmp_path):
    """What the checkpoint holds would be given away."""
    host = Unready()
    with running(tmp_path, host=host, wait=False) as agent, client_of(agent) as client:
        for call, request in (
            (client.add_network, add_request("a")),
            (client.del_network, del_request("a")),
            (lambda _: client.network_policy_configs(), None),
        ):
            assert refusal(call, request)[0] is grpc.StatusCode.UNAVAILABLE
        host.go_on.set()
        assert agent.ready.wait(20)
        assert client.add_network(add_request("a")).Success


def test_what_cannot_be_made_durable_is_no_success(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.db"
    with running(tmp_path, checkpoint=path) as agent, client_of(agent) as client:
        assert client.add_network(add_request("a")).Success
        database = agent._checkpoint._database
        write = database.write

        def refuse(changes):
            raise CheckpointWriteError(path, "disk full")

        monkeypatch.setattr(agent._checkpoint._commits, "_write", refuse)
        assert client.add_network(add_request("b")) == rpc_pb2.AddNetworkReply()
        code, details = refusal(client.del_network, del_request("a"))
        assert code is grpc.StatusCode.UNKNOWN
        assert UNKNOWN_POD not in details  # or the plugin would take the address for free
        monkeypatch.setattr(agent._checkpoint._commits, "_write", write)
        assert client.add_network(add_request("b")).Success
        assert client.del_network(del_request("a")).Success
    with Checkpoint(path) as kept:
        assert [e.sandbox.container_id for e in kept.entries() if e.sandbox] == ["b"]


def test_a_configuration_knows_the_environment(tmp_path):
    config = config_in(tmp_path, variables={"VPC_CNI_VERSION": "v1.22.0"})
    assert config.version.startswith("v1.22.0+ipam-core.")
    assert config.own_version == ""
