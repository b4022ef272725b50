"""How sure doctor is, what it counts, and what it does not take for a cause."""

from __future__ import annotations

import json

import pytest

from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor.diagnosis import diagnose
from ipam_core.diagnosis.inputs.collect import read_case
from support.node_files import (
    NOW,
    REFUSED,
    eni,
    events,
    failed,
    log,
    manifest,
    refused_pods,
    state,
    trail,
)

FULL = [eni(0, 9, 9), eni(1, 9, 9), eni(2, 9, 9)]  # m5.large: 3 ENIs of 9
THROTTLED = failed("CreateNetworkInterface", "RequestLimitExceeded")
SUBNET_FULL = failed("AssignPrivateIpAddresses", "InsufficientFreeAddressesInSubnet")


def judge(folder, **given):
    return diagnose(read_case([folder]), **given)


def found(diagnosis):
    return [(each.cause, str(each.certainty)) for each in diagnosis.found]


def ruled_out(diagnosis):
    return {each.cause: each.why for each in diagnosis.ruled_out}


# --- what the pool holds ---------------------------------------------------------------------


def test_an_address_cools_at_exactly_its_period_and_no_longer(tmp_path):
    log(tmp_path)  # its newest time is 02:58:15
    state(tmp_path, [eni(0, 9, 6, released=["2026-03-12T02:57:45Z", "2026-03-12T02:57:44Z"])])
    pool = judge(tmp_path).facts.pool
    assert (pool.total, pool.assigned, pool.cooling, pool.assignable) == (9, 6, 1, 2)


def test_an_excluded_eni_counts_for_nothing_and_gives_nothing(tmp_path):
    log(tmp_path, REFUSED, warm_ip=1)
    state(tmp_path, [eni(0, 9, 9), eni(1, 9, 0, IsExcludedForPodIPs=True), eni(2, 9, 9)])
    diagnosis = judge(tmp_path)
    assert diagnosis.facts.pool.total == 18
    assert found(diagnosis) == [("ENI limit", "certain")]
    assert diagnosis.found[0].prognosis.as_it_is.waiting == 1  # it gets none of those 9


def test_with_pod_enis_the_trunks_place_is_not_there(tmp_path):
    log(tmp_path, REFUSED, max_pods=110)
    state(tmp_path, FULL[:2])
    manifest(tmp_path, ENABLE_POD_ENI="true")
    (above,) = judge(tmp_path).found
    assert (above.cause, str(above.certainty)) == ("maxPods above the addresses", "certain")
    assert "20 is right (2 ENIs x 9 = 18" in above.title
    assert "ENABLE_POD_ENI keeps a place for a trunk ENI" in above.why
    assert "set env ds/aws-node ENABLE_POD_ENI=false" in above.fix.commands[1]
    log(tmp_path, REFUSED, max_pods=20)
    limit = judge(tmp_path).found[0]
    assert (limit.cause, str(limit.certainty)) == ("ENI limit", "certain")
    assert "2 of 3 ENIs: the other place is kept for a trunk ENI" in limit.title
    manifest(tmp_path, ENABLE_POD_ENI="false")
    assert "2 of 3 ENIs, with free slots or places" in ruled_out(judge(tmp_path))["ENI limit"]


def test_under_custom_networking_the_primarys_slots_are_no_room(tmp_path):
    manifest(tmp_path, AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG="true")
    state(tmp_path, [eni(0, 0, 0), *FULL[1:]])
    limit = ("custom networking without room", "possible")  # no pod is refused
    assert found(judge(tmp_path, instance_type="m5.large")) == [limit]
    refused_pods(tmp_path, 1)
    limit = ("custom networking without room", "certain")
    assert found(judge(tmp_path, instance_type="m5.large")) == [limit]
    (above,) = judge(tmp_path, instance_type="m5.large", max_pods=29).found
    assert above.title.startswith("maxPods 29 lets in more pods")
    assert above.fix.commands[0].endswith("--max-pods-per-node 20")


def test_every_refused_pod_waits_and_the_fix_keeps_as_many_warm(tmp_path):
    manifest(tmp_path, MINIMUM_IP_TARGET="9")
    state(tmp_path, FULL[:1])
    refused_pods(tmp_path, 12)
    stall = judge(tmp_path, instance_type="m5.large").found[0]
    assert stall.fix.commands[0].endswith("WARM_IP_TARGET=12")
    assert stall.prognosis.waiting == 12
    assert stall.prognosis.with_fix.running == 21


def test_of_many_refused_pods_some_are_named_and_the_rest_counted(tmp_path, capsys):
    manifest(tmp_path, MINIMUM_IP_TARGET="9")
    state(tmp_path, FULL[:1])
    refused_pods(tmp_path, 40)
    run(["doctor", str(tmp_path), "--instance", "m5.large"])
    out = capsys.readouterr().out
    assert out.count("FailedCreatePodSandBox") == 3
    assert "events.json  the same of 37 more pods" in out
    run(["doctor", str(tmp_path), "--instance", "m5.large", "--json"])
    told = json.loads(capsys.readouterr().out)["found"][0]["evidence"]
    assert sum("FailedCreatePodSandBox" in each["value"] for each in told) == 40


# --- the agent's version, cards, IPv6 --------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "cause"),
    [
        ("v1.16.0", "ENI limit"),
        ("v1.15.4-eksbuild.1", "ENI limit"),
        ("v1.16.1", "maxPods reached"),
        ("v1.20.1", "maxPods reached"),
        ("master", "maxPods reached"),
        ("", "maxPods reached"),  # built by hand, as in #3534
    ],
)
def test_maxpods_is_a_brake_in_agents_that_have_it(version, cause, tmp_path):
    """PR 2745 of aws/amazon-vpc-cni-k8s, after v1.16.0; those before ask on for what is left."""
    log(tmp_path, REFUSED, version=version, max_pods=27)
    state(tmp_path, FULL)
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [(cause, "certain")]
    if cause == "ENI limit":
        assert version in ruled_out(diagnosis)["maxPods reached"]
        assert any("v1.16.0" in note for note in diagnosis.facts.assumed)
    else:
        assert "after v1.16.0" in diagnosis.found[0].why
    assert diagnosis.facts.version == (version if version.startswith("v") else "")


def test_cards_that_are_not_judged_are_named_with_what_they_hold(tmp_path, capsys):
    log(tmp_path, REFUSED, minimum_ip=9)
    state(tmp_path, FULL[:1], [eni(1, 2, 1)])
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("minimum-only stall", "certain")]
    assert diagnosis.facts.pool.total == 9
    run(["doctor", str(tmp_path)])
    out = " ".join(capsys.readouterr().out.split())
    assert "network card 0, 1 of 3 ENIs" in out
    assert "Network card 1 is not judged: 2 addresses: 1 assigned, 0 cooling, 1 to give." in out
    run(["doctor", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["network_cards_not_judged"]["1"]["assignable"] == 1
    assert told["agent_version"] == "v1.20.1"


def test_cards_are_told_from_the_log_too(tmp_path):
    log(tmp_path, pool=[(9, 9, 0), (2, 1, 0)])
    assert {card: pool.total for card, pool in judge(tmp_path).facts.others.items()} == {1: 2}


def test_in_ipv6_mode_no_target_is_a_cause_and_a_failing_call_is(tmp_path, capsys):
    manifest(tmp_path, ENABLE_IPv6="true", MINIMUM_IP_TARGET="9", WARM_ENI_TARGET="0")
    state(tmp_path, FULL[:1])
    diagnosis = judge(tmp_path)
    assert not diagnosis.found
    assert not diagnosis.healthy  # without a log most causes cannot be judged
    assert not {each.cause for each in diagnosis.open} & {"minimum-only stall", "maxPods reached"}
    for cause in ("minimum-only stall", "warm target 0", "ENI limit", "maxPods reached"):
        assert ruled_out(diagnosis)[cause].startswith("IPv6 mode")
    run(["doctor", str(tmp_path)])
    assert capsys.readouterr().out.startswith("IPv6 mode\n")
    log(tmp_path, "Successfully Reconciled ENI/IP pool")
    assert judge(tmp_path).healthy
    assert "IPv6 mode" in judge(tmp_path).verdict()
    log(tmp_path, failed("CreateNetworkInterface", "UnauthorizedOperation"))
    assert found(judge(tmp_path)) == [("missing permission", "certain")]


# --- how sure --------------------------------------------------------------------------------


def test_cooling_is_only_likely_without_the_log(tmp_path):
    """/v1/enis tells times of pods only: how long ago it was taken is not known."""
    manifest(tmp_path, WARM_IP_TARGET="2")
    state(tmp_path, [eni(0, 9, 7, released=[NOW, NOW])])
    refused_pods(tmp_path, 1)
    cause = "cooling addresses counted as available"
    assert found(judge(tmp_path, instance_type="m5.large")) == [(cause, "likely")]
    log(tmp_path, warm_ip=2)
    assert found(judge(tmp_path, instance_type="m5.large")) == [(cause, "certain")]


def test_cooling_addresses_are_no_cause_where_the_agent_grows_all_the_same(tmp_path):
    log(tmp_path, REFUSED, warm_ip=5)
    state(tmp_path, [eni(0, 9, 6, released=[NOW] * 3)])
    why = ruled_out(judge(tmp_path))
    assert why["cooling addresses counted as available"] == "the agent wants to grow anyway"


def test_a_full_scheduler_alone_makes_maxpods_only_possible(tmp_path):
    log(tmp_path)
    state(tmp_path, [eni(0, 9, 3)])
    full = ("FailedScheduling", "Pod", "web", "0/3 nodes are available: 3 Too many pods.", NOW)
    events(tmp_path, full)
    every = [("maxPods reached", "certain")]
    assert found(judge(tmp_path)) == every
    some = ("FailedScheduling", "Pod", "web", "0/3 nodes are available: 1 Too many pods.", NOW)
    events(tmp_path, some)
    assert found(judge(tmp_path)) == [("maxPods reached", "possible")]


def test_a_refused_call_is_only_likely_the_cause_while_the_pool_is_not_known(tmp_path):
    log(tmp_path, SUBNET_FULL)
    assert found(judge(tmp_path)) == [("subnet out of addresses", "likely")]
    log(tmp_path, SUBNET_FULL, pool=[(9, 9, 0)])
    assert found(judge(tmp_path)) == [("subnet out of addresses", "certain")]


# --- refusals of EC2 -------------------------------------------------------------------------


def test_throttling_is_the_accounts_and_the_busiest_callers_come_first(tmp_path):
    log(tmp_path, pool=[(9, 9, 0)])
    calls = [("i-0other0000000000", "DescribeInstances", "Client.RequestLimitExceeded")]
    calls += [("a", "DescribeInstances", "")] * 2 + [("b", "DescribeInstances", "")] * 5
    calls += [("c", "DescribeInstances", "")] * 3
    trail(tmp_path, *calls)
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("throttled API", "likely")]
    told = [one.value for one in diagnosis.found[0].evidence if one.file == "CloudTrail"]
    assert told == ["calls by caller: b 5, c 3, a 2"]


def test_what_many_callers_are_refused_is_one_line_of_evidence(tmp_path):
    code = "Client.RequestLimitExceeded"
    trail(tmp_path, *((f"i-{n:017}", "CreateNetworkInterface", code) for n in range(50)))
    (cause,) = judge(tmp_path).found
    told = [one.value for one in cause.evidence if one.file == "trail.json"]
    assert told == ["CreateNetworkInterface: RequestLimitExceeded:  (50 times, by 50 callers)"]


@pytest.mark.parametrize(("warm_ip", "raised"), [(0, False), (2, True), (10, False)])
def test_small_targets_are_raised_where_calls_are_throttled(warm_ip, raised, tmp_path):
    log(tmp_path, THROTTLED, warm_ip=warm_ip, pool=[(9, 9, 0)])
    (cause,) = judge(tmp_path).found
    assert any("WARM_IP_TARGET=10" in each for each in cause.fix.commands) == raised


def test_another_subnet_needs_subnet_discovery(tmp_path):
    log(tmp_path, SUBNET_FULL, pool=[(9, 9, 0)])
    switch = "kubectl -n kube-system set env ds/aws-node ENABLE_SUBNET_DISCOVERY=true"
    assert switch not in judge(tmp_path).found[0].fix.commands
    manifest(tmp_path, ENABLE_SUBNET_DISCOVERY="false")
    cause = judge(tmp_path).found[0]
    assert switch in cause.fix.commands
    assert cause.prognosis.with_fix.waiting == 0


def test_leaked_enis_do_no_harm_while_the_pool_asks_for_nothing(tmp_path):
    leak = "Failed to clean up leaked ENI eni-9: operation error EC2: DeleteNetworkInterface, no"
    log(tmp_path, SUBNET_FULL, leak, pool=[(18, 3, 0)])
    (cause,) = judge(tmp_path).found
    assert (cause.cause, str(cause.certainty)) == ("leaked ENIs", "possible")
    assert "no harm" in cause.why


# --- the node and its places -----------------------------------------------------------------

CORDONED = "AWS CNI is on a non schedulable node, will not try to attach any new IPs or ENIs"
CORDONED += " right now"


def test_a_node_cordoned_after_it_was_schedulable_is_unschedulable(tmp_path):
    log(tmp_path, CORDONED, pool=[(9, 9, 0)])
    name = "ip-10-0-12-34"
    events(tmp_path, ("NodeSchedulable", "Node", name, "", "2026-03-12T02:50:00Z"))
    assert found(judge(tmp_path)) == [("unschedulable node", "certain")]


def test_an_agent_that_manages_unschedulable_nodes_is_not_stopped_by_that(tmp_path):
    log(tmp_path, CORDONED, pool=[(9, 9, 0)])
    manifest(tmp_path, AWS_MANAGE_ENIS_NON_SCHEDULABLE="true")
    why = ruled_out(judge(tmp_path))["unschedulable node"]
    assert why == "AWS_MANAGE_ENIS_NON_SCHEDULABLE is true"


@pytest.mark.parametrize(("untagged", "command"), [("true", "delete-tags"), ("false", "set env")])
def test_unmanaged_enis_are_untagged_or_managed(untagged, command, tmp_path):
    """With MANAGE_UNTAGGED_ENI=false no tag keeps the agent away: the setting does."""
    log(tmp_path, *(f"Marking ENI eni-{n} as being unmanaged" for n in (1, 2)), REFUSED)
    state(tmp_path, FULL[:1])
    manifest(tmp_path, MANAGE_UNTAGGED_ENI=untagged)
    (cause,) = judge(tmp_path).found
    assert cause.cause == "unmanaged ENIs"
    assert command in cause.fix.commands[0]
    assert cause.prognosis.serves == 27


def test_a_full_node_without_prefixes_needs_another(tmp_path):
    log(tmp_path, REFUSED, instance="m4.large", max_pods=110)  # xen, 2 ENIs of 9
    state(tmp_path, FULL[:2])
    (cause,) = judge(tmp_path).found
    assert cause.cause == "maxPods above the addresses"
    assert len(cause.fix.commands) == 1  # the node group with fewer pods
    assert cause.fix.commands[0].endswith("--node-type m4.large --max-pods-per-node 20")
    assert "more nodes, or a larger type" in cause.fix.note


def test_warm_target_0_is_told_of_pods_that_were_refused_before(tmp_path):
    """The pool grew since; the next pods past what is free wait again."""
    log(tmp_path, REFUSED, warm_eni=0)
    state(tmp_path, [eni(0, 9, 9), eni(1, 9, 1)])
    assert found(judge(tmp_path)) == [("warm target 0", "certain")]
    log(tmp_path, warm_eni=0)
    assert "8 addresses can be given" in ruled_out(judge(tmp_path))["warm target 0"]


def test_a_fix_restarts_the_agent_which_forgets_cooldowns(tmp_path):
    """As it is the pod waits 30 s and a look; after the restart what cooled is free."""
    log(tmp_path, REFUSED, warm_ip=2)
    state(tmp_path, [eni(0, 9, 7, released=[NOW, NOW])])
    (cause,) = judge(tmp_path).found
    assert cause.prognosis.as_it_is.served_after_s == 35
    assert cause.prognosis.with_fix.served_after_s == 0
    assert (cause.prognosis.with_fix.running, cause.prognosis.with_fix.total) == (8, 12)


# --- what the command says -------------------------------------------------------------------


def test_broken_lines_are_told(tmp_path, capsys):
    log(tmp_path)
    path = tmp_path / "ipamd.log"
    path.write_text(path.read_text() + "{broken\nalso\n")
    run(["doctor", str(tmp_path)])
    assert "ipamd.log: 2 of 8 lines are broken" in capsys.readouterr().out
