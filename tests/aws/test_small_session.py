"""The session of an agent: a fifth of EC2's model, and every call that a node makes."""

import subprocess
import sys

import boto3
import pytest
from botocore.loaders import JSONFileLoader

from ipam_core.cloud.small_model import CALLS, reduced
from ipam_core.cloud.small_session import SmallSession, _SmallFiles


@pytest.fixture(scope="module")
def clients():
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    small = SmallSession("eu-west-1").client("ec2", **keys)
    whole = boto3.Session(region_name="eu-west-1").client("ec2", **keys)
    yield small, whole
    small.close()
    whole.close()


def test_it_knows_the_calls_of_a_node_and_no_others(clients):
    small, _ = clients
    assert set(small.meta.service_model.operation_names) == CALLS
    assert not hasattr(small, "run_instances")


def test_each_call_is_described_as_in_the_whole_model(clients):
    small, whole = (client.meta.service_model for client in clients)

    def described(shape, seen):
        if shape is None or shape.name in seen:
            return shape and shape.name
        seen = {*seen, shape.name}
        inner = {"member": getattr(shape, "member", None), **getattr(shape, "members", {})}
        return (
            (
                shape.name,
                shape.type_name,
                shape.serialization,
                getattr(shape, "required_members", 0),
            ),
            {name: described(each, seen) for name, each in inner.items() if hasattr(each, "name")},
        )

    for call in CALLS:
        one, other = small.operation_model(call), whole.operation_model(call)
        assert described(one.input_shape, set()) == described(other.input_shape, set())
        assert described(one.output_shape, set()) == described(other.output_shape, set())


def test_endpoints_and_pages_are_the_same(clients):
    small, whole = clients
    assert small.meta.endpoint_url == whole.meta.endpoint_url
    assert small.can_paginate("describe_subnets")
    assert SmallSession("cn-north-1").client("ec2").meta.endpoint_url.endswith(".cn")


def test_without_another_process_the_files_are_read_here(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no process")

    monkeypatch.setattr(subprocess, "run", refuse)
    client = SmallSession("eu-west-1").client("ec2")
    assert set(client.meta.service_model.operation_names) == CALLS
    client.close()


def test_boto3_is_not_loaded_by_an_agent():
    script = (
        "import sys, ipam_core.cloud.aws, ipam_core.cloud.small_session as small\n"
        "small.SmallSession('eu-west-1').client('ec2').close()\n"
        "assert 'boto3' not in sys.modules and 'botocore' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_process_is_started_for_a_file_that_is_not_there(monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    assert _SmallFiles().load_file("/nowhere/ec2/2016-11-15/service-2") is None


def test_a_file_that_is_not_there_stays_none():
    assert reduced("/nowhere/endpoints", None) is None
    assert JSONFileLoader().load_file("/nowhere/endpoints") is None
