"""What kubectl, AWS and the agent print of pods, nodes and settings, in every form."""

from __future__ import annotations

import json

import pytest
import yaml

from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.case import Refusal, Source
from ipam_core.diagnosis.inputs.collect import read_case
from support.node_files import NOW, events, log, manifest

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
