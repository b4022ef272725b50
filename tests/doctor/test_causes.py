"""Each cause is found in its files, with its evidence, and what the fix does is simulated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ipam_core.diagnosis.doctor.causes.table import CAUSES
from ipam_core.diagnosis.doctor.diagnosis import diagnose
from ipam_core.diagnosis.doctor.gather import gather_facts
from ipam_core.diagnosis.doctor.prognosis import simulate_fix
from ipam_core.diagnosis.fixes import Change
from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.errors import InputError
from support.doctor_cases import EXPECTED

HERE = Path(__file__).parent
CASES = HERE / "cases"
EXAMPLE = HERE.parent.parent / "examples" / "stuck-node"


def path_of(name):
    return EXAMPLE if name == "minimum-only" else CASES / name


def test_every_case_has_its_files_and_every_file_its_case():
    assert {path.name for path in CASES.iterdir()} | {"minimum-only"} == {*EXPECTED, "healthy"}


@pytest.mark.parametrize("name", EXPECTED)
def test_cause_is_found_with_its_evidence(name):
    expected = EXPECTED[name]
    diagnosis = diagnose(read_case([path_of(name)]), instance_type=expected.instance)
    main = diagnosis.found[0]
    assert (main.cause, main.certainty) == (expected.cause, expected.certainty)
    assert tuple(other.cause for other in diagnosis.found[1:]) == expected.also
    for file, line, part in expected.evidence:
        met = [one for one in main.evidence if file in one.file and part in one.value]
        assert met, (file, part, main.evidence)
        assert line in (None, met[0].line)
    assert any(expected.command in command for command in main.fix.commands)
    assert not diagnosis.healthy
    judged = [*diagnosis.found, *diagnosis.ruled_out, *diagnosis.open, *diagnosis.covered]
    assert len(judged) == len(CAUSES)
    assert all(finding.why for finding in judged)


@pytest.mark.parametrize("name", [n for n in EXPECTED if n != "custom-networking-no-eniconfig"])
def test_fix_is_simulated_from_the_nodes_own_state(name):
    expected = EXPECTED[name]
    case = read_case([path_of(name)])
    prognosis = diagnose(case, instance_type=expected.instance).found[0].prognosis
    assert prognosis.waiting >= 1
    assert prognosis.with_fix.waiting == 0
    if expected.serves is not None:
        assert prognosis.serves == expected.serves
    assert prognosis.with_fix.running <= prognosis.serves


WAITS_FOR_EVER = {
    "minimum-only", "enis-flat", "enis-pools", "subnet-full", "subnet-full-other-wording",
    "no-free-prefix", "throttled", "missing-permission", "eni-limit", "max-eni", "unschedulable",
    "unmanaged", "leaked", "custom-networking-subnet", "custom-networking-full",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WAITS_FOR_EVER))
def test_without_the_fix_pods_wait(name):
    case = read_case([path_of(name)])
    found = diagnose(case, instance_type=EXPECTED[name].instance).found
    assert found[0].prognosis.as_it_is.waiting == 1


def test_incident_grows_by_ten_and_one():
    """25 pods and the one that waited, and WARM_IP_TARGET=10 free: pool-rules section 4."""
    prognosis = diagnose(read_case([EXAMPLE])).found[0].prognosis
    assert prognosis.as_it_is.requests == ()
    assert (prognosis.with_fix.total, prognosis.with_fix.running) == (36, 26)
    assert prognosis.with_fix.requests[:2] == (
        "AssignPrivateIpAddresses(4)",
        "CreateNetworkInterface(6)",
    )


def test_cooling_addresses_cool_in_the_simulation_too():
    """As it is the pod waits out the 30 s; cooling ends after them, at the next look."""
    prognosis = diagnose(read_case([CASES / "cooling"])).found[0].prognosis
    assert prognosis.as_it_is.served_after_s == 35
    assert (prognosis.as_it_is.running, prognosis.as_it_is.total) == (20, 23)


def test_pool_that_holds_max_pods_is_no_minimum_only_stall():
    why = {one.cause: one.why for one in diagnose(read_case([EXAMPLE]), max_pods=25).ruled_out}
    assert why["minimum-only stall"] == "the pool holds 25 of maxPods 25"


def test_healthy_node_has_no_finding_and_old_throttling_is_over():
    diagnosis = diagnose(read_case([CASES / "healthy"]))
    assert diagnosis.healthy
    assert diagnosis.verdict() == "Nothing wrong: 14 addresses can be given now"
    why = {finding.cause: finding.why for finding in diagnosis.ruled_out}
    assert "not low" in why["throttled API"]


def test_failure_of_long_ago_is_ruled_out_with_its_age(tmp_path):
    """Three days of log hold many failures; only those that go on are the cause."""
    text = (CASES / "throttled" / "ipamd.log").read_text()
    later = text.splitlines()[-1].replace("2026-03-12T02:58", "2026-03-12T05:58")
    (tmp_path / "ipamd.log").write_text(text + later + "\n")
    diagnosis = diagnose(read_case([tmp_path]))
    why = {finding.cause: finding.why for finding in diagnosis.ruled_out}
    assert why["throttled API"] == "last seen 3 h before the newest time in log files"


def test_settings_that_are_not_told_leave_causes_open():
    diagnosis = diagnose(read_case([EXAMPLE / "eni.out"]), instance_type="m8g.4xlarge")
    assert not diagnosis.found
    assert {"minimum-only stall", "warm target 0"} <= {each.cause for each in diagnosis.open}
    assert any("defaults are taken" in note for note in diagnosis.facts.assumed)


def test_events_alone_show_refusals_without_a_cause():
    diagnosis = diagnose(read_case([EXAMPLE / "events.json"]))
    assert not diagnosis.healthy
    assert diagnosis.verdict() == "Cannot tell: pods are refused, and nothing given shows why"


def test_log_alone_finds_the_incident():
    """The ENIs are then taken as filled one after another, which is said."""
    logs = sorted(EXAMPLE.glob("ipamd*.log*"))
    diagnosis = diagnose(read_case(logs))
    assert diagnosis.found[0].cause == "minimum-only stall"
    assert diagnosis.found[0].prognosis.serves == 232
    assert any("filled one after another" in note for note in diagnosis.facts.assumed)


def test_settings_alone_are_refused():
    with pytest.raises(InputError, match="settings alone"):
        diagnose(read_case([EXAMPLE / "aws-node.yaml"]))


def test_manifest_not_rolled_out_is_noted(tmp_path):
    """The agent's own log goes before a manifest that was changed since."""
    manifest = (EXAMPLE / "aws-node.yaml").read_text()
    (tmp_path / "ds.yaml").write_text(manifest.replace('value: "25"', 'value: "60"'))
    paths = [tmp_path, *EXAMPLE.glob("ipamd*.log*"), EXAMPLE / "eni.out"]
    case = read_case(paths)
    assert diagnose(case).facts.settings.minimum_ip_target == 25
    assert any("ds.yaml sets 60: not rolled out here" in note for note in case.notes)


def test_another_nodes_failure_in_cloudtrail_is_not_this_nodes(tmp_path):
    """CloudTrail is the account's: a denied call of another instance says nothing here."""
    trail = (CASES / "missing-permission" / "trail.json").read_text()
    (tmp_path / "trail.json").write_text(trail.replace("i-0c3a1b9de2f4a5678", "i-0other0000000000"))
    paths = [tmp_path, CASES / "unschedulable" / "ipamd.log"]
    diagnosis = diagnose(read_case(paths))
    assert "missing permission" not in {finding.cause for finding in diagnosis.found}


def test_given_type_and_max_pods_win(tmp_path):
    case = read_case([EXAMPLE])
    facts = diagnose(case, instance_type="m5.large", max_pods=29).facts
    assert (facts.limits.instance_type, facts.max_pods.value) == ("m5.large", 29)


def test_denied_call_of_an_unknown_caller_is_only_likely(tmp_path):
    """Without the log nothing tells whose call CloudTrail shows."""
    shutil.copy(CASES / "missing-permission" / "trail.json", tmp_path)
    shutil.copy(CASES / "missing-permission" / "eni.out", tmp_path)
    (found,) = diagnose(read_case([tmp_path]), instance_type="m5.large").found
    assert (found.cause, found.certainty) == ("missing permission", "likely")


DENIED = (
    "operation error EC2: DescribeSubnets, https response error StatusCode: 403, RequestID: 1, "
    "api error UnauthorizedOperation: You are not authorized to perform this operation."
)
QUIT = (
    f"AllocENI: failed to create ENI: Failed to check if primary subnet is excluded: {DENIED}. "
    "Quit ENI creation attempt."
)


@pytest.mark.parametrize(
    "messages",
    [
        [
            f"Failed to call ec2:DescribeSubnets: {DENIED}",
            f"Failed to increase pool size due to not able to allocate ENI {QUIT}",
        ],
        [f"setupENI: failed to check subnet exclusion for ENI eni-0a (subnet subnet-0b): {DENIED}"],
    ],
    ids=["growing", "starting"],
)
def test_without_describe_subnets_doctor_says_that_no_eni_is_attached(tmp_path, messages):
    lines = [
        {"level": "warn", "ts": "2026-11-01T10:00:00.300Z", "caller": "x.go:1", "msg": message}
        for message in messages
    ]
    (tmp_path / "ipamd.log").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (found,) = diagnose(read_case([tmp_path])).found
    assert found.title == "The agent's role may not call DescribeSubnets"
    assert found.certainty == "certain"
    assert "attaches no ENI" in found.why
    assert any("It must allow ec2:DescribeSubnets" in fix.note for fix in [found.fix])


def test_permission_event_counts_whichever_pod_raised_it(tmp_path):
    """The agent's recorder names its own pod where the kubelet names its node."""
    document = json.loads((CASES / "missing-permission" / "events.json").read_text())
    document["items"][0]["reportingInstance"] = "aws-node-8kx2p"
    (tmp_path / "events.json").write_text(json.dumps(document))
    (found,) = diagnose(read_case([tmp_path])).found
    assert found.title == "The agent's role may not call CreateNetworkInterface"


def test_unmanaged_enis_of_before_a_restart_do_not_count(tmp_path):
    text = (CASES / "unmanaged" / "ipamd.log").read_text()
    started = text.splitlines()[0].replace("T01:58:00", "T02:57:59")
    (tmp_path / "ipamd.log").write_text(text + started + "\n")
    shutil.copy(CASES / "unmanaged" / "eni.out", tmp_path)
    found = diagnose(read_case([tmp_path])).found
    assert [finding.cause for finding in found] == ["ENI limit"]


def test_every_pod_is_tried_where_targets_are_small(tmp_path):
    """WARM_IP_TARGET=1 adds an address a step: 232 pods are many rounds."""
    for name in ("aws-node.yaml", "eni.out"):
        text = (EXAMPLE / name).read_text()
        (tmp_path / name).write_text(text.replace("MINIMUM_IP_TARGET\n", "MAX_ENI\n"))
    manifest = (tmp_path / "aws-node.yaml").read_text()
    manifest = manifest.replace('value: "25"', 'value: "8"').replace("WARM_ENI", "WARM_IP")
    (tmp_path / "aws-node.yaml").write_text(manifest)
    facts = gather_facts(read_case([tmp_path]), instance_type="m8g.4xlarge")
    prognosis = simulate_fix(facts, Change(fault=({"op": "cordon"},), repair=({"op": "uncordon"},)))
    assert prognosis.serves == 232


def test_ipv6_is_not_judged_by_the_rules_of_ipv4(tmp_path):
    manifest = (EXAMPLE / "aws-node.yaml").read_text()
    off = 'ENABLE_IPv6\n          value: "false"'
    manifest = manifest.replace(off, off.replace("false", "true"))
    (tmp_path / "aws-node.yaml").write_text(manifest)
    shutil.copy(EXAMPLE / "eni.out", tmp_path)
    diagnosis = diagnose(read_case([tmp_path]))
    assert not diagnosis.found
    assert any("IPv6" in note for note in diagnosis.facts.assumed)


def test_uncordoned_node_is_not_unschedulable_any_more(tmp_path):
    document = json.loads((CASES / "unschedulable" / "events.json").read_text())
    freed = dict(document["items"][0], reason="NodeSchedulable")
    freed["lastTimestamp"] = "2026-03-12T02:58:30Z"
    (tmp_path / "events.json").write_text(json.dumps({"items": [*document["items"], freed]}))
    shutil.copy(CASES / "unschedulable" / "ipamd.log", tmp_path)
    why = {one.cause: one.why for one in diagnose(read_case([tmp_path])).ruled_out}
    assert why["unschedulable node"] == "the node is schedulable again"


def test_pod_refused_recently_and_served_since_is_no_problem(tmp_path):
    """A burst that waited for one pool check is over once pods are served."""
    text = (CASES / "healthy" / "ipamd.log").read_text()
    refused = (CASES / "warm-zero" / "ipamd.log").read_text().splitlines()[-2]
    assert "Send AddNetworkReply: Success: false" in refused
    (tmp_path / "ipamd.log").write_text(text + refused + "\n")
    diagnosis = diagnose(read_case([tmp_path]))
    assert diagnosis.facts.refusals
    assert not diagnosis.healthy  # nothing shows that it is over
    served = refused.replace("Success: false", "Success: true")
    served = served.replace("AssignPodIPAddress: no available IP/Prefix addresses", "<nil>")
    (tmp_path / "ipamd.log").write_text(text + refused + "\n" + served + "\n")
    diagnosis = diagnose(read_case([tmp_path]))
    assert not diagnosis.facts.refusals
    assert diagnosis.healthy


def test_attached_enis_of_a_full_custom_subnet_do_not_grow(tmp_path):
    """They keep their subnet when the ENIConfig gets another."""
    text = (CASES / "custom-networking-subnet" / "ipamd.log").read_text()
    text = text.replace("total IPs: 14, assigned IPs: 14", "total IPs: 5, assigned IPs: 5")
    text = text.replace("Prefixes = 14/0, AssignedIPs/CooldownIPs: 14/0", "Prefixes = 5/0, "
                        "AssignedIPs/CooldownIPs: 5/0")  # fmt: skip
    (tmp_path / "ipamd.log").write_text(text)
    document = json.loads((CASES / "custom-networking-subnet" / "eni.out").read_text())
    eni = document["0"]["ENIs"]["eni-0a11b22c33d44e502"]
    eni["AvailableIPv4Cidrs"] = dict(list(eni["AvailableIPv4Cidrs"].items())[:5])
    (tmp_path / "eni.out").write_text(json.dumps(document))
    prognosis = diagnose(read_case([tmp_path])).found[0].prognosis
    assert prognosis.as_it_is.waiting == 1
    assert prognosis.serves == 5 + 2 * 14
