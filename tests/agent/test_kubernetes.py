"""What an API server says of a node, and what an agent does without one."""

import json
import logging
import ssl
import time
from contextlib import contextmanager

import pytest
import trustme

from ipam_core.agent.cluster_reader import (
    ClusterConfig,
    ClusterView,
    Kr8sReader,
    ServiceAccountReader,
    eni_config_name,
)
from ipam_core.agent.kubernetes import Kubernetes
from ipam_core.agent.surroundings import ClusterPod
from ipam_core.effects import EniConfig
from ipam_core.errors import CloudError, UnreachableError
from support.servers import serving

NODE = {
    "metadata": {
        "name": "node-1",
        "labels": {"k8s.amazonaws.com/eniConfig": "eu-west-1a", "zone": "blue"},
        "annotations": {},
    },
    "spec": {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]},
    "status": {"capacity": {"pods": "234", "cpu": "16"}},
}
CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def pod(name, **status):
    spec = {"hostNetwork": True} if name == "proxy" else {}
    return {"metadata": {"namespace": "default", "name": name}, "spec": spec, "status": status}


class ApiServer:
    """Answers what the agent asks; `slow_s` makes it late."""

    def __init__(self):
        self.node = json.loads(json.dumps(NODE))
        self.pods = [
            pod("web-1", podIP="10.0.0.7", phase="Running"),
            pod("web-2", phase="Pending"),
            pod("job-1", podIP="10.0.0.9", phase="Succeeded"),
            pod("proxy", podIP="10.0.0.4", phase="Running"),
        ]
        self.eni_configs = {
            "eu-west-1a": {"spec": {"subnet": "subnet-1", "securityGroups": ["sg-1", "sg-2"]}}
        }
        self.asked = []
        self.tokens = set()
        self.slow_s = 0.0
        self.broken = None

    def __call__(self, request):
        if request.path == "/version/":  # kr8s's first request
            request.reply(200, b"{}", headers=[("Content-Type", "application/json")])
            return
        self.asked.append(request.path)
        self.tokens.add(request.headers.get("Authorization"))
        time.sleep(self.slow_s)
        status, found = self.answer(request.path)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        request.reply(status, body, headers=[("Content-Type", "application/json")])

    def answer(self, path):
        if self.broken:
            return self.broken
        where, _, query = path.partition("?")
        if where == "/api/v1/nodes/node-1":
            return 200, self.node
        if where == "/api/v1/pods":
            assert query == "fieldSelector=spec.nodeName%3Dnode-1"
            return 200, {"items": self.pods}
        name = where.removeprefix("/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs/")
        if name in self.eni_configs:
            return 200, self.eni_configs[name]
        return 404, {"message": f"{where} not found"}


@pytest.fixture
def server():
    return ApiServer()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def by_kubeconfig(server, tmp_path):
    """Make readers by a kubeconfig, through kr8s."""
    with serving(server) as url:
        path = tmp_path / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": url}}],
                    "users": [{"name": "u", "user": {"token": "secret-token"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )

        def reader(**options):
            return Kr8sReader(ClusterConfig(node_name="node-1", **options), path)

        yield reader


@pytest.fixture
def account(authority, tmp_path):
    """Return the folder of a service account."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("secret-token\n")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return folder


@pytest.fixture
def by_account(server, authority, account, monkeypatch):
    """Make readers by a service account, over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(server, tls=context) as url:
        host, port = url.removeprefix("https://").split(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)

        def reader(**options):
            return ServiceAccountReader(
                ClusterConfig(node_name="node-1", service_account=account, **options)
            )

        yield reader


@pytest.fixture(params=["by_kubeconfig", "by_account"])
def reader_of(request):
    return request.getfixturevalue(request.param)


@contextmanager
def running(reader, **options):
    kubernetes = Kubernetes(reader, **options)
    kubernetes.start()
    try:
        yield kubernetes
    finally:
        kubernetes.stop()


# --- through kr8s, and by a service account -----------------------------------------------


def test_what_the_api_server_says_is_what_is_known(reader_of, server):
    with running(reader_of(custom_networking=True), patience_s=20) as kubernetes:
        assert kubernetes.max_pods() == 234
        assert kubernetes.unschedulable() is False
        assert kubernetes.eni_config_name() == "eu-west-1a"
        assert kubernetes.eni_config() == EniConfig(
            subnet_id="subnet-1", security_groups=("sg-1", "sg-2")
        )
        assert kubernetes.pods() == (
            ClusterPod(namespace="default", name="web-1", address="10.0.0.7"),
        )
    assert server.tokens == {"Bearer secret-token"}
    assert len(server.asked) == 3  # one read for all of it


def test_a_cordoned_node_and_one_without_its_eni_config(reader_of, server):
    server.node["spec"]["taints"].append(CORDONED)
    server.eni_configs.clear()
    with running(reader_of(custom_networking=True), patience_s=20) as kubernetes:
        assert kubernetes.unschedulable() is True
        with pytest.raises(CloudError, match="no ENIConfig 'eu-west-1a'"):
            kubernetes.eni_config()


def test_news_are_read_when_they_are_asked_for_and_old(reader_of, server):
    options = {"patience_s": 20, "fresh_s": 0}
    with running(reader_of(), **options) as kubernetes:
        assert kubernetes.unschedulable() is False
        n_asked = len(server.asked)
        server.node["spec"]["taints"].append(CORDONED)
        assert kubernetes.unschedulable() is True
        assert len(server.asked) == n_asked + 2  # no ENIConfig without custom networking


def test_an_api_server_that_goes_away_leaves_what_is_known(reader_of, server, caplog):
    caplog.set_level(logging.INFO, "ipam_core.agent.kubernetes")
    options = {"patience_s": 20, "fresh_s": 0}
    with running(reader_of(), **options) as kubernetes:
        assert kubernetes.max_pods() == 234
        server.broken = 500, {"message": "etcd is down"}
        server.node["status"]["capacity"]["pods"] = "29"
        assert kubernetes.max_pods() == 234
        assert kubernetes.max_pods() == 234
        server.broken = None
        assert kubernetes.max_pods() == 29
    said = [record.getMessage() for record in caplog.records if record.name.startswith("ipam_")]
    assert len(said) == 2, "told once, and once when it is back"
    assert "does not answer" in said[0]
    assert said[1] == "Kubernetes answers again"


@pytest.mark.parametrize(
    "broken",
    [(200, b"<html>"), (200, {"items": None}), (403, {"message": "forbidden"}), (200, [])],
    ids=str,
)
def test_an_answer_that_makes_no_sense_is_none(reader_of, server, broken):
    server.broken = broken
    with running(reader_of(), patience_s=20) as kubernetes:
        with pytest.raises(UnreachableError, match=r"Kubernetes: Unreachable: \w+:"):
            kubernetes.unschedulable()
        server.broken = None
        assert kubernetes.unschedulable() is False


def test_a_service_account_is_used_where_there_is_no_kubeconfig(by_account, account, server):
    config = ClusterConfig.from_env({"MY_NODE_NAME": "node-1"}, service_account=account)
    assert config == ClusterConfig(node_name="node-1", service_account=account)
    kubernetes = Kubernetes.of(config)
    kubernetes._patience_s = 20
    kubernetes.start()
    try:
        assert kubernetes.max_pods() == 234
    finally:
        kubernetes.stop()
    assert server.tokens == {"Bearer secret-token"}


def test_a_token_that_the_kubelet_replaced_is_used(by_account, account, server):
    with running(by_account(), patience_s=20, fresh_s=0) as kubernetes:
        kubernetes.max_pods()
        (account / "token").write_text("new-token")
        kubernetes.max_pods()
    assert server.tokens == {"Bearer secret-token", "Bearer new-token"}


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_an_account_that_is_not_whole_is_named(by_account, account, server, missing, caplog):
    (account / missing).unlink()
    with (
        running(by_account(), patience_s=20) as kubernetes,
        pytest.raises(UnreachableError, match="No such file"),
    ):
        kubernetes.max_pods()
    assert server.tokens == set()


def test_a_server_of_another_authority_is_given_no_token(by_account, account, server):
    trustme.CA().cert_pem.write_to_path(account / "ca.crt")
    with (
        running(by_account(), patience_s=20) as kubernetes,
        pytest.raises(UnreachableError, match="certificate verify failed"),
    ):
        kubernetes.max_pods()
    assert server.tokens == set()


def test_all_requests_of_a_read_share_its_time(reader_of, server):
    server.slow_s = 0.3
    began_s = time.monotonic()
    with (
        running(reader_of(), patience_s=20, timeout_s=0.5) as kubernetes,
        pytest.raises(UnreachableError, match="no answer in"),
    ):
        kubernetes.max_pods()
    assert time.monotonic() - began_s < 5
    assert len(server.asked) == 2


# --- without ------------------------------------------------------------------------------


class Slow:
    """A reader that takes its time."""

    def __init__(self, view, seconds):
        self.view, self.seconds, self.n_reads = view, seconds, 0

    def read(self, timeout_s):
        self.n_reads += 1
        time.sleep(min(self.seconds, timeout_s))
        if self.seconds > timeout_s:
            raise TimeoutError
        return self.view

    def close(self):
        pass


VIEW = ClusterView(max_pods=58, unschedulable=False, eni_config_name="default")


def test_who_asks_waits_no_longer_than_patience():
    reader = Slow(VIEW, 0.0)
    with running(reader, fresh_s=0.0, patience_s=5.0, timeout_s=60.0) as kubernetes:
        assert kubernetes.max_pods() == 58
        reader.seconds, kubernetes._patience_s = 1.0, 0.05
        began_s = time.monotonic()
        assert kubernetes.max_pods() == 58  # what is known, while news are on their way
        assert time.monotonic() - began_s < 0.9


def test_an_answer_that_takes_too_long_is_given_up():
    said = pytest.raises(UnreachableError, match=r"TimeoutError: no answer in 0\.1 s")
    with running(Slow(VIEW, 60.0), patience_s=5.0, timeout_s=0.1) as kubernetes, said:
        kubernetes.max_pods()


def test_a_fresh_answer_is_not_asked_for_again():
    reader = Slow(VIEW, 0.0)
    now_s = [100.0]
    with running(reader, fresh_s=10, patience_s=5, clock=lambda: now_s[0]) as kubernetes:
        for _ in range(5):
            kubernetes.unschedulable()
        assert reader.n_reads == 1
        now_s[0] += 10.1
        kubernetes.unschedulable()
        assert reader.n_reads == 2


def test_kubernetes_is_asked_only_where_a_kubeconfig_or_an_account_is_named(tmp_path):
    found = ClusterConfig.from_env
    nowhere = {"service_account": tmp_path / "none"}
    assert found({"MY_NODE_NAME": "n"}, **nowhere) is None
    assert found({"KUBECONFIG": "/etc/kubeconfig"}, **nowhere) is None
    named = found({"MY_NODE_NAME": "n", "KUBECONFIG": "/etc/k", "ENI_CONFIG_LABEL_DEF": "zone"})
    assert (str(named.kubeconfig), named.label) == ("/etc/k", "zone")
    assert named.annotation == "k8s.amazonaws.com/eniConfig"


@pytest.mark.parametrize(
    ("labels", "annotations", "name"),
    [
        ({}, {}, "default"),
        ({"L": "by-label"}, {}, "by-label"),
        ({"L": "by-label"}, {"A": "by-annotation"}, "by-annotation"),
        ({"vpc.amazonaws.com/externalEniConfig": "outside"}, {"A": "a"}, "outside"),
        (None, None, "default"),
    ],
)
def test_an_eni_config_is_named_as_upstream_names_it(labels, annotations, name):
    node = {"metadata": {"labels": labels, "annotations": annotations}}
    assert eni_config_name(node, "A", "L") == name


@pytest.mark.parametrize(("pods", "known"), [("17", 17), ("0", None), ("1k", None), (None, None)])
def test_a_capacity_that_is_no_number_is_unknown(reader_of, server, pods, known):
    server.node["status"]["capacity"]["pods"] = pods
    with running(reader_of(), patience_s=20) as kubernetes:
        assert kubernetes.max_pods() == known
