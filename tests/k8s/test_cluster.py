"""`ipam-core cluster`: each node judged, and what cannot be read named."""

import json

import pytest
import yaml

from ipam_core.k8s.client import DAEMONSETS, NODES, PODS
from ipam_core.testing.kubernetes import (
    Fault,
    MockCluster,
    MockNodes,
    agent_pod_document,
    daemonset_document,
    node_document,
    pod_document,
    rules_of,
)
from support.commands import called
from support.kube import with_token

STALL = {"MINIMUM_IP_TARGET": "25"}
GOOD = {"WARM_IP_TARGET": "2"}


@pytest.fixture
def cluster(kubeconfig, capsys):
    """Run `ipam-core cluster` on the served API; AWS is left out."""

    def run(*arguments):
        return called(capsys, "cluster", "--kubeconfig", kubeconfig, "--no-aws", *arguments)

    return run


@pytest.fixture
def shown(cluster):
    """Run it for JSON; return the status and what is shown."""

    def run(*arguments):
        status, out, err = cluster("-o", "json", *arguments)
        assert err == ""
        return status, json.loads(out)

    return run


def put(server, *groups, env=GOOD, **options):
    MockCluster(groups=groups, env=env, **options).fill(server)


def group(name="web", instance_type="m5.large", count=1, pods=3, **options):
    return MockNodes(name=name, instance_type=instance_type, count=count, pods=pods, **options)


def states(found):
    return {node["name"].partition(".")[0]: node["state"] for node in found["nodes"]}


def test_a_mock_cluster_takes_instance_ids_as_a_list(server, shown):
    put(server, group(count=2, instance_ids=["i-0aaa", "i-0bbb"]))
    status, found = shown("--metrics")  # what the agents report is kept by group
    assert (status, found["unread"]) == (0, [])


# --- judged -----------------------------------------------------------------------------------


def test_equal_nodes_are_one_line_and_the_worst_is_first(server, cluster):
    put(
        server,
        group(count=20, pods=12),
        group("big", "m8g.4xlarge", pods=25, waiting=1),
        group("idle", "m8g.4xlarge", count=11, pods=14),
        env=STALL,
    )
    status, out, err = cluster()
    assert (status, err) == (1, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:2] == [
        "32 nodes, 420 pods in need of an address, 1 without one",
        "aws-node v1.20.1: MINIMUM_IP_TARGET=25",
    ]
    assert [line.split()[:8] for line in lines[3:8] if not line.startswith("  ")] == [
        ["Nodes", "Type", "Pods", "Most", "ENIs", "Free", "Burst", "State"],
        ["ip-10-0-0-24", "m8g.4xlarge", "26", "234", "1", "0", "0", "stuck:"],
        ["11", "nodes", "m8g.4xlarge", "14", "234", "1", "11", "0"],
        ["20", "nodes", "m5.large", "12", "29", "3", "13", "0"],
    ]
    assert "stalls at pod 26, 1 pod waits" in " ".join(out.split())
    assert "kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET=10" in lines[-3]
    assert lines[-1] == "ipam-core doctor node/ip-10-0-0-24.eu-west-1.compute.internal"
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24


@pytest.mark.parametrize(
    ("name", "instance_type", "said"),
    [
        ("production-platform-" + "7c9f" * 8 + "-node", "m8g.4xlarge", "  stalls at pod 26"),
        ("n" * 63, "type-" + "x" * 50, "  not judged"),
    ],
)
def test_a_long_name_leaves_room_for_the_state(server, cluster, name, instance_type, said):
    """The state was broken into pieces of a few letters, of 80 columns."""
    put(server, group("big", "m8g.4xlarge", pods=25, waiting=1), env=STALL)
    server.state.put(NODES, node_document(name, instance_type=instance_type, max_pods=234))
    server.state.put(PODS, agent_pod_document(name, suffix="long"))
    for number in range(25):
        pod = pod_document(f"on-long-{number}", node=name, address=f"10.9.0.{number}")
        server.state.put(PODS, pod)
    _, out, _ = cluster()
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = (line for line in lines if line.startswith(name[:5]))
    assert " ... " in row
    assert row.rstrip().endswith(said)
    assert "-o wide shows names that are cut here." in lines
    assert name in cluster("-o", "wide")[1]


def test_a_cluster_without_a_fault_is_fine(server, cluster, shown):
    put(server, group(count=3), group("big", "m8g.4xlarge", count=2, pods=40))
    status, found = shown()
    assert status == 0
    assert set(states(found).values()) == {"fine"}
    assert (found["complete"], found["problem"], found["unread"]) == (True, False, [])
    assert found["counts"] == {
        "nodes": 5,
        "other_nodes": {},
        "pods": 89,
        "waiting": 0,
        "unscheduled": 0,
        "states": {"fine": 5},
    }
    node = next(each for each in found["nodes"] if each["instance_type"] == "m8g.4xlarge")
    assert node["pool"] == {"from": "model", "enis": 2, "addresses": 42, "free": 2}
    assert (node["stalls_at"], node["burst"], node["pods"]) == (None, 2, 40)
    status, out, _ = cluster()
    assert status == 0
    assert "doctor" not in out


def test_yaml_says_what_json_says_and_wide_has_a_line_for_each_node(server, cluster, shown):
    put(server, group(count=3), group("big", "m8g.4xlarge", pods=40, waiting=2), env=STALL)
    _, found = shown()
    status, out, _ = cluster("-o", "yaml")
    ages = {node["name"]: node.pop("longest_wait_s") for node in found["nodes"]}
    again = yaml.safe_load(out)
    assert status == 1
    assert {n["name"]: n.pop("longest_wait_s") for n in again["nodes"]}.keys() == ages.keys()
    assert again == found
    _, out, _ = cluster("-o", "wide")
    rows = [line.split() for line in out.splitlines() if line.startswith("ip-")]
    assert [row[0] for row in rows] == [node["name"] for node in found["nodes"]]
    assert rows[0][1:12] == [
        *("stuck", "m8g.4xlarge", "eu-west-1a", "big", "v1.20.1"),
        *("42", "234", "2", "1", "25", "0*"),
    ]


def test_only_pods_that_need_an_address_of_the_pool_count(server, shown):
    put(server, group(pods=3))
    name = server.state.page(NODES, "", lambda *_: True)[0][0].fields["metadata.name"]
    server.state.put(PODS, pod_document("host", node=name, host_network=True))
    server.state.put(PODS, pod_document("done", node=name, phase="Succeeded"))
    server.state.put(PODS, pod_document("failed", node=name, phase="Failed"))
    server.state.put(PODS, pod_document("nowhere", phase="Pending"))
    limits = {"vpc.amazonaws.com/pod-eni": "1"}
    server.state.put(PODS, pod_document("branch", node=name, limits=limits))
    _, found = shown()
    (node,) = found["nodes"]
    assert (node["pods"], node["host_network_pods"], node["branch_eni_pods"]) == (3, 3, 1)
    assert found["counts"]["unscheduled"] == 1


def test_a_stall_that_host_network_pods_keep_away_is_none(server, shown):
    """27 pods fit, two of them without an address: pod 26 never asks."""
    put(server, group("big", "m8g.4xlarge", pods=3, max_pods=28), env=STALL)
    assert shown()[1]["nodes"][0]["stalls_at"] == 26
    name = server.state.page(NODES, "", lambda *_: True)[0][0].fields["metadata.name"]
    server.state.put(PODS, pod_document("host", node=name, host_network=True))
    status, found = shown()
    assert status == 0
    assert states(found) == {"ip-10-0-0-4": "fine"}


def test_pods_that_wait_for_long_are_a_problem_without_a_stall(server, shown):
    put(server, group(pods=3, waiting=1))
    status, found = shown()
    assert status == 1
    (node,) = found["nodes"]
    assert node["state"] == "waiting"
    assert node["why"].startswith("1 pod waits for ")
    assert node["longest_wait_s"] > 120
    put(server, group(pods=3, waiting=1), created="2999-01-01T00:00:00Z")
    assert shown()[0] == 0


def test_a_node_without_its_agent_is_stuck(server, shown):
    put(server, group(count=3))
    server.state.remove(PODS, "aws-node-00000", "kube-system")
    crashed = server.state.document(PODS, "aws-node-00001", "kube-system")
    crashed["status"]["phase"] = "Pending"
    server.state.put(PODS, crashed)
    status, found = shown()
    assert status == 1
    assert [node["why"] for node in found["nodes"]] == [
        "there is no pod aws-node",
        "aws-node is Pending",
        None,
    ]
    # One that joins has none yet.
    joining = node_document("new", instance_type="m5.large", max_pods=29, ready=False)
    server.state.put(NODES, joining)
    assert states(shown()[1])["new"] == "unknown"


def test_nodes_that_run_no_agent_are_counted_apart(server, shown):
    put(server, group())
    for name, label in (
        ("f", {"eks.amazonaws.com/compute-type": "fargate"}),
        ("w", {"kubernetes.io/os": "windows"}),
    ):
        server.state.put(
            NODES, node_document(name, instance_type="m5.large", max_pods=10, labels=label)
        )
    status, found = shown()
    assert status == 0
    assert found["counts"]["other_nodes"] == {"fargate": 1, "windows": 1}
    assert found["counts"]["nodes"] == 1


def test_an_unknown_type_is_named_and_can_be_given(server, shown, tmp_path):
    put(server, group(count=2))
    for name in ("x-1", "x-2"):
        server.state.put(NODES, node_document(name, instance_type="x9.huge", max_pods=50))
        server.state.put(PODS, agent_pod_document(name, suffix=name))
    status, found = shown()
    assert status == 0
    assert [each.partition(";")[0] for each in found["unread"]] == [
        "not judged: unknown instance type 'x9.huge'"
    ]
    assert states(found)["x-1"] == "unknown"
    card = {"NetworkCardIndex": 0, "MaximumNetworkInterfaces": 4}
    described = tmp_path / "types.json"
    described.write_text(
        json.dumps(
            {
                "InstanceTypes": [
                    {
                        "InstanceType": "x9.huge",
                        "Hypervisor": "nitro",
                        "BareMetal": False,
                        "VCpuInfo": {"DefaultVCpus": 8},
                        "NetworkInfo": {
                            "MaximumNetworkInterfaces": 4,
                            "Ipv4AddressesPerInterface": 15,
                            "MaximumNetworkCards": 1,
                            "DefaultNetworkCardIndex": 0,
                            "NetworkCards": [card],
                        },
                    }
                ]
            }
        )
    )
    _, found = shown("--instance-types", described)
    assert states(found)["x-1"] == "fine"


def test_a_node_is_judged_by_the_settings_of_its_own_agent(server, cluster, shown):
    """A rollout under way: the DaemonSet is fixed already, one node still has the old pod."""
    put(server, group("big", "m8g.4xlarge", count=3, pods=20), env=STALL, version="v1.19.0")
    server.state.put(DAEMONSETS, daemonset_document(GOOD, version="v1.20.1"))
    for number in (0, 1):
        node = f"ip-10-0-0-{number + 4}.eu-west-1.compute.internal"
        new = {"env": GOOD, "version": "v1.20.1", "revision": "new"}
        server.state.put(PODS, agent_pod_document(node, suffix=f"{number:05x}", **new))
    status, found = shown()
    assert status == 1
    assert states(found) == {
        "ip-10-0-0-6": "will be stuck",
        "ip-10-0-0-4": "fine",
        "ip-10-0-0-5": "fine",
    }
    assert "Still on another version: 1 node with v1.19.0" in cluster()[1]


def test_a_setting_that_is_kept_elsewhere_is_named(server, cluster):
    put(server, group())
    document = server.state.document(DAEMONSETS, "aws-node", "kube-system")
    (container,) = document["spec"]["template"]["spec"]["containers"]
    source = {"configMapKeyRef": {"name": "amazon-vpc-cni", "key": "warm"}}
    container["env"].append({"name": "WARM_ENI_TARGET", "valueFrom": source})
    server.state.put(DAEMONSETS, document)
    assert "WARM_ENI_TARGET is kept elsewhere, and taken as unset" in cluster()[1]


# --- what the agents tell ---------------------------------------------------------------------


def test_metrics_come_before_the_model(server, shown):
    put(server, group("big", "m8g.4xlarge", pods=40))
    told = (
        b"awscni_eni_allocated 3\nawscni_total_ip_addresses 87\nawscni_assigned_ip_addresses 40\n"
    )
    server.serve_pod = lambda *_: told
    (node,) = shown("--metrics")[1]["nodes"]
    assert node["pool"] == {"from": "agent", "enis": 3, "addresses": 87, "free": 47}
    (node,) = shown()[1]["nodes"]
    assert node["pool"]["from"] == "model"


def test_the_introspection_is_asked_where_it_is_shown(server, shown):
    put(server, group("big", "m8g.4xlarge", pods=25, waiting=1), env=STALL, introspection=True)
    (node,) = shown("--metrics")[1]["nodes"]
    assert node["pool"] == {"from": "agent", "enis": 1, "addresses": 25, "free": 0}
    assert node["state"] == "stuck"
    assert [each.route.port for each in server.asked if each.route and each.route.port] == [61679]


def test_each_agent_is_asked_where_its_own_pod_listens(server, shown):
    """A rollout under way that shows the introspection: one node still has the old pod."""
    put(server, group("big", "m8g.4xlarge", count=2, pods=20), introspection=True)
    node = "ip-10-0-0-4.eu-west-1.compute.internal"
    old = agent_pod_document(node, suffix="00000", env=GOOD, revision="old")
    server.state.put(PODS, old)
    _, found = shown("--metrics")
    assert found["unread"] == []
    ports = {each.route.name: each.route.port for each in server.asked if each.route}
    assert ports["aws-node-00000"] == 61678
    assert ports["aws-node-00001"] == 61679


def test_a_pool_with_free_addresses_is_not_stuck_whatever_the_model_says(server, shown):
    put(server, group("big", "m8g.4xlarge", pods=30, waiting=1), env=STALL)
    told = b"awscni_total_ip_addresses 58\nawscni_assigned_ip_addresses 30\n"
    server.serve_pod = lambda *_: told
    (node,) = shown("--metrics")[1]["nodes"]
    assert node["state"] == "waiting"


def test_agents_that_do_not_answer_are_one_line(server, shown):
    put(server, group(count=12))
    usual = server.serve_pod

    def serve(namespace, pod, port, path):
        if pod in ("aws-node-00003", "aws-node-00004"):
            return None
        return b"# nothing" if pod == "aws-node-00005" else usual(namespace, pod, port, path)

    server.serve_pod = serve
    status, found = shown("--metrics")
    assert status == 0
    refused = "error trying to reach service: dial tcp 10.0.0.1:61678: connect: connection refused"
    assert sorted(found["unread"]) == [
        "1 agent did not answer: InvalidReply: no awscni_total_ip_addresses in it",
        f"2 agents did not answer: ServiceUnavailable: {refused}",
    ]
    told = [node["pool"]["from"] for node in found["nodes"]]
    assert (told.count("agent"), told.count("model")) == (9, 3)


def test_a_forbidden_proxy_is_one_line_and_asked_no_more(server, shown):
    put(server, group(count=100))
    rules = [
        {"apiGroups": ["", "apps"], "resources": ["nodes", "pods", "daemonsets"], "verbs": ["*"]}
    ]
    server.rules = rules_of([{"kind": "ClusterRole", "metadata": {}, "rules": rules}])
    status, found = shown("--metrics")
    assert status == 0
    (line,) = found["unread"]
    assert line.startswith("no agent is asked: get pods/aws-node-")
    assert 'cannot get resource "pods/proxy" in API group ""' in line
    assert sum(each.path.endswith("/metrics") for each in server.asked) <= 32
    assert found["nodes"][0]["pool"]["from"] == "model"


def test_agents_are_given_up_after_many_failures(server, shown):
    put(server, group(count=100))
    server.serve_pod = lambda *_: None
    _, found = shown("--metrics")
    n_asked = sum(each.path.endswith("/metrics") for each in server.asked)
    assert 40 <= n_asked <= 72
    assert found["unread"][1] == f"{100 - n_asked} agents not asked, after 40 failures in a row"


# --- what cannot be read ----------------------------------------------------------------------


def test_pods_that_may_not_be_listed_are_named_and_the_rest_is_shown(server, cluster, shown):
    put(server, group(count=2))
    server.faults.append(
        Fault(pattern="/v1/pods", status=403, reason="Forbidden", message="pods is forbidden")
    )
    status, found = shown()
    assert status == 1
    assert found["unread"] == ["pods: list pods: Forbidden: pods is forbidden"]
    assert found["complete"] is False
    assert [node["pool"] for node in found["nodes"]] == [None, None]
    _, out, _ = cluster()
    assert out.startswith("2 nodes, at least 0 pods in need of an address\n")
    assert "  pods: list pods: Forbidden: pods is forbidden" in out


def test_an_api_that_goes_down_in_the_middle_leaves_what_was_read(server, cluster, monkeypatch):
    monkeypatch.setattr("ipam_core.k8s.client.PAGE_SIZE", 10)
    monkeypatch.setattr("ipam_core.k8s.client.Client.__init__.__kwdefaults__", {"page_size": 10})
    put(server, group(count=2, pods=20))
    server.faults.append(Fault(pattern="/pods.*continue=", after=1))
    status, out, err = cluster()
    assert (status, err) == (1, "")
    assert out.startswith("2 nodes, at least ")
    assert "pods: list pods: Unreachable: " in out


def test_a_token_that_expires_in_the_middle_is_one_line(server, kubeconfig, shown):
    put(server, group(count=40))
    usual, n_served = server.serve_pod, []

    def serve(*given):
        n_served.append(given)
        if len(n_served) == 5:
            server.token = "the-next"
        return usual(*given)

    server.serve_pod = serve
    status, found = shown("--metrics")
    assert status == 0
    assert len(found["unread"]) == 1
    assert "Unauthorized: the credentials have expired, or are not valid" in found["unread"][0]
    assert sum(node["pool"]["from"] == "agent" for node in found["nodes"]) >= 5
    with_token(kubeconfig, "the-next")
    assert shown("--metrics")[1]["unread"] == []


def test_no_daemonset_is_named_and_nothing_is_judged(server, shown):
    put(server, group(count=2))
    server.state.remove(DAEMONSETS, "aws-node", "kube-system")
    for number in (0, 1):
        server.state.remove(PODS, f"aws-node-{number:05x}", "kube-system")
    status, found = shown()
    assert status == 1
    assert found["unread"] == [
        'settings: get daemonsets/aws-node: NotFound: daemonsets "aws-node" not found'
    ]
    assert set(states(found).values()) == {"unknown"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"pattern": "", "status": 401}, ": Unauthorized: the credentials have expired"),
        ({"pattern": ""}, "get version: Unreachable: "),
        ({"pattern": "/api", "status": 500, "message": "no leader"}, "no leader"),
    ],
)
def test_a_cluster_that_cannot_be_read_at_all_is_one_line(server, cluster, fault, said):
    put(server, group())
    server.faults.append(Fault(**fault))
    status, out, err = cluster()
    assert (status, out) == (2, "")
    assert err.startswith("ipam-core: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "xml"), "--output 'xml': text, wide, json, yaml"),
        (("--context", "blue"), "No such context blue"),
        (("--endpoint-url", "ftp://x"), "--endpoint-url is http://HOST:PORT, not 'ftp://x'"),
    ],
)
def test_a_wrong_option_is_one_line(cluster, arguments, said):
    status, out, err = cluster(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_without_a_kubeconfig_it_says_where_it_looked(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    status, _, err = called(capsys, "cluster")
    assert status == 2
    assert f"no cluster: no kubeconfig ({tmp_path}/.kube/config)" in err
