"""Each finding of `explain`: where it comes, where it does not, and its numbers."""

from functools import cache

import pytest

from ipam_core import IPAM_CORE, VPC_CNI
from ipam_core.diagnosis.explain.explanation import CHECKS, explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.instances import InstanceLimits

M8G = "m8g.4xlarge"
PREFIX = {"ENABLE_PREFIX_DELEGATION": "true"}
CUSTOM = {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"}

# identifier, instance type, variables, other arguments: cases in which the finding is met.
MET = [
    ("agent-does-not-start", M8G, {"ENABLE_IPv6": "true"}, {}),
    ("agent-does-not-start", M8G, CUSTOM | {"MAX_ENI": "1"}, {}),
    ("provisioning-off", M8G, {"DISABLE_NETWORK_RESOURCE_PROVISIONING": "true"}, {}),
    ("provisioning-off", M8G, {"ENABLE_IMDS_ONLY_MODE": "true"}, {}),
    ("minimum-without-warm", M8G, {"MINIMUM_IP_TARGET": "25"}, {}),
    ("minimum-without-warm", M8G, PREFIX | {"MINIMUM_IP_TARGET": "25"}, {}),
    ("minimum-without-warm", M8G, {"MINIMUM_IP_TARGET": "9", "WARM_IP_TARGET": "x"}, {}),
    ("subnet-too-small", M8G, {}, {"subnet_free": 50}),
    ("subnet-too-small", M8G, PREFIX, {"subnet_free": 100}),
    ("max-pods-above-capacity", M8G, {}, {"max_pods": 235}),
    ("max-pods-above-capacity", M8G, {"MAX_ENI": "2"}, {}),
    ("max-pods-above-capacity", M8G, CUSTOM, {}),
    ("value-not-read", M8G, {"WARM_IP_TARGET": "5.0"}, {}),
    ("value-not-read", M8G, {"ENABLE_IPV6": "true"}, {}),
    ("nothing-kept-warm", M8G, {"WARM_ENI_TARGET": "0"}, {}),
    ("nothing-kept-warm", M8G, PREFIX, {}),
    ("nothing-kept-warm", M8G, {"MINIMUM_IP_TARGET": "25"}, {"policy": IPAM_CORE}),
    ("pool-flaps", M8G, PREFIX, {}),
    ("pool-flaps", "m5.xlarge", CUSTOM | {"WARM_ENI_TARGET": "0"}, {}),
    ("prefixes-unsupported", "m4.large", PREFIX, {}),
    ("not-in-this-agent", M8G, {"IP_COOLDOWN_PERIOD": "20"}, {"version": "v1.14.1"}),
    ("target-out-of-reach", M8G, {"MINIMUM_IP_TARGET": "233"}, {}),
    ("target-out-of-reach", M8G, {"WARM_ENI_TARGET": "9"}, {}),
    ("target-out-of-reach", M8G, {"WARM_IP_TARGET": "60"}, {"max_pods": 30}),
    ("cooldown-exhausted", M8G, {}, {}),
    ("cooldown-exhausted", M8G, {"WARM_IP_TARGET": "5"}, {}),
    ("setting-ignored", M8G, {"WARM_ENI_TARGET": "1", "WARM_IP_TARGET": "5"}, {}),
    ("setting-ignored", M8G, {"WARM_IP_TARGET": "0"}, {}),
    ("setting-ignored", M8G, {"WARM_PREFIX_TARGET": "2"}, {}),
    ("setting-ignored", M8G, {"MAX_ENI": "20"}, {}),
    ("setting-ignored", M8G, {"MINIMUM_IP_TARGET": "3", "WARM_IP_TARGET": "5"}, {}),
    ("capacity-lowered", M8G, {"ENABLE_POD_ENI": "true"}, {}),
    ("max-pods-below-capacity", M8G, {}, {"max_pods": 110}),
    ("max-pods-stops-growth", M8G, {}, {"max_pods": 110}),
    ("calls-per-pod", M8G, {"WARM_IP_TARGET": "1"}, {}),
    ("idle-addresses", M8G, {}, {"subnet_free": 1000}),
    ("network-cards", "p5.48xlarge", {"ENABLE_MULTI_NIC": "true"}, {}),
]

# What looks alike and is well.
NOT_MET = [
    ("agent-does-not-start", M8G, {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false"} | PREFIX, {}),
    ("minimum-without-warm", M8G, {"MINIMUM_IP_TARGET": "25", "WARM_IP_TARGET": "1"}, {}),
    ("minimum-without-warm", M8G, {"MINIMUM_IP_TARGET": "25"}, {"max_pods": 27}),
    ("minimum-without-warm", M8G, {"MINIMUM_IP_TARGET": "25"}, {"policy": IPAM_CORE}),
    ("minimum-without-warm", M8G, {"WARM_IP_TARGET": "5"}, {"max_pods": 240}),
    ("minimum-without-warm", M8G, {"WARM_IP_TARGET": "5"}, {"subnet_free": 50}),
    ("subnet-too-small", M8G, {}, {"subnet_free": 239}),
    ("subnet-too-small", M8G, {"MINIMUM_IP_TARGET": "25"}, {"subnet_free": 25}),
    ("max-pods-above-capacity", M8G, {}, {"max_pods": 234}),
    ("max-pods-above-capacity", M8G, PREFIX, {"max_pods": 250}),
    ("value-not-read", M8G, {"WARM_IP_TARGET": "+5"}, {}),
    ("nothing-kept-warm", M8G, {"WARM_ENI_TARGET": "1"}, {}),
    ("pool-flaps", M8G, PREFIX | {"WARM_PREFIX_TARGET": "1"}, {}),
    ("prefixes-unsupported", M8G, PREFIX, {}),
    ("not-in-this-agent", M8G, {"IP_COOLDOWN_PERIOD": "20"}, {"version": "v1.15.0"}),
    ("not-in-this-agent", M8G, {"IP_COOLDOWN_PERIOD": "20"}, {}),
    ("target-out-of-reach", M8G, {"MINIMUM_IP_TARGET": "232"}, {}),
    ("target-out-of-reach", M8G, {}, {"subnet_free": 20}),
    ("cooldown-exhausted", M8G, {"WARM_IP_TARGET": "116"}, {}),
    ("cooldown-exhausted", M8G, {"IP_COOLDOWN_PERIOD": "0"}, {}),
    ("setting-ignored", M8G, {"WARM_ENI_TARGET": "1", "WARM_PREFIX_TARGET": "1"}, {}),
    ("cooldown-exhausted", "t3.medium", {"WARM_IP_TARGET": "1"}, {"policy": IPAM_CORE}),
    # Up to all pods the node does the same without it; on the way back it keeps ENIs.
    (
        "setting-ignored",
        "m5.large",
        PREFIX | {"WARM_IP_TARGET": "1", "WARM_PREFIX_TARGET": "5"},
        {"max_pods": 400},
    ),
    ("setting-ignored", M8G, {"WARM_IP_TARGET": "five"}, {}),
    ("setting-ignored", M8G, {"MAX_ENI": "3"}, {}),
    ("capacity-lowered", M8G, {"MAX_ENI": "8"}, {}),
    ("max-pods-below-capacity", M8G, PREFIX, {"max_pods": 110}),
    ("max-pods-stops-growth", M8G, {}, {}),
    ("calls-per-pod", M8G, {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "232"}, {}),
    ("idle-addresses", M8G, {}, {}),
    ("network-cards", "p5.48xlarge", {}, {}),
]


def found(identifier, explained):
    return [each for each in explained.findings if each.kind.identifier == identifier]


COSTS = {check.kind.identifier for check in CHECKS if check.kind.severity is Severity.INFO}


def least_of(identifier):
    """Return the severity down to which findings are searched: costs take the longest."""
    return Severity.INFO if identifier in COSTS else Severity.WARNING


@cache
def _explained(number):
    identifier, instance, env, arguments = (MET + NOT_MET)[number]
    advise = number < len(MET)
    return explain(instance, env, least=least_of(identifier), advise=advise, **arguments)


def explained_of(case):
    """Explain a case of the lists, once for all tests."""
    return _explained((MET + NOT_MET).index(case))


def case_id(case):
    identifier, instance, env, arguments = case
    named = [*(f"{k}={v}" for k, v in env.items()), *(f"{k}" for k in arguments)]
    return f"{identifier}-{instance}-{','.join(named)}"


@pytest.mark.parametrize("case", MET, ids=case_id)
def test_finding_is_met(case):
    explained = explained_of(case)
    (finding,) = found(case[0], explained)
    assert all(finding.why)
    assert explained.healthy == (
        explained.verdict.serves_all
        and {str(each.kind.severity) for each in explained.findings} <= {"info"}
    )


@pytest.mark.parametrize("case", NOT_MET, ids=case_id)
def test_finding_is_not_met(case):
    assert not found(case[0], explained_of(case))


def test_every_kind_is_met_and_not_met_somewhere():
    kinds = {check.kind.identifier for check in CHECKS}
    assert len(kinds) == len(CHECKS)
    assert {case[0] for case in MET} == kinds
    # provisioning-off has no look-alike.
    assert {case[0] for case in NOT_MET} == kinds - {"provisioning-off"}


@pytest.mark.parametrize("case", MET, ids=case_id)
def test_a_fix_does_what_is_said_of_it(case):
    """A fix is applied here, by hand, and the settings explained again."""
    identifier, instance, env, arguments = case
    (finding,) = found(identifier, explained_of(case))
    change = finding.fix.change if finding.fix else None
    if change is None:
        return
    fixed = {k: v for k, v in (env | (change.env or {})).items() if v is not None}
    with_fix = {**arguments, **({"max_pods": change.max_pods} if change.max_pods else {})}
    anew = explain(instance, fixed, least=least_of(identifier), advise=False, **with_fix)
    assert not found(identifier, anew) or identifier == "cooldown-exhausted"
    if "all" in finding.outcome:
        assert anew.verdict.serves_all
        assert f"serves all {anew.verdict.n_pods} pods" in finding.outcome
    for name, value in (change.env or {}).items():
        shown = f"{name}-" if value is None else f"{name}={value}"
        assert shown in finding.fix.commands[0]


def test_findings_say_what_the_verdict_is():
    """A pod that gets no address comes with an error, and an error with such a pod."""
    for case in MET + NOT_MET:
        _, _, env, arguments = case
        explained = explained_of(case)
        errors = [f for f in explained.findings if f.kind.severity == "error"]
        assert bool(errors) == (not explained.verdict.serves_all), (env, arguments)


def test_the_stall_of_the_incident():
    explained = explain(M8G, {"MINIMUM_IP_TARGET": "25", "WARM_ENI_TARGET": "1"})
    assert str(explained.verdict) == "stalls at pod 26 with 207 slots unused"
    stall, ignored = explained.findings
    assert stall.why[0] == "short = max(WARM_IP_TARGET 0 - available 0,"
    assert stall.why[2].endswith("max(0, 0, 0) = 0")
    assert stall.fix.commands == ("kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET=10",)
    assert stall.outcome == "serves all 232 pods"
    assert ignored.why == ("WARM_ENI_TARGET=1: an IP target is set",)


def test_the_prefix_stall():
    # pool-rules section 4: in prefix mode the same settings stall at 32.
    verdict = explain(M8G, PREFIX | {"MINIMUM_IP_TARGET": "25"}).verdict
    assert (verdict.stalled_at, verdict.unused_slots) == (33, 230)


# The tables of docs/eni-and-ip-target.md of aws/amazon-vpc-cni-k8s: pods, ENIs, addresses.
AWS_TABLE = [
    ("t3.small", {"WARM_ENI_TARGET": "1"}, 5, (3, 3, 3)),
    ("t3.small", {"WARM_ENI_TARGET": "1"}, 9, (3, 3, 3)),
    ("t3.small", {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "1"}, 0, (1,)),
    ("t3.small", {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "1"}, 5, (3, 3)),
    ("t3.small", {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, 0, (3, 2)),
    ("t3.small", {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, 5, (3, 3, 1)),
    ("p3dn.24xlarge", {"WARM_ENI_TARGET": "1"}, 0, (49,)),
    ("p3dn.24xlarge", {"WARM_ENI_TARGET": "1"}, 3, (49, 49)),
    ("p3dn.24xlarge", {"WARM_ENI_TARGET": "1"}, 95, (49, 49, 49)),
    ("p3dn.24xlarge", {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 0, (10,)),
    ("p3dn.24xlarge", {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 7, (12,)),
    ("p3dn.24xlarge", {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 45, (49, 1)),
]


@pytest.mark.parametrize(("instance", "env", "pods", "per_eni"), AWS_TABLE)
def test_levels_are_those_of_awss_own_table(instance, env, pods, per_eni):
    explained = explain(instance, env, least=Severity.ERROR, advise=False)
    assert explained.play.up[pods].per_eni == per_eni


def test_the_way_back_gives_back():
    env = {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}
    play = explain(M8G, env, least=Severity.ERROR, advise=False).play
    assert [level.pods for level in play.back] == list(range(231, -1, -1))
    assert all(level.total == min(max(level.pods + 5, 10), 232) for level in play.back)


def test_a_limit_can_be_given_instead_of_a_type():
    limits = InstanceLimits(
        instance_type="mine",
        max_enis=2,
        ipv4_per_eni=4,
        hypervisor="nitro",
        bare_metal=False,
        enis_per_network_card=(2,),
        default_network_card=0,
        max_pods=8,
    )
    assert explain(limits).verdict.served == 6


def test_no_pod_at_all_is_served():
    assert str(explain(M8G, max_pods=2).verdict) == "serves all 0 pods"


def test_an_unknown_type_is_refused():
    with pytest.raises(UnknownInstanceTypeError, match=r"m8g\.4xlarg"):
        explain("m8g.4xlarg")


def test_the_seed_decides_what_is_left_to_chance():
    first, again, other = (
        [
            level.per_eni
            for level in explain(M8G, seed=seed, least=Severity.ERROR, policy=VPC_CNI).play.back
        ]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
