"""What operators reported, as their files: doctor says what is true, or what is missing.

Each folder of `reports/` holds the facts of a public report in the agent's real format.
`says` are words of the output, `not_says` what was said before and is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.collect import read_case

REPORTS = Path(__file__).parent / "reports"


@dataclass(frozen=True)
class Truth:
    """What a report must give: the main cause ("" for none), how sure, and words of the output."""

    cause: str
    certainty: str
    says: tuple[str, ...]
    not_says: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


ABOVE = "maxPods above the addresses"
NO_28 = (
    "The subnet has no free /28 left",
    "create-subnet-cidr-reservation",
)
TRUTHS = {
    # 8 ENIs are attached, the agent lost all but 2 of them (1.5.0, 1.5.1)
    "01-547-attachment-limit-console": Truth(
        "attached ENIs that the agent does not use",
        "certain",
        ("8 ENIs are attached to the instance, and the agent uses 2", "delete pod", "v1.5.3"),
        ("Nothing wrong",),
    ),
    "02-890-maxpods-above-addresses-v155": Truth(
        "ENI limit", "certain", ("all 56 addresses are used", "maxPods 58", "from v1.9")
    ),
    # no zone label on the node, so no ENIConfig is found
    "03-611-eniconfig-missing-v153": Truth(
        "custom networking without room", "certain", ("the node has no ENIConfig", "annotate node")
    ),
    "04-1058-eniconfig-json-v17": Truth(
        "custom networking without room", "certain", ("the node has no ENIConfig",)
    ),
    # the agent's table: 50 addresses an ENI, EC2's: 15
    "06-1083-wrong-limit-g4dn-v162": Truth(
        "limits of the type", "certain", ("49 addresses an ENI", "EC2 allows 14", "v1.6.2 has not")
    ),
    "07-2309-wrong-limit-d3en-v112": Truth(
        "limits of the type", "certain", ("EC2 allows 3 ENIs on d3en.12xlarge", "89 is right")
    ),
    "08-2980-enis-full-v118": Truth(
        ABOVE, "certain", ("maxPods 58", "35 is right", "ENABLE_PREFIX_DELEGATION=true")
    ),
    "09-2045-no-28-sgp-v111": Truth("subnet out of /28s", "certain", NO_28),
    "10-2683-eniconfig-not-found-v113": Truth(
        "custom networking without room",
        "certain",
        ("none is named us-east-1c", "the agent does not start", "Create the ENIConfig us-east-1c"),
    ),
    "11-3238-custom-net-maxpods-v119": Truth(
        ABOVE,
        "certain",
        ("44 is right (3 ENIs x 14 = 42", "primary ENI serves no pod", "only where the subnet has"),
    ),
    "12-2892-pod-eni-maxpods-v118": Truth(
        "ENI limit",
        "certain",
        ("kept for a trunk ENI (ENABLE_POD_ENI)", "ENABLE_POD_ENI=false", "max-pods-per-node 44"),
    ),
    # the first try of a pod with a security group fails, the next one succeeds
    "13-3066-branch-eni-v118": Truth("", "", ("Nothing wrong: 13 addresses can be given now",)),
    "15-karpenter-1185-describe-denied-v193": Truth(
        "missing permission", "certain", ("DescribeNetworkInterfaces", "AmazonEKS_CNI_Policy")
    ),
    # the role of the service account was set after the pods of aws-node started
    "16-1454-trail-instance-role": Truth(
        "missing permission",
        "likely",
        ("made with the node's role (node-role)", "rollout restart ds/aws-node"),
        ("the log does not say so", "EC2 gave no such answer"),
    ),
    "17-eksctl-8768-describe-sg-denied-v122": Truth(
        "missing permission",
        "certain",
        ("may not call DescribeSecurityGroups: the agent does not start",),
        ("EC2 gave no such answer",),
    ),
    "18-eksctl-8835-describe-subnets-denied-v122": Truth(
        "missing permission",
        "certain",
        ("may not call DescribeSubnets: the agent does not start",),
    ),
    "19-2262-sts-hang-v112": Truth(
        "agent does not start",
        "certain",
        ("it started 2 times and never got to work", "STS", "No address is missing"),
        ("EC2 gave no such answer",),
    ),
    "20-575-apiserver-unreachable-v152": Truth(
        "agent does not start", "certain", ("cannot reach the API server", "kube-proxy")
    ),
    "21-1847-apiserver-unreachable-json": Truth(
        "agent does not start", "certain", ("cannot reach the API server", "kube-proxy")
    ),
    "23-1590-ipamd-down-events-only": Truth(
        "agent cannot be reached",
        "certain",
        ("cannot reach the agent", "127.0.0.1:50051", "Look at aws-node, not at addresses"),
    ),
    "24-velog-t2micro-too-many-pods": Truth(
        "maxPods reached", "certain", ("Every node holds as many pods",), ("110",)
    ),
    "26-2485-fluentbit-wrapped": Truth("", "", ("28 addresses: 24 assigned",)),
    "27-1739-trail-subnet-full": Truth(
        "subnet out of addresses", "likely", ("The subnet has no free address",)
    ),
    "28-3112-insufficient-pod-eni": Truth(
        "branch ENIs", "certain", ("No branch ENI is left", "no lack of addresses")
    ),
    "30-1010-2110-checkpoint-recovery": Truth(
        "checkpoint cannot be restored",
        "certain",
        (
            "192.168.0.10 is held by two sandboxes",
            "ipam-empty.json  it is empty",
            "ipam-truncated.json  damaged JSON",
            "checkpoint import",
        ),
    ),
    "31-3876-stale-after-restart": Truth(
        "restored addresses dropped", "likely", ("addresses of 6 pods", "10.0.7.37", "Delete each")
    ),
    "32-1203-trunk-not-attached-v172": Truth(
        "ENI limit",
        "certain",
        ("kept for a trunk ENI", "AmazonEKSVPCResourceController", "ENABLE_POD_ENI=false"),
    ),
    "33-probe-disk-full-backing-store": Truth(
        "checkpoint cannot be written", "certain", ("no space left on device", "df -h")
    ),
    "34-probe-busy-healthy-m5large": Truth(
        "", "", ("Nothing wrong: 7 addresses",), arguments=("--instance", "m5.large")
    ),
    "35-probe-v110-pool-text-min-only": Truth(
        "minimum-only stall", "certain", ("the pool stopped at 25 addresses", "WARM_IP_TARGET=10")
    ),
    "36-890-json-v164-eni-limit-text": Truth(
        "ENI limit", "certain", ("all 56 addresses are used",), ("the log does not say so: ENI",)
    ),
    # the events are 17 minutes younger than the log, which ends with the refusal
    "37-2045-events-17min-later": Truth("subnet out of /28s", "likely", NO_28),
    "38-2045-newer-network-policy-log": Truth("subnet out of /28s", "certain", NO_28),
    "39-1425-entrypoint-retrying": Truth(
        "agent does not start",
        "certain",
        ("its container waits for it", "/var/log/aws-routed-eni/ipamd.log"),
        ("EC2 gave no such answer",),
    ),
}


def test_every_report_has_its_truth():
    assert {path.name for path in REPORTS.iterdir()} == set(TRUTHS)


@pytest.mark.parametrize("name", TRUTHS)
def test_doctor_says_what_is_true(name, capsys):
    truth = TRUTHS[name]
    status = run(["doctor", str(REPORTS / name), *truth.arguments])
    out = capsys.readouterr().out
    told = " ".join(out.split())
    assert status == (1 if truth.cause else 0), out
    for words in truth.says:
        assert " ".join(words.split()) in told, (words, out)
    for words in truth.not_says:
        assert words not in told, (words, out)
    assert all(len(line) <= 80 or " " not in line.strip() for line in out.splitlines())


@pytest.mark.parametrize("name", [name for name, truth in TRUTHS.items() if truth.cause])
def test_the_cause_is_the_true_one_and_as_sure_as_it_may_be(name):
    truth = TRUTHS[name]
    found = diagnose(read_case([REPORTS / name])).found
    assert (found[0].cause, str(found[0].certainty)) == (truth.cause, truth.certainty)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(path for path in REPORTS.glob("*/*"))),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=5), st.integers(0, 60)), max_size=5),
)
def test_a_damaged_report_never_gives_a_traceback(tmp_path, capsys, original, edits):
    content = bytearray(original.read_bytes())
    for place, put_in, n_cut in edits:
        at = int(place * len(content))
        content[at : at + n_cut] = put_in
    (tmp_path / "file").write_bytes(content)
    assert run(["doctor", str(tmp_path / "file")]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err
