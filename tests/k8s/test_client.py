"""The client against an API over HTTP: pages, watches, refusals, time-outs, tokens."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import aclosing

import pytest

from ipam_core.errors import (
    CloudError,
    DeniedError,
    GoneError,
    InputError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)
from ipam_core.k8s import access, connection
from ipam_core.k8s.access import Access
from ipam_core.k8s.client import NODES, PODS, Selection
from ipam_core.k8s.connection import Connection
from ipam_core.k8s.follow import follow
from ipam_core.testing.kubernetes import (
    Fault,
    KubernetesServer,
    agent_pod_document,
    node_document,
    pod_document,
    rules_of,
)
from ipam_core.testing.kubernetes.certificates import make_certificate
from support.kube import asked, with_token

N_PODS = 23


LARGE = {"instance_type": "m5.large", "max_pods": 29}


def names(items):
    return [each["metadata"]["name"] for each in items]


@pytest.fixture
def pods(server):
    found = [f"web-{number:02}" for number in range(N_PODS)]
    server.state.put_all(PODS, (pod_document(each, node="node-1") for each in found))
    return found


async def all_pods(client):
    return names(await client.items(PODS))


# --- lists ------------------------------------------------------------------------------------


def test_a_list_is_read_page_by_page(server, kubeconfig, pods):
    assert asked(kubeconfig, all_pods, page_size=5) == pods
    lists = [each for each in server.asked if each.path == "/api/v1/pods"]
    assert [each.query["limit"] for each in lists] == ["5"] * 5
    assert [bool(each.query.get("continue")) for each in lists] == [False, *[True] * 4]


def test_pages_are_of_one_state(server, kubeconfig, pods):
    async def act(client):
        found = []
        async for page in client.pages(PODS):
            found += names(page.items)
            if page.first:
                server.state.remove(PODS, "web-20", "default")
                server.state.put(PODS, pod_document("web-99"))
        return found

    assert asked(kubeconfig, act, page_size=10) == pods


def test_a_list_whose_pages_expire_begins_again(server, kubeconfig, pods):
    async def act(client):
        found, n_first = [], 0
        async for page in client.pages(PODS):
            if page.first:
                found.clear()
                n_first += 1
            found += names(page.items)
            if n_first == 1 and len(found) == 20:
                server.state.remove(PODS, "web-00", "default")
                server.state.compact()
        return found, n_first

    assert asked(kubeconfig, act, page_size=10) == (pods[1:], 2)


def test_a_list_that_always_expires_ends(server, kubeconfig, pods):
    server.faults.append(Fault(pattern="continue=", status=410, reason="Expired"))
    with pytest.raises(GoneError, match="list pods: Expired"):
        asked(kubeconfig, all_pods, page_size=10)
    lists = [each for each in server.asked if each.path == "/api/v1/pods"]
    assert len(lists) == 8  # four times the first page and the second


def test_fields_and_labels_select(server, kubeconfig, pods):
    server.state.put(PODS, agent_pod_document("node-2", suffix="x"))
    server.state.put(PODS, pod_document("job-1", node="node-1", phase="Succeeded"))

    async def act(client):
        on_node = Selection(fields="spec.nodeName=node-1,status.phase!=Succeeded")
        agents = Selection(namespace="kube-system", labels="k8s-app in (aws-node)")
        return names(await client.items(PODS, on_node)), names(await client.items(PODS, agents))

    assert asked(kubeconfig, act) == (pods, ["aws-node-x"])


@pytest.mark.parametrize("absent", ["left out", None, False])
def test_a_boolean_that_is_left_out_is_selected_as_false(server, kubeconfig, absent):
    """As the API server does; `kubectl get nodes --field-selector` showed no node here."""

    def with_field(document, field, value):
        document["spec"].pop(field, None)
        if value != "left out":
            document["spec"][field] = value
        return document

    for name, value in (("open", absent), ("cordoned", True)):
        server.state.put(NODES, with_field(node_document(name, **LARGE), "unschedulable", value))
        server.state.put(PODS, with_field(pod_document(name), "hostNetwork", value))

    async def act(client):
        return [
            names(await client.items(of, Selection(fields=f"{field}{how}")))
            for of, field in ((NODES, "spec.unschedulable"), (PODS, "spec.hostNetwork"))
            for how in ("=false", "!=true", "=true", "!=false")
        ]

    assert asked(kubeconfig, act) == 2 * [["open"], ["open"], ["cordoned"], ["cordoned"]]


# --- watches ------------------------------------------------------------------------------------


def test_a_watch_gives_what_changes(server, kubeconfig, pods):
    async def act(client):
        async for page in client.pages(PODS):
            since = page.resource_version
        server.state.put(PODS, pod_document("new", node="node-1"))
        found = []
        selection = Selection(fields="spec.nodeName=node-1")
        async with aclosing(client.watch(PODS, since, selection)) as changes:
            async for change in changes:
                found.append((change.kind, change.item["metadata"].get("name")))
                if change.kind == "ADDED":
                    server.state.put(PODS, pod_document("new", node="node-2"))
                    server.state.put(PODS, pod_document("web-01", node="node-1", phase="Failed"))
                if change.kind == "MODIFIED":
                    server.state.remove(PODS, "web-02", "default")
                if found[-1] == ("DELETED", "web-02"):
                    server.state.put(NODES, node_document("n", instance_type="t", max_pods=1))
                if change.kind == "BOOKMARK":
                    assert change.resource_version == str(server.state.version)
                    break
        return found

    assert asked(kubeconfig, act) == [
        ("ADDED", "new"),
        ("DELETED", "new"),  # it left the selection
        ("MODIFIED", "web-01"),
        ("DELETED", "web-02"),
        ("BOOKMARK", None),
    ]


def test_what_is_deleted_is_as_it_was_with_the_version_of_its_deletion(server, kubeconfig, pods):
    """As the API server says it: else a watch that goes on would go back."""
    since = str(server.state.version)
    server.state.put(PODS, pod_document("web-01", node="node-2"))
    server.state.remove(PODS, "web-02", "default")

    async def act(client):
        selection = Selection(fields="spec.nodeName=node-1")
        return [
            (change.kind, change.resource_version, change.item["spec"]["nodeName"])
            async for change in client.watch(PODS, since, selection, for_s=1)
        ]

    first = int(since) + 1
    assert asked(kubeconfig, act) == [
        ("DELETED", str(first), "node-1"),
        ("DELETED", str(first + 1), "node-1"),
    ]


def test_pages_that_nobody_asks_for_are_forgotten_in_the_end(server, monkeypatch):
    monkeypatch.setattr("ipam_core.testing.kubernetes.state.MOST_LISTS", 3)
    server.state.put_all(PODS, (pod_document(f"web-{number}") for number in range(9)))
    tokens = [server.state.page(PODS, "", lambda *_: True, limit=2)[2] for _ in range(5)]
    assert len(server.state._lists) == 3
    with pytest.raises(GoneError):
        server.state.page(PODS, "", lambda *_: True, limit=2, token=tokens[0])
    assert len(server.state.page(PODS, "", lambda *_: True, limit=2, token=tokens[-1])[0]) == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "pods?limit=x", None),
        ("GET", "pods?watch=1&resourceVersion=-1", None),
        ("GET", "pods?watch=1&timeoutSeconds=nan", None),
        ("GET", f"pods?limit={'9' * 5000}", None),
        ("POST", "namespaces/default/pods", b"{"),
        ("POST", "namespaces/default/pods", b"[]"),
        ("POST", "namespaces/default/pods", b"{}"),
    ],
)
def test_a_wrong_request_to_the_mock_is_refused(server, method, path, body):
    request = urllib.request.Request(f"{server.url}/api/v1/{path}", method=method, data=body)
    request.add_header("Authorization", f"Bearer {server.token}")
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request):
        pass
    with caught.value as refused:
        assert (refused.code, json.load(refused)["reason"]) == (400, "BadRequest")


def test_a_watch_from_before_a_compaction_is_gone(server, kubeconfig, pods):
    server.state.compact()

    async def act(client):
        async for _ in client.watch(PODS, "1001"):
            pytest.fail("nothing was to come")

    with pytest.raises(GoneError, match="watch pods: Expired: too old resource version"):
        asked(kubeconfig, act)


def test_a_watch_ends_when_it_is_over_and_says_when_it_is_cut(server, kubeconfig, pods):
    async def act(client):
        since = str(server.state.version)
        return [change.kind async for change in client.watch(PODS, since, for_s=1)]

    assert asked(kubeconfig, act) == []
    server.faults.append(Fault(pattern="watch=true"))
    with pytest.raises(UnreachableError, match="watch pods: Unreachable"):
        asked(kubeconfig, act)


def test_what_is_followed_survives_gone_and_cut_streams(server, kubeconfig, pods, monkeypatch):
    monkeypatch.setattr("ipam_core.k8s.follow.FIRST_PAUSE_S", 0.01)
    failures = []

    async def act(client):
        seen, there = [], set()
        async with aclosing(follow(client, PODS, for_s=1, on_failure=failures.append)) as all_of:
            async for kind, item, _ in all_of:
                seen.append(kind)
                name = item.get("metadata", {}).get("name")
                if kind == "LISTING":
                    there.clear()
                elif kind == "SYNCED" and seen.count("SYNCED") == 1:
                    server.faults.append(Fault(pattern="watch=true", times=1))
                    server.state.put(PODS, pod_document("second"))
                elif kind == "ADDED" and name == "second":
                    there.add(name)
                    server.state.remove(PODS, "web-00", "default")
                    server.state.compact()
                elif kind == "SYNCED":
                    break
                elif name:
                    (there.discard if kind == "DELETED" else there.add)(name)
        return seen, there

    seen, there = asked(kubeconfig, act)
    assert there == {*pods, "second"} - {"web-00"}
    assert seen.count("LISTING") in (1, 2)  # the deletion may come before the compaction
    assert [str(each).split(":")[:2] for each in failures] == [["watch pods", " Unreachable"]]


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", CloudError),
        (403, "Forbidden", DeniedError),
        (404, "NotFound", NotFoundError),
        (410, "Expired", GoneError),
        (429, "TooManyRequests", ThrottledError),
        (500, "InternalError", UnreachableError),
        (503, "ServiceUnavailable", UnreachableError),
    ],
)
def test_each_refusal_has_its_error_and_one_line(server, kubeconfig, status, reason, kind):
    message = "etcdserver:\n  no leader " * 40
    server.faults.append(Fault(pattern="/pods", status=status, reason=reason, message=message))
    with pytest.raises(kind) as caught:
        asked(kubeconfig, all_pods)
    assert type(caught.value) is kind
    assert (caught.value.api, caught.value.code) == ("list pods", reason)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert sum(each.path == "/api/v1/pods" for each in server.asked) == 1


def test_a_refusal_with_a_time_is_asked_again_then(server, kubeconfig, pods):
    server.faults.append(Fault(pattern="/pods", status=429, retry_after_s=0, times=2))
    server.faults.append(Fault(pattern="/pods", status=503, retry_after_s=0, times=1))
    assert asked(kubeconfig, all_pods) == pods
    server.faults.append(Fault(pattern="/pods", status=429, retry_after_s=0))
    with pytest.raises(ThrottledError):
        asked(kubeconfig, all_pods)


def test_an_answer_that_is_no_json_is_one_line(server, kubeconfig):
    server.state.put(PODS, agent_pod_document("node-1", suffix="x"))
    server.serve_pod = lambda *_: b"[1, 2"

    async def act(client):
        where = PODS.path("kube-system", "aws-node-x:61678", "proxy", "metrics")
        return await client.connection.get_json(where, call="get metrics")

    with pytest.raises(UnreachableError, match="get metrics: InvalidReply: no JSON"):
        asked(kubeconfig, act)
    server.serve_pod = lambda *_: b"[]"
    with pytest.raises(UnreachableError, match="a list, not an object"):
        asked(kubeconfig, act)


def test_what_takes_too_long_is_given_up(server, kubeconfig):
    server.faults.append(Fault(pattern="/pods", status=None, late_s=60))
    began_s = time.monotonic()
    with pytest.raises(UnreachableError, match="list pods: Timeout: no answer in time"):
        asked(kubeconfig, all_pods, timeout_s=0.3)
    assert time.monotonic() - began_s < 10


def test_nobody_there_is_one_line(server, kubeconfig, tmp_path):
    found = json.loads(kubeconfig.read_text())
    found["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    kubeconfig.write_text(json.dumps(found))
    with pytest.raises(UnreachableError, match="get version: Unreachable: "):
        asked(kubeconfig, all_pods)


def test_a_pod_that_listens_nowhere(server, kubeconfig):
    server.state.put(PODS, agent_pod_document("node-1", suffix="x"))

    async def act(client):
        return await client.through_pod("kube-system", "aws-node-x", 61679, "v1/enis")

    with pytest.raises(UnreachableError, match=r"proxy/v1/enis: Service.*connection refused"):
        asked(kubeconfig, act)
    server.serve_pod = lambda *given: json.dumps(given).encode()
    assert json.loads(asked(kubeconfig, act)) == ["kube-system", "aws-node-x", 61679, "v1/enis"]


def test_roles_refuse_what_they_do_not_allow(server, kubeconfig, pods):
    role = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    server.rules = rules_of([{"kind": "ClusterRole", "metadata": {}, "rules": [role]}])
    assert asked(kubeconfig, all_pods) == pods
    said = 'nodes is forbidden: User .* cannot list resource "nodes" in API group "" at the cluster'
    with pytest.raises(DeniedError, match=said):
        asked(kubeconfig, lambda client: client.items(NODES))


# --- credentials ----------------------------------------------------------------------------


def test_an_expired_token_is_read_anew_once(server, kubeconfig, pods):
    async def act(client):
        server.token = "the-next"
        with_token(kubeconfig, "the-next")
        return await asyncio.gather(*(all_pods(client) for _ in range(5)))

    assert asked(kubeconfig, act) == [pods] * 5


@pytest.mark.parametrize("text", ["", "[]", "3", "clusters: 3", "users: [3]", "x: {"])
def test_a_file_that_is_no_kubeconfig_is_one_line(kubeconfig, text):
    kubeconfig.write_text(text)
    with pytest.raises(InputError, match=r"kubeconfig .*: ") as caught:
        asked(kubeconfig, all_pods)
    said = str(caught.value)
    assert "\n" not in said
    assert "object" not in said


def test_connections_of_old_tokens_do_not_pile_up(server, kubeconfig, pods, monkeypatch):
    monkeypatch.setattr(connection, "RENEW_AFTER_S", 0.0)
    closed = []

    async def close_api(api):
        closed.append(api)
        await access.close_api(api)

    async def act(client):
        monkeypatch.setattr(connection, "close_api", close_api)
        for number in range(5):
            server.token = f"token-{number}"
            with_token(kubeconfig, server.token)
            assert await all_pods(client) == pods
        return len(closed), len({id(api) for api in closed})

    assert asked(kubeconfig, act) == (3, 3)
    assert len(closed) == 6  # and the others at the end


def test_a_token_that_stays_expired_is_one_line(server, kubeconfig, pods):
    async def act(client):
        server.token = "the-next"
        return await asyncio.gather(*(all_pods(client) for _ in range(5)), return_exceptions=True)

    failures = asked(kubeconfig, act)
    said = "list pods: Unauthorized: the credentials have expired, or are not valid"
    assert [(type(each), str(each)) for each in failures] == [(DeniedError, said)] * 5
    n_versions = sum(each.path.startswith("/version") for each in server.asked)
    assert n_versions == 2, "the credentials were read anew once for all"


def test_keys_that_a_kubeconfig_holds_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with KubernetesServer(tls=True) as server:
        certificate, key = make_certificate()
        found = server.kubeconfig()
        found["users"][0]["user"] |= {
            "client-key-data": key.decode(),
            "client-certificate-data": b64encode(certificate).decode(),
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(found))
        left = []

        async def act(client):
            left.extend((tmp_path / "temporary").iterdir())
            server.token = "the-next"
            with_token(kubeconfig, "the-next")
            return await all_pods(client)

        assert asked(kubeconfig, act) == []
        assert len([each for each in server.asked if each.path == "/api/v1/pods"]) == 2
    assert [*left, *(tmp_path / "temporary").iterdir()] == []


def test_keys_leave_no_file_where_nobody_answers(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    certificate, key = make_certificate()
    found = server.kubeconfig()
    found["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    found["users"][0]["user"] |= {
        "client-key-data": key.decode(),
        "client-certificate-data": b64encode(certificate).decode(),
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(found))
    with pytest.raises(UnreachableError):
        asked(kubeconfig, all_pods)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_server_that_is_not_trusted_is_one_line(tmp_path):
    with KubernetesServer(tls=True) as server:
        found = server.kubeconfig()
        other, _ = make_certificate()
        authority = {"certificate-authority-data": b64encode(other).decode()}
        found["clusters"][0]["cluster"] |= authority
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(found))
        with pytest.raises(UnreachableError, match=r"get version: .*CERTIFICATE_VERIFY_FAILED"):
            asked(kubeconfig, all_pods)


# --- which cluster ----------------------------------------------------------------------------


def test_the_kubeconfig_is_found_as_kubectl_finds_it(tmp_path):
    home, other, gone = tmp_path / ".kube/config", tmp_path / "other", tmp_path / "gone"
    account = tmp_path / "account"
    variables = {"HOME": str(tmp_path)}

    def found(**options):
        return Access.find(**({"variables": variables, "service_account": account} | options))

    with pytest.raises(InputError, match=r"no cluster: no kubeconfig \(.*config\), and this is no"):
        found()
    account.mkdir()
    (account / "token").write_text("t")
    assert found() == Access(service_account=account)
    with pytest.raises(InputError, match=r"context 'blue': no kubeconfig"):
        found(context="blue")
    home.parent.mkdir()
    home.write_text("{}")
    other.write_text("{}")
    assert found() == Access(kubeconfigs=(home,))
    listed = variables | {"KUBECONFIG": f"{gone}:{other}:{home}"}
    assert found(variables=listed, context="x") == Access(kubeconfigs=(other, home), context="x")
    assert found(variables=listed, kubeconfig=home) == Access(kubeconfigs=(home,))
    with pytest.raises(InputError, match=r"kubeconfig '.*gone': no such file"):
        found(kubeconfig=gone)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: "{", "kubeconfig"),
        (lambda c: "", "kubeconfig"),
        (lambda c: json.dumps(c | {"current-context": "blue"}), "blue"),
        (lambda c: json.dumps(c | {"contexts": [], "current-context": ""}), "kubeconfig"),
        (lambda c: json.dumps(c | {"users": []}), "mock"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_line(server, kubeconfig, change, said):
    kubeconfig.write_text(change(server.kubeconfig()))
    with pytest.raises(InputError, match=rf"^kubeconfig .*{said}") as caught:
        asked(kubeconfig, all_pods)
    assert "\n" not in str(caught.value)


def test_an_unknown_context_is_named(kubeconfig):
    async def act():
        access = Access(kubeconfigs=(kubeconfig,), context="blue")
        async with Connection(access):
            pytest.fail("there is no such context")

    with pytest.raises(InputError, match="No such context blue"):
        asyncio.run(act())


def test_an_exec_plugin_gives_the_token(server, kubeconfig, tmp_path, pods):
    token = tmp_path / "token"
    token.write_text("not-yet")
    found = server.kubeconfig()
    said = '{"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "%s"}}'
    found["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "sh",
            "args": ["-c", f"printf '{said}' $(cat {token})"],
        }
    }
    kubeconfig.write_text(json.dumps(found))

    async def act(client):
        token.write_text("the-token")
        return await all_pods(client)

    assert asked(kubeconfig, act) == pods


def test_nothing_is_loaded_before_a_connection_is_opened():
    program = (
        "import sys, ipam_core.k8s.follow, ipam_core.k8s.objects\n"
        "print({'kr8s', 'httpx', 'numpy', 'boto3'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout == "set()\n"
