"""Advice of `explain` for several types at once: one DaemonSet, and nothing made worse."""

import json
from functools import partial
from pathlib import Path

import pytest

from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.diagnosis.explain.together import (
    _helps,
    again,
    agree,
    bad,
    idle_half_full,
    worse,
)
from support.by_hand import with_change
from support.commands import called

M8G, M5, T3 = "m8g.4xlarge", "m5.large", "t3.small"


def agreed(types, env, **arguments):
    return agree([explain(name, env, **arguments) for name in types])


def changes(explained):
    """Return the changes of variables advised: by kind of finding, over all types."""
    return {
        finding.kind.identifier: finding.fix.change.env
        for each in explained
        for finding in each.findings
        if finding.fix and finding.fix.change and finding.fix.change.env
    }


CASES = [
    ([M8G, M5, T3], {"MINIMUM_IP_TARGET": "25"}),
    ([M8G, M5], {}),
    ([M8G, M5, T3], {"WARM_ENI_TARGET": "0"}),
    ([T3, M8G], {"MAX_ENI": "2"}),
    (["m5.large", "m4.large"], {"ENABLE_PREFIX_DELEGATION": "true"}),
    (["m5.large", "m4.large"], {"ENABLE_PREFIX_DELEGATION": "true", "MINIMUM_IP_TARGET": "20"}),
    ([M8G, T3], {"MINIMUM_IP_TARGET": "9", "WARM_IP_TARGET": "5"}),
    (["t3.nano", M8G], {"MINIMUM_IP_TARGET": "1"}),
]


@pytest.mark.parametrize(("types", "env"), CASES, ids=str)
def test_what_is_advised_makes_no_type_worse(types, env):
    """Each change is set by hand on every type, which is then explained again."""
    before = [explain(name, env) for name in types]
    for kind, change in changes(agree(before)).items():
        for old in before:
            new = with_change(old, env, change)
            assert new.verdict.served >= old.verdict.served, (kind, change)
            assert bad(new) <= bad(old), (kind, change)


def test_one_command_is_for_all_types():
    explained = agreed([M8G, M5, T3], {"MINIMUM_IP_TARGET": "25"})
    fixes = [
        finding.fix.commands
        for each in explained
        for finding in each.findings
        if finding.kind.identifier == "minimum-without-warm"
    ]
    assert len(fixes) == 2
    assert len(set(fixes)) == 1


def test_a_target_that_one_type_cannot_hold_is_not_advised():
    """10 ahead is the advice for a large type; 2 slots are all that a t3.nano has."""
    alone = changes(agreed([M8G], {"MINIMUM_IP_TARGET": "1"}))["minimum-without-warm"]
    assert alone == {"WARM_IP_TARGET": "10"}
    both = changes(agreed([M8G, "t3.nano"], {"MINIMUM_IP_TARGET": "1"}))["minimum-without-warm"]
    assert both == {"WARM_IP_TARGET": "2"}


@pytest.mark.parametrize(
    ("env", "max_pods"),
    [
        ({"MINIMUM_IP_TARGET": "25", "WARM_IP_TARGET": "5"}, 15),
        ({"MINIMUM_IP_TARGET": "27", "WARM_IP_TARGET": "1"}, 20),
    ],
)
def test_a_warm_target_beside_a_minimum_is_never_called_ignored(env, max_pods):
    """Up to so many pods nothing changes without it; past them that is the incident."""
    for explained in agreed([M5], env, max_pods=max_pods):
        for finding in explained.findings:
            assert not finding.why[0].startswith("WARM_IP_TARGET")
    bare = explain(M5, {"MINIMUM_IP_TARGET": "25"})
    assert bare.verdict.stalled_at == 26


def test_a_variable_that_counts_on_another_type_is_not_called_ignored():
    def named(types):
        explained = agreed(types, {"MAX_ENI": "4"})
        return {f.why[0] for e in explained for f in e.findings if "ignored" in f.kind.identifier}

    assert named([M5]) == {"MAX_ENI=4: m5.large has 3 ENIs"}
    assert named([M5, M8G]) == set()


def test_alternatives_to_a_warm_target_are_played():
    explained = agreed([M8G], {"WARM_IP_TARGET": "5"})
    (finding,) = [f for e in explained for f in e.findings if "cooldown" in f.kind.identifier]
    assert any("maxSurge" in way for way in finding.alternatives)
    assert all("wait up to" in way or "none waits" in way for way in finding.alternatives)


def test_worse_is_fewer_pods_or_a_new_warning():
    fine = explain(M5)
    assert not worse(fine, fine)
    assert worse(fine, again(fine, {"MINIMUM_IP_TARGET": "9"}))
    assert worse(fine, again(fine, {"WARM_ENI_TARGET": "0"}))
    assert idle_half_full(fine.play) == 3 * 9 - 13  # 2 ENIs for the pods, one warm


def test_a_change_helps_a_rolling_update_where_no_pod_waits_long():
    """The explanation of a change has no findings of severity info: that one is searched."""
    before = explain(M8G, {"WARM_IP_TARGET": "1"}, advise=False)
    for target, helps in (("1", False), ("2", False), ("116", True)):
        after = again(before, {"WARM_IP_TARGET": target}, least=Severity.WARNING)
        assert _helps("cooldown-exhausted", after) is helps


# --- the command --------------------------------------------------------------------------


@pytest.fixture
def command(capsys):
    return partial(called, capsys, "explain")


def test_a_price_is_told_for_so_many_nodes(command):
    """116 idle addresses on each of 300 nodes."""
    _, out, _ = command(M8G, "-e", "WARM_IP_TARGET=116", "--nodes", 300)
    assert "price" not in out  # nothing to advise
    _, out, _ = command(M8G, "-e", "WARM_IP_TARGET=5", "--nodes", 300)
    text = " ".join(out.split())
    assert "ds/aws-node WARM_IP_TARGET=116" in text
    assert "price: 116 idle addresses on a half-full m8g.4xlarge (today 5); 34,800 on 300" in text


def test_prefix_mode_alone_comes_with_what_the_manifests_set(command):
    status, out, _ = command(M5, "-e", "ENABLE_PREFIX_DELEGATION=true")
    assert status == 0
    assert "WARM_PREFIX_TARGET=1 is used: every published manifest sets it" in out
    assert "maxPods 110: AWS's max-pods calculator for 2 vCPUs" in out
    status, out, _ = command(
        M5, "-e", "ENABLE_PREFIX_DELEGATION=true", "-e", "WARM_PREFIX_TARGET=0"
    )
    assert status == 1
    assert "is taken" not in out


def test_pod_enis_cost_no_place_on_a_type_without_trunks(command):
    for name, served in (("t3.small", 9), ("t3.medium", 15)):
        status, out, _ = command(name, "-e", "ENABLE_POD_ENI=true")
        assert status == 0
        assert f"serves all {served} pods" in out
    status, out, _ = command("m5.xlarge", "-e", "ENABLE_POD_ENI=true")
    assert status == 1
    assert "set the kubelet's maxPods to 44" in out
    assert "max-pods calculator says 44" in " ".join(out.split())


def test_ipv6_prints_no_slots(command):
    env = ["ENABLE_IPv6=true", "ENABLE_IPv4=false", "ENABLE_PREFIX_DELEGATION=true"]
    _, out, _ = command(M5, *(word for each in env for word in ("-e", each)))
    assert "slots" not in out
    assert "Burst limit: no limit" in out
    assert "108 pods" in out


def test_calls_that_failed_are_counted_apart(command):
    _, out, _ = command(M8G, "--subnet-free", 50, "--json")
    (node,) = json.loads(out)["nodes"]
    refused = [row["ec2_calls_refused"] for row in node["up"] if "ec2_calls_refused" in row]
    assert refused
    assert sum(row["ec2_calls"].get("CreateNetworkInterface", 0) for row in node["up"]) <= 1


@pytest.mark.parametrize(
    ("env", "fail_on", "expected"),
    [
        ("WARM_ENI_TARGET=0", "warning", 1),
        ("WARM_ENI_TARGET=0", "error", 0),
        ("MINIMUM_IP_TARGET=5", "error", 1),
        ("WARM_ENI_TARGET=1", "warning", 0),
    ],
)
def test_fail_on(command, env, fail_on, expected):
    assert command(M5, "-e", env, "--fail-on", fail_on)[0] == expected


@pytest.mark.parametrize("option", [("--fail-on", "info"), ("--format", "xml")])
def test_options_of_no_known_value_are_refused(command, option):
    status, _, err = command(M5, *option)
    assert status == 2
    assert option[1] in err


def test_types_by_pattern_by_hand_and_from_a_file(command, tmp_path):
    _, out, _ = command("t3.*", "--instance", M5, "--limits", "enis=4,ips=15", "--json")
    names = [node["instance_type"] for node in json.loads(out)["nodes"]]
    assert names[-2:] == [M5, "given"]
    assert "t3.nano" in names
    path = tmp_path / "types.json"
    network = {"MaximumNetworkInterfaces": 2, "Ipv4AddressesPerInterface": 4}
    path.write_text(
        json.dumps({"InstanceTypes": [{"InstanceType": "x9.nano", "NetworkInfo": network}]})
    )
    _, out, _ = command("x9.nano", "--instance-types", path)
    assert out.startswith("x9.nano: serves all 6 pods")


# --- comparing ----------------------------------------------------------------------------


def test_what_a_change_changes(command):
    status, out, _ = command(M5, T3, "--compare-env", "MINIMUM_IP_TARGET=5", "--json")
    m5, t3 = json.loads(out)["types"]
    assert status == 1
    assert m5["worse"]
    assert t3["worse"]
    told = {change["what"]: (change["before"], change["after"]) for change in m5["changes"]}
    assert told["verdict"] == ("serves all 27 pods", "stalls at pod 6 with 22 slots unused")
    assert told["error minimum-without-warm"] == ("-", "new")


def test_a_change_for_the_better_exits_0(command):
    stalled = ["-e", "MINIMUM_IP_TARGET=5"]
    status, out, _ = command(M5, *stalled, "--compare-env", "WARM_IP_TARGET=5")
    assert status == 0
    assert "gone" in out
    status, out, _ = command(M5, *stalled, "--compare-env", "MINIMUM_IP_TARGET-")
    assert status == 0
    status, out, _ = command(M5, "--compare-env", "WARM_ENI_TARGET=1")
    assert (status, out) == (0, "Nothing changes on m5.large.\n")


def test_two_files_are_compared(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path too long for a line would be parted
    old, new = Path("old.yaml"), Path("new.yaml")
    old.write_text("env: {WARM_IP_TARGET: 5}")
    new.write_text("env: {MINIMUM_IP_TARGET: 9}")
    status, out, _ = command(M5, "--values", old, "--compare", new)
    assert status == 1
    assert f"1 variable from {old} (Helm values)" in " ".join(out.split())
    assert f"1 variable from {new} (Helm values)" in " ".join(out.split())


# --- files --------------------------------------------------------------------------------

DAEMONSET = """
kind: DaemonSet
metadata: {name: aws-node}
spec:
  selector: {}
  template:
    spec:
      containers:
      - {name: aws-node, image: "x/amazon-k8s-cni:v1.14.1", env: [%s]}
"""


def test_what_was_read_is_told(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a long path would be cut at the end of a line
    path = Path("ds.yaml")
    entries = '{name: WARM_IP_TARGET, value: "5"}, {name: IP_COOLDOWN_PERIOD, value: "20"}'
    path.write_text(DAEMONSET % entries)
    status, out, _ = command(M5, "--manifest", path)
    text = " ".join(out.split())
    assert f"2 variables from {path} (DaemonSet aws-node, agent v1.14.1)" in text
    assert status == 1
    assert "IP_COOLDOWN_PERIOD=20 is read from v1.15.0 on; this agent is v1.14.1" in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_form_is_read_by_one_option(command, tmp_path, encoding):
    path = tmp_path / "file"
    path.write_text("# DaemonSet aws-node, container aws-node\nWARM_IP_TARGET=5\n", encoding)
    status, out, _ = command(M5, "--settings", path, "--json")
    assert status == 0
    assert json.loads(out)["nodes"][0]["env"] == {"WARM_IP_TARGET": "5"}


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--values", "env: {LOG_LEVEL: x}", "no setting of addresses in it (Helm values)"),
        ("--values", "env: {WARM_IP_TARGETS: 5}", "WARM_IP_TARGETS: WARM_IP_TARGET is near"),
        ("--manifest", DAEMONSET % "", "no setting of addresses in it (DaemonSet aws-node)"),
        ("--settings", "replicaCount: 3", "'replicaCount' is of another chart"),
        ("--addon", '{"configurationSchema": "{}"}', "the schema of an add-on"),
    ],
)
def test_a_file_without_settings_is_refused(command, tmp_path, option, content, said):
    path = tmp_path / "file"
    path.write_text(content)
    status, out, err = command(M5, option, path)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_near_miss_is_a_warning_and_an_error_under_strict(command, tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("env: {WARM_IP_TARGETS: 5, MINIMUM_IP_TARGET: 3, WARM_IP_TARGET: 2}")
    status, out, _ = command(M5, "--values", path)
    assert status == 1
    assert "WARM_IP_TARGETS: not read by the agent, which knows WARM_IP_TARGET" in out
    status, out, err = command(M5, "--values", path, "--strict")
    assert (status, out) == (2, "")
    assert "which knows WARM_IP_TARGET" in err


def test_a_patch_goes_over_its_base(command, tmp_path):
    base, patch = tmp_path / "base.yaml", tmp_path / "patch.yaml"
    base.write_text(DAEMONSET % '{name: WARM_PREFIX_TARGET, value: "0"}')
    patch.write_text(
        (DAEMONSET % '{name: ENABLE_PREFIX_DELEGATION, value: "true"}')
        .replace("  selector: {}\n", "")
        .replace('image: "x/amazon-k8s-cni:v1.14.1", ', "")
    )
    status, out, _ = command(M5, "--manifest", patch)
    assert status == 0
    assert "taken from the published manifest" in " ".join(out.split())
    assert command(M5, "--manifest", patch, "--base", base)[0] == 1  # WARM_PREFIX_TARGET=0 flaps
    status, _, err = command(M5, "--manifest", base, "--base", base)
    assert status == 2
    assert "is no patch" in err
