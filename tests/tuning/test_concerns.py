"""Nothing that `explain` has against settings is recommended, nor called a stall where none is."""

from dataclasses import replace
from math import inf

import pytest

from ipam_core.diagnosis.explain import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.spec import GroupSpec
from ipam_core.simulation.fleet.workload_specs import Arrivals, Churn, DaemonSet
from ipam_core.tuning import Outcome, tune
from ipam_core.tuning import search as searching
from ipam_core.tuning.concerns import concerns_of
from ipam_core.tuning.outcome import pooled
from support.fleets import S, fleet

PREFIXES = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
NODES = [
    ("m5.large", None, {}),
    ("m5.large", 16, {}),
    ("m5.large", None, PREFIXES),
    ("m5.large", 29, PREFIXES),
    ("m5.large", 110, PREFIXES),
    ("m5.4xlarge", 110, {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "30"}),
    ("m5.4xlarge", None, {"WARM_IP_TARGET": "5"}),
    ("t3.small", 8, PREFIXES),
    ("m4.large", None, {"WARM_IP_TARGET": "2"}),
]


def small(instance_type, max_pods, env, pods=3):
    return fleet(
        DaemonSet(),
        Churn(pods_per_node=pods, lifetime_ns=200 * S),
        instance_type=instance_type,
        max_pods=max_pods,
        env=env,
        count=2,
        minutes=8,
    )


@pytest.mark.parametrize(("instance_type", "max_pods", "env"), NODES)
def test_a_node_that_serves_all_its_pods_does_not_stall(instance_type, max_pods, env):
    """Prevents "stalled: serves all 27 pods", where maxPods is below what the slots hold."""
    spec = small(instance_type, max_pods, env)
    verdict = explain(instance_type, env, max_pods=spec.groups[0].kubelet_max_pods).verdict
    assert verdict.serves_all
    assert not [concern for concern in concerns_of(spec, env, VPC_CNI) if concern.stalls]


@pytest.mark.parametrize(("instance_type", "max_pods", "env"), NODES)
def test_what_is_recommended_has_no_warning_of_explain(instance_type, max_pods, env):
    """Prevents WARM_ENI_TARGET=0, which flaps with 522 calls an hour outside the workload."""
    spec = small(instance_type, max_pods, env)
    found = tune(spec, seeds=1)
    assert found.today_stalls == ""
    best = found.recommended
    assert best is not None
    most = spec.groups[0].kubelet_max_pods
    findings = explain(instance_type, best.env, max_pods=most).findings
    assert [f.kind.identifier for f in findings if f.kind.severity is not Severity.INFO] == []
    assert found.reasons == ()
    for outcome, why in found.put_aside:
        assert not why.startswith(f"{instance_type}: serves all"), outcome


def test_prefix_mode_is_not_put_aside_for_slots_that_nobody_needs():
    found = tune(small("m5.large", 110, PREFIXES, pods=40), seeds=1)
    assert found.recommended.env["ENABLE_PREFIX_DELEGATION"] == "true"
    assert any("full: 27 of 108 pods" in why for _, why in found.put_aside)


def test_every_type_and_max_pods_of_the_fleet_is_asked():
    spec = small("m5.large", 29, {"MINIMUM_IP_TARGET": "27"})
    same_type = GroupSpec(name="more", instance_type="m5.large", count=1, subnets=("a",),
                          max_pods=60, env={"MINIMUM_IP_TARGET": "27"})  # fmt: skip
    assert concerns_of(spec, {"MINIMUM_IP_TARGET": "27"}, VPC_CNI) == ()
    both = replace(spec, groups=(*spec.groups, same_type))
    (concern, *_) = concerns_of(both, {"MINIMUM_IP_TARGET": "27"}, VPC_CNI)
    assert concern.stalls
    assert concern.text == "m5.large: full: 27 of 58 pods get an address"


def test_what_no_settings_are_without_is_a_reason_not_a_refusal():
    """A variable that is not read, and a node that is full whatever is set."""
    env = {"WARM_IP_TARGET": "2", "AWS_VPC_K8S_CNI_EXTERNALSNAT": "perhaps", "MAX_ENI": "none"}
    found = tune(small("m4.large", None, env), seeds=1)
    assert found.recommended is not None
    assert any("value-not-read" in reason for reason in found.reasons)
    full = tune(small("m4.large", 40, {"WARM_IP_TARGET": "2"}), seeds=1)
    assert full.recommended is not None
    assert full.reasons == ("m4.large: full: 18 of 38 pods get an address",)


def test_a_front_without_what_was_put_aside_is_another_front(monkeypatch):
    """What a warned setting beats is not lost with it."""
    tried = [{"WARM_ENI_TARGET": "0"}, {"WARM_ENI_TARGET": "1"}, {"WARM_ENI_TARGET": "2"}]
    monkeypatch.setattr(searching, "candidates", lambda *_, **__: tried)
    spec = fleet(Arrivals(pods=12, at_ns=60 * S), count=2, minutes=6)
    found = tune(spec, seeds=1)
    assert [outcome.env for outcome, _ in found.put_aside] == [tried[0]]
    assert "pool-flaps" in found.put_aside[0][1]
    assert found.recommended.env in tried[1:]


def test_todays_warnings_are_named():
    found = tune(small("m5.large", None, {"WARM_ENI_TARGET": "0"}), seeds=1)
    assert any("pool-flaps: with 9 pods: 522 EC2 calls an hour" in w for w in found.today_warnings)


# --- several seeds --------------------------------------------------------------------


def outcome(idle, wait=1.0, calls=2.0):
    return Outcome(
        env={"A": "1"},
        idle=idle,
        wait_p99_s=wait,
        calls=calls,
        n_pods=10,
        n_waited=2,
        n_unserved=1,
    )


def test_margins_are_those_of_students_t():
    """Of 2, 3 and 4: mean 3, deviation 1; t for 2 degrees of freedom is 4.303."""
    found = pooled([outcome(2.0), outcome(3.0), outcome(4.0)])
    assert found.idle == 3.0
    assert found.margin == pytest.approx((4.303 / 3**0.5, 0.0, 0.0))
    assert (found.n_seeds, found.n_pods, found.n_waited, found.n_unserved) == (3, 30, 6, 3)


def test_one_seed_has_no_margin_and_pods_that_are_never_served_none_either():
    assert pooled([outcome(2.0)]).margin is None
    found = pooled([outcome(2.0), outcome(2.0, wait=inf)])
    assert (found.wait_p99_s, found.margin[1]) == (inf, inf)


def test_margins_grow_fewer_with_more_seeds():
    few, many = (pooled([outcome(float(n % 2)) for n in range(k)]) for k in (4, 8))
    assert many.margin[0] < few.margin[0]


def test_the_recommended_one_was_played_under_every_seed():
    spec = small("m5.large", None, {})
    found = tune(spec, seeds=4)
    assert found.n_seeds == found.recommended.n_seeds == found.today.n_seeds == 4
    assert 0 <= found.n_agreeing <= 4
    assert found.recommended.margin is not None
    with pytest.raises(ValueError, match="seeds=0: at least 1"):
        tune(spec, seeds=0)
