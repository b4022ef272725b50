"""Full nodes: how many pods fit, and what the simulation of such a node does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.doctor import diagnosis as judging
from ipam_core.diagnosis.inputs.collect import read_case
from support.node_files import REFUSED, log, manifest, plain_log

AT_LIMIT = "Skipping ENI allocation as the max ENI limit is already reached"
OLD_WITH_TRUNK = (
    "Skipping ENI allocation as the max ENI limit of 3 is already reached (accounting for 0 "
    "unmanaged ENIs and 1 trunk ENIs)"
)
OLD_REFUSED = (
    "Send AddNetworkReply: IPv4Addr , IPv6Addr: , DeviceNumber: -1, err: "
    "assignPodIPv4AddressUnsafe: no available IP/Prefix addresses"
)


def judge(folder, **given):
    return diagnose(read_case([folder]), **given)


@pytest.mark.parametrize(
    ("instance", "n_addresses", "max_pods", "right"),
    [("c6i.2xlarge", 42, 58, 44), ("t3.small", 6, 11, 8)],  # 4 and 3 ENIs, one for no pod
)
def test_custom_networking_keeps_the_primary_bare_in_the_simulation(
    instance, n_addresses, max_pods, right, tmp_path
):
    manifest(tmp_path, AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG="true")
    full = [(n_addresses, n_addresses, 0)]
    log(tmp_path, AT_LIMIT, REFUSED, instance=instance, max_pods=max_pods, pool=full)
    diagnosis = judge(tmp_path)
    prognosis = diagnosis.found[0].prognosis
    assert f"{right} is right" in diagnosis.found[0].title
    assert (prognosis.as_it_is.waiting, prognosis.as_it_is.total) == (1, n_addresses)
    assert not diagnosis.facts.enis[0].cidrs


def test_a_place_kept_for_a_trunk_that_the_type_cannot_have(tmp_path):
    """Agents before v1.10 keep it on types without trunking, as t3 (roadmap#1554)."""
    manifest(tmp_path, ENABLE_POD_ENI="true")
    plain_log(
        tmp_path,
        "Found instance-type: t3.medium ",
        "IP pool stats: total = 10, used = 10, c.maxIPsPerENI = 5",
        OLD_WITH_TRUNK,
        OLD_REFUSED,
        start="v1.9.3",
    )
    (finding,) = judge(tmp_path).found
    assert finding.prognosis.as_it_is.waiting == 1
    assert (finding.prognosis.with_fix.waiting, finding.prognosis.with_fix.enis) == (0, 3)
    assert "maxPods 12 " in finding.fix.note
    assert "AmazonEKSVPCResourceController" not in str(finding.fix)
    (finding,) = judge(tmp_path, max_pods=17).found
    assert "12 is right (2 ENIs x 5 = 10" in finding.title


@pytest.mark.parametrize("instance", ["x2iedn.4xlarge", "m5.4xlarge"])
def test_the_calculators_cap_is_not_what_a_node_has_addresses_for(instance, tmp_path):
    """16 vCPUs: AWS advises 110 pods at most, and 8 x 29 addresses serve 232 (karpenter#7318)."""
    log(tmp_path, AT_LIMIT, REFUSED, instance=instance, max_pods=234, pool=[(232, 232, 0)])
    (finding,) = judge(tmp_path).found
    assert "110" not in str(finding.fix)
    assert "maxPods 234 fits" in finding.fix.note
    (finding,) = judge(tmp_path, max_pods=300).found
    assert any("--max-pods-per-node 234" in command for command in finding.fix.commands)


def test_a_simulation_that_contradicts_the_verdict_is_not_told(tmp_path, monkeypatch):
    def serving(facts, change):
        prognosis = simulate(facts, change)
        return replace(prognosis, as_it_is=replace(prognosis.as_it_is, waiting=0))

    log(tmp_path, AT_LIMIT, REFUSED, pool=[(27, 27, 0)])
    simulate = judging.simulate_fix
    assert judge(tmp_path).found[0].prognosis is not None
    monkeypatch.setattr(judging, "simulate_fix", serving)
    (finding,) = judge(tmp_path).found
    assert finding.prognosis is None
    assert "serves the refused pod as it is" in finding.not_simulated
