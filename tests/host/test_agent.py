"""An agent on a served VPC sets up the host's network for the ENIs that come and go."""

import pytest

from ipam_core.cloud.host import Recorder
from ipam_core.testing import TestVpc
from support.agents import add_request, client_of, host_on, running, wait_until


@pytest.fixture
def vpc():
    spec = {
        "subnets": [{"id": "subnet-0a", "cidr": "10.0.0.0/20"}],
        "nodes": [{"name": "web", "instance_type": "m5.large", "count": 1}],
        "ec2": {"latency": False, "throttling": False},
    }
    with TestVpc(spec, held=False, speed=60.0) as vpc:
        yield vpc


def test_what_instance_metadata_says_is_enough_to_set_up_links(vpc, tmp_path):
    host = Recorder()
    variables = {"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "0"}
    with (
        host_on(vpc) as surroundings,
        running(
            tmp_path, host=surroundings, variables=variables, speed=60.0, network=host
        ) as agent,
        client_of(agent) as client,
    ):
        for number in range(9):  # more than the primary ENI has with three kept
            assert wait_until(lambda n=number: client.add_network(add_request(f"c{n}")).Success)
        assert wait_until(lambda: any(rule.priority == 32765 for rule in host.rules()))
        said = [str(each) for each in host.operations]
        (second,) = [eni for eni in agent.loop.node.store.enis() if not eni.primary]
        (shown,) = vpc.ec2.describe_network_interfaces(NetworkInterfaceIds=[second.eni_id])[
            "NetworkInterfaces"
        ]
        address = shown["PrivateIpAddress"]
        assert f"address add {address}/20 dev eth1" in said
        assert "route replace default via 10.0.0.1 dev eth1 table 2" in said
        # Somebody else takes the ENI away: which one the agent would free is chance.
        vpc.ec2.detach_network_interface(AttachmentId=shown["Attachment"]["AttachmentId"])
        assert wait_until(lambda: not any(rule.priority == 32765 for rule in host.rules()))
        assert f"rule del priority 32765 from {address}/32 lookup 2" in map(str, host.operations)
