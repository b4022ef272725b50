"""`ipam-core doctor NODE`: collected from the cluster, judged as from files."""

import errno
import json
import tarfile
from pathlib import Path

import pytest

from ipam_core.errors import NotFoundError
from ipam_core.k8s.client import DAEMONSETS, EVENTS, NODES, PODS
from ipam_core.k8s.debug_pod import DebugPod, debug_pod_document
from ipam_core.k8s.node_files import collect_node
from ipam_core.testing.kubernetes import (
    Fault,
    MockCluster,
    MockNodes,
    agent_pod_document,
    daemonset_document,
    event_document,
)
from support.commands import called
from support.kube import asked

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "stuck-node"
NODE = "ip-10-0-0-4.eu-west-1.compute.internal"
CONTAINER_ID = "9c1f0e5ab1b34f5d8a6de2b7c8f90123456789abcdef0123456789abcdef0123"


@pytest.fixture
def stuck(server):
    """Serve a node that stalled, as the model holds it; its agent's log is the example's."""
    nodes = MockNodes(name="ml", instance_type="m8g.4xlarge", count=2, pods=25, waiting=1)
    cluster = MockCluster(groups=[nodes], env={"MINIMUM_IP_TARGET": "25"})
    cluster.fill(server)
    log = (EXAMPLE / "ipamd.log").read_bytes()
    server.pod_log = lambda _, pod, container, __: log if container == "aws-node" else None
    return cluster


@pytest.fixture
def doctor(kubeconfig, capsys):
    def run(*arguments):
        return called(capsys, "doctor", *arguments, "--kubeconfig", kubeconfig)

    return run


def found_by(doctor, *arguments):
    status, out, err = doctor(*arguments, "--json")
    assert err == ""
    return status, json.loads(out)


# --- collected and judged ---------------------------------------------------------------------


def test_a_stalled_node_is_judged_from_the_cluster(stuck, doctor):
    status, found = found_by(doctor, NODE)
    assert status == 1
    assert [each["cause"] for each in found["found"]] == ["minimum-only stall"]
    assert (found["node"], found["instance_type"], found["max_pods"]) == (NODE, "m8g.4xlarge", 234)
    assert (found["pool"]["total"], found["pool"]["assigned"]) == (25, 25)
    read = {note for note in found["notes"] if note.startswith("read: ")}.pop()
    for file in ("node.json", "aws-node.json", "events.json", "metrics.txt", "aws-node.log"):
        assert file in read
    assert found["not_read"] == []
    _, out, _ = doctor(f"node/{NODE}")
    assert "WARM_IP_TARGET=10" in out


def test_the_bundle_is_judged_as_the_node_was(stuck, doctor, capsys, tmp_path):
    bundle = tmp_path / "node.tar.gz"
    status, found = found_by(doctor, NODE, "--save", bundle)
    assert bundle.stat().st_mode & 0o777 == 0o600
    again_status, out, _ = called(capsys, "doctor", bundle, "--json")
    again = json.loads(out)
    assert again_status == status
    for key in ("verdict", "pool", "ruled_out", "node", "max_pods"):
        assert again[key] == found[key]


def test_secrets_are_left_out(stuck, server, doctor, tmp_path):
    document = server.state.document(PODS, "aws-node-00000", "kube-system")
    (container,) = document["spec"]["containers"]
    container["env"].append({"name": "DB_PASSWORD", "value": "hunter2"})
    document["metadata"]["annotations"] = {"last-applied": "hunter2"}
    server.state.put(PODS, document)
    daemonset = server.state.document(DAEMONSETS, "aws-node", "kube-system")
    daemonset["metadata"]["annotations"] = {"last-applied": "hunter2"}
    server.state.put(DAEMONSETS, daemonset)
    node = server.state.document(NODES, NODE)
    node["metadata"]["annotations"] = {"token": "hunter2"}
    server.state.put(NODES, node)
    server.pod_log = lambda *_: f"sandbox {CONTAINER_ID} asked\n".encode()
    bundle = tmp_path / "node.tgz"
    doctor(NODE, "--save", bundle)
    with tarfile.open(bundle) as archive:
        files = {each.name: archive.extractfile(each).read() for each in archive.getmembers()}
    assert set(files) == {
        f"{NODE}/{name}"
        for name in ("node.json", "aws-node.json", "events.json", "metrics.txt", "aws-node.log")
    }
    assert b"DB_PASSWORD" in files[f"{NODE}/aws-node.json"]
    whole = b"".join(files.values())
    assert b"hunter2" not in whole
    assert CONTAINER_ID.encode() not in whole


def test_the_settings_are_those_of_the_pod_that_runs(stuck, server, doctor):
    """The DaemonSet is fixed, its pod on the node is not replaced yet."""
    server.state.put(DAEMONSETS, daemonset_document({"WARM_IP_TARGET": "5"}))
    _, found = found_by(doctor, NODE)
    assert [each["cause"] for each in found["found"]] == ["minimum-only stall"]
    pod = agent_pod_document(NODE, suffix="00000", env={"WARM_IP_TARGET": "5"}, revision="new")
    server.state.put(PODS, pod)
    _, found = found_by(doctor, NODE)
    assert "minimum-only stall" in {**found["ruled_out"], **found["not_judged"]}


def test_only_events_of_the_node_are_taken(stuck, doctor, tmp_path):
    bundle = tmp_path / "node.tgz"
    doctor(NODE, "--save", bundle)
    with tarfile.open(bundle) as archive:
        events = json.load(archive.extractfile(f"{NODE}/events.json"))["items"]
    assert [each["source"]["host"] for each in events] == [NODE]


def test_of_the_clusters_events_a_page_is_held(stuck, server, kubeconfig, monkeypatch):
    """A cluster has tens of thousands of warnings, a node a few."""
    for number in range(40):
        about = f"Pod/default/other-{number}"
        server.state.put(
            EVENTS, event_document(f"other-{number}", about=about, reason="BackOff", message="x")
        )

    async def act(client):
        monkeypatch.setattr(client, "items", only_pods(client))
        found = await collect_node(client, NODE)
        with pytest.raises(NotFoundError, match=f"nearest: {NODE}"):
            await collect_node(client, "ip-10-0-0-4")
        return found

    found = asked(kubeconfig, act, page_size=10)
    events = json.loads(found.files["events.json"])["items"]
    assert [each["source"]["host"] for each in events] == [NODE]


def only_pods(client):
    items = client.items

    async def of(resource, *arguments):
        assert resource is PODS, "a list of the cluster's objects is held whole"
        return await items(resource, *arguments)

    return of


def test_the_introspection_and_the_log_before_a_restart_are_read(server, stuck, doctor, tmp_path):
    stuck.introspection = True
    stuck.fill(server)
    document = server.state.document(PODS, "aws-node-00000", "kube-system")
    document["status"]["containerStatuses"] = [{"name": "aws-node", "restartCount": 2}]
    server.state.put(PODS, document)
    bundle = tmp_path / "node.tgz"
    doctor(NODE, "--save", bundle)
    with tarfile.open(bundle) as archive:
        names = {Path(each).name for each in archive.getnames()}
    assert {"eni.out", "aws-node-previous.log"} <= names


# --- the debug pod ----------------------------------------------------------------------------


@pytest.fixture
def kubelet(server):
    """Run the pods that are created, as a kubelet does; keep what was created."""
    created = []

    def run(document):
        created.append(document)
        document["status"] = {"phase": "Succeeded"}
        server.state.put(PODS, document)

    printed = {
        "ipamd-log": (EXAMPLE / "ipamd.log").read_bytes(),
        "eni-out": (EXAMPLE / "eni.out").read_bytes(),
        "ipamd-env-out": (EXAMPLE / "ipamd-env.out").read_bytes(),
    }
    server.created = run
    server.pod_log = lambda _, __, container, ___: printed.get(container)
    return created


def test_a_debug_pod_reads_what_is_on_the_node_and_is_deleted(stuck, server, kubelet, doctor):
    status, found = found_by(doctor, NODE, "--debug-pod")
    assert status == 1
    assert found["found"][0]["cause"] == "minimum-only stall"
    read = {note for note in found["notes"] if note.startswith("read: ")}.pop()
    assert "ipamd.log" in read
    assert "eni.out" in read
    (pod,) = kubelet
    spec = pod["spec"]
    assert (spec["nodeName"], spec["hostNetwork"]) == (NODE, True)
    assert all(each["volumeMounts"][0]["readOnly"] for each in spec["containers"])
    assert spec["automountServiceAccountToken"] is False
    verbs = [each.route.verb for each in server.asked if each.route]
    assert verbs.count("create") == verbs.count("delete") == 1
    names = {each.fields["metadata.name"] for each in server.state.page(PODS, "", _all)[0]}
    assert pod["metadata"]["name"] not in names


def _all(*_):
    return True


def test_without_the_option_nothing_is_changed(stuck, server, doctor):
    doctor(NODE)
    assert {each.method for each in server.asked} == {"GET"}


def test_a_debug_pod_that_never_ends_is_named_and_deleted(stuck, server, doctor, monkeypatch):
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}

    def run(document):
        document["status"] = {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
        server.state.put(PODS, document)

    server.created = run
    monkeypatch.setattr(
        "ipam_core.k8s.debug_pod.DebugPod",
        lambda image: DebugPod(image=image, patience_s=0.05, poll_s=0.01),
    )
    _, found = found_by(doctor, NODE, "--debug-pod", "--debug-image", "my/own:1")
    (missing,) = found["not_read"]
    assert missing["file"] == "debug pod"
    assert missing["why"].endswith("Timeout: not ended in time: ImagePullBackOff")
    assert [each.method for each in server.asked if each.method != "GET"] == ["POST", "DELETE"]


def test_a_debug_pod_lives_as_long_as_it_is_waited_for():
    for patience_s, seconds in ((90.0, 120), (600.5, 631)):
        document = debug_pod_document("name", NODE, DebugPod(patience_s=patience_s))
        assert document["spec"]["activeDeadlineSeconds"] == seconds


def test_what_the_debug_pod_could_not_read_is_no_file(stuck, server, kubelet, doctor):
    def ended(document):
        state = {"terminated": {"exitCode": 1}}
        statuses = [{"name": "eni-out", "state": state}]
        document["status"] = {"phase": "Failed", "containerStatuses": statuses}
        server.state.put(PODS, document)

    server.created = ended
    _, found = found_by(doctor, NODE, "--debug-pod")
    why = "not read there: exit status 1"
    assert {"file": "debug pod, eni.out", "why": why} in found["not_read"]


def test_a_debug_pod_that_may_not_be_made_is_one_line(stuck, server, doctor):
    message = "pods is forbidden: violates PodSecurity"
    server.faults.append(Fault(pattern="^POST", status=403, reason="Forbidden", message=message))
    status, found = found_by(doctor, NODE, "--debug-pod")
    assert status == 1
    assert found["not_read"] == [{"file": "debug pod", "why": f"create pods: Forbidden: {message}"}]
    assert found["found"]


# --- what cannot be read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("/v1/pods", "pods"),
        ("daemonsets", "settings"),
        ("/v1/events", "events"),
        ("proxy/metrics", "metrics"),
        ("/log", "log of aws-node"),
    ],
)
def test_what_is_forbidden_is_named_and_the_rest_is_judged(stuck, server, doctor, pattern, what):
    server.faults.append(Fault(pattern=pattern, status=403, reason="Forbidden"))
    status, found = found_by(doctor, NODE)
    assert status == 1
    assert what in [each["file"] for each in found["not_read"]]
    assert found["node"] == NODE
    assert "Forbidden: said the test" in found["not_read"][0]["why"]


def test_an_unknown_node_names_the_nearest(stuck, doctor):
    status, out, err = doctor("node/ip-10-0-0-4")
    assert (status, out) == (2, "")
    assert f"no node 'ip-10-0-0-4'; nearest: {NODE}" in err
    assert err.count("\n") == 1


# --- a node, or a file ------------------------------------------------------------------------


def test_what_exists_is_a_file(stuck, doctor, capsys, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / NODE
    file.write_bytes((EXAMPLE / "eni.out").read_bytes())
    status, out, _ = called(capsys, "doctor", NODE, "--json")
    assert f"read: {NODE} " in " ".join(json.loads(out)["notes"])
    assert server.asked == []
    status, _, err = doctor(NODE)
    assert status == 2
    assert err == f"ipam-core: --kubeconfig goes with a node, and {NODE} is taken as a file\n"
    status, found = found_by(doctor, f"node/{NODE}")
    assert (status, found["node"]) == (1, NODE)


@pytest.mark.parametrize("name", ["enis.json", "No-Such", "no/such", "node.tar.gz", "a_b"])
def test_what_can_be_no_node_is_a_missing_file(capsys, name, server):
    status, _, err = called(capsys, "doctor", name)
    assert (status, err) == (2, f"ipam-core: {name}: No such file or directory\n")


def test_a_name_that_may_be_either_says_both(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    status, _, err = called(capsys, "doctor", "stuck-nod")
    assert status == 2
    said = "ipam-core: stuck-nod: No such file or directory; as a node: no cluster: no kubeconfig"
    assert err.startswith(said)
    status, _, err = called(capsys, "doctor", "node/stuck-nod")
    assert status == 2
    assert err.startswith("ipam-core: no cluster: no kubeconfig")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((f"node/{NODE}", "node/other"), f"node/{NODE}: one node, or files of one"),
        ((NODE, "--debug-image", "x"), "--debug-image goes with --debug-pod"),
        ((NODE, "--save", "x.zip"), "--save 'x.zip': a name that ends in .tar.gz or .tgz"),
        ((NODE, "--save", "/no/such/x.tgz"), "--save '/no/such/x.tgz': no folder '/no/such'"),
    ],
)
def test_a_wrong_call_is_one_line(stuck, doctor, arguments, said):
    assert doctor(*arguments) == (2, "", f"ipam-core: {said}\n")


def test_a_bundle_that_cannot_be_written_leaves_no_part(stuck, doctor, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    status, _, err = doctor(NODE, "--save", tmp_path / "node.tgz")
    assert (status, "No space left" in err) == (2, True)
    assert not (tmp_path / "node.tgz").exists()


def test_a_bundle_is_never_replaced(stuck, server, doctor, tmp_path):
    bundle = tmp_path / "node.tgz"
    bundle.write_text("mine")
    status, _, err = doctor(NODE, "--save", bundle)
    assert status == 2
    assert "it is there already" in err
    assert bundle.read_text() == "mine"
    assert server.asked == []
