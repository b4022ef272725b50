"""docs/vpc-clients.md: what it shows of each client runs, where the client is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ipam_core.cli._app import run
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.testing import TestVpc

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "vpc-clients.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "vpc.yaml"
PLUGINS = Path(os.environ.get("TF_PLUGIN_MIRROR", "/opt/tf-plugins"))


@pytest.fixture
def vpc_spec():
    return EXAMPLE


def block(language, chapter):
    text = PAGE.split(f"## {chapter}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)[0]


def test_every_call_that_is_served_is_listed_and_no_other():
    for service in ("ec2", "sts", "eks"):
        (row,) = re.findall(rf"^\| {service} \| (.*) \|$", PAGE, re.M)
        assert row == ", ".join(f"`{action}`" for each, action in ACTIONS if each == service)


def test_the_variables_are_those_that_a_test_has(vpc):
    shown = set(re.findall(r"\b(AWS_[A-Z0-9_]+)=", PAGE.split("## AWS CLI")[0]))
    assert shown <= vpc.environ.keys()


def test_the_example_of_boto3(vpc, monkeypatch):
    import boto3

    for name, value in vpc.environ.items():
        monkeypatch.setenv(name, value)
    clients = []

    def client(service):
        clients.append(vpc.client(service))
        vpc.move(5)
        return clients[-1]

    monkeypatch.setattr(boto3, "client", client)
    exec(compile(block("python", "boto3"), "docs/vpc-clients.md", "exec"), {})
    clients[0].close()


def test_the_commands_of_ipam_core_read_it(vpc, monkeypatch, capsys):
    for name, value in vpc.environ.items():
        monkeypatch.setenv(name, value)
    assert run(["subnet", "report", "--cluster", "demo"]) == 1  # fragmented
    printed = capsys.readouterr().out
    assert "subnet-0bbbbbbbbbbbbbbbb  10.0.2.0/24" in printed
    assert "prefix-reserved 7" in printed
    assert run(["node", "enis", "--instance-id", vpc.instance_ids[0]]) == 0
    assert "1 of 3 ENIs, 0 addresses for pods" in capsys.readouterr().out


@pytest.mark.skipif(
    not os.environ.get("IPAM_CORE_SOAK"), reason="starts Terraform: IPAM_CORE_SOAK=1"
)
@pytest.mark.skipif(
    shutil.which("terraform") is None or not PLUGINS.is_dir(),
    reason="Terraform, or a mirror of its plugins, is not there",
)
def test_terraform_applies_and_then_sees_no_change(tmp_path):
    """apply, plan and destroy with the real provider for AWS: a minute of CPU."""
    (tmp_path / "main.tf").write_text(block("terraform", "Terraform"))
    mirror = f'provider_installation {{\n  filesystem_mirror {{ path = "{PLUGINS}" }}\n}}\n'
    (tmp_path / "rc").write_text(mirror)
    with TestVpc(EXAMPLE, held=False, speed=20) as vpc:
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **vpc.environ}
        variables |= {"TF_CLI_CONFIG_FILE": str(tmp_path / "rc"), "TF_IN_AUTOMATION": "1"}

        def terraform(*words):
            done = subprocess.run(
                ["terraform", *words, "-no-color"],
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        terraform("init")
        assert "2 added, 0 changed, 0 destroyed" in terraform("apply", "-auto-approve")
        (eni,) = vpc.ec2.describe_network_interfaces(
            Filters=[{"Name": "attachment.device-index", "Values": ["1"]}]
        )["NetworkInterfaces"]
        assert len(eni["Ipv4Prefixes"]) == 2
        assert "No changes." in terraform("plan", "-detailed-exitcode")
        assert "2 destroyed" in terraform("destroy", "-auto-approve")
        assert len(vpc.ec2.describe_network_interfaces()["NetworkInterfaces"]) == 3
