"""Further public reports, their facts in our words: each found, and its near miss not."""

from __future__ import annotations

import json

import pytest

from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.collect import read_case
from support.node_files import NOW, REFUSED, eni, events, log, plain_log, trail

FULL = [eni(0, 9, 9), eni(1, 9, 9), eni(2, 9, 9)]  # m5.large: 3 ENIs of 9
DIALS = "add cmd: Error received from AddNetwork gRPC call: dial tcp 127.0.0.1:50051: refused"
NO_ADDRESS = "add cmd: failed to assign an IP address to container"


def judge(folder, **given):
    return diagnose(read_case([folder]), **given)


def found(diagnosis):
    return [(each.cause, str(each.certainty)) for each in diagnosis.found]


def failed_event(folder, message, reason="FailedCreatePodSandBox", kind="Pod", name="web-1"):
    events(folder, (reason, kind, name, message, NOW))


# --- the agent does not start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "command", "says"),
    [
        # amazon-vpc-cni-k8s#989: many agents and kube-proxy at the lock at once
        (
            (
                "ipamd init: failed to set up host network: failed to add chain: "
                "exit status 4: iptables: Resource temporarily unavailable."
            ),
            "xtables.lock",
            "iptables",
        ),
        # #2110: one address twice in the checkpoint
        ("failed ipam state recovery from backing store: EOF", "", "checkpoint"),
        ("ipamd: failed to validate configuration", "set env ds/aws-node --list", "settings"),
        (
            (
                "ipamd: can not initialize with AWS SDK interface: instance metadata: failed to "
                "retrieve region data: EC2MetadataRequestError: failed to get EC2 instance identity"
            ),
            "169.254.169.254",
            "metadata",
        ),
        (  # a step on the host is no call to EC2, and has no code of EC2
            "SetUpHost: ENODEV: no link has the MAC 02:00:00:00:00:01",
            "ip link",
            "network of the host",
        ),
        ("something that nobody met before", "", "The line names what failed"),
    ],
)
def test_an_initialization_failure_is_named_with_what_to_do(error, command, says, tmp_path):
    plain_log(tmp_path, f"Initialization failure: {error}")
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("agent does not start", "certain")]
    (cause,) = diagnosis.found
    assert "does not start" in cause.title
    assert any(command in each for each in cause.fix.commands)
    assert says in cause.fix.note


@pytest.mark.parametrize(
    "after", ["node init completed successfully", "Successfully Reconciled ENI/IP pool"]
)
def test_a_failed_start_that_was_followed_by_work_is_over(after, tmp_path):
    plain_log(tmp_path, "Initialization failure: x", "Starting L-IPAMD v1.18.5  ...", after)
    assert "agent does not start" in {each.cause for each in judge(tmp_path).ruled_out}


def test_a_panic_is_no_start(tmp_path):
    """#3431: new types, and an agent that indexes a list of network cards past its end."""
    (tmp_path / "aws-node.log").write_text(
        'time="2025-09-04T16:13:07Z" level=info msg="Starting IPAM daemon... "\n'
        'time="2025-09-04T16:13:07Z" level=info msg="Checking for IPAM connectivity... "\n'
        "panic: runtime error: index out of range [0] with length 0\n\ngoroutine 1 [running]:\n"
    )
    (cause,) = judge(tmp_path).found
    assert (cause.cause, str(cause.certainty)) == ("agent does not start", "certain")
    assert "index out of range" in cause.title
    assert "another version" in cause.fix.note


def test_the_container_of_before_v1_7_waits_in_vain(tmp_path):
    """#1055, #872: plain text, in lower case in v1.6."""
    (tmp_path / "aws-node.log").write_text(
        "starting IPAM daemon in background ... ok.\nchecking for IPAM connectivity ...  failed.\n"
        "timed out waiting for IPAM daemon to start.\n"
    )
    assert found(judge(tmp_path)) == [("agent does not start", "certain")]


def test_a_container_that_waits_and_whose_probes_fail(tmp_path):
    """#3224: nothing but two lines, and the kubelet's probes."""
    (tmp_path / "aws-node.log").write_text(
        'time="2025-03-01T14:03:52Z" level=info msg="Starting IPAM daemon... "\n'
        'time="2025-03-01T14:03:52Z" level=info msg="Checking for IPAM connectivity... "\n'
    )
    assert not judge(tmp_path).found  # it may be a log of its first second
    assert not judge(tmp_path).healthy
    failed_event(tmp_path, "Readiness probe failed: timeout", "Unhealthy", name="aws-node-s8sdc")
    assert found(judge(tmp_path)) == [("agent does not start", "likely")]


def test_a_container_whose_agent_came_up_shows_that_it_did(tmp_path):
    """#1847: some tries, and then the configuration is copied."""
    plain_log(
        tmp_path,
        "Starting IPAM daemon in the background ... ",
        *["Retrying waiting for IPAM-D"] * 3,
        "Copying config file ... ",
        "Successfully copied CNI plugin binary and config file.",
        name="aws-node.log",
        caller="entrypoint.sh",
        start="",
    )
    diagnosis = judge(tmp_path)
    assert not diagnosis.found
    assert "agent does not start" in {each.cause for each in diagnosis.ruled_out}


def test_a_setting_that_the_container_refuses(tmp_path):
    text = (
        "Setting WARM_PREFIX_TARGET = 0 is not supported while WARM_IP_TARGET/MINIMUM_IP_TARGET "
        "is not set. Please configure either one of them"
    )
    plain_log(tmp_path, text, name="aws-node.log", caller="entrypoint.sh", start="")
    (cause,) = judge(tmp_path).found
    assert cause.fix.commands[0].endswith("WARM_PREFIX_TARGET=1")


def test_a_role_that_may_not_be_assumed_is_no_missing_policy(tmp_path):
    """IRSA with a trust policy of another cluster: the policy of the role does not matter."""
    plain_log(
        tmp_path,
        "Failed to call ec2:DescribeNetworkInterfaces for [eni-1]: operation error EC2: "
        "DescribeNetworkInterfaces, get identity: get credentials: failed to refresh cached "
        "credentials, operation error STS: AssumeRoleWithWebIdentity, https response error "
        "StatusCode: 403, api error AccessDenied: Not authorized to perform "
        "sts:AssumeRoleWithWebIdentity",
    )
    (cause,) = judge(tmp_path).found
    assert cause.title.startswith("aws-node may not take the role of its service account")
    assert "attach-role-policy" not in " ".join(cause.fix.commands)
    assert "trust policy" in cause.fix.note


# --- it cannot be reached -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        DIALS,
        "add cmd: failed to connect to backend server: dial unix /var/run/aws-node/ipamd.sock: no",
        "add cmd: Error received from AddNetwork gRPC call: rpc error: code = DeadlineExceeded",
        (
            "failed (add): add cmd: Error received from AddNetwork gRPC call: "
            "context deadline exceeded"
        ),
        "cni plugin not initialized",
    ],
)
def test_the_plugins_words_for_an_agent_that_does_not_answer(message, tmp_path):
    failed_event(tmp_path, message)
    assert found(judge(tmp_path)) == [("agent cannot be reached", "certain")]
    failed_event(tmp_path, NO_ADDRESS)  # the agent answered
    assert found(judge(tmp_path)) == []


def test_the_plugins_log_alone(tmp_path):
    """#1808: plugin.log has the refused connections."""
    plain_log(
        tmp_path,
        "Received CNI add request: ContainerID(1) Netns(x) IfName(eth0)",
        "Error received from AddNetwork grpc call for containerID 1: rpc error: code = Unavailable "
        'desc = connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:50051',
        name="plugin.log",
        caller="routed-eni-cni-plugin/cni.go:126",
        start="",
    )
    assert found(judge(tmp_path)) == [("agent cannot be reached", "certain")]


def test_a_node_that_is_not_ready_for_want_of_its_cni(tmp_path):
    """karpenter#1391, #1278: only the Node is given."""
    node = {
        "kind": "Node",
        "metadata": {"name": "ip-10-0-12-34"},
        "status": {
            "allocatable": {"pods": "29"},
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "KubeletNotReady",
                 "message": "NetworkPluginNotReady: cni config uninitialized"}
            ],
        },
    }  # fmt: skip
    (tmp_path / "node.json").write_text(json.dumps(node))
    failed_event(tmp_path, "image not found", "Failed", name="aws-node-sxnbl")  # eks-workshop#1311
    assert found(judge(tmp_path)) == [("agent cannot be reached", "likely")]


# --- pods with security groups -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "message", "says"),
    [
        # amazon-vpc-resource-controller-k8s PR 24
        (
            "TrunkENICreationFailed",
            "Failed to create trunk interface: Error Code: UnauthorizedOperation",
            "The node has no trunk ENI",
        ),
        # amazon-vpc-resource-controller-k8s#8
        (
            "BranchAllocationFailed",
            "failed to allocate branch ENI to pod: cannot create new eni entry already exist",
            "cannot give a pod its branch ENI",
        ),
    ],
)
def test_what_the_resource_controller_says(reason, message, says, tmp_path):
    kind = "Node" if reason.startswith("Trunk") else "Pod"
    name = "ip-10-0-12-34" if kind == "Node" else "db-1"
    log(tmp_path, pool=[(18, 5, 0)])
    failed_event(tmp_path, message, reason, kind, name)
    (cause,) = judge(tmp_path).found
    assert (cause.cause, str(cause.certainty)) == ("branch ENIs", "certain")
    assert says in cause.title
    assert any("AmazonEKSVPCResourceController" in each for each in cause.fix.commands)


@pytest.mark.parametrize(
    ("reply", "certainty"),
    [
        ("Send AddNetworkReply: No trunk ENI found, cannot add a pod ENI", "certain"),
        ("Send AddNetworkReply: failed to get Branch ENI resource", "likely"),
    ],
)
def test_what_the_agent_says_of_pods_with_security_groups(reply, certainty, tmp_path):
    plain_log(tmp_path, "IP stats - total IPs: 18, assigned IPs: 5, cooldown IPs: 0", reply)
    assert found(judge(tmp_path)) == [("branch ENIs", certainty)]
    served = "Send AddNetworkReply: IPv4Addr: 10.0.9.9, IPv6Addr: , DeviceNumber: -1, err: <nil>"
    plain_log(tmp_path, "IP stats - total IPs: 18, assigned IPs: 5, cooldown IPs: 0", reply, served)
    assert judge(tmp_path).healthy


# --- other answers, other refusals --------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("api error InvalidGroup.NotFound: no", "EC2 answers CreateNetworkInterface with Invalid"),
        ("RequestError: send request failed", "CreateNetworkInterface gets no answer from EC2"),
        ("NoCredentialProviders: no valid providers", "The agent has no AWS credentials"),
    ],
)
def test_an_answer_that_no_other_cause_names(error, title, tmp_path):
    log(tmp_path, f"Failed to CreateNetworkInterface {error} for subnet subnet-1", REFUSED,
        pool=[(9, 9, 0)])  # fmt: skip
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("another answer of EC2", "certain")]
    assert diagnosis.found[0].title.startswith(title)


def test_every_subnet_is_excluded(tmp_path):
    plain_log(
        tmp_path,
        "IP stats for Network Card 0 - total IPs: 9, assigned IPs: 9, cooldown IPs: 0",
        "Failed to increase pool size due to not able to allocate ENI AllocENI: failed to create "
        "ENI: no valid subnets available for ENI creation - all subnets are either not tagged or "
        "tagged with kubernetes.io/role/cni=0",
        REFUSED,
        start="v1.22.4",
    )
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("no subnet allowed", "certain")]
    assert "kubernetes.io/role/cni,Value=1" in diagnosis.found[0].fix.commands[0]


def test_metadata_that_does_not_answer(tmp_path):
    """#1038: self-managed nodes whose calls to 169.254.169.254 are cut off."""
    plain_log(
        tmp_path,
        "IP stats - total IPs: 9, assigned IPs: 9, cooldown IPs: 0",
        "IP pool reconcile: Failed to get attached ENI info: get attached ENIs: failed to retrieve "
        "interfaces data: RequestError: send request failed",
        "DataStore has no available IP/Prefix addresses",
    )
    (cause,) = judge(tmp_path).found
    assert cause.cause == "ENI not in instance metadata"
    assert "does not answer" in cause.title


def test_a_plugin_of_another_version(tmp_path):
    plain_log(
        tmp_path,
        "IP stats - total IPs: 9, assigned IPs: 3, cooldown IPs: 0",
        "Rejecting AddNetwork request: rpc error: code = FailedPrecondition desc = wrong client "
        'version "v1.7.5" (!= "v1.8.0")',
    )
    assert found(judge(tmp_path)) == [("plugin of another version", "certain")]


def test_a_reason_that_nobody_knows_is_quoted(tmp_path):
    log(tmp_path, pool=[(9, 3, 0)])
    failed_event(tmp_path, "failed (add): add command: failed to setup network: no such device")
    (cause,) = judge(tmp_path).found
    assert (cause.cause, str(cause.certainty)) == ("refused although addresses are free", "certain")
    assert "no such device" in cause.title


def test_a_denied_call_of_the_nodes_role_beside_a_role_of_its_own(tmp_path):
    """#1338: pods of aws-node that started before the role was set keep the node's."""
    trail(
        tmp_path, ("i-0a1b2c3d4e5f60718", "CreateNetworkInterface", "Client.UnauthorizedOperation")
    )
    (cause,) = judge(tmp_path).found
    assert any("attach-role-policy" in each for each in cause.fix.commands)
    account = {
        "kind": "ServiceAccount",
        "metadata": {"name": "aws-node", "annotations": {"eks.amazonaws.com/role-arn": "arn:x"}},
    }
    (tmp_path / "sa.json").write_text(json.dumps(account))
    (cause,) = judge(tmp_path).found
    assert cause.fix.commands == ("kubectl -n kube-system rollout restart ds/aws-node",)
    assert "Do not attach the policy" in cause.fix.note


def test_a_start_that_a_full_subnet_ends(tmp_path):
    """#872: v1.6 allocates one address at its start; `jq .` had spread the line."""
    error = (
        "failed to allocate one IP addresses on ENI eni-1, err: allocate IP address: failed to "
        "allocate a private IP address: InsufficientFreeAddressesInSubnet: The specified subnet "
        "does not have enough free addresses to satisfy the request."
    )
    line = {
        "level": "error",
        "ts": "2020-05-18T08:52:22.632Z",
        "caller": "aws-k8s-agent/main.go:30",
        "msg": f"Initialization failure: {error}",
    }
    (tmp_path / "ipamd.log").write_text(json.dumps(line, indent=2) + "\n" * 2)
    (cause,) = judge(tmp_path).found
    assert (cause.cause, str(cause.certainty)) == ("subnet out of addresses", "certain")
    assert cause.title == "The subnet has no free address: the agent does not start"
