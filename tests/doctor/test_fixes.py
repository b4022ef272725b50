"""The fixes: what this agent and this node can do, one of several ways, and no other."""

from __future__ import annotations

import json

import pytest

from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.collect import read_case
from support.node_files import REFUSED, failed, log, manifest, plain_log

NO_ENI_CONFIG = (
    "IP pool stats: total = 0, used = 0, c.maxIPsPerENI = 9",
    "Failed to get pod ENI config",
    "DataStore has no available IP addresses",
)
AT_LIMIT = "Skipping ENI allocation as the max ENI limit is already reached"


def judge(folder, **given):
    return diagnose(read_case([folder]), **given)


def commands(finding):
    return " | ".join(finding.fix.commands)


# --- the ENIConfig's name ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "command", "says"),
    [
        ({}, "label node NODE k8s.amazonaws.com/eniConfig=NAME", "else the label k8s.amaz"),
        (
            {"ENI_CONFIG_LABEL_DEF": "failure-domain.beta.kubernetes.io/zone"},
            "annotate node NODE k8s.amazonaws.com/eniConfig=NAME",
            "else the label failure-domain.beta.kubernetes.io/zone",
        ),
        ({"ENI_CONFIG_LABEL_DEF": "team/net"}, "label node NODE team/net=NAME", "label team/net"),
        (
            {
                "ENI_CONFIG_LABEL_DEF": "topology.kubernetes.io/zone",
                "ENI_CONFIG_ANNOTATION_DEF": "team/note",
            },
            "annotate node NODE team/note=NAME",
            "the annotation team/note",
        ),
    ],
)
def test_the_eniconfig_is_named_where_the_agent_looks(variables, command, says, tmp_path):
    """#611: with ENI_CONFIG_LABEL_DEF the usual label is not read."""
    manifest(tmp_path, AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG="true", **variables)
    plain_log(tmp_path, *NO_ENI_CONFIG, start="v1.5.3")
    finding = judge(tmp_path).found[0]
    assert command in commands(finding)
    assert says in finding.fix.note


def test_the_annotation_is_named_where_the_settings_are_not_shown(tmp_path):
    plain_log(tmp_path, *NO_ENI_CONFIG, start="v1.7.5")
    finding = judge(tmp_path).found[0]
    assert "annotate node NODE k8s.amazonaws.com/eniConfig=NAME" in commands(finding)


# --- what denies ----------------------------------------------------------------------------------

DENIED = (
    "Failed to CreateNetworkInterface operation error EC2: CreateNetworkInterface, https response "
    "error StatusCode: 403, RequestID: 1, api error UnauthorizedOperation: You are not authorized "
    "to perform this operation. User: arn:aws:sts::111122223333:assumed-role/cni-role/aws-node is "
    "not authorized to perform: ec2:CreateNetworkInterface on resource: arn:aws:ec2:*:*:x/* {} for "
    "subnet subnet-1"
)


@pytest.mark.parametrize(
    ("words", "who", "look"),
    [
        ("with an explicit deny in a service control policy", "A service control policy", "organi"),
        ("with an explicit deny in a permissions boundary", "A permissions boundary", "cni-role"),
        ("with an explicit deny in a session policy", "A session policy", None),
        ("with an explicit deny in an identity-based policy", "An identity-based policy", "list-"),
        ("because no VPC endpoint policy allows the x action", "A VPC endpoint policy", "vpc-end"),
    ],
)
def test_what_denies_is_named_and_no_policy_attached(words, who, look, tmp_path):
    log(tmp_path, DENIED.format(words), REFUSED, pool=[(9, 9, 0)])
    (finding,) = judge(tmp_path).found
    assert finding.cause == "missing permission"
    assert finding.title == f"{who} denies the agent CreateNetworkInterface"
    assert "attach-role-policy" not in commands(finding)
    assert "does not help" in finding.fix.note
    assert finding.prognosis is None
    assert (look or "") in commands(finding)
    assert bool(finding.fix.commands) == (look is not None)


def test_a_missing_allow_of_the_role_is_a_policy_to_attach(tmp_path):
    because = "because no identity-based policy allows the ec2:CreateNetworkInterface action"
    log(tmp_path, DENIED.format(because), REFUSED, pool=[(9, 9, 0)])
    (finding,) = judge(tmp_path).found
    assert "--role-name cni-role --policy-arn" in commands(finding)
    assert finding.prognosis.with_fix.waiting == 0


def test_a_denied_ipv6_prefix_is_found(tmp_path):
    manifest(tmp_path, ENABLE_IPv6="true", ENABLE_IPv4="false", ENABLE_PREFIX_DELEGATION="true")
    plain_log(
        tmp_path,
        "Failed to allocate IPv6 Prefixes on ENI eni-1: operation error EC2: AssignIpv6Addresses, "
        "https response error StatusCode: 403, RequestID: 1, api error UnauthorizedOperation: You "
        "are not authorized to perform this operation.",
        start="v1.20.4",
    )
    (finding,) = judge(tmp_path).found
    assert finding.title == "The agent's role may not call AssignIpv6Addresses"


# --- what this agent can do -----------------------------------------------------------------------


@pytest.mark.parametrize(("version", "can"), [("v1.10.2", False), ("v1.18.0", True)])
@pytest.mark.parametrize("prefixes", ["true", "false"])
def test_a_subnets_tag_is_for_agents_that_read_it(version, can, prefixes, tmp_path):
    manifest(tmp_path, ENABLE_PREFIX_DELEGATION=prefixes)
    code = "InsufficientCidrBlocks" if prefixes == "true" else "InsufficientFreeAddressesInSubnet"
    log(tmp_path, failed("CreateNetworkInterface", code), REFUSED, version=version,
        pool=[(16, 16, 0)])  # fmt: skip
    finding = judge(tmp_path).found[0]
    assert finding.cause.startswith("subnet out of")
    assert ("create-tags" in commands(finding)) == can
    assert ("create nodegroup" in commands(finding)) == (not can)
    assert ("create-subnet-cidr-reservation" in commands(finding)) == (prefixes == "true")
    assert (finding.prognosis is None) == (not can)
    assert can or f"This agent ({version})" in finding.fix.note


@pytest.mark.parametrize(("version", "can"), [("v1.6.4", False), ("v1.9.0", True)])
def test_prefix_mode_is_for_agents_that_have_it(version, can, tmp_path):
    log(tmp_path, AT_LIMIT, REFUSED, version=version, pool=[(27, 27, 0)])
    finding = judge(tmp_path).found[0]
    assert ("ENABLE_PREFIX_DELEGATION" in commands(finding)) == can
    assert (finding.prognosis is not None) == can
    assert can or "upgrade it first" in finding.fix.note


# --- one of several -----------------------------------------------------------------------------


def test_ways_that_are_alternatives_are_numbered(tmp_path, capsys):
    manifest(tmp_path, ENABLE_POD_ENI="true")
    log(tmp_path, AT_LIMIT, REFUSED, max_pods=29, pool=[(18, 18, 0)])
    assert run(["doctor", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "  One of these:\n  1. " in out
    assert "\n  2. the trunk's place back" in out
    assert "\n  4. prefix mode" in out
    assert "\n  with 2:  1 pod served" in out
    assert run(["doctor", str(tmp_path), "--json"]) == 1
    fix = json.loads(capsys.readouterr().out)["found"][0]["fix"]
    assert [option["simulated"] for option in fix["options"]] == [False, True, False, False]
    assert fix["commands"] == [each for option in fix["options"] for each in option["commands"]]


def test_one_way_is_not_numbered(tmp_path, capsys):
    log(tmp_path, AT_LIMIT, REFUSED, max_pods=29, pool=[(27, 27, 0)])
    assert run(["doctor", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "One of these" not in out
    assert "\n  with it:  1 pod served" in out


# --- what the managed policy lacks, what is gone, and a Node alone -------------------------------


def test_a_call_that_the_managed_policy_lacks_gets_a_statement_of_its_own(tmp_path):
    """eksctl#8768: v1.22.0 and v1.22.1 do not start without ec2:DescribeSecurityGroups."""
    plain_log(
        tmp_path,
        "Initialization failure: discoverCustomSecurityGroups: unable to describe security groups: "
        "operation error EC2: DescribeSecurityGroups, https response error StatusCode: 403, "
        "RequestID: 1, api error UnauthorizedOperation: User: arn:aws:sts::1:assumed-role/cni/i-1 "
        "is not authorized because no identity-based policy allows the action",
        start="v1.22.1",
    )
    (finding,) = judge(tmp_path).found
    first, upgrade, off = finding.fix.options
    assert '"Action": ["ec2:DescribeSecurityGroups"]' in first.commands[0]
    assert "attach-role-policy" not in commands(finding)
    assert "v1.22.2" in upgrade.title
    assert off.commands[0].endswith("ENABLE_SUBNET_DISCOVERY=false")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("InvalidNetworkInterfaceID.NotFound", "an ENI that is gone"),
        ("InvalidSecurityGroupID.NotFound", "security groups"),
    ],
)
def test_what_is_gone_is_read_again_at_the_next_start(code, says, tmp_path, capsys):
    """#1340, #343."""
    ends = f"ipamd: can not initialize with AWS SDK interface: refreshSGIDs: unable to: {code}: no"
    plain_log(tmp_path, f"Initialization failure: {ends} {'x' * 200}", start="v1.7.5")
    (finding,) = judge(tmp_path).found
    assert finding.title.startswith(f"EC2 answers a call with {code}")
    assert "delete pod -l k8s-app=aws-node" in commands(finding)
    assert says in finding.fix.note
    assert run(["doctor", str(tmp_path)]) == 1
    assert f"... {code} ..." in " ".join(capsys.readouterr().out.split())


def test_a_node_alone_that_is_not_ready_is_judged(tmp_path):
    """karpenter#1391: nothing but the Node."""
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "KubeletNotReady",
        "message": "NetworkPluginNotReady message: cni plugin not initialized",
    }
    node = {
        "kind": "Node",
        "metadata": {"name": "ip-10-0-1-8"},
        "status": {"allocatable": {"pods": "29"}, "conditions": [condition]},
    }
    (tmp_path / "node.json").write_text(json.dumps(node))
    (finding,) = judge(tmp_path).found
    assert (finding.cause, str(finding.certainty)) == ("agent cannot be reached", "likely")
    assert "cni plugin not initialized" in finding.evidence[0].value


# --- what is said of the files ---------------------------------------------------------------


def test_the_pool_of_agents_before_v15_is_read(tmp_path):
    line = (
        "IP pool stats: total = 14, used = 14, c.currentMaxAddrsPerENI = 14, c.maxAddrsPerENI = 14"
    )
    plain_log(tmp_path, line, start="1.3.2")
    pool = judge(tmp_path).facts.pool
    assert (pool.total, pool.assigned, pool.per_eni) == (14, 14, 14)


def test_files_of_two_nodes_are_said(tmp_path):
    log(tmp_path, pool=[(9, 3, 0)])
    for name, said in (("ip-10-0-12-34.ec2.internal", False), ("ip-10-9-9-9.ec2.internal", True)):
        node = {"kind": "Node", "metadata": {"name": name}, "status": {}}
        (tmp_path / "node.json").write_text(json.dumps(node))
        assert any("the log is of node" in one for one in judge(tmp_path).doubts) == said


def test_a_table_of_kubectl_that_is_not_read_is_named(tmp_path):
    log(tmp_path, pool=[(9, 3, 0)])
    (tmp_path / "kubectl-get-pods.txt").write_text("NAME   READY\naws-node-7bbjw   0/1\n")
    assert (
        "kubectl-get-pods.txt: nothing in it that doctor reads" in judge(tmp_path).facts.case.notes
    )
