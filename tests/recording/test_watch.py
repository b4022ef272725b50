"""A cluster that is watched: what is written of its pods, over HTTP, whatever goes wrong."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipam_core.errors import DeniedError, UnreachableError
from ipam_core.k8s.access import Access
from ipam_core.k8s.client import NODES, PODS, Client
from ipam_core.k8s.connection import Connection
from ipam_core.k8s.follow import LISTED, LISTING, SYNCED, Followed
from ipam_core.recording import watch
from ipam_core.recording.output import Recording
from ipam_core.recording.watch import PodTracker, record
from ipam_core.simulation.fleet.pod_events import read_events
from ipam_core.testing.kubernetes import Fault, KubernetesServer, node_document, pod_document
from ipam_core.units import NS
from support.commands import called
from support.kube import with_token
from support.python import Process

PROGRAM = Path(sys.executable).parent / "ipam-core"
T0 = 1_780_000_000.0


class Clock:
    def __init__(self):
        self.now_s = T0

    def __call__(self):
        return self.now_s


def at(time_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 + time_s))


def pod(name, node="n1", *, created=-50, **options):
    return pod_document(name, node=node, created=at(created), **options)


def node(name):
    return node_document(name, instance_type="m5.large", max_pods=29)


@pytest.fixture
def followed(tmp_path):
    """Give a function that tells a tracker, and one that returns what was written."""
    path = tmp_path / "pods.csv"
    clock = Clock()
    recording = Recording.open(path, now_s=T0)
    tracker = PodTracker(recording, clock=clock)

    class Told:
        def __call__(self, time_s, kind, *items, what="pod"):
            clock.now_s = T0 + time_s
            for item in items or ({},):
                getattr(tracker, what)(Followed(kind, item))

        def list(self, time_s, *pods, what="pod"):
            self(time_s, LISTING, what=what)
            if pods:
                self(time_s, LISTED, *pods, what=what)
            self(time_s, SYNCED, what=what)

        def rows(self):
            tracker.flush()
            return [
                (each.time_ns / NS, each.pod.removeprefix("default/"), each.node, each.add)
                for each in read_events(path, "here")
            ]

        @property
        def tracker(self):
            return tracker

        def restart(self, time_s):
            nonlocal recording, tracker
            tracker.flush()
            recording.close()
            recording = Recording.open(path, now_s=T0 + time_s)
            tracker = PodTracker(recording, clock=clock)

    yield Told()
    recording.close()


# --- what is written of what happens ------------------------------------------------------


def test_a_pod_comes_with_its_node_and_goes_when_it_ends_or_is_deleted(followed):
    followed.list(0, pod("there"), pod("job", phase="Succeeded"), pod("host", host_network=True))
    followed(1, "ADDED", pod("waits", node="", created=1))
    followed(2, "MODIFIED", pod("waits", node="n2", created=1))
    followed(3, "MODIFIED", pod("waits", node="n2", created=1, address="10.0.0.9"))
    followed(4, "ADDED", pod("host-2", host_network=True, created=4))
    followed(5, "MODIFIED", pod("there", phase="Failed", created=5))
    followed(6, "DELETED", pod("there", phase="Failed"))
    followed(7, "DELETED", pod("waits", node="n2"))
    assert followed.rows() == [
        (0, "there", "n1", True),
        (2, "waits", "n2", True),
        (5, "there", "n1", False),
        (7, "waits", "n2", False),
    ]


def test_a_new_list_says_who_went_who_came_and_who_is_another(followed):
    """After 410 Gone: what happened meanwhile is only seen in the new list."""
    followed.list(0, pod("stays"), pod("goes"), pod("db-0"))
    followed.list(100, pod("stays"), pod("db-0", node="n2", created=60), pod("comes", created=70))
    assert followed.rows() == [
        (0, "stays", "n1", True),
        (0, "goes", "n1", True),
        (0, "db-0", "n1", True),
        (60, "db-0", "n1", False),
        (60, "db-0", "n2", True),
        (70, "comes", "n1", True),
        (100, "goes", "n1", False),
    ]


def test_a_list_that_begins_again_forgets_its_first_pages(followed):
    followed(0, LISTING)
    followed(0, LISTED, pod("old"))
    followed.list(0, pod("new"))
    assert followed.rows() == [(0, "new", "n1", True)]


def test_pods_go_with_their_node_and_do_not_come_back_to_one_that_has_gone(followed):
    followed.list(0, node("n1"), node("n2"), what="node")
    followed.list(0, pod("a"), pod("b", node="n2"))
    followed(10, "DELETED", node("n1"), what="node")
    followed(11, "MODIFIED", pod("a", created=-50))
    followed(12, "ADDED", pod("c", created=12))
    followed.list(13, pod("a"), pod("b", node="n2"), pod("c", created=12))
    followed.list(20, node("n2"), what="node")
    followed(21, "ADDED", node("n1"), what="node")
    followed(22, "ADDED", pod("d", created=22))
    followed.list(30, node("n1"), what="node")  # n2 went while nobody watched
    assert followed.rows() == [
        (0, "a", "n1", True),
        (0, "b", "n2", True),
        (10, "a", "n1", False),
        (22, "d", "n1", True),
        (30, "b", "n2", False),
    ]


def test_pods_that_come_while_nodes_are_listed_are_there(followed):
    """A node that the list has not named yet has not gone."""
    followed.list(0, node("n1"), what="node")
    followed.list(0, pod("a"))
    followed(10, LISTING, what="node")
    followed(11, "ADDED", pod("b", created=11))
    followed(12, LISTED, node("n1"), what="node")
    followed(12, SYNCED, what="node")
    followed(13, "DELETED", node("n1"), what="node")
    assert [(time_s, name, add) for time_s, name, _, add in followed.rows()] == [
        (0, "a", True),
        (11, "b", True),
        (13, "a", False),
        (13, "b", False),
    ]


def test_nodes_that_went_are_forgotten_once_their_pods_objects_have(followed):
    """A recorder that runs for months on an autoscaled cluster holds what is there."""
    for number in range(50):
        name = f"n{number}"
        followed(number, "ADDED", node(name), what="node")
        followed(number, "ADDED", pod(f"p{number}", node=name, created=number))
        followed(number + 0.5, "DELETED", node(name), what="node")
    for number in range(1, 50):
        followed(60, "DELETED", pod(f"p{number}", node=f"n{number}", created=number))
    followed(60, "MODIFIED", pod("late", node="n1", created=60))  # the pods' watch may be behind
    n_rows = len(followed.rows())
    followed(60, "DELETED", pod("late", node="n1", created=60))
    followed.tracker.flush()
    followed(watch.GONE_S + 60, "ADDED", pod("p0", node="n0", created=0))  # its object stays
    followed.tracker.flush()
    tracker = followed.tracker
    assert set(tracker._gone_nodes) == {"n0"}
    assert (tracker._on_node, tracker._nodes, tracker._nodes_before) == ({}, set(), set())
    followed.list(watch.GONE_S + 70)
    followed.tracker.flush()
    assert tracker._gone_nodes == {}
    assert len(followed.rows()) == n_rows == 100


def test_times_of_kubernetes_are_taken_where_news_are_late_and_never_backwards(followed):
    followed.list(0)
    followed(40, "ADDED", pod("late", created=10))
    followed(41, "ADDED", pod("now", created=39))
    followed(50.5, "ADDED", pod("short", created=50))
    # Its last container ended at 50, in whole seconds; it was seen at 50.5.
    followed(58, "MODIFIED", pod("short", phase="Succeeded", created=50))
    assert followed.rows() == [
        (10, "late", "n1", True),
        (41, "now", "n1", True),
        (50.5, "short", "n1", True),
        (50.5, "short", "n1", False),
    ]


def test_a_recording_that_goes_on_compares_its_pods_with_those_that_are_there(followed):
    followed.list(0, pod("stays"), pod("goes"), pod("db-0"))
    followed.restart(500)
    followed.list(500, pod("stays"), pod("db-0", created=300), pod("new", created=400))
    assert followed.rows()[3:] == [
        (300, "db-0", "n1", False),
        (300, "db-0", "n1", True),
        (400, "new", "n1", True),
        (500, "goes", "n1", False),
    ]


def test_an_object_without_a_name_is_passed_over(followed, caplog):
    followed.list(0, {"metadata": {}}, pod("a"))
    followed(1, "ADDED", {"metadata": {}}, what="node")
    assert followed.rows() == [(0, "a", "n1", True)]
    assert "passed over: a pod without a name" in caplog.text


# --- over HTTP ----------------------------------------------------------------------------


@pytest.fixture
def server():
    with KubernetesServer() as served:
        served.state.put(NODES, node("n1"))
        served.state.put_all(PODS, [pod("a"), pod("b")])
        yield served


@pytest.fixture
def kubeconfig(server, tmp_path):
    return server.write_kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "FLUSH_S", 0.02)
    monkeypatch.setattr("ipam_core.k8s.follow.FIRST_PAUSE_S", 0.02)


def recorded(path, kubeconfig, *steps, **options):
    """Record while the steps are done, each when what is before it was written.

    A step is what to do, and the number of events that then are in the file. Return the events.
    """
    failures = []

    async def run():
        async with Connection(Access(kubeconfigs=(kubeconfig,))) as connection:
            with Recording.open(path, now_s=time.time(), hashed=options.get("hashed")) as recording:
                task = asyncio.ensure_future(
                    record(
                        Client(connection, page_size=2),
                        recording,
                        since=recording.since,
                        on_failure=failures.append,
                    )
                )
                try:
                    for act, n_events in steps:
                        act()
                        for _ in range(500):
                            if recording.n_events >= n_events or task.done():
                                break
                            await asyncio.sleep(0.01)
                        assert task.done() or recording.n_events == n_events
                finally:
                    task.cancel()
                    since = await task
                    recording.end(since)

    asyncio.run(run())
    events = [(each.pod.removeprefix("default/"), each.add) for each in read_events(path, "here")]
    return events, failures


def nothing():
    pass


def whole(out):
    """Return lines as they were before they were wrapped."""
    return out.replace("\n  ", " ")


def test_pods_are_written_as_they_come_and_go(server, kubeconfig, tmp_path):
    events, failures = recorded(
        tmp_path / "pods.csv",
        kubeconfig,
        (nothing, 2),
        (lambda: server.state.put(PODS, pod("c")), 3),
        (lambda: server.state.remove(PODS, "a", "default"), 4),
        (lambda: server.state.remove(NODES, "n1"), 6),
    )
    assert events == [
        ("a", True),
        ("b", True),
        ("c", True),
        ("a", False),
        ("b", False),
        ("c", False),
    ]
    assert not failures


def test_410_gone_is_a_new_list(server, kubeconfig, tmp_path):
    def lose():
        # The watch is cut off, and what changed meanwhile is forgotten.
        server.faults.append(Fault(pattern="watch=true.*", times=2, late_s=0.05))
        server.state.put(PODS, pod("c"))
        server.state.remove(PODS, "a", "default")
        server.state.compact()

    events, _ = recorded(tmp_path / "pods.csv", kubeconfig, (nothing, 2), (lose, 4))
    assert sorted(events[2:]) == [("a", False), ("c", True)]


def test_a_server_that_goes_down_in_the_middle_is_asked_again(server, kubeconfig, tmp_path):
    server.faults.append(Fault(pattern="pods.*watch=true", status=500, times=2))
    server.faults.append(Fault(pattern="pods.*watch=true", times=2))  # no answer at all
    events, failures = recorded(
        tmp_path / "pods.csv",
        kubeconfig,
        (nothing, 2),
        (lambda: server.state.put(PODS, pod("c")), 3),
    )
    assert events[2:] == [("c", True)]
    assert [type(each) for each in failures] == [UnreachableError] * 4


def test_an_orderly_end_goes_on_without_a_list_and_misses_nothing(server, kubeconfig, tmp_path):
    path = tmp_path / "pods.csv"
    recorded(path, kubeconfig, (nothing, 2))
    server.state.put(PODS, pod("short"))
    server.state.remove(PODS, "short", "default")  # it came and went while nobody watched
    server.state.remove(PODS, "b", "default")
    server.asked.clear()
    events, _ = recorded(path, kubeconfig, (nothing, 5))
    assert events[2:] == [("short", True), ("short", False), ("b", False)]
    lists = [each for each in server.asked if each.path.endswith("/pods") and "limit" in each.query]
    assert lists == []
    # And where the server has forgotten what changed since then, it is a list.
    server.state.put(PODS, pod("d"))
    server.state.compact()
    events, _ = recorded(path, kubeconfig, (nothing, 6))
    assert events[5:] == [("d", True)]


def test_without_the_right_to_read_nodes_pods_are_recorded(server, kubeconfig, tmp_path):
    server.faults.append(Fault(pattern="/nodes", status=403, reason="Forbidden"))
    events, failures = recorded(
        tmp_path / "pods.csv",
        kubeconfig,
        (nothing, 2),
        (lambda: server.state.put(PODS, pod("c")), 3),
    )
    assert len(events) == 3
    assert [type(each) for each in failures] == [DeniedError]


def test_a_token_that_has_expired_is_read_anew_for_a_watch_too(server, kubeconfig, tmp_path):
    """A token of EKS lives for 15 minutes, and a watch goes on with a new request."""
    server.faults.append(Fault(pattern="watch=true", status=401, times=2))  # pods and nodes
    events, failures = recorded(
        tmp_path / "pods.csv",
        kubeconfig,
        (nothing, 2),
        (lambda: server.state.put(PODS, pod("c")), 3),
        (lambda: server.state.remove(NODES, "n1"), 6),
    )
    assert len(events) == 6
    assert failures == []


# --- the command --------------------------------------------------------------------------


def test_the_command_records_for_a_time_and_goes_on(server, kubeconfig, tmp_path, capsys):
    path = tmp_path / "pods.csv"
    arguments = ("record", path, "--kubeconfig", kubeconfig, "--for", "0.2s")
    status, out, err = called(capsys, *arguments)
    assert (status, err) == (0, "")
    begin, end = whole(out).splitlines()
    assert "2 pods with addresses are there now" in begin
    assert "2 events from" in end
    server.state.put(PODS, pod("c"))
    status, out, _ = called(capsys, *arguments, "--json")
    assert (status, json.loads(out)["events"]) == (0, 3)
    status, out, _ = called(capsys, *arguments, "--hash-names")
    assert status == 2


@pytest.mark.parametrize(("by", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_and_all_is_written(server, kubeconfig, tmp_path, by, status):
    path = tmp_path / "pods.csv"
    process = Process(
        *(PROGRAM, "record", path, "--kubeconfig", kubeconfig),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline()
        assert process.stdout.readline()
        server.state.put(PODS, pod("c"))
        time.sleep(0.1)
        process.send_signal(by)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (status, "")
    assert "3 events" in whole(out)
    assert len(read_events(path, "here")) == 3


def test_a_killed_one_goes_on(server, kubeconfig, tmp_path):
    path = tmp_path / "pods.csv"
    arguments = [PROGRAM, "record", path, "--kubeconfig", kubeconfig]
    with Process(*arguments, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        deadline = time.monotonic() + 20
        while len(read_events(path, "here")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    server.state.remove(PODS, "a", "default")
    events, _ = recorded(path, kubeconfig, (nothing, 3))
    assert events == [("a", True), ("b", True), ("a", False)]


def test_an_end_before_the_first_list_leaves_no_recording(server, kubeconfig, tmp_path, capsys):
    path = tmp_path / "pods.csv"
    arguments = ("record", path, "--kubeconfig", kubeconfig, "--for", "0.5s")
    server.faults.append(Fault(pattern="/pods", status=500))
    status, out, err = called(capsys, *arguments, "--json")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == (
        "ipam-core: the end came before the first list of the pods: nothing is recorded"
    )
    assert list(tmp_path.glob("pods.csv*")) == []
    server.faults.clear()
    assert called(capsys, *arguments)[0] == 0
    before = path.read_bytes()
    server.faults.append(Fault(pattern="/pods", status=500))
    assert called(capsys, *arguments)[0] == 0  # one that goes on stays
    assert path.read_bytes() == before


def test_what_the_server_refuses_is_one_line(server, kubeconfig, tmp_path, capsys):
    path = tmp_path / "pods.csv"
    arguments = ("record", path, "--kubeconfig", kubeconfig, "--for", "5s")
    server.faults.append(Fault(pattern="/pods", status=403, reason="Forbidden", message="no pods"))
    status, _, err = called(capsys, *arguments)
    assert status == 2
    assert err.startswith("ipam-core: list pods: Forbidden: no pods")
    assert err.count("\n") == 1
    assert list(tmp_path.glob("pods.csv*")) == []  # a next one begins when it begins
    server.faults.clear()
    # The token expires in the middle: what was seen stays.
    server.faults.append(Fault(pattern="watch=true", status=401))
    status, out, err = called(capsys, *arguments)
    assert status == 1
    assert "watch pods: Unauthorized: the credentials have expired" in err
    assert "what was seen until then is written" in err
    assert "2 events" in whole(out)
    with_token(kubeconfig, "old")
    server.faults.clear()
    status, _, err = called(capsys, *arguments)
    assert status == 2
    assert "list pods: Unauthorized" in err
