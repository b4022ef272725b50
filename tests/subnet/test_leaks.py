"""Leaked ENIs: which they are, what they hold, the command, and what deleting them wins."""

import json
import subprocess

import pytest

from ipam_core import instances
from ipam_core.settings import Settings
from ipam_core.subnet.advice import advise
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.leaks import plan_deletion
from ipam_core.subnet.orphans import orphan_of
from ipam_core.subnet.report import report_on
from support.subnet_account import account, eni, leaked


def report_of(*enis):
    inventory = Inventory()
    inventory.add(account(enis=list(enis)), "test")
    return report_on(inventory, "subnet-1")


LEAKS = [leaked(str(n), *range(16 * n, 16 * n + 6)) for n in range(1, 15)]


def test_deleting_them_wins_their_addresses_and_blocks():
    report = report_of(*LEAKS)
    found = plan_deletion(report)
    assert len(found.orphans) == 14
    assert (found.addresses, found.won) == (14 * 6, 14)
    found.after._check()
    assert found.after.n_free == 251
    assert report.subnet.n_free == 251 - 14 * 6


def test_only_what_an_agent_left_behind_is_deleted():
    mine = eni("mine", 40, 41)
    managed = eni("managed", 50, RequesterManaged=True)
    tagged = eni("tagged", 60, tags={"node.k8s.amazonaws.com/instance_id": "i-9"})
    report = report_of(leaked("gone", 20), mine, managed, tagged)
    assert {each.eni_id for each in report.orphans} == {"eni-gone", "eni-mine", "eni-tagged"}
    found = plan_deletion(report)
    assert [each.eni_id for each in found.orphans] == ["eni-gone", "eni-tagged"]
    assert [each.instance for each in found.orphans] == ["i-gone", "i-9"]
    assert plan_deletion(report_of(mine)) is None


def test_what_it_holds_and_when_it_was_made():
    found = orphan_of(
        leaked(
            "a",
            20,
            21,
            Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.64/28"}],
            tags={"node.k8s.amazonaws.com/createdAt": "2026-01-01T00:00:00Z"},
        )
    )
    assert (found.n_addresses, found.created) == (18, "2026-01-01T00:00:00Z")
    assert found.to_json()["command"] == (
        "aws ec2 delete-network-interface --network-interface-id eni-a"
    )


def test_a_skipped_eni_is_not_advised_to_be_deleted():
    report = report_of(*LEAKS, leaked("astray", 20))
    assert [each.eni_id for each in report.skipped] == ["eni-astray"]
    assert "eni-astray" not in {each.eni_id for each in report.orphans}


def test_the_advice_counts_the_nodes_that_fit_then():
    report = report_of(*LEAKS)
    advice = advise(report, instances.limits("m5.large"), Settings(warm_prefix_target=1), wanted=8)
    for fit in advice.fits:
        assert fit.after_deletion >= fit.now
    assert advice.fits[2].mode == "prefixes"
    assert (advice.fits[2].now, advice.fits[2].after_deletion >= 7) == (0, True)


@pytest.mark.parametrize("n_leaked", [1, 3])
def test_the_command_that_is_printed_deletes_each_of_them(n_leaked, tmp_path, run_subnet):
    """The shell command runs: a stand-in for `aws` writes down what it was asked for."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account(enis=LEAKS[:n_leaked])))
    _, out, _ = run_subnet("report", file)
    start = out.index("for eni in" if n_leaked > 1 else "aws ec2 delete-network-interface")
    command = out[start : out.index("\n\n", start)]
    aws = tmp_path / "aws"
    aws.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    aws.chmod(0o755)
    subprocess.run(["sh", "-c", command], env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, check=True)
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"ec2 delete-network-interface --network-interface-id eni-{n}"
        for n in range(1, n_leaked + 1)
    ]
    assert f"{n_leaked} leaked ENI" in out
