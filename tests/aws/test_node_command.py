"""`ipam-core node plan` and `node enis` against moto: what they tell, and change nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ipam_core import effects as fx
from ipam_core.cli._app import run
from ipam_core.tags import NODE_TAG
from support.servers import Fault

READS = {"DescribeInstances", "DescribeNetworkInterfaces", "DescribeSubnets"}


@pytest.fixture
def command(world, capsys, monkeypatch):
    """Run a node command on the world's instance; return (status, output, error output)."""
    monkeypatch.setattr("ipam_core.cloud.ec2.open_session", lambda *_: world.session)

    def call(verb, *arguments):
        access = ["--instance-id", world.instance_id, "--endpoint-url", world.proxy_url]
        status = run(["node", verb, *access, *map(str, arguments)])
        captured = capsys.readouterr()
        assert set(world.proxy.calls()) <= READS
        return status, captured.out, captured.err

    return call


def tag(world, eni_id, key=NODE_TAG, value="i-1"):
    world.direct.create_tags(Resources=[eni_id], Tags=[{"Key": key, "Value": value}])


def attach(world, device, n_addresses):
    eni = world.direct.create_network_interface(
        SubnetId=world.subnet_id, SecondaryPrivateIpAddressCount=n_addresses
    )["NetworkInterface"]["NetworkInterfaceId"]
    world.direct.attach_network_interface(
        NetworkInterfaceId=eni, InstanceId=world.instance_id, DeviceIndex=device
    )
    tag(world, eni)
    return eni


def test_enis_as_the_library_sees_them(world, command):
    second = attach(world, 2, 5)
    left_alone = attach(world, 1, 3)
    tag(world, left_alone, "node.k8s.amazonaws.com/no_manage", "true")
    status, out, err = command("enis")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "m5.xlarge" in out
    assert "2 of 4 ENIs, 5 addresses for pods" in out
    (row,) = [line for line in out.splitlines() if line.startswith(second)]
    assert row.split()[-5:] == ["0", "2", "5", "0", "9"]
    assert f"not managed, because of their tags: {left_alone}" in " ".join(out.split())
    status, out, _ = command("enis", "--json")
    (card,) = json.loads(out).values()
    assert card["TotalIPs"] == 5
    assert set(card["ENIs"]) == {world.primary(), second}
    assert len(card["ENIs"][second]["AvailableIPv4Cidrs"]) == 5


def test_plan_of_a_low_pool(world, command):
    tag(world, world.primary())
    world.direct.assign_private_ip_addresses(
        NetworkInterfaceId=world.primary(), SecondaryPrivateIpAddressCount=14
    )
    arguments = ("--pods", 14, "--env", "WARM_IP_TARGET=5")
    status, out, err = command("plan", *arguments)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "short = max(WARM_IP_TARGET 5 - available 0," in out
    assert "6 EC2 calls, 3 of them changes" in out
    told = [line.split()[1:] for line in out.splitlines() if line[:1].isdigit()][2:]
    assert [call for call, *_ in told] == [
        "DescribeSubnets",
        "CreateNetworkInterface",
        "DescribeInstances",
        "AttachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "DescribeSubnets",  # is the new ENI's subnet excluded?
    ]
    assert "n_addresses 5" in out
    status, out, _ = command("plan", *arguments, "--json")
    planned = json.loads(out)
    assert [call["api"] for call in planned["calls"]] == [call for call, *_ in told]
    assert [call["changes"] for call in planned["calls"]] == [False, True, False, True, True, False]


def test_plan_of_a_high_pool_with_an_eni_to_spare(world, command):
    tag(world, world.primary())
    world.direct.assign_private_ip_addresses(
        NetworkInterfaceId=world.primary(), SecondaryPrivateIpAddressCount=14
    )
    spare = attach(world, 1, 8)
    _, out, _ = command("plan", "--pods", 0, "--env", "WARM_IP_TARGET=5")
    assert "17 addresses are over the targets" in out
    assert "UnassignPrivateIpAddresses" in out
    _, out, _ = command("plan", "--pods", 0, "--env", "WARM_ENI_TARGET=0")
    assert f"{spare} is freed: no pod is on it" in " ".join(out.split())
    assert "DetachNetworkInterface" in out
    assert "DeleteNetworkInterface" in out


def test_plan_where_nothing_can_be_had(world, command):
    tag(world, world.primary())
    for device in (1, 2, 3):
        attach(world, device, 14)
    primary = world.primary()
    world.direct.assign_private_ip_addresses(
        NetworkInterfaceId=primary, SecondaryPrivateIpAddressCount=14
    )
    _, out, _ = command("plan", "--pods", 56, "--env", "WARM_IP_TARGET=1")
    assert "no ENI has room, and 4 of 4 ENIs are attached" in out
    assert "0 EC2 calls" in out
    _, out, _ = command("plan", "--env", "DISABLE_NETWORK_RESOURCE_PROVISIONING=true")
    assert "DISABLE_NETWORK_RESOURCE_PROVISIONING is set" in out
    assert "0 EC2 calls" in out


MANIFEST = """
kind: DaemonSet
metadata: {name: aws-node}
spec:
  template:
    spec:
      containers:
      - name: aws-node
        env:
        - {name: WARM_IP_TARGET, value: "4"}
        - {name: MINIMUM_IP_TARGET, value: "6"}
"""


def test_settings_are_those_of_the_manifest_and_of_single_variables(world, command, tmp_path):
    tag(world, world.primary())
    manifest = tmp_path / "aws-node.yaml"
    manifest.write_text(MANIFEST)
    _, out, _ = command("plan", "--manifest", manifest)
    assert "WARM_IP_TARGET 4" in out
    assert "MINIMUM_IP_TARGET 6" in out
    _, out, _ = command("plan", "--manifest", manifest, "--env", "WARM_IP_TARGET=9")
    assert "WARM_IP_TARGET 9" in out
    assert "MINIMUM_IP_TARGET 6" in out
    _, out, _ = command("plan", "--env", "WARM_IP_TARGET=lots")
    assert "warning: WARM_IP_TARGET='lots'" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan"], "Missing option '--instance-id'"),
        (["plan", "--instance-id", "banana"], "--instance-id 'banana': an id such as i-0123"),
        (["plan", "--instance-id", "i-1", "--eni-config", "banana"], "--eni-config 'banana'"),
        (["plan", "--instance-id", "i-1", "--eni-config", "subnet-1,x"], "--eni-config 'x'"),
        (["enis", "--instance-id", "i-0bad", "--endpoint-url", "URL"], "InvalidInstanceID"),
        (["enis", "--instance-id", "i-1", "--profile", "nobody"], "nobody"),
        (["enis", "--instance-id", "i-1", "--endpoint-url", "nowhere"], "nowhere"),
        (["enis", "--instance-id", "i-1", "--endpoint-url", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["plan", "--instance-id", "i-1", "--env", "WARM_IP_TARGET"], "NAME=VALUE"),
        (["plan", "--instance-id", "i-1", "--policy", "best"], "unknown policy 'best'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(world, capsys, monkeypatch, arguments, message):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    status = run(["node", *(world.proxy_url if each == "URL" else each for each in arguments)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err


@pytest.mark.parametrize(
    ("verb", "said"), [("plan", "The next pool check:"), ("enis", "of 4 ENIs")]
)
@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_profile_and_region_are_those_of_the_aws_configuration(
    world, capsys, monkeypatch, tmp_path, verb, said, region
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    keys = "aws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = of-the-profile\n"
    (tmp_path / "config").write_text(f"[profile dev]\nregion = eu-west-2\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    arguments = ["--instance-id", world.instance_id, "--endpoint-url", world.proxy_url]
    arguments += ["--profile", "dev", *(["--region", region] if region else [])]
    assert run(["node", verb, *arguments]) == 0
    assert said in capsys.readouterr().out
    for request in world.proxy.requests:
        assert "Credential=AKIAOFTHEPROFILE/" in request["Authorization"]
        assert f"/{region or 'eu-west-2'}/ec2/" in request["Authorization"]


def test_a_question_that_is_denied_is_one_line_and_status_2(world, command):
    world.proxy.faults = [Fault("DescribeNetworkInterfaces", "UnauthorizedOperation")]
    status, out, err = command("enis")
    assert (status, out) == (2, "")
    assert err.startswith("ipam-core: DescribeNetworkInterfaces: UnauthorizedOperation")
    assert len(err.splitlines()) == 1


def test_custom_networking_needs_the_eni_config(world, command):
    tag(world, world.primary())
    arguments = ("--env", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true", "--env", "WARM_IP_TARGET=2")
    status, out, err = command("plan", *arguments)
    assert (status, out) == (2, "")
    assert "ENIConfig: NotGiven" in err
    status, out, _ = command("plan", *arguments, "--eni-config", "subnet-9,sg-1,sg-2", "--json")
    creation = next(c for c in json.loads(out)["calls"] if c["api"] == "CreateNetworkInterface")
    assert status == 0
    assert creation["arguments"] == {
        "subnet_id": "subnet-9",
        "security_groups": ["sg-1", "sg-2"],
        "n_addresses": 2,
    }


def test_no_region_is_one_line_and_status_2(capsys, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert run(["node", "enis", "--instance-id", "i-1"]) == 2
    assert "region" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["plan", "enis"])
def test_without_the_extra_the_commands_name_it(verb):
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from ipam_core.cli._app import run\n"
        f"sys.exit(run(['node', '{verb}', '--instance-id', 'i-1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "ipam-core: AwsCloud needs the extra 'aws': pip install 'ipam-core[aws]'\n"
    )


def test_describing_a_plan_changes_nothing_on_ec2(world, command):
    """An untagged ENI would be tagged by the agent's next reconcile: here it stays as it is."""
    before = world.enis()
    command("plan", "--env", "WARM_IP_TARGET=14")
    assert world.enis() == before
    assert world.cloud().perform(fx.ReadAttachedEnis())[0].addresses == ()


def test_pods_of_before_prefix_mode_keep_their_addresses(world, command):
    """The one other ENI has pods on secondary IPs: it was planned to be deleted."""
    tag(world, world.primary())
    world.direct.assign_private_ip_addresses(
        NetworkInterfaceId=world.primary(), SecondaryPrivateIpAddressCount=14
    )
    second = attach(world, 1, 14)
    prefixes = ("--env", "ENABLE_PREFIX_DELEGATION=true")
    status, out, _ = command("plan", "--pods", 20, *prefixes)
    assert status == 0
    assert "WARM_PREFIX_TARGET=1 is used" in out
    assert "Delete" not in out
    assert second not in out
    assert "freed: no pod is on it" in " ".join(command("plan", "--pods", 3, *prefixes)[1].split())


@pytest.mark.parametrize("env", [(), ("--env", "ENABLE_PREFIX_DELEGATION=true")], ids=str)
def test_more_pods_than_addresses_are_refused(world, command, env):
    tag(world, world.primary())
    world.direct.assign_private_ip_addresses(
        NetworkInterfaceId=world.primary(), SecondaryPrivateIpAddressCount=14
    )
    status, out, err = command("plan", "--pods", 15, *env)
    assert (status, out) == (2, "")
    assert "15 pods with an address: the node has 14 addresses for pods" in err


def test_what_the_type_cannot_do_is_told(world, command):
    tag(world, world.primary())
    env = ("--env", "MAX_ENI=9", "--env", "ENABLE_MULTI_NIC=true", "--env", "ENABLE_POD_ENI=true")
    _, out, _ = command("plan", *env, "--limits", "enis=2,ips=6,nitro=false,trunk=false")
    told = " ".join(out.split())
    assert "MAX_ENI=9: the type has 2 ENIs" in told
    assert "no trunk ENI fits" in told
    assert "the type has one network card" in told
    assert "prefixes need" not in told
    prefixes = ("--env", "ENABLE_PREFIX_DELEGATION=true")
    _, out, _ = command("plan", *prefixes, "--limits", "enis=2,ips=6,nitro=false")
    assert "prefixes need a Nitro or bare metal type" in " ".join(out.split())


@pytest.mark.parametrize("called", ["plan", "enis"])
def test_limits_are_those_that_ec2_describes(world, command, tmp_path, called):
    """A type that the table lacks stopped both commands, whatever EC2 says of it."""
    tag(world, world.primary())
    network = {"MaximumNetworkInterfaces": 2, "Ipv4AddressesPerInterface": 6}
    described = {"InstanceType": "m5.xlarge", "Hypervisor": "nitro", "NetworkInfo": network}
    path = tmp_path / "types.json"
    path.write_text(json.dumps({"InstanceTypes": [described]}), "utf-8")
    status, out, _ = command(called, "--instance-types", path)
    assert status == 0
    assert "1 of 2 ENIs" in out
    assert "max pods 12" in out
    described["InstanceType"] = "z9x.large"
    path.write_text(json.dumps({"InstanceTypes": [described]}), "utf-8")
    assert "1 of 4 ENIs" in command(called, "--instance-types", path)[1]


def test_settings_of_a_file_are_told(world, command, tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("env: {WARM_IP_TARGET: 5}")
    tag(world, world.primary())
    _, out, _ = command("plan", "--settings", path)
    assert "1 variable from" in out
