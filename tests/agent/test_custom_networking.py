"""Without Kubernetes an option says where the ENIs of custom networking go."""

from ipam_core.cli._app import run
from ipam_core.effects import EniConfig
from ipam_core.testing import TestVpc
from support.agents import add_request, client_of, host_on, running, wait_until

SPEC = {
    "subnets": [
        {"id": "subnet-0aaaaaaaaaaaaaaaa", "cidr": "10.0.0.0/20"},
        {"id": "subnet-0bbbbbbbbbbbbbbbb", "cidr": "100.64.0.0/20"},
    ],
    "nodes": [
        {
            "name": "web",
            "instance_type": "m5.large",
            "count": 1,
            "subnets": ["subnet-0aaaaaaaaaaaaaaaa"],
        },
    ],
    "ec2": {"latency": False, "throttling": False},
}


def test_enis_for_pods_are_made_in_the_subnet_that_is_given(tmp_path):
    variables = {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "WARM_IP_TARGET": "3"}
    with TestVpc(SPEC, held=False, speed=60.0) as vpc:
        eni_config = EniConfig(subnet_id="subnet-0bbbbbbbbbbbbbbbb")
        with (
            host_on(vpc, eni_config=eni_config) as host,
            running(tmp_path, host=host, variables=variables, speed=60.0) as agent,
            client_of(agent) as client,
        ):
            got = []

            def served():
                reply = client.add_network(add_request("c0"))
                got[:] = [each.IPv4Addr for each in reply.IPAllocationMetadata]
                return bool(got)

            assert wait_until(served)
            assert got[0].startswith("100.64.")
            pods = [e for e in agent.loop.node.store.enis() if not e.primary]
            assert {eni.subnet_id for eni in pods} == {"subnet-0bbbbbbbbbbbbbbbb"}


def test_what_is_no_subnet_is_refused_in_one_line(capsys):
    for given in ("vpc-1", "subnet-1,eni-2"):
        assert run(["agent", "--eni-config", given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"--eni-config {given.split(',')[-1]!r}: an id such as s" in line
    assert run(["agent", "--simulate", "m5.large", "--eni-config", "subnet-1"]) == 2
    assert "one subnet" in capsys.readouterr().err
