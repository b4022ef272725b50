"""The exporter on a served Kubernetes and a served VPC: its figures, its bounds, its faults."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ipam_core.errors import DeniedError
from ipam_core.exporter import names
from ipam_core.exporter.ec2_calls import Ec2Calls
from ipam_core.exporter.exporter import Exporter
from ipam_core.exporter.figures import Figures, text_of
from ipam_core.k8s.client import PODS
from ipam_core.k8s.judging import Judge
from ipam_core.subnet.owners import cluster_of
from ipam_core.testing import TestVpc as Vpc
from ipam_core.testing.kubernetes import Fault, KubernetesServer, MockCluster, MockNodes
from support.commands import called
from support.kube import asked
from support.python import Process

PROGRAM = Path(sys.executable).parent / "ipam-core"
SUBNET = "subnet-0aaaaaaaaaaaaaaaa"
ENV = {"MINIMUM_IP_TARGET": "12"}


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Serve 3 nodes that stall at pod 13: one far from it, one near, one stuck."""
    nodes = [{"name": "web", "instance_type": "m5.large", "count": 3, "subnets": [SUBNET]}]
    spec = {
        "subnets": [{"id": SUBNET, "cidr": "10.0.0.0/24", "zone": "a", "used": 20}],
        "nodes": nodes,
        "ec2": {"latency": False, "throttling": False},
    }
    with KubernetesServer() as server, Vpc(spec) as vpc:
        ids = list(vpc.instance_ids)
        groups = [
            MockNodes(
                name=name,
                instance_type="m5.large",
                count=1,
                pods=pods,
                waiting=waiting,
                instance_ids=[instance],
            )
            for (name, pods, waiting), instance in zip(
                [("far", 3, 0), ("near", 12, 0), ("stuck", 12, 2)], ids, strict=True
            )
        ]
        MockCluster(groups=groups, env=ENV).fill(server)
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "kubeconfig")))
        for key, text in vpc.environ.items():
            monkeypatch.setenv(key, text)
        yield server, vpc


def samples(text):
    """Return the values by metric and labels, without the prefix."""
    return {
        (sample.name.removeprefix(names.PREFIX), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found, name):
    """Return a metric's values by the values of its labels."""
    return {
        tuple(value for _, value in labels): count
        for (each, *labels), count in found.items()
        if each == name
    }


def test_once_as_json_is_json(here, capsys):
    """It printed Prometheus' text, and --json was passed over."""
    status, out, err = called(capsys, "exporter", "--once", "--json")
    assert (status, err) == (0, "")
    found = {
        (each["name"], tuple(sorted(each["labels"].items()))): each["value"]
        for each in json.loads(out)["metrics"]
    }
    assert found["ipam_core_subnet_info", SUBNET_LABELS] == 1
    assert found["ipam_core_exporter_up", (("source", "ec2"),)] == 1
    _, text, _ = called(capsys, "exporter", "--once")
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert sorted(samples) == sorted(found)


SUBNET_LABELS = (("cidr", "10.0.0.0/24"), ("subnet", SUBNET), ("zone", "us-east-1a"))


def test_a_port_that_is_taken_is_one_line_that_names_it(here, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        status, out, err = called(capsys, "exporter", "--listen", where)
    assert (status, out) == (2, "")
    assert err == f"ipam-core: {where}: Address already in use\n"


def test_a_fault_in_the_reading_of_subnets_is_raised(here):
    """Old figures of EC2 were shown for ever, and nobody was told."""

    def read(_):
        raise ZeroDivisionError

    async def act(client):
        exported = Exporter(
            figures=Figures(Ec2Calls(10)), judge=Judge({}), read_subnets=read, nodes_every_s=0.05
        )
        async with asyncio.timeout(20):
            await exported.run(client)

    with pytest.raises(ZeroDivisionError):
        asked(Path(os.environ["KUBECONFIG"]), act)


def test_once_prints_what_nobody_exports(here, capsys):
    status, out, err = called(capsys, "exporter", "--once")
    assert (status, err) == (0, "")
    found = samples(out)
    risks = sorted(of(found, "node_stall_risk").values())
    assert risks == [pytest.approx(3 / 13), pytest.approx(12 / 13), 1.0]
    assert set(of(found, "node_stalls_at_pods").values()) == {13}
    assert sorted(of(found, "node_pods_waiting").values()) == [0, 0, 2]
    assert sorted(of(found, "node_pods").values()) == [3, 12, 14]
    assert {state for _, state in of(found, "node_state")} == {"stuck", "will be stuck"}
    subnet = (SUBNET,)
    free = of(found, "subnet_free_addresses")[subnet]
    used = of(found, "subnet_used_addresses")
    assert free + sum(used.values()) == of(found, "subnet_addresses")[subnet] == 251
    assert (
        of(found, "subnet_free_prefixes")[subnet] + of(found, "subnet_fragmented_prefixes")[subnet]
        <= 16
    )
    assert 0 <= of(found, "subnet_score")[subnet] <= 100
    fits = {key[1]: count for key, count in of(found, "subnet_nodes_that_fit").items()}
    assert 0 < fits["full"] <= fits["idle"]
    assert of(found, "exporter_up") == {("kubernetes",): 1, ("ec2",): 1}
    calls = {key[0] for key in of(found, "exporter_ec2_calls_total")}
    assert calls == {
        "DescribeInstances", "DescribeNetworkInterfaces", "DescribeSubnets",
        "GetSubnetCidrReservations",
    }  # fmt: skip


def test_the_calls_are_those_of_the_policy(here, capsys):
    """deploy/exporter/iam.json allows what is called, and nothing else."""
    _, out, _ = called(capsys, "exporter", "--once")
    calls = {f"ec2:{key[0]}" for key in of(samples(out), "exporter_ec2_calls_total")}
    policy = Path(__file__).parents[2] / "deploy" / "exporter" / "iam.json"
    (statement,) = json.loads(policy.read_text())["Statement"]
    assert set(statement["Action"]) == calls


def test_every_metric_of_the_table_is_shown_with_its_labels(here, capsys):
    _, out, _ = called(capsys, "exporter", "--once")
    shown = {key[0]: {label for label, _ in key[1:]} for key in samples(out)}
    for name in names.ALL:
        assert shown.pop(name.name, set(name.labels)) == set(name.labels), name
    assert shown == {}
    missing = {name.name for name in names.ALL} - {key[0] for key in samples(out)}
    assert missing <= {"node_burst_pods"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_promtool_finds_nothing_to_say(here, capsys):
    _, out, _ = called(capsys, "exporter", "--once")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=out, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_cannot_be_read_is_one_line_and_the_rest_is_shown(here, capsys):
    server, vpc = here
    vpc.fault("DescribeNetworkInterfaces", "UnauthorizedOperation", times=9)
    status, out, err = called(capsys, "exporter", "--once")
    assert status == 1
    assert "EC2: DescribeNetworkInterfaces: UnauthorizedOperation" in err
    assert err.count("\n") == 1
    found = samples(out)
    assert of(found, "exporter_up") == {("kubernetes",): 1, ("ec2",): 0}
    assert len(of(found, "node_pods")) == 3
    assert of(found, "subnet_free_addresses") == {}
    vpc.clear_faults()
    server.token = "another"
    status, out, err = called(capsys, "exporter", "--once")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "Unauthorized" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "x"), "--listen 'x': an address is HOST:PORT"),
        (("--ec2-every", "0"), "--ec2-every is at least 1s, not '0'"),
        (("--endpoint-url", "x"), "--endpoint-url is http://HOST:PORT, not 'x'"),
    ],
)
def test_bad_input_is_one_line(arguments, said, capsys):
    status, out, err = called(capsys, "exporter", *arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_it_serves_what_changes_until_a_signal(here):
    server, _ = here
    process = Process(
        *(PROGRAM, "exporter", "--listen", "127.0.0.1:0", "--nodes-every", "1s"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def scraped():
        with urllib.request.urlopen(url, timeout=5) as reply:
            return samples(reply.read().decode())

    def until(holds):
        deadline = time.monotonic() + 20
        while not holds(found := scraped()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert holds(found)

    with process:
        try:
            url = process.stdout.readline().split()[1]
            until(lambda found: of(found, "subnet_free_addresses"))
            until(lambda found: sorted(of(found, "node_pods").values()) == [3, 12, 14])
            server.state.remove(PODS, "far-0000-0000", "default")
            until(lambda found: sorted(of(found, "node_pods").values()) == [2, 12, 14])
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


# --- the parts ----------------------------------------------------------------------------


def test_calls_are_bounded_in_each_hour_and_reads_beyond_are_postponed():
    now = [0.0]
    calls = Ec2Calls(10, clock=lambda: now[0])

    def read(n_calls):
        if not calls.begin():
            return False
        for _ in range(n_calls):
            calls._note("before-send.ec2.DescribeSubnets")
        calls.end()
        return True

    assert read(4)
    assert read(4)
    assert not read(4)  # 12 in one hour
    now[0] = 3599
    assert not read(4)
    now[0] = 3600
    assert read(4)
    assert calls.by_api == {"DescribeSubnets": 12}
    assert calls.n_postponed == 2
    # One read that takes more than an hour's bound goes on, an hour apart.
    large = Ec2Calls(2, clock=lambda: now[0])
    large.begin()
    for _ in range(5):
        large._note("before-send.ec2.DescribeSubnets")
    large.end()
    assert not large.begin()
    now[0] += 3600
    assert large.begin()


def test_a_failed_read_keeps_the_last_figures(here):
    states = []

    def read(reports):
        if states:
            raise DeniedError("DescribeSubnets", "UnauthorizedOperation")
        states.append(1)
        from ipam_core.k8s.subnets import read_subnets

        return read_subnets(reports)

    async def run():
        from ipam_core.k8s.access import Access
        from ipam_core.k8s.client import Client
        from ipam_core.k8s.connection import Connection
        from ipam_core.k8s.reading import read_cluster

        figures = Figures(Ec2Calls(100))
        exported = Exporter(figures=figures, judge=Judge(), read_subnets=read)
        async with Connection(Access.find()) as connection:
            reading = await read_cluster(Client(connection))
        await exported.read_once(reading)
        before = samples(text_of(figures))
        await exported.read_once(reading)
        return before, samples(text_of(figures))

    before, after = asyncio.run(run())
    assert of(before, "subnet_free_addresses") == of(after, "subnet_free_addresses") != {}
    assert of(after, "exporter_up")["ec2",] == 0
    key = ("exporter_last_read_timestamp_seconds", ("source", "ec2"))
    assert before[key] == after[key]


def test_a_cluster_that_refuses_is_asked_again(here, monkeypatch, caplog):
    server, _ = here
    monkeypatch.setattr("ipam_core.exporter.exporter.RETRY_S", 0.05)
    server.faults.append(Fault(pattern="/(nodes|pods)", status=403, reason="Forbidden", times=2))

    async def run():
        from ipam_core.k8s.access import Access
        from ipam_core.k8s.client import Client
        from ipam_core.k8s.connection import Connection

        figures = Figures()
        exported = Exporter(figures=figures, judge=Judge(), nodes_every_s=0.05)
        async with Connection(Access.find()) as connection:
            task = asyncio.create_task(exported.run(Client(connection)))
            for _ in range(200):
                await asyncio.sleep(0.02)
                if figures.health["kubernetes"].up:
                    break
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return samples(text_of(figures))

    found = asyncio.run(run())
    assert of(found, "exporter_up") == {("kubernetes",): 1}
    assert "Kubernetes: list: Forbidden" in caplog.text


def test_the_cluster_of_an_eni_is_that_of_its_tags():
    def tagged(**tags):
        return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}

    assert cluster_of(tagged(**{"cluster.k8s.amazonaws.com/name": "blue"})) == "blue"
    assert cluster_of(tagged(**{"kubernetes.io/cluster/green": "owned"})) == "green"
    assert cluster_of(tagged(**{"aws:eks:cluster-name": "red"})) == "red"
    assert cluster_of(tagged(Name="x")) == ""
    assert cluster_of({}) == ""
