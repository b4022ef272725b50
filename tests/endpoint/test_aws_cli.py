"""The AWS CLI against a served VPC: a walk of its commands, each output as AWS documents it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from string import Template

import boto3
import pytest

from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.testing import TestVpc
from ipam_core.testing.vpc import CREDENTIALS
from support.aws_cli import AwsCli, documented, environment, shape_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "vpc.yaml"

PAGE = Path(__file__).parents[2] / "docs" / "vpc-clients.md"
WALK = Path(__file__).with_name("aws_cli_walk.txt")
OTHERWISE = {
    "describe-instances": "of instances with volumes, key pairs and public addresses",
    "run-instances": "the same",
    "describe-network-interfaces": "of interfaces with public addresses",
    "describe-instance-types": "storage, GPUs and the like are no matter of a VPC",
    "describe-security-groups": "rules are not modelled",
    "describe-cluster": "only what `subnet report --cluster` reads",
    "describe-subnets": "a subnet on an Outpost",
    "describe-vpcs": "the default VPC",
}
"""Commands whose documented output shows more than is modelled: what that is."""


@pytest.fixture(scope="module")
def vpc():
    with TestVpc(EXAMPLE) as vpc:
        yield vpc


@pytest.fixture(scope="module")
def aws(vpc, tmp_path_factory):
    with AwsCli(vpc.environ, tmp_path_factory.mktemp("home")) as aws:
        yield aws


def picked(document, path):
    for part in path.split("."):
        document = document[int(part) if part.isdigit() else part]
    return document


def differences(service, command, output):
    """Return where an output is of another shape than the documented ones of its command."""
    shown = defaultdict(set)
    for each in documented(service, command):
        for where, kind in shape_of(each).items():
            shown[where].add(kind)
    found = shape_of(output)
    other = [
        f"{where}: {kind}, documented as {' or '.join(sorted(shown[where]))}"
        for where, kind in found.items()
        if where in shown and kind not in shown[where] and shown[where] != {"null"}
        if where != ".cluster.createdAt"  # a text since version 2 of the CLI
    ]
    if command not in OTHERWISE and shown:
        # A list that is empty shows nothing of what would be in it.
        empty = {where for where in found if found[where] == "list" and f"{where}[]" not in found}
        other += [
            f"{where}: missing"
            for where in set(documented_always(service, command)) - set(found)
            if not any(where.startswith(f"{each}[]") for each in empty)
        ]
    return other


def documented_always(service, command):
    """Return the places that every documented output of a command has."""
    places = [set(shape_of(each)) for each in documented(service, command)]
    return set.intersection(*places)


def walk():
    """Yield each command with what is kept of its output, or the code that it fails with."""
    text = re.sub(r"\\\n +", "", WALK.read_text("utf-8"))
    for line in text.splitlines():
        if line and not line.startswith("#"):
            command, _, expected = line.partition(" -> ")
            kept = dict(each.split("=") for each in expected.split() if "=" in each)
            yield command, kept, "" if kept else expected


def test_the_walk_of_the_commands(vpc, aws):
    known = {"subnet": "subnet-0aaaaaaaaaaaaaaaa", "other": "subnet-0bbbbbbbbbbbbbbbb"}
    problems, names = [], []
    for command, kept, code in walk():
        answer = aws(Template(command).substitute(known))
        assert answer.code == (code or None), (command, answer)
        assert (answer.status == 0) == (not code), (command, answer)
        known |= {name: picked(answer.json, path) for name, path in kept.items()}
        service, name = command.split()[:2]
        names.append(name)
        if answer.json is not None:
            problems += [f"{name}{each}" for each in differences(service, name, answer.json)]
        vpc.move(10)
    assert not problems, problems
    assert known["same"] == known["spare"]
    assert len(names) > 40
    assert len(set(names)) >= len(ACTIONS)


def test_the_commands_on_the_page_of_clients(aws):
    page = PAGE.read_text("utf-8").split("## AWS CLI")[1].split("## boto3")[0]
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S))
    commands = list(filter(None, re.sub(r"\\\n +", "", commands).splitlines()))
    (refused,) = re.findall(r"^```text\n(.*?)^```$", page, re.M | re.S)
    assert len(commands) == 6
    known, errors = {}, []
    for command in commands:
        name, _, inner = command.partition("=$(")
        words = inner.removesuffix(")") if inner else command
        answer = aws(Template(words.removeprefix("aws ")).substitute(known))
        errors += [answer.err.strip()] if answer.status else []
        if inner:
            known[name] = answer.out.strip()
    assert errors == [refused.strip()]


def test_the_documented_outputs_are_read():
    """The comparison of the walk can fail."""
    outputs = documented("ec2", "create-network-interface")
    assert len(outputs) >= 3
    (output, *_) = outputs
    assert differences("ec2", "create-network-interface", output) == []
    output = json.loads(json.dumps(output))
    output["NetworkInterface"]["SourceDestCheck"] = "true"
    del output["NetworkInterface"]["MacAddress"]
    assert sorted(differences("ec2", "create-network-interface", output)) == [
        ".NetworkInterface.MacAddress: missing",
        ".NetworkInterface.SourceDestCheck: text, documented as boolean",
    ]


# --- the commands themselves --------------------------------------------------------------


def test_the_command_serves_and_the_command_line_of_aws_asks(tmp_path, aws):
    """The first steps of docs/vpc.md: both are started as people start them."""
    serve = [sys.executable, "-m", "ipam_core", "vpc", "serve", str(EXAMPLE)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            (url,) = re.findall(r"^EC2 (http://127\.0\.0\.1:\d+)$", server.stdout.readline(), re.M)
            variables = {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            }

            eni = first_eni(url)
            assign = f"ec2 assign-private-ip-addresses --network-interface-id {eni} "
            assign += f"--endpoint-url {url} --ipv4-prefix-count "
            done = subprocess.run(
                [sys.executable, "-m", "awscli", *assign.split(), "2"],
                env=environment(variables, tmp_path),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert len(json.loads(done.stdout)["AssignedIpv4Prefixes"]) == 2
            refused = aws(f"{assign} 7")
            assert refused.status > 0
            assert refused.err.strip() == (
                "An error occurred (InsufficientCidrBlocks) when calling the "
                "AssignPrivateIpAddresses operation: The specified subnet does not have enough "
                "free cidr blocks to satisfy the request."
            )
        finally:
            server.terminate()
    assert server.returncode == 0


def first_eni(url):
    """Return an ENI of the fragmented subnet, which has many free addresses."""
    client = boto3.client("ec2", endpoint_url=url, region_name="us-east-1", **CREDENTIALS)
    filters = [{"Name": "subnet-id", "Values": ["subnet-0aaaaaaaaaaaaaaaa"]}]
    eni, *_ = client.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    subnet, *_ = client.describe_subnets(SubnetIds=[eni["SubnetId"]])["Subnets"]
    client.close()
    assert subnet["AvailableIpAddressCount"] > 9 * 16
    return eni["NetworkInterfaceId"]
