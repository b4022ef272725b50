"""`ipam-core pods` speaks as the kubelet, the runtime and the plugin do."""

import itertools
import json
import re
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from ipam_core.agent.kubelet import Kubelet
from ipam_core.agent.pod_book import PodBook
from ipam_core.agent.protocol.client import Client
from ipam_core.cli._app import run
from ipam_core.errors import InputError
from support.plugin_backend import Pool, serving


@pytest.fixture
def folder():
    """A short one: a socket's path has 108 bytes at most."""
    path = Path(tempfile.mkdtemp(prefix="pods-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def pool(folder):
    with serving(Pool(4), folder / "ipamd.sock") as pool:
        yield pool


@pytest.fixture
def pods(folder, capsys):
    """Run `ipam-core pods` on the pool's socket; return its status and what it printed."""

    def call(*arguments):
        status = run(["pods", *map(str, arguments), "--socket", str(folder / "ipamd.sock")])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if "--json" in arguments else printed.out

    return call


def kinds(pool):
    """Return what each pod asked, in order."""
    found = defaultdict(list)
    for what, pod, _ in pool.requests:
        found[pod].append(what)
    return found


def test_pods_that_get_addresses_are_told_and_remembered(pods, pool):
    status, said = pods("add", 3)
    assert status == 0
    assert "3 pods got an address: default/pod-1 to 3\n" in said
    _, listed = pods("list", "--json")
    assert {pod["address"] for pod in listed["pods"]} == set(pool.held.values())
    assert [pod["pod"] for pod in listed["pods"]] == [f"default/pod-{n}" for n in (1, 2, 3)]
    assert all(pod["device"] == 1 for pod in listed["pods"])


def test_a_pod_that_is_refused_tries_again_with_a_new_sandbox_each_time(pods, pool):
    status, said = pods("add", 6, "--at-once", 4, "--wait", "1.2", "--backoff", "0.4", "--json")
    assert status == 1
    assert (len(said["served"]), len(said["waiting"])) == (4, 2)
    waiting = {one["pod"].removeprefix("default/") for one in said["waiting"]}
    for pod in waiting:
        asked = kinds(pool)[pod]
        assert asked == ["ADD", "DEL"] * (len(asked) // 2)
        assert len(asked) >= 4
    sandboxes = Counter(sandbox for what, _, sandbox in pool.requests if what == "ADD")
    assert set(sandboxes.values()) == {1}
    assert all(re.fullmatch("[0-9a-f]{64}", sandbox) for sandbox in sandboxes)
    dels = [sandbox for what, _, sandbox in pool.requests if what == "DEL"]
    assert set(dels) <= set(sandboxes)
    assert all(one["error"].startswith("failed to assign") for one in said["waiting"])


def test_the_back_off_is_the_kubelets(folder, pool):
    """10 to 15 s between two tries of a pod; the clock is turned, nothing is waited for."""
    pool.free.clear()
    now_s, waits_s = [0.0], []

    def sleep(seconds):
        waits_s.append(seconds)
        now_s[0] += seconds

    with (
        PodBook() as book,
        Client(folder / "ipamd.sock") as client,
        Kubelet(client, book, clock=lambda: now_s[0], sleep=sleep, seed=1) as kubelet,
    ):
        pods = book.add(1, name="a", namespace="x", now=0)
        (one,) = kubelet.start(pods, patience_s=600).waiting
    assert all(10 <= wait_s <= 15 for wait_s in waits_s)
    assert max(waits_s) - min(waits_s) > 3
    assert one.n_tries == len(waits_s) + 1
    assert 40 <= one.n_tries <= 61
    assert 585 <= one.waited_s <= 600


def test_a_pod_that_waits_goes_on_later(pods, pool):
    assert pods("add", 5, "--wait", 0)[0] == 1
    assert pods("retry", "--wait", 0)[0] == 1
    pool.give_more(1)
    status, said = pods("retry", "--wait", 0, "--json")
    assert status == 0
    assert [one["pod"] for one in said["served"]] == ["default/pod-5"]
    assert pods("retry")[1] == "no pod to act on\n"


def test_a_pod_that_waits_gets_its_address_within_the_command(pods, pool):
    threading.Timer(0.4, pool.give_more, [1]).start()
    status, said = pods("add", 5, "--wait", 10, "--backoff", "0.2", "--json")
    assert (status, said["waiting"]) == (0, [])
    assert max(one["tries"] for one in said["served"]) > 1


def test_pods_end_by_name_by_count_and_all(pods, pool):
    pods("add", 4)
    status, said = pods("delete", "pod-2", "default/pod-4")
    assert (status, len(pool.held)) == (0, 2)
    assert "2 sandboxes ended" in said
    assert pods("delete", "--count", 1)[0] == 0
    _, listed = pods("list", "--json")
    assert [pod["pod"] for pod in listed["pods"]] == ["default/pod-3"]
    assert pods("add", 1, "--json")[1]["served"][0]["pod"] == "default/pod-4"  # numbered on
    assert pods("delete", "--all")[0] == 0
    assert pool.held == {}
    assert pods("list")[1] == "0 with an address, 0 waiting\n"


def test_a_reply_that_is_lost_leaves_no_address_behind(pods, pool):
    pool.loses_replies = 1
    status, said = pods("add", 1, "--wait", 2, "--backoff", "0.1", "--json")
    assert (status, said["served"][0]["tries"]) == (0, 2)
    assert len(pool.held) == 1


def test_what_an_agent_that_is_away_does_not_release_is_released_later(pods, pool):
    pods("add", 2)
    pool.down = True
    status, said = pods("delete", "pod-1")
    assert status == 1
    assert "1 not ended: UNAVAILABLE: not ready" in said
    assert len(pool.held) == 2
    assert len(pods("list", "--json")[1]["pods"]) == 1
    pool.down = False
    status, said = pods("delete", "pod-2", "--json")
    assert (status, said["ended"], pool.held) == (0, 2, {})


def test_a_killed_generator_leaves_nothing_that_the_next_cannot_end(folder, pool):
    """The sandbox is noted before the agent is asked."""
    path = folder / "ipamd.sock.pods"
    with Client(folder / "ipamd.sock") as client:
        with PodBook(path) as book, Kubelet(client, book, at_once=1) as kubelet:
            pods = book.add(1, name="pod", namespace="default", now=0)
            book.serve = lambda *_: None  # killed between the reply and the note
            kubelet.start(pods, patience_s=0)
        assert len(pool.held) == 1
        with PodBook(path) as book, Kubelet(client, book) as kubelet:
            assert kubelet.end([]).ended == 1
    assert pool.held == {}


def test_a_rolling_update_replaces_some_at_a_time_and_never_has_fewer(pods, pool):
    pool.give_more(2)  # 6 addresses, 4 pods: two surge
    pods("add", 4)
    status, said = pods("roll", "--surge", 2, "--wait", 0, "--json")
    assert (status, said["ended"], len(said["served"])) == (0, 4, 4)
    assert pool.left == [5, 4, 5, 4]
    assert [pod["pod"] for pod in pods("list", "--json")[1]["pods"]] == [
        f"default/pod-{n}" for n in range(5, 9)
    ]


def test_a_rolling_update_stops_where_new_pods_wait(pods, pool):
    pods("add", 4)
    status, said = pods("roll", "--surge", 1, "--wait", 0)
    assert status == 1
    assert "1 pod waits: default/pod-5; 1 try" in said
    assert len(pool.held) == 4


def test_a_storm_says_how_long_requests_took_and_leaves_nothing(pods, pool):
    pool.give_more(60)
    status, said = pods("storm", 40, "--rounds", 2, "--json")
    assert (status, pool.held) == (0, {})
    assert (len(said["served"]), said["ended"]) == (80, 80)
    times = said["requests"]["add"]
    assert times["count"] == 80
    assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["max_ms"]
    assert pods("list", "--json")[1]["pods"] == []


def test_two_generators_at_once_never_name_two_pods_alike(folder):
    with PodBook(folder / "book") as one, PodBook(folder / "book") as other:
        books = itertools.cycle((one, other))
        for _ in range(6):
            next(books).add(2, name="pod", namespace="default", now=0)
        names = [pod.name for pod in one.pods()]
    assert sorted(names, key=lambda name: int(name[4:])) == [f"pod-{n}" for n in range(1, 13)]


# --- bad input --------------------------------------------------------------------------


def refused(capsys, *arguments):
    assert run(["pods", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_no_agent_is_one_line_that_names_the_socket(capsys, folder):
    line = refused(capsys, "add", 1, "--socket", folder / "none.sock")
    assert str(folder / "none.sock") in line
    assert "ipam-core agent --simulate m5.large" in line
    assert refused(capsys, "list", "--socket", folder / "no" / "a.sock").endswith("m5.large")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["delete", "pod-9"], "no pod 'default/pod-9'"),
        (["delete"], "give pods by name, or --count, or --all"),
        (["delete", "pod-1", "--all"], "give pods by name, or --count, or --all"),
        (["add", "0"], "not '0'"),
        (["add", "many"], "many"),
        (["roll", "--name", "web"], "no pod of the name 'web'"),
        (["add", "1", "--name", "Web 1"], "--name is of small letters, digits, '-' and '.'"),
        (["add", "1", "--name", "a" * 241], "at most 240, not 'aaa"),
        (["storm", "1", "--name", ""], "not ''"),
        (["add", "1", "--client-version", "v" * 513], "of at most 512 letters, not 'vvv"),
        (["delete", "--all", "--client-version", "v\n"], r"--client-version is printable"),
        (["add", "1", "-n", "a/b"], "--namespace is of small letters, digits, '-', at most 63"),
        (["storm", "1", "-n", "a" * 64], "at most 63, not 'aaa"),
    ],
)
def test_bad_input_is_one_line_that_quotes_it(pods, pool, folder, capsys, arguments, said):
    assert said in refused(capsys, *arguments, "--socket", folder / "ipamd.sock")
    assert pool.requests == []


def test_a_file_that_is_no_book_is_refused_and_left_as_it_is(folder):
    path = folder / "book"
    path.write_bytes(b"not a database, but somebody's file" * 40)
    with pytest.raises(InputError, match="not a book of pods"):
        PodBook(path)
    assert path.read_bytes().startswith(b"not a database")
