"""An agent against a served VPC, over sockets: boto3, instance metadata, EC2 that fails.

The VPC's clock runs as much faster as the agent's, so an hour of theirs takes seconds.
"""

import random
import threading
import time
from contextlib import ExitStack

import pytest

from ipam_core.agent import aws_host
from ipam_core.cloud.imds import Imds
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.testing import TestVpc
from support.agents import (
    add_request,
    client_of,
    del_request,
    enis_of,
    host_on,
    log_of,
    metrics_of,
    running,
    wait_until,
)

SPEED = 60.0
N_PODS = 200
FAULTS = {
    "AssignPrivateIpAddresses": "UnauthorizedOperation",
    "UnassignPrivateIpAddresses": "UnauthorizedOperation",
    "CreateNetworkInterface": "InvalidParameterValue",
    "AttachNetworkInterface": "AttachmentLimitExceeded",
    "DetachNetworkInterface": "OperationNotPermitted",
    "DeleteNetworkInterface": "InvalidParameterValue",
    "DescribeNetworkInterfaces": "UnauthorizedOperation",
    "CreateTags": "UnauthorizedOperation",
}
BOUND_S = 300.0
"""A pod is served within five minutes of the agent's time, though every sixth call fails."""


def vpc_with(instance_type, **ec2):
    spec = {
        "subnets": [{"id": "subnet-0a", "cidr": "10.0.0.0/20"}],
        "nodes": [{"name": "web", "instance_type": instance_type, "count": 1}],
        "ec2": {"latency": False, "throttling": False, **ec2},
    }
    return TestVpc(spec, held=False, speed=SPEED)


@pytest.fixture
def host_of():
    """Return a function that gives the host of a VPC's instance."""
    with ExitStack() as stack:
        yield lambda vpc: stack.enter_context(host_on(vpc))


def held_in_ec2(vpc):
    """Return the secondary addresses and prefixes of each attached ENI, as EC2 has them."""
    reply = vpc.ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": vpc.instance_ids}]
    )
    return {
        eni["NetworkInterfaceId"]: {
            *(f"{a['PrivateIpAddress']}/32" for a in eni["PrivateIpAddresses"] if not a["Primary"]),
            *(p["Ipv4Prefix"] for p in eni.get("Ipv4Prefixes", ())),
        }
        for eni in reply["NetworkInterfaces"]
    }


def held_by_agent(agent):
    """Return the same as /v1/enis has it."""
    return {
        eni_id: set(eni["AvailableIPv4Cidrs"]) for eni_id, eni in enis_of(agent)["ENIs"].items()
    }


class Kubelet(threading.Thread):
    """Starts pods, each until it is served, with a new sandbox for each try; ends some."""

    def __init__(self, agent, names):
        super().__init__()
        self.agent, self.names = agent, names
        self.chance = random.Random(names[0])
        self.held = {}
        self.longest_s = 0.0
        self.error = None

    def run(self):
        try:
            with client_of(self.agent) as client:
                for name in self.names:
                    self.start_pod(client, name)
                    if self.chance.random() < 0.4:
                        self.end_pod(client, self.chance.choice(sorted(self.held)))
        except BaseException as error:
            self.error = error

    def start_pod(self, client, name):
        began, tries = time.monotonic(), 0
        while True:
            sandbox = f"{name}.{tries}"
            reply = client.add_network(add_request(sandbox, name))
            if reply.Success:
                break
            tries += 1
            waited_s = (time.monotonic() - began) * SPEED
            assert waited_s < BOUND_S, f"{name} waits after {waited_s:.0f} s"
            time.sleep(10 / SPEED)
        self.longest_s = max(self.longest_s, (time.monotonic() - began) * SPEED)
        self.held[sandbox] = reply.IPAllocationMetadata[0].IPv4Addr

    def end_pod(self, client, sandbox):
        assert client.del_network(del_request(sandbox)).Success
        del self.held[sandbox]


def churn(agent, names, n_threads=8):
    kubelets = [Kubelet(agent, names[n::n_threads]) for n in range(n_threads)]
    for kubelet in kubelets:
        kubelet.start()
    for kubelet in kubelets:
        kubelet.join()
    for kubelet in kubelets:
        if kubelet.error:
            raise kubelet.error
    return {sandbox: address for k in kubelets for sandbox, address in k.held.items()}


@pytest.mark.parametrize("prefixes", [False, True], ids=["secondary-ips", "prefixes"])
def test_two_hundred_pods_under_churn_while_ec2_fails(tmp_path, host_of, prefixes):
    variables = {"WARM_IP_TARGET": "16", "IP_COOLDOWN_PERIOD": "5"}
    if prefixes:
        variables["ENABLE_PREFIX_DELEGATION"] = "true"
    with vpc_with("m8g.4xlarge") as vpc:
        for api, code in FAULTS.items():
            vpc.fault(api, code, probability=1 / 6)
        config = {"checkpoint": tmp_path / "checkpoint.db", "max_pods": 250}
        with running(
            tmp_path, host=host_of(vpc), variables=variables, speed=SPEED, **config
        ) as agent:
            held = churn(agent, [f"pod-{number}" for number in range(N_PODS)])
            assert len(set(held.values())) == len(held) > N_PODS / 3
            vpc.clear_faults()
            # Two reconciles later at most, both agree; the pods have what they were told.
            assert wait_until(lambda: held_by_agent(agent) == held_in_ec2(vpc), 30)
            shown = {
                address
                for eni in enis_of(agent)["ENIs"].values()
                for cidr in eni["AvailableIPv4Cidrs"].values()
                for address, used in cidr["IPAddresses"].items()
                if used["UnassignedTime"].startswith("0001")
            }
            assert shown == set(held.values())
            assert "ec2api_error_count" in metrics_of(agent)
            assert not any("Traceback" in line["msg"] for line in log_of(agent))


def test_the_facts_of_a_plugins_answer_are_the_vpcs(tmp_path, host_of):
    with (
        vpc_with("m5.large") as vpc,
        running(tmp_path, host=host_of(vpc), speed=SPEED) as agent,
        client_of(agent) as client,
    ):
        reply = client.add_network(add_request("a"))
        (block,) = vpc.ec2.describe_vpcs()["Vpcs"]
        assert list(reply.VPCv4CIDRs) == [block["CidrBlock"]]
        configs = client.network_policy_configs()
        (instance_id,) = vpc.instance_ids
        (instance,) = vpc.ec2.describe_instances()["Reservations"][0]["Instances"]
        assert configs.InstanceID == instance_id
        assert (configs.Region, configs.NodeIPv4) == (vpc.region, instance["PrivateIpAddress"])


def test_pods_on_a_second_eni_are_routed_by_its_table(tmp_path, host_of):
    with (
        vpc_with("m5.large") as vpc,
        running(tmp_path, host=host_of(vpc), speed=SPEED) as agent,
    ):
        kubelet = Kubelet(agent, ["none"])
        with client_of(agent) as client:
            tables = {}
            for number in range(15):
                kubelet.start_pod(client, f"pod-{number}")
                (sandbox, *_) = reversed(kubelet.held)
                reply = client.add_network(add_request(sandbox))
                tables |= {m.DeviceNumber: m.RouteTableId for m in reply.IPAllocationMetadata}
        assert tables.items() <= {0: 254, 1: 2, 2: 3}.items()
        assert len(tables) > 1


def test_an_agent_that_is_restarted_finds_its_pods_and_the_vpc_as_they_were(tmp_path, host_of):
    config = {"checkpoint": tmp_path / "checkpoint.db", "speed": SPEED}
    with vpc_with("m5.large") as vpc:
        with running(tmp_path, host=host_of(vpc), **config) as agent, client_of(agent) as client:
            before = {
                name: client.add_network(add_request(name)).IPAllocationMetadata[0].IPv4Addr
                for name in ("a", "b", "c")
            }
            client.del_network(del_request("b"))
        with running(tmp_path, host=host_of(vpc), **config) as agent, client_of(agent) as client:
            for name in ("a", "c"):
                reply = client.add_network(add_request(name))
                assert reply.IPAllocationMetadata[0].IPv4Addr == before[name]
            assert enis_of(agent)["AssignedIPs"] == 2


def test_a_type_that_the_table_lacks_is_asked_for(host_of, monkeypatch):
    class Table:
        def limits(self, name):
            raise UnknownInstanceTypeError(name, ())

    monkeypatch.setattr(aws_host, "instances", Table())
    with vpc_with("m5.large") as vpc:
        facts = host_of(vpc).read_facts()
    assert (facts.limits.max_enis, facts.limits.slots) == (3, 9)


def test_metadata_that_is_down_at_first_is_waited_for(tmp_path, host_of):
    with vpc_with("m5.large") as vpc:
        host = host_of(vpc)
        imds, host._imds = host._imds, Imds("http://127.0.0.1:9")
        with running(tmp_path, host=host, speed=200, wait=False) as agent:
            assert wait_until(
                lambda: any("Initialization failure" in line["msg"] for line in log_of(agent))
            )
            host._imds = imds
            assert agent.ready.wait(20)
