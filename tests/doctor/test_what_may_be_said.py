"""What doctor may say: an all-clear that is shown, a certainty that is proven, and no more."""

from __future__ import annotations

import json

import pytest

from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor import diagnose
from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.errors import InputError
from support.node_files import (
    NOW,
    eni,
    events,
    failed,
    log,
    manifest,
    plain_log,
    state,
)

FULL = [eni(0, 9, 9), eni(1, 9, 9), eni(2, 9, 9)]  # m5.large: 3 ENIs of 9
NO_ADDRESS = "add cmd: failed to assign an IP address to container"


def judge(folder, **given):
    return diagnose(read_case([folder]), **given)


def found(diagnosis):
    return [(each.cause, str(each.certainty)) for each in diagnosis.found]


def test_a_full_node_whose_pods_are_all_served_is_healthy(tmp_path, capsys):
    """27 addresses, 27 pods, maxPods 29: as full as the type and its maxPods allow."""
    state(tmp_path, FULL)
    assert run(["doctor", str(tmp_path), "--instance", "m5.large"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Nothing wrong: every address is used, and no pod is refused" in out
    assert "it can hold no more in this mode" in out
    state(tmp_path, FULL[:2])  # a place is left: what keeps it from growing is not shown
    assert run(["doctor", str(tmp_path), "--instance", "m5.large"]) == 1


def test_the_state_alone_of_a_node_without_a_free_address_does_not_tell(tmp_path, capsys):
    state(tmp_path, FULL)
    assert run(["doctor", str(tmp_path)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "Cannot tell: no address is free" in out
    for needed in ("ipamd.log of the node", "the settings: kubectl", "kubectl get node NODE"):
        assert needed in out


@pytest.mark.parametrize("pods", [28, 32, 232])
def test_a_max_pods_that_is_refuted_is_dropped(pods, tmp_path):
    """More pods with an address than the usual maxPods lets in: it is another one."""
    manifest(tmp_path, ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
    state(tmp_path, [eni(0, 15, pods, size=16)])
    known = judge(tmp_path, instance_type="m5.large").facts.max_pods
    assert (known is None) == (pods + 2 > 110)
    assert known is None or (known.value, known.evidence) == (110, None)


def test_contradictions_are_said(tmp_path, capsys):
    log(tmp_path, pool=[(9, 3, 0)])
    assert run(["doctor", str(tmp_path), "--node", "ip-10-9-9-9"]) == 1
    assert "--node ip-10-9-9-9 is in none of the files" in " ".join(capsys.readouterr().out.split())
    assert run(["doctor", str(tmp_path), "--instance", "m8g.4xlarge"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "--instance m8g.4xlarge, but ipamd.log:3 says m5.large" in out
    assert run(["doctor", str(tmp_path), "--instance", "m5.large"]) == 0


def test_refusals_although_addresses_are_free_are_no_all_clear(tmp_path):
    log(tmp_path, pool=[(9, 3, 0)])
    events(tmp_path, ("FailedCreatePodSandBox", "Pod", "web-1", NO_ADDRESS, NOW))
    assert found(judge(tmp_path)) == [("refused although addresses are free", "possible")]


def test_a_log_that_ends_before_the_refusals_rules_nothing_out(tmp_path):
    log(tmp_path, failed("CreateNetworkInterface", "RequestLimitExceeded"), pool=[(9, 9, 0)])
    later = NOW.replace("02:58", "04:58")
    events(tmp_path, ("FailedCreatePodSandBox", "Pod", "web", NO_ADDRESS, later))
    diagnosis = judge(tmp_path)
    assert found(diagnosis) == [("throttled API", "likely")]
    assert "the log does not say so" not in {each.why for each in diagnosis.ruled_out}
    why = {each.cause: each.why for each in diagnosis.open}
    assert "it ends 2 h before them" in why["missing permission"]


def test_another_programs_log_rules_nothing_out_and_has_no_say_in_time(tmp_path):
    log(tmp_path, failed("CreateNetworkInterface", "RequestLimitExceeded"), pool=[(9, 9, 0)])
    row = {"level": "info", "ts": "2026-03-12T09:00:00Z", "caller": "ebpf/bpf.go:1", "msg": "Hi"}
    (tmp_path / "network-policy-agent.log").write_text(json.dumps(row) + "\n")
    assert found(judge(tmp_path)) == [("throttled API", "certain")]
    (tmp_path / "ipamd.log").unlink()
    with pytest.raises(InputError, match="nothing recognised"):
        read_case([tmp_path])


def test_what_lies_in_a_bundle_beside_the_inputs_keeps_no_all_clear_away(tmp_path):
    """Logs of the whole node, text that is no UTF-8, templates, other programs' ends."""
    log(tmp_path, pool=[(9, 3, 0)])
    (tmp_path / "messages").write_bytes(
        b'Mar 12 containerd[1]: time="2026-03-12T02:58:00Z" level=info msg="hello"\n'
        b"Mar 12 kernel: panic: runtime error: index out of range [0]\n"
    )
    (tmp_path / "latin.txt").write_bytes("caf\xe9 [x] {y}\n".encode("latin-1") * 100)
    (tmp_path / "template.yaml").write_text("kind: {{ .Values.kind }}\nspec: [\n")
    (tmp_path / "other.json").write_text('{"x": [1, 2}')
    (tmp_path / "iptables.out").write_text("*nat\n:PREROUTING ACCEPT [0:0]\n")
    case = read_case([tmp_path])
    assert case.files == [("ipamd.log", "log")]
    assert case.unread == []
    assert case.other_logs == ["messages"]
    assert diagnose(case).healthy


def test_pods_of_a_node_without_an_eni_of_its_own_are_not_explained(tmp_path):
    """#317: a total of 0, and nothing that says why: no cause is guessed."""
    plain_log(
        tmp_path,
        "AssignIPv4Address: IP address pool stats: total: 0, assigned 0",
        "DataStore has no available IP addresses",
        start="",
    )
    diagnosis = judge(tmp_path)
    assert not diagnosis.found
    assert diagnosis.verdict() == "Cannot tell: pods are refused, and nothing given shows why"


def test_prefixes_show_prefix_mode_where_no_setting_does(tmp_path):
    state(tmp_path, [eni(0, 2, 30, size=16)])
    facts = judge(tmp_path, instance_type="m5.large").facts
    assert facts.prefix_mode
    assert (facts.pool.total, facts.pool.assignable) == (32, 2)
    assert any("prefix mode: by what eni.out shows" in each for each in facts.assumed)
    manifest(tmp_path, WARM_ENI_TARGET="1")  # which shows that it is off
    assert not judge(tmp_path, instance_type="m5.large").facts.prefix_mode


def test_a_size_of_an_eni_that_is_not_the_types(tmp_path):
    pool = "IP pool stats: total = {0}, used = {0}, c.maxIPsPerENI = {1}"
    rows = ("Found instance-type: m5.large ", "Prefix Delegation enabled false")
    plain_log(tmp_path, *rows, pool.format(14, 14), "DataStore has no available IP addresses")
    assert found(judge(tmp_path))[-1] == ("limits of the type", "possible")
    plain_log(tmp_path, *rows, pool.format(9, 9), "DataStore has no available IP addresses")
    assert ("limits of the type", "possible") not in found(judge(tmp_path))
