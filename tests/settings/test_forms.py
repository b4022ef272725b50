"""Settings out of every form that holds them, and files of another kind, which are refused."""

import json

import pytest

from ipam_core.errors import InputError
from ipam_core.manifests import CHART_ENV, read_addon, read_daemonset, read_settings
from ipam_core.settings import Settings
from ipam_core.variables import near_miss

CHART = "aws-vpc-cni"


def daemonset(name="aws-node", *env, tag="v1.20.1"):
    entries = [{"name": key, "value": value} for key, value in env]
    return {
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {},
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "aws-node",
                            "image": f"x:5000/amazon-k8s-cni:{tag}",
                            "env": entries,
                        }
                    ]
                }
            },
        },
    }


PATCH = """
kind: DaemonSet
metadata: {name: aws-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - name: aws-node
        env: [{name: ENABLE_PREFIX_DELEGATION, value: "true"}]
"""
DESCRIBED = """\
Name:           aws-node
Selector:       k8s-app=aws-node
Pod Template:
  Labels:           k8s-app=aws-node
  Init Containers:
   aws-vpc-cni-init:
    Image:      602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni-init:v1.20.1
    Environment:
      WARM_IP_TARGET:  99
  Containers:
   aws-node:
    Image:      602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.20.1
    Port:       61678/TCP
    Requests:
      cpu:      25m
    Liveness:   exec [/app/grpc-health-probe] delay=60s timeout=10s
    Environment:
      ADDITIONAL_ENI_TAGS:     {}
      ENABLE_PREFIX_DELEGATION:  true
      WARM_PREFIX_TARGET:      1
      WARM_IP_TARGET:          <set to the key 'ip' of config map 'warm'>  Optional: false
      MY_NODE_NAME:             (v1:spec.nodeName)
    Mounts:
      /host/opt/cni/bin from cni-bin-dir (rw)
   aws-eks-nodeagent:
    Image:      602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon/aws-network-policy-agent:v1.2.1
    Environment:
      WARM_PREFIX_TARGET:  98
  Volumes:
   cni-bin-dir:
    Type:          HostPath (bare host directory volume)
Events:            <none>
"""
LISTED = """\
# DaemonSet aws-node, container aws-node
ADDITIONAL_ENI_TAGS={}
ENABLE_PREFIX_DELEGATION=true
WARM_PREFIX_TARGET=1
# WARM_IP_TARGET from configmap warm, key ip
# MY_NODE_NAME from field path spec.nodeName
# DaemonSet aws-node, container aws-eks-nodeagent
WARM_PREFIX_TARGET=98
"""
TERRAFORM = """\
resource "aws_eks_addon" "dns" {
  addon_name           = "coredns"
  configuration_values = jsonencode({ replicaCount = 3 })
}
resource "aws_eks_addon" "cni" {
  addon_name    = "vpc-cni"
  # configuration_values = jsonencode({ env = { WARM_IP_TARGET = "97" } })
  configuration_values = jsonencode({
    env = {
      ENABLE_PREFIX_DELEGATION = "true"   // for density
      "WARM_PREFIX_TARGET" = tostring(1),
    }
  })
}
"""
MODULE = """\
  cluster_addons = {
    vpc-cni = {
      most_recent = true
      configuration_values = <<-EOT
        {"env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}}
      EOT
    }
  }
"""
PREFIXES = {"env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}}


def kubernetes(kind, api="v1", **spec):
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": "n"}, "spec": spec})


ADDON_OF_EKSCTL = {"name": "vpc-cni", "configurationValues": json.dumps(PREFIXES)}
GITOPS = {
    "HelmRelease": kubernetes("HelmRelease", chart={"spec": {"chart": CHART}}, values=PREFIXES),
    "HelmRelease around": kubernetes(
        "HelmRelease", chart={"spec": {"chart": "platform"}}, values={CHART: PREFIXES}
    ),
    "Application": kubernetes(
        "Application", source={"chart": CHART, "helm": {"values": json.dumps(PREFIXES)}}
    ),
    "Application, object": kubernetes(
        "Application", sources=[{"ref": "x"}, {"chart": CHART, "helm": {"valuesObject": PREFIXES}}]
    ),
    "Application, parameters": kubernetes(
        "Application",
        source={
            "chart": CHART,
            "helm": {
                "parameters": [
                    {"name": f"env.{name}", "value": value}
                    for name, value in PREFIXES["env"].items()
                ]
            },
        },
    ),
    "eksctl": json.dumps(
        {"kind": "ClusterConfig", "addons": [{"name": "coredns"}, ADDON_OF_EKSCTL]}
    ),
    "kops": kubernetes(
        "Cluster",
        "kops.k8s.io/v1alpha2",
        networking={
            "amazonvpc": {
                "env": [{"name": name, "value": value} for name, value in PREFIXES["env"].items()]
            }
        },
    ),
    "Terraform": TERRAFORM,
    "a module of Terraform": MODULE,
    "configuration_values": json.dumps({"configuration_values": json.dumps(PREFIXES)}),
    "umbrella": json.dumps({"env": "prod", CHART: PREFIXES}),
    "umbrella with its own env": json.dumps({"env": {"LOG_LEVEL": "x"}, CHART: PREFIXES}),
    "deeper": json.dumps({"platform": {"on": True, CHART: PREFIXES}}),
    "extraEnv": json.dumps(
        {
            "env": {"ENABLE_PREFIX_DELEGATION": True},
            "extraEnv": [{"name": "WARM_PREFIX_TARGET", "value": "1"}],
        }
    ),
}


@pytest.mark.parametrize("text", GITOPS.values(), ids=GITOPS)
def test_every_form_gives_the_same(text):
    found = read_settings(text)
    expected = Settings(enable_prefix_delegation=True, warm_prefix_target=1)
    assert Settings.from_env(found.variables, unknown=found.unknown) == expected
    assert found.n_settings == 2
    assert found.form


@pytest.mark.parametrize("text", [DESCRIBED, LISTED], ids=["describe ds", "set env --list"])
def test_what_kubectl_prints_as_text(text):
    found = read_settings(text)
    assert found.variables == {
        "ADDITIONAL_ENI_TAGS": "{}",
        "ENABLE_PREFIX_DELEGATION": "true",
        "WARM_PREFIX_TARGET": "1",
    }
    assert list(found.unknown) == ["WARM_IP_TARGET"]
    assert found.n_settings == 3
    assert found.version == ("v1.20.1" if text is DESCRIBED else "")


def test_a_value_from_elsewhere_in_extra_env_is_unknown():
    values = {"extraEnv": [{"name": "WARM_IP_TARGET", "valueFrom": {"configMapKeyRef": {}}}]}
    assert "WARM_IP_TARGET" in read_settings(json.dumps(values)).unknown


def test_versions_are_of_the_image_or_the_addon():
    assert read_settings(json.dumps(daemonset())).version == "v1.20.1"
    assert read_settings(json.dumps(daemonset(tag="latest"))).version == ""
    addon = {"addonName": "vpc-cni", "addonVersion": "v1.14.1-eksbuild.1"}
    assert read_settings(json.dumps({"addon": addon})).version == "v1.14.1"
    assert read_settings('{"env": {}, "image": {"tag": "v1.19.0"}}').version == "v1.19.0"


# --- patches ------------------------------------------------------------------------------

KUSTOMIZATION = json.dumps({"kind": "Kustomization", "patches": [{"path": "x"}, {"patch": PATCH}]})
OPERATIONS = json.dumps(
    {
        "kind": "Kustomization",
        "patches": [
            {
                "target": {"kind": "DaemonSet", "name": "aws-node"},
                "patch": "- op: add\n  path: /spec/template/spec/containers/0/env/-\n"
                "  value: {name: ENABLE_PREFIX_DELEGATION, value: 'true'}\n",
            }
        ],
    }
)


@pytest.mark.parametrize("text", [PATCH, KUSTOMIZATION, OPERATIONS], ids="abc")
def test_a_patch_lies_over_the_published_manifest(text):
    # Case: the patch that guides carry was taken for the whole, and its pool flapped.
    found = read_settings(text)
    assert found.variables == CHART_ENV | {"ENABLE_PREFIX_DELEGATION": "true"}
    assert found.n_settings == 1
    assert "published manifest" in found.notes[0]


def test_a_patch_lies_over_the_base_that_is_given():
    base = read_daemonset(json.dumps(daemonset("aws-node", ("WARM_IP_TARGET", "5"))))
    found = read_settings(PATCH, base=base)
    assert found.variables == {"WARM_IP_TARGET": "5", "ENABLE_PREFIX_DELEGATION": "true"}
    assert found.version == "v1.20.1"
    assert not found.notes


# --- several ------------------------------------------------------------------------------


def test_one_of_several_daemonsets_is_chosen_by_name():
    both = [daemonset("aws-node", ("MAX_ENI", "2")), daemonset("custom", ("MAX_ENI", "3"))]
    text = json.dumps({"kind": "List", "items": both})
    with pytest.raises(InputError, match=r"2 DaemonSets .* \(aws-node, custom\).*--daemonset"):
        read_daemonset(text)
    assert read_daemonset(text, name="custom").variables["MAX_ENI"] == "3"
    with pytest.raises(InputError, match=r"no DaemonSet 'other' .*: aws-node, custom"):
        read_daemonset(text, name="other")


# --- refused ------------------------------------------------------------------------------

SCHEMA = {"addonName": "vpc-cni", "configurationSchema": "{}"}
STATE = {"version": 4, "terraform_version": "1.9.0", "resources": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(SCHEMA), "the schema of an add-on"),
        (json.dumps(STATE), "a Terraform state"),
        ('{"0": {"TotalIPs": 2, "AssignedIPs": 2, "ENIs": {}}}', "/v1/enis prints"),
        ('{"TotalIPs": 2, "AssignedIPs": 2, "ENIs": {}}', "/v1/enis prints"),
        (json.dumps({"addon": {"addonName": "coredns"}}), "add-on 'coredns'"),
        ("replicaCount: 2\nimage: {repository: metrics-server}", "'replicaCount' is of another"),
        (kubernetes("HelmRelease", chart={"spec": {"chart": "nginx"}}), "chart 'nginx'"),
        (kubernetes("Application", source={"chart": "nginx"}), "chart 'nginx'"),
        (kubernetes("Deployment"), "0 DaemonSets"),
        (kubernetes("Cluster", "kops.k8s.io/v1alpha2", networking={"calico": {}}), "amazonvpc"),
        (json.dumps({"kind": "ClusterConfig", "addons": [{"name": "coredns"}]}), "without"),
        ("hello", "no file that holds settings"),
        ("", "no file that holds settings"),
        (TERRAFORM.replace("vpc-cni", "kube-proxy"), "0 configuration_values"),
        (TERRAFORM.replace('"true"', "var.prefixes"), "'var.prefixes' is not written out"),
        (TERRAFORM.replace('"true"', '"${local.on}"'), "is not written out"),
        (TERRAFORM.replace("  })\n}", ""), "does not end"),
    ],
)
def test_a_file_of_another_kind_is_named(text, said):
    with pytest.raises(InputError, match=said) as caught:
        read_settings(text)
    assert "\n" not in str(caught.value)


def test_a_reference_of_terraform_is_no_value():
    text = TERRAFORM.replace('"true"', "var.prefixes")
    with pytest.raises(InputError, match="written out"):
        read_addon(text)


# --- near misses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WARM_IP_TARGETS", "WARM_IP_TARGET"),
        ("MINIMUM_IPS_TARGET", "MINIMUM_IP_TARGET"),
        ("ENABLE_PREFIX_DELEGATIONS", "ENABLE_PREFIX_DELEGATION"),
        ("WARM_ENI_TARGET", ""),
        ("ENABLE_NFTABLES", ""),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", ""),
        ("MY_NODE_NAME", ""),
        ("DISABLE_POD_V6", ""),
    ],
)
def test_near_misses(name, meant):
    assert near_miss(name) == meant


def test_a_near_miss_is_a_warning():
    (warning,) = Settings.from_env({"WARM_IP_TARGETS": "5"}).warnings
    assert "which knows WARM_IP_TARGET" in warning.effect
