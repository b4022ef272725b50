"""What `explain` says of random settings, against a slow model that knows only the rules."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.instances import InstanceLimits
from ipam_core.policy import IPAM_CORE, VPC_CNI
from support.slow_pool import SlowNode, fill


def limits_of(max_enis, slots):
    return InstanceLimits(
        instance_type="test.type",
        max_enis=max_enis,
        ipv4_per_eni=slots + 1,
        hypervisor="nitro",
        bare_metal=False,
        enis_per_network_card=(max_enis,),
        default_network_card=0,
        max_pods=max_enis * slots + 2,
    )


def seldom(*values):
    """Return a strategy that mostly gives None, for unset."""
    return st.sampled_from([None] * 7 * len(values) + list(values))


TARGETS = [
    {},
    {"WARM_ENI_TARGET"},
    {"WARM_IP_TARGET"},
    {"MINIMUM_IP_TARGET"},
    {"WARM_IP_TARGET", "MINIMUM_IP_TARGET"},
    {"WARM_ENI_TARGET", "WARM_PREFIX_TARGET"},
    {"WARM_PREFIX_TARGET"},
    {"WARM_ENI_TARGET", "WARM_IP_TARGET", "MINIMUM_IP_TARGET", "WARM_PREFIX_TARGET"},
]
MOST = {
    "WARM_ENI_TARGET": 3,
    "WARM_IP_TARGET": 8,
    "MINIMUM_IP_TARGET": 40,
    "WARM_PREFIX_TARGET": 3,
}


@st.composite
def cases(draw):
    """Return (max_enis, slots, variables, max_pods, subnet_free)."""
    max_enis = draw(st.sampled_from([1, 2, 3, 4, 4]))
    slots = draw(st.sampled_from([1, 2, 3, 5, 9, 14]))
    prefix = draw(st.booleans())
    variables = {
        name: draw(st.sampled_from(range(MOST[name] + 1)))
        for name in sorted(draw(st.sampled_from(TARGETS)))
    } | {
        "ENABLE_PREFIX_DELEGATION": prefix,
        "MAX_ENI": draw(seldom(0, 1, 2, 3, 5)),
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": draw(seldom(False, True, True)),
        "ENABLE_POD_ENI": draw(seldom(False, True, True)),
        "DISABLE_NETWORK_RESOURCE_PROVISIONING": draw(seldom(True)),
    }
    most_pods = min(max_enis * slots * (16 if prefix else 1) + 3, 80)
    max_pods = draw(st.sampled_from(range(1, most_pods + 2)))
    subnet_free = draw(st.sampled_from([None] * 90 + list(range(91))))
    return (
        max_enis,
        slots,
        {name: str(value).lower() for name, value in variables.items() if value is not None},
        max_pods,
        subnet_free,
    )


LEAST = st.sampled_from([Severity.INFO, Severity.WARNING, Severity.WARNING, Severity.WARNING])
"""Down to which severity findings are searched: the costs, which the model has not, take long."""


def slow_node(max_enis, slots, variables, max_pods, subnet_free):
    def number(name, default):
        return int(variables.get(name, default))

    max_eni = number("MAX_ENI", 0)
    return SlowNode(
        max_enis=min(max_enis, max_eni) if max_eni >= 1 else max_enis,
        slots=slots,
        max_pods=max_pods,
        warm_eni=number("WARM_ENI_TARGET", 1),
        warm_ip=number("WARM_IP_TARGET", 0),
        minimum_ip=number("MINIMUM_IP_TARGET", 0),
        warm_prefix=number("WARM_PREFIX_TARGET", 0),
        prefix=variables.get("ENABLE_PREFIX_DELEGATION") == "true",
        custom_networking=variables.get("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG") == "true",
        pod_eni=variables.get("ENABLE_POD_ENI") == "true",
        provisioning=variables.get("DISABLE_NETWORK_RESOURCE_PROVISIONING") != "true",
        subnet_free=subnet_free,
    )


@given(case=cases(), seed=st.integers(0, 3), least=LEAST)
def test_the_verdict_is_that_of_the_slow_model(case, seed, least):
    max_enis, slots, variables, max_pods, subnet_free = case
    node = slow_node(*case)
    # How many prefixes are asked for hangs on which prefixes the pods are on, and whether
    # a nearly full subnet refuses, on how many are asked for: there pods are packed.
    packed = node.prefix and subnet_free is not None
    explained = explain(
        limits_of(max_enis, slots),
        variables,
        max_pods=max_pods,
        subnet_free=subnet_free,
        policy=replace(VPC_CNI, pack=packed),
        seed=seed,
        least=least,
    )
    verdict = explained.verdict
    assert bool(verdict.init_error) == (not node.started)
    if verdict.init_error:
        return
    stalled_at, burst, settles = fill(node, max(max_pods - 2, 0))
    assert verdict.stalled_at == stalled_at
    assert verdict.serves_all == (stalled_at is None)
    # A pod that gets no address comes with an error that says why, and an error with such a pod.
    errors = [each for each in explained.findings if each.kind.severity == "error"]
    assert bool(errors) == (stalled_at is not None)
    if stalled_at is not None:
        assert verdict.unused_slots == node.unused_slots()
    assert (explained.play.flap is None) == settles
    if not node.prefix and settles:
        assert verdict.burst == burst


@given(case=cases(), seed=st.integers(0, 3), least=LEAST)
def test_policy_ipam_core_stalls_only_where_slots_or_addresses_end(case, seed, least):
    """Whatever the settings: the findings say why, and no slot stays unused but for room."""
    max_enis, slots, variables, max_pods, subnet_free = case
    explained = explain(
        limits_of(max_enis, slots),
        variables,
        max_pods=max_pods,
        subnet_free=subnet_free,
        policy=IPAM_CORE,
        seed=seed,
        least=least,
    )
    verdict = explained.verdict
    errors = [each for each in explained.findings if each.kind.severity == "error"]
    assert bool(errors) == (not verdict.serves_all)
    provisioned = "DISABLE_NETWORK_RESOURCE_PROVISIONING" not in variables
    if provisioned and subnet_free is None and not verdict.init_error and not verdict.serves_all:
        assert verdict.unused_slots == 0
