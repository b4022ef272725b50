"""Every form in which operators have a file is read as the plain one is."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tarfile
import zipfile

import pytest
import yaml

from doctor.node_files import NOW, REFUSED, events, log, manifest, state
from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.case import Refusal, Source
from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.errors import InputError

STALL = ("minimum-only stall", "certain")


@pytest.fixture
def lines(tmp_path):
    """Return the lines of a log that shows a minimum-only stall."""
    log(tmp_path, REFUSED, minimum_ip=9, pool=[(9, 9, 0)])
    text = (tmp_path / "ipamd.log").read_text().splitlines()
    (tmp_path / "ipamd.log").unlink()
    return text


def found(folder, **given):
    return [
        (each.cause, str(each.certainty)) for each in diagnose(read_case([folder]), **given).found
    ]


def console(line):
    fields = json.loads(line)
    return f"{fields['ts']} [INFO]\t{fields['msg']}"


LINE_FORMS = {
    "grep -n": lambda n, line: f"{n}:{line}",
    "grep -r": lambda n, line: f"/var/log/aws-routed-eni/ipamd.log:{n}:{line}",
    "CRI": lambda n, line: f"2026-03-12T02:58:15.123456789Z stdout F {line}",
    "kubectl --prefix": lambda n, line: f"[pod/aws-node-8kx2p/aws-node] {line}",
    "kubectl --timestamps": lambda n, line: f"2026-03-12T02:58:15.123456789Z {line}",
    "journald": lambda n, line: f"Mar 12 02:58:15 ip-10-0-12-34 aws-node[4711]: {line}",
    "docker": lambda n, line: json.dumps(
        {"log": line + "\n", "stream": "stdout", "time": "2026-03-12T02:58:15Z"}
    ),
    "fluent-bit": lambda n, line: f'[{n}] ipamd.log: [[1690979899.4, {{}}], {{"log"=>"{line}"}}]',
    "fluent-bit JSON": lambda n, line: json.dumps({"date": 1.5, "log": line}),
    "CloudWatch text": lambda n, line: f"2026-03-12T02:58:15.000Z\t{line}",
    "CloudWatch JSON": lambda n, line: json.dumps({"timestamp": 1, "message": line}),
    "journald JSON": lambda n, line: json.dumps({"PRIORITY": "6", "MESSAGE": line}),
    "Windows": lambda n, line: f"{line}\r",
    "console": lambda n, line: console(line),
    "console, CRI": lambda n, line: f"2026-03-12T02:58:15Z stderr F {console(line)}",
    "console, grep -n": lambda n, line: f"{n}:{console(line)}",
}


@pytest.mark.parametrize("form", LINE_FORMS)
def test_what_stands_around_a_line_is_passed_over(form, lines, tmp_path):
    text = "\n".join(LINE_FORMS[form](n, line) for n, line in enumerate(lines, 1))
    (tmp_path / "some.txt").write_text(text + "\n", newline="")
    case = read_case([tmp_path])
    assert case.log.n_broken == 0
    assert case.files == [("some.txt", "log")]
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize(
    "export",
    [
        lambda rows: {"events": [{"timestamp": 1, "message": row} for row in rows]},
        lambda rows: {"results": [[{"field": "@message", "value": row}] for row in rows]},
        lambda rows: [{"@timestamp": "x", "@message": row} for row in rows],
    ],
    ids=["get-log-events", "query results", "console's export"],
)
def test_a_cloudwatch_export_is_a_log(export, lines, tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(export(lines), indent=1))
    assert found(tmp_path) == [STALL]


def test_the_second_line_of_an_aws_error_is_no_broken_line(tmp_path):
    text = (
        "2019-07-30T15:31:50Z [INFO]\tStarting L-IPAMD v1.5.1  ...\n"
        "2019-07-30T15:31:53Z [ERROR]\tFailed to CreateNetworkInterface UnauthorizedOperation: no\n"
        "\tstatus code: 403, request id: 1\n"
    )
    (tmp_path / "ipamd.log").write_text(text)
    case = read_case([tmp_path])
    assert case.log.n_broken == 0
    assert list(case.log_failures.seen) == [("CreateNetworkInterface", "UnauthorizedOperation", "")]


# --- bytes ---------------------------------------------------------------------------------------


def packed(kind, name, content):
    raw = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"node/{name}", content)
        return raw.getvalue()
    with tarfile.open(fileobj=raw, mode=f"w:{kind}") as archive:
        member = tarfile.TarInfo(f"node/{name}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
def test_archives(kind, lines, tmp_path):
    content = packed(kind, "ipamd.log", "\n".join(lines).encode())
    (tmp_path / f"bundle.{kind}").write_bytes(content)
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
def test_a_damaged_archive_is_named(kind, lines, tmp_path):
    content = packed(kind, "ipamd.log", "\n".join(lines * 20).encode())
    (tmp_path / "bundle").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match="damaged"):
        read_case([tmp_path / "bundle"])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_logs(pack, lines, tmp_path):
    (tmp_path / "ipamd.log.1").write_bytes(pack("\n".join(lines).encode()))
    assert found(tmp_path) == [STALL]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_and_utf_16(encoding, lines, tmp_path):
    """PowerShell's `>` writes UTF-16, its `Out-File -Encoding utf8` a byte order mark."""
    (tmp_path / "ipamd.log").write_bytes("\r\n".join(lines).encode(encoding))
    assert found(tmp_path) == [STALL]
    (tmp_path / "ipamd.log").unlink()
    state(tmp_path, [])
    text = (tmp_path / "eni.out").read_text()
    (tmp_path / "eni.out").write_bytes(text.encode(encoding))
    assert read_case([tmp_path]).state is not None


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(pack, lines, monkeypatch, capsys):
    content = pack("\n".join(lines).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(["doctor", "-"]) == 1
    assert "the pool stopped at 9 addresses" in capsys.readouterr().out


def test_a_password_is_named_and_what_to_do(tmp_path):
    content = bytearray(packed("zip", "ipamd.log", b"x"))
    for at in (6, content.index(b"PK\1\2") + 8):
        content[at] |= 1  # the bit that says: encrypted
    (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"bundle\.zip/node/ipamd\.log: not read: .*unpack it"):
        read_case([tmp_path])


@pytest.mark.parametrize(
    ("head", "says"),
    [(b"\x28\xb5\x2f\xfd", "zstd -d"), (b"%PDF-1.7", "PDF"), (b"<!DOCTYPE html>", "web page")],
)
def test_what_is_not_read_is_named_with_how_to_get_it_readable(head, says, lines, tmp_path, capsys):
    (tmp_path / "ipamd.log.1").write_bytes(head + b"x" * 100)
    with pytest.raises(InputError, match=says):
        read_case([tmp_path / "ipamd.log.1"])
    log(tmp_path, pool=[(9, 3, 0)])
    assert run(["doctor", str(tmp_path)]) == 1  # a log that is not read may hold the cause
    out = capsys.readouterr().out
    assert "Cannot tell: ipamd.log.1: not read:" in out
    assert says in " ".join(out.split())


# --- JSON among other things ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        "[root@ip-10-0-12-34 ~]# curl localhost:61679/v1/enis\n{}\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
        "  % Total    % Received % Xferd\n100  4096  100  4096    0     0   4000k{}[root@x ~]# ",
        "$ curl -s localhost:61679/v1/enis | tee x\n\n{}\n$ exit\n",
        "\ufeff{}",
    ],
    ids=["prompt", "headers", "progress", "both ends", "byte order mark"],
)
def test_json_among_what_a_terminal_shows(around, tmp_path):
    state(tmp_path, [{"ID": "eni-a", "IsPrimary": True, "AvailableIPv4Cidrs": {}}])
    text = (tmp_path / "eni.out").read_text()
    (tmp_path / "eni.out").write_text(around.replace("{}", text))
    assert [each.eni_id for each in read_case([tmp_path]).state.cards[0]] == ["eni-a"]


def test_several_documents_in_one_file(tmp_path):
    """The EKS log collector appends; people paste one answer after the other."""
    state(tmp_path, [])
    text = (tmp_path / "eni.out").read_text()
    settings = '{"WARM_IP_TARGET": 3}'
    (tmp_path / "eni.out").write_text(f'{text}\n{settings}\n{{"x": 1}}\n')
    case = read_case([tmp_path])
    assert case.files == [("eni.out", "ENIs"), ("eni.out", "settings")]
    assert case.endpoint["WARM_IP_TARGET"].value == "3"


# --- events --------------------------------------------------------------------------------------

DIALS = (
    "add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = "
    'connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:50051: connect: '
    'connection refused"'
)
FULL = "add cmd: failed to assign an IP address to container"


def events_document(folder):
    events(folder, ("FailedCreatePodSandBox", "Pod", "web-1", FULL, NOW))
    document = json.loads((folder / "events.json").read_text())
    (folder / "events.json").unlink()
    return document


def test_events_as_yaml_and_as_a_typed_list(tmp_path):
    document = events_document(tmp_path)
    (tmp_path / "events.yaml").write_text(yaml.safe_dump(document))
    assert len(diagnose(read_case([tmp_path])).facts.starved) == 1
    for item in document["items"]:
        del item["kind"]
    (tmp_path / "events.yaml").write_text(yaml.safe_dump({**document, "kind": "EventList"}))
    assert len(diagnose(read_case([tmp_path])).facts.starved) == 1


def test_events_of_events_k8s_io(tmp_path):
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "web-1.17", "namespace": "shop"},
        "reason": "FailedCreatePodSandBox",
        "note": FULL,
        "regarding": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
        "reportingController": "kubelet",
        "reportingInstance": "ip-10-0-12-34",
        "eventTime": "2026-03-12T02:00:00.000000Z",
        "series": {"count": 7, "lastObservedTime": "2026-03-12T02:58:00.000000Z"},
    }
    (tmp_path / "events.json").write_text(json.dumps({"kind": "List", "items": [event]}))
    case = read_case([tmp_path])
    ((key, seen),) = case.events.refused["ip-10-0-12-34"].items()
    assert (key, seen.count) == (("shop/web-1", Refusal.NO_ADDRESS), 7)
    assert case.newest[Source.EVENTS].minute == 58


TABLE = """\
NAMESPACE   LAST SEEN               TYPE      REASON                   OBJECT       MESSAGE
shop        2m11s (x12 over 5m)     Warning   FailedCreatePodSandBox   pod/web-1    {full}
shop        90m                     Warning   FailedCreatePodSandBox   pod/old-1    {full}
kube-system 30s                     Warning   Unhealthy                pod/aws-node-8kx2p   {probe}
"""
PROBE = 'Readiness probe failed: {"level":"info","msg":"timeout"}'


def test_the_table_of_kubectl_get_events(tmp_path):
    (tmp_path / "events.txt").write_text(TABLE.format(full=FULL, probe=PROBE))
    case = read_case([tmp_path])
    assert case.files == [("events.txt", "events")]
    refused = case.events.refused[""]
    assert refused["shop/web-1", Refusal.NO_ADDRESS].count == 12
    facts = diagnose(case).facts
    assert [each.line for each in facts.starved] == [2]  # what is 90 minutes old is over
    assert ("aws-node Unhealthy", "") in case.events.reasons


POD = """\
Name:             web-1
Namespace:        shop
Node:             ip-10-0-12-34/10.0.12.34
Containers:
  web:
    Image:  nginx
Events:
  Type     Reason                  Age                  From               Message
  ----     ------                  ----                 ----               -------
  Normal   Scheduled               5m                   default-scheduler  Successfully assigned
  Warning  FailedCreatePodSandBox  3s (x9 over 5m)      kubelet            Failed: {message}
"""


@pytest.mark.parametrize(
    ("message", "cause"), [(DIALS, "agent cannot be reached"), (FULL, "")], ids=["dials", "full"]
)
def test_the_description_of_a_pod(message, cause, tmp_path):
    (tmp_path / "pod.txt").write_text(POD.format(message=message))
    diagnosis = diagnose(read_case([tmp_path]))
    assert diagnosis.facts.node == "ip-10-0-12-34"
    assert [each.cause for each in diagnosis.found] == ([cause] if cause else [])
    assert not diagnosis.healthy
    assert "(9 times)" in diagnosis.facts.refusals[0].value


def test_the_old_kubelets_column_has_the_node_in_it(tmp_path):
    text = POD.format(message=FULL).replace("kubelet            Failed", "kubelet, ip-10-9  Failed")
    (tmp_path / "pod.txt").write_text(text)
    assert list(read_case([tmp_path]).events.refused) == ["", "ip-10-9"]


# --- the node, its settings, its metrics ---------------------------------------------------------

NODE = {
    "kind": "Node",
    "metadata": {
        "name": "ip-10-0-12-34",
        "labels": {"node.kubernetes.io/instance-type": "m5.large"},
    },
    "spec": {"unschedulable": True},
    "status": {
        "allocatable": {"pods": "58", "vpc.amazonaws.com/pod-eni": "9"},
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "KubeletNotReady",
                "message": "container runtime network not ready: NetworkReady=false "
                "reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin "
                "not initialized",
            }
        ],
    },
}
DESCRIBED_NODE = """\
Name:               ip-10-0-12-34
Labels:             node.kubernetes.io/instance-type=m5.large
Unschedulable:      true
Conditions:
  Type    Status  Reason           Message
  ----    ------  ------           -------
  Ready   False   KubeletNotReady  container runtime network not ready: cni plugin not initialized
Capacity:
  pods:                       60
  vpc.amazonaws.com/pod-eni:  9
Allocatable:
  pods:                       58
  vpc.amazonaws.com/pod-eni:  9
Events:              <none>
"""


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(NODE),
        yaml.safe_dump(NODE),
        json.dumps({"kind": "List", "items": [NODE]}),
        json.dumps({"kind": "NodeList", "items": [NODE]}),
        DESCRIBED_NODE,
    ],
    ids=["JSON", "YAML", "List", "NodeList", "described"],
)
def test_a_node_in_every_form(text, tmp_path):
    (tmp_path / "node").write_text(text)
    log(tmp_path)
    (tmp_path / "ipamd.log").write_text((tmp_path / "ipamd.log").read_text().split("\n")[0] + "\n")
    case = read_case([tmp_path])
    node = case.nodes["ip-10-0-12-34"]
    assert (node.instance_type, node.max_pods, node.branch_enis) == ("m5.large", 58, 9)
    assert node.unschedulable
    assert "cni plugin not initialized" in node.not_ready
    facts = diagnose(case).facts
    assert (facts.limits.instance_type, facts.max_pods.value) == ("m5.large", 58)
    assert diagnose(case).found[0].cause == "agent cannot be reached"


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "KubeletConfiguration", "maxPods": 17}',
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 17\n",
        '{"kubeletconfig": {"maxPods": 17}}',
    ],
    ids=["config.json", "YAML", "configz"],
)
def test_the_kubelets_configuration(text, lines, tmp_path):
    (tmp_path / "config").write_text(text)
    (tmp_path / "ipamd.log").write_text(lines[0] + "\n")
    facts = diagnose(read_case([tmp_path])).facts
    assert (facts.max_pods.value, facts.max_pods.evidence.file) == (17, "config")


SET_ENV = """\
# daemonsets/aws-node, container aws-node
MINIMUM_IP_TARGET=9
WARM_ENI_TARGET=1
"""
DESCRIBED = """\
Name:           aws-node
Selector:       k8s-app=aws-node
Namespace:      kube-system
Pod Template:
  Containers:
   aws-node:
    Image:      602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.18.1-eksbuild.1
    Environment:
      MINIMUM_IP_TARGET:  9
      WARM_ENI_TARGET:    1
    Mounts:               <none>
Events:  <none>
"""


@pytest.mark.parametrize(
    "text",
    [
        SET_ENV,
        SET_ENV.replace("daemonsets/aws-node", "DaemonSet aws-node"),
        DESCRIBED,
        "MINIMUM_IP_TARGET=9\nWARM_ENI_TARGET=1\n",
        '{"env": {"MINIMUM_IP_TARGET": "9"}}',
        "env:\n  MINIMUM_IP_TARGET: 9\n",
        json.dumps({"addon": {"addonName": "vpc-cni", "addonVersion": "v1.20.1-eksbuild.1",
                              "configurationValues": '{"env":{"MINIMUM_IP_TARGET":"9"}}'}}),
        json.dumps({"Spec": {"process": {"env": ["PATH=/bin", "MINIMUM_IP_TARGET=9"]}}}),
        json.dumps([{"Config": {"Env": ["MINIMUM_IP_TARGET=9"]}}]),
    ],
    ids=["set env", "set env 2", "describe ds", "NAME=value", "values JSON", "values YAML",
         "add-on", "ctr", "docker"],
)  # fmt: skip
def test_settings_in_every_form(text, lines, tmp_path):
    (tmp_path / "settings").write_text(text)
    case = read_case([tmp_path / "settings", *([])])
    assert case.manifest["MINIMUM_IP_TARGET"].value == "9"


def test_the_agents_metrics(tmp_path):
    samples = """\
# HELP awscni_assigned_ip_addresses The number of IP addresses assigned to pods
# TYPE awscni_assigned_ip_addresses gauge
awscni_assigned_ip_addresses 20
awscni_total_ip_addresses 27
awscni_build_info{goversion="go1.24",version="v1.20.1"} 1
"""
    (tmp_path / "metrics.out").write_text(samples)
    manifest(tmp_path, WARM_ENI_TARGET="1")
    facts = diagnose(read_case([tmp_path]), instance_type="m5.large").facts
    assert (facts.pool.total, facts.pool.assigned, facts.version) == (27, 20, "v1.20.1")
    assert facts.pool.evidence.line == 4


def test_aws_nodes_own_role_is_seen(tmp_path):
    account = {
        "kind": "ServiceAccount",
        "metadata": {"name": "aws-node", "annotations": {"eks.amazonaws.com/role-arn": "arn:x"}},
    }
    (tmp_path / "sa.yaml").write_text(yaml.safe_dump(account))
    assert read_case([tmp_path]).own_role.file == "sa.yaml"
