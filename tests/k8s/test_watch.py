"""A cluster kept up to date by watches, and `cluster --watch`."""

import asyncio
import json
import os
import select
import signal
import subprocess
import threading
from contextlib import aclosing

import pytest

from ipam_core.cli import cluster as cluster_command
from ipam_core.errors import CloudError, DeniedError
from ipam_core.k8s.census import Census
from ipam_core.k8s.client import NODES, PODS
from ipam_core.k8s.judging import Judge
from ipam_core.k8s.objects import pod_of
from ipam_core.k8s.reading import ClusterReading
from ipam_core.k8s.watching import watch_cluster
from ipam_core.testing.kubernetes import (
    Fault,
    MockCluster,
    MockNodes,
    agent_pod_document,
    node_document,
    pod_document,
)
from support.commands import INTERRUPTIBLE
from support.kube import asked
from support.python import Process

SOON_S = 20


def fill(server):
    nodes = MockNodes(name="web", instance_type="m5.large", count=2, pods=3)
    MockCluster(groups=[nodes], env={"WARM_IP_TARGET": "2"}).fill(server)
    return [each.fields["metadata.name"] for each in server.state.page(NODES, "", _all)[0]]


def _all(*_):
    return True


class Watched:
    """Readings one after the other, each once it is as awaited."""

    def __init__(self, readings):
        self._readings = readings

    async def until(self, good):
        async with asyncio.timeout(SOON_S):
            async for reading in self._readings:
                if good(reading):
                    return reading
        return None


def watching(kubeconfig, act, **options):
    async def run(client):
        async with aclosing(watch_cluster(client, every_s=0.02, **options)) as readings:
            return await act(Watched(readings))

    return asked(kubeconfig, run)


def counts(reading):
    return {name.partition(".")[0]: at.n_pods for name, at in reading.pods.nodes.items()}


def test_what_changes_is_read_by_watches_alone(server, kubeconfig):
    first, second = fill(server)
    state = server.state

    async def act(watched):
        reading = await watched.until(lambda r: r.nodes_read and r.pods_read)
        assert counts(reading) == {"ip-10-0-0-4": 3, "ip-10-0-0-5": 3}
        state.put(PODS, pod_document("late", node=first, phase="Pending"))
        await watched.until(lambda r: r.pods.of(first).waiting)
        assert reading.pods.of(first).n_pods == 4
        state.put(PODS, pod_document("late", node=first, address="10.9.9.9"))
        await watched.until(lambda r: not r.pods.of(first).waiting)
        assert reading.pods.of(first).n_pods == 4
        state.put(PODS, pod_document("late", node=first, phase="Succeeded"))
        await watched.until(lambda r: r.pods.of(first).n_pods == 3)
        state.remove(PODS, "web-0001-0000", "default")
        await watched.until(lambda r: r.pods.of(second).n_pods == 2)
        state.remove(NODES, second)
        state.put(NODES, node_document("new", instance_type="c5.large", max_pods=29))
        reading = await watched.until(lambda r: set(r.nodes) == {first, "new"})
        assert reading.unread == []

    watching(kubeconfig, act)
    lists = [each.path for each in server.asked if each.route and each.route.verb == "list"]
    assert sorted(lists) == ["/api/v1/nodes", "/api/v1/pods"]


def test_a_compaction_and_an_api_that_is_down_are_survived(server, kubeconfig, monkeypatch):
    monkeypatch.setattr("ipam_core.k8s.follow.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("ipam_core.k8s.follow.LONGEST_PAUSE_S", 0.05)
    first, _ = fill(server)

    async def act(watched):
        await watched.until(lambda r: r.nodes_read and r.pods_read)
        server.state.put(PODS, pod_document("late", node=first, address="10.9.9.9"))
        await watched.until(lambda r: r.pods.of(first).n_pods == 4)
        down = Fault(pattern="watch=true")
        server.faults.append(down)
        server.state.remove(PODS, "late", "default")
        server.state.compact()
        reading = await watched.until(lambda r: r.unread)
        assert all("Unreachable" in line for line in reading.unread)
        server.faults.remove(down)
        reading = await watched.until(lambda r: not r.unread and r.pods_read)
        assert counts(reading) == {"ip-10-0-0-4": 3, "ip-10-0-0-5": 3}

    watching(kubeconfig, act)


def test_a_pod_is_counted_once_whatever_it_becomes():
    census = Census(keep=True)
    limits = {"vpc.amazonaws.com/pod-eni": "1"}
    for change, counts in (
        ({"phase": "Pending"}, (0, 0, 0)),
        ({"node": "a", "phase": "Pending"}, (1, 0, 0)),
        ({"node": "a", "address": "10.0.0.9"}, (1, 0, 0)),
        ({"node": "a", "host_network": True}, (0, 1, 0)),
        ({"node": "a", "limits": limits}, (0, 0, 1)),
        ({"node": "a", "phase": "Failed"}, (0, 0, 0)),
    ):
        document = pod_document("web", **change)
        document["metadata"]["uid"] = "one"
        census.put(pod_of(document))
        at = census.of("a")
        assert (at.n_pods, at.n_host, at.n_branch) == counts
        assert (census.n_read, census.n_unscheduled) == (1, int("node" not in change))
        assert bool(at.waiting) is (change == {"node": "a", "phase": "Pending"})
    census.remove("one")
    census.remove("never there")
    assert census.n_read == 0
    assert census.nodes == {}


def test_nodes_and_revisions_that_have_gone_are_not_kept(server, kubeconfig):
    first, second = fill(server)

    async def act(watched):
        reading = await watched.until(lambda r: r.nodes_read and r.pods_read)
        pods = [each.fields for each in server.state.page(PODS, "", _all)[0]]
        for fields in pods:
            if fields["spec.nodeName"] == first:
                server.state.remove(PODS, fields["metadata.name"], fields["metadata.namespace"])
        server.state.remove(NODES, first)
        new = agent_pod_document(second, suffix="00001", env={}, revision="new")
        server.state.put(PODS, new)
        await watched.until(
            lambda r: "new" in r.environments and set(r.nodes) == {second} == set(r.pods.nodes)
        )
        assert set(reading.environments) == {"new"}

    watching(kubeconfig, act)


def test_a_fault_of_what_follows_is_raised(server, kubeconfig, monkeypatch):
    """The watch would else show the same for ever."""
    fill(server)

    async def act(watched):
        await watched.until(lambda r: r.nodes_read and r.pods_read)
        monkeypatch.setattr("ipam_core.k8s.watching.pod_of", lambda _: 1 / 0)
        server.state.put(PODS, pod_document("late"))
        await watched.until(lambda _: False)

    with pytest.raises(ZeroDivisionError):
        watching(kubeconfig, act)


def test_a_fault_at_the_first_list_is_raised(server, kubeconfig, monkeypatch):
    monkeypatch.setattr("ipam_core.k8s.watching.node_of", lambda _: 1 / 0)
    fill(server)
    with pytest.raises(ZeroDivisionError):
        watching(kubeconfig, lambda watched: watched.until(lambda _: False))


def test_pods_that_may_not_be_read_are_named_and_nodes_are_watched(server, kubeconfig):
    first, _ = fill(server)
    server.faults.append(Fault(pattern="/v1/pods", status=403, reason="Forbidden"))

    async def act(watched):
        reading = await watched.until(lambda r: r.nodes_read)
        assert reading.unread == ["pods: list pods: Forbidden: said the test"]
        server.state.remove(NODES, first)
        await watched.until(lambda r: first not in r.nodes)

    watching(kubeconfig, act)


def test_nothing_that_may_be_read_ends_it(server, kubeconfig):
    fill(server)
    server.faults.append(Fault(pattern="/api/v1", status=403, reason="Forbidden"))

    async def act(watched):
        await watched.until(_all)

    with pytest.raises(DeniedError, match=r"list nodes: Forbidden.*list pods: Forbidden") as caught:
        watching(kubeconfig, act)
    assert caught.value.code == "Forbidden"


def test_what_ended_it_is_named_as_it_was(server, kubeconfig):
    server.faults.append(Fault(pattern="/v1/nodes", status=400, reason="BadRequest"))
    server.faults.append(Fault(pattern="/v1/pods", status=404, reason="NotFound"))
    with pytest.raises(CloudError, match=r"list nodes: BadRequest.*list pods: NotFound") as caught:
        watching(kubeconfig, lambda watched: watched.until(_all))
    assert "Forbidden" not in str(caught.value)


def test_the_command_shows_it_again_and_ends_at_an_interrupt(server, kubeconfig):
    first, _ = fill(server)
    arguments = ["cluster", "--kubeconfig", kubeconfig, "--no-aws", "--watch", "-o", "text"]
    command = Process(
        *("-c", INTERRUPTIBLE, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        lines = iter(command.stdout.readline, "")
        assert next(lines).startswith("--- 2")
        assert next(lines) == "2 nodes, 6 pods in need of an address\n"
        server.state.put(PODS, pod_document("late", node=first))
        assert "2 nodes, 7 pods in need of an address, 1 without one\n" in lines
        command.send_signal(signal.SIGINT)
        assert command.wait(SOON_S) == 130
        assert command.stderr.read() == ""
    finally:
        command.kill()
        command.communicate()


def test_what_is_watched_is_read_at_once(server, kubeconfig):
    """A line that is shorter than a buffer came with a later one."""
    server.state.put(NODES, node_document("n", instance_type="m5.large", max_pods=29))
    arguments = ["cluster", "--kubeconfig", kubeconfig, "--no-aws", "--watch", "--json"]
    environ = {key: text for key, text in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = Process("-m", "ipam_core", *arguments, stdout=subprocess.PIPE, env=environ)
    try:
        ready, _, _ = select.select([command.stdout], [], [], SOON_S)
        assert ready
    finally:
        command.kill()
        command.communicate()


def test_json_is_one_line_for_each_time(server, kubeconfig):
    fill(server)
    arguments = ["cluster", "--kubeconfig", kubeconfig, "--no-aws", "--watch", "--json"]
    command = Process("-m", "ipam_core", *arguments, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(command.stdout.readline())["counts"]["nodes"] == 2
    finally:
        command.kill()
        command.communicate()


def test_subnets_are_read_next_to_the_watch(monkeypatch):
    """EC2 may take a minute: the watch goes on, and shows what is known until then."""
    monkeypatch.setattr(cluster_command, "AWS_EVERY_S", 0.0)
    go_on = threading.Event()
    missing = iter(("first", "second"))

    def read(_):
        said = next(missing)
        if said == "second":
            assert go_on.wait(SOON_S)
        return [], [said]

    async def run():
        reader = cluster_command._Reader(Judge(None), read)
        reading = ClusterReading()
        shown = [(await reader.overview(reading)).unread]
        shown.append((await reader.overview(reading)).unread)  # while EC2 is still asked
        go_on.set()
        await reader._under_way
        monkeypatch.setattr(cluster_command, "AWS_EVERY_S", 600.0)
        shown.append((await reader.overview(reading)).unread)
        return shown

    assert asyncio.run(run()) == [("first",), ("first",), ("second",)]
