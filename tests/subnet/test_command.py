"""`ipam-core subnet` as people call it."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from support.commands import called

SMALL, LARGE = "subnet-0a11ce00000000022", "subnet-0b0b000000000016"


@pytest.fixture
def command(capsys):
    return partial(called, capsys, "subnet")


def test_the_example_from_a_shell(examples):
    """The acceptance command, in a process of its own: map, score and advice of both."""
    called = subprocess.run(
        [
            Path(sys.executable).with_name("ipam-core"),
            *("subnet", "report", "--solve-seconds", "0.5"),
            *examples,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert called.returncode == 0, called.stderr
    assert max(map(len, called.stdout.splitlines())) <= 80
    for told in (
        "fragmentation 81 high",
        "fragmentation 95 high",
        "50,000 addresses used, 15,531 free: agrees with AvailableIpAddressCount",
        "nodes' primary ENIs",
        "orphaned",
        "aws ec2 create-subnet-cidr-reservation --subnet-id " + SMALL,
        "To get 8 free /28s, drain and end",
        "before the first refusal",
    ):
        assert told in called.stdout, told
    rows = re.findall(r"^10\.\d+\.\d+\.\d+ +([.#0-9A-Fa-fPRE]+)$", called.stdout, re.MULTILINE)
    assert len(rows) == 1 + 64
    assert {len(row) for row in rows} == {64}
    assert sum(row.count(".") for row in rows) == 11 + 240


def test_json_holds_what_the_text_says(command, examples):
    status, out, _ = command("report", *examples, "--subnet-id", SMALL, "--json", "--win", 4)
    (told,) = json.loads(out)["subnets"]
    assert status == 0
    assert (told["subnet_id"], told["score"], told["band"]) == (SMALL, 81, "high")
    assert told["advice"]["drains"]["won"] >= 4
    assert told["advice"]["drains"]["pods"] == told["advice"]["drains"]["at_least"]
    assert told["advice"]["instance_type"] == "m5.large"
    assert {fit["mode"] for fit in told["advice"]["nodes_that_fit"]} == {
        "prefixes",
        "secondary IPs",
    }


def test_options_of_the_nodes_to_fit(command, examples):
    arguments = ("report", *examples, "--subnet-id", SMALL, "--json", "--win", 0)
    arguments += ("--instance-type", "m4.large", "--env", "WARM_IP_TARGET=3", "--pods-per-node", 4)
    status, out, _ = command(*arguments, "--reserve", "/27")
    advice = json.loads(out)["subnets"][0]["advice"]
    (fit,) = advice["nodes_that_fit"]  # m4 is no nitro: no prefixes
    assert status == 0
    assert fit["draw"] == {"enis": 1, "addresses": 7, "prefixes": 0}
    assert advice["reservation"]["cidr"].endswith("/27")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures(command, examples, tmp_path, suffix):
    path = tmp_path / f"map.{suffix}"
    status, _, _ = command("report", *examples, "--plot", path, "--solve-seconds", "0.1")
    assert status == 0
    head = path.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if suffix == "png" else b"<?xml" in head
    path = tmp_path / f"churn.{suffix}"
    arguments = ("--cidr", "10.0.0.0/24", "--nodes", 4, "--hours", 1, "--plot", path)
    assert command("forecast", *arguments)[0] == 0
    assert path.stat().st_size > 5000


def test_a_critical_subnet_is_a_problem_found(command, tmp_path):
    path = tmp_path / "subnets.json"
    subnets = [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/26"}]
    enis = [
        {
            "NetworkInterfaceId": f"eni-{at}",
            "SubnetId": "subnet-1",
            "PrivateIpAddresses": [{"PrivateIpAddress": f"10.0.0.{at}"}],
        }
        for at in (20, 40)
    ]
    path.write_text(json.dumps({"Subnets": subnets, "NetworkInterfaces": enis}))
    status, out, _ = command("report", path)
    assert status == 1
    assert "100 critical" in out
    assert "No drain gives a free /28" in out


def test_forecast_in_80_columns_and_json(command, examples):
    arguments = ("--cidr", "10.0.0.0/22", "--nodes", 10, "--hours", 6, "--pods-per-node", 5)
    status, out, _ = command("forecast", *arguments)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    status, out, _ = command("forecast", *arguments, "--json")
    told = json.loads(out)
    assert set(told["placements"]) == {"random", "lowest", "densest"}
    assert len(told["placements"]["random"]) == 25
    status, out, _ = command(
        "forecast",
        *examples,
        "--subnet-id",
        SMALL,
        "--nodes",
        3,
        "--hours",
        2,
        "--prefixes",
        "--json",
    )
    assert json.loads(out)["cidr"] == "10.0.0.0/22"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report",), "give files, or --subnet-id or --cluster"),
        (("report", "none.json"), "none.json: No such file"),
        (("report", "{examples}", "--subnet-id", "subnet-9"), "'subnet-9' is not in the input"),
        (("report", "{examples}", "--cluster", "prod"), "leave the files out"),
        (("report", "{examples}", "--env", "WARM"), "NAME=VALUE"),
        (("report", "{examples}", "--env", "WARM_IP_TARGT=3"), "nearest: WARM_IP_TARGET"),
        (("report", "{examples}", "--env", "WARM_IP_TARGET=few"), "WARM_IP_TARGET='few'"),
        (("report", "{examples}", "--reserve", "many"), "'many'"),
        (("report", "{examples}", "--reserve", "/12"), "/22 to /28"),
        (("report", "{examples}", "--instance-type", "m5.huge"), "m5.huge"),
        (("report", "{examples}", "--plot", "map.gif"), ".png or .svg"),
        (("report", "{examples}", "--plot", "/no/such/map.png"), "no folder"),
        (("forecast",), "either files or --cidr"),
        (("forecast", "--cidr", "10.0.0.0/8"), "/16 to /28"),
        (("forecast", "--cidr", "10.0.0.0/24", "--hours", "0"), "more than 0"),
        (("forecast", "--cidr", "10.0.0.0/24", "--hours", "inf"), "--hours inf"),
        (("forecast", "{examples}"), "2 subnets in the files"),
        (
            ("forecast", "--cidr", "10.0.0.0/24", "--prefixes", "--instance-type", "m4.large"),
            "m4.large",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    command, examples, arguments, told, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    given = []
    for each in arguments:
        given += map(str, examples) if each == "{examples}" else [each]
    status, out, err = command(*given)
    assert status == 2, out
    assert told in err
    assert err.count("\n") == 1
    assert err.startswith("ipam-core: ")


def test_damaged_input_is_one_line_and_status_2(command, examples, tmp_path):
    cut = tmp_path / "cut.json"
    cut.write_text(examples[1].read_text()[:100_000])
    outside = tmp_path / "outside.json"
    enis = [
        {
            "NetworkInterfaceId": f"eni-{n}",
            "SubnetId": "subnet-1",
            "PrivateIpAddresses": [{"PrivateIpAddress": f"10.9.0.{n}"}],
        }
        for n in (9, 10, 11)
    ]
    subnets = [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24"}]
    outside.write_text(json.dumps({"Subnets": subnets, "NetworkInterfaces": enis}))
    ipv6 = tmp_path / "ipv6.json"
    ipv6.write_text(json.dumps({"Subnets": [{"SubnetId": "subnet-6", "Ipv6Native": True}]}))
    for path, told in ((cut, "incomplete JSON"), (outside, "10.9.0.9"), (ipv6, "IPv6-only")):
        status, out, err = command("report", path)
        assert (status, out) == (2, "")
        assert told in err
        assert err.count("\n") == 1


def test_one_bad_eni_among_thousands_is_told(command, examples, tmp_path):
    interfaces = json.loads(examples[1].read_text())
    interfaces["NetworkInterfaces"].append(
        {
            "NetworkInterfaceId": "eni-astray",
            "SubnetId": LARGE,
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.9.0.9"}],
        }
    )
    path = tmp_path / "interfaces.json"
    path.write_text(json.dumps(interfaces))
    status, out, _ = command(
        "report", examples[3], path, "--subnet-id", LARGE, "--solve-seconds", "0.1"
    )
    assert status == 1
    assert "Skipped eni-astray: 10.9.0.9 is not on subnet 10.1.0.0/16" in out
    assert "50,000 addresses used" in out


def test_no_permission_is_one_line_and_status_2(command, monkeypatch):
    from botocore.exceptions import ClientError

    def deny(self, operation, _):
        raise ClientError(
            {"Error": {"Code": "UnauthorizedOperation", "Message": "not\nyours"}}, operation
        )

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", deny)
    status, out, err = command("report", "--subnet-id", "subnet-1")
    assert (status, out) == (2, "")
    assert err == "ipam-core: DescribeSubnets: UnauthorizedOperation: not yours\n"
