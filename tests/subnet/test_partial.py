"""Input that does not show all that is in use: said as what it is, and no promise is made on it."""

import json

import pytest

from ipam_core import instances
from ipam_core.settings import Settings
from ipam_core.subnet.advice import advise
from ipam_core.subnet.drains import plan_drains
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.report import report_on
from support.subnet_account import account, eni, instance, node, pod, subnet, write


def inventory_of(*documents):
    inventory = Inventory()
    for n, document in enumerate(documents, 1):
        inventory.add(document, f"file{n}.json")
    inventory.choose(())
    return inventory


def report_of(*documents):
    return report_on(inventory_of(*documents), "subnet-1")


def page(*enis, more=False):
    return {"NetworkInterfaces": list(enis)} | ({"NextToken": "abc"} if more else {})


ONE, TWO = eni("1", 20, instance="i-1"), eni("2", 21, instance="i-2")


def test_pages_that_were_all_given_are_no_gap():
    report = report_of({"Subnets": [subnet(AvailableIpAddressCount=249)]}, page(ONE, more=True),
                       page(TWO))  # fmt: skip
    assert report.missing == []
    assert not report.partial


def test_a_page_that_others_follow_is_a_gap_unless_aws_counts_no_more():
    known = {"Subnets": [subnet(AvailableIpAddressCount=249)]}
    report = report_of(known, page(ONE, more=True))
    assert report.missing == ["file2.json is a page that others follow"]
    assert report.partial
    assert report.n_unseen == 1
    assert not report_of(known, page(ONE, TWO, more=True)).partial


def test_a_last_page_without_those_in_between_is_seen_by_aws_count():
    report = report_of({"Subnets": [subnet(AvailableIpAddressCount=200)]}, page(ONE, more=True),
                       page(TWO))  # fmt: skip
    assert report.partial
    assert "49 more are in use than the files show" in report.agreement


def test_a_shared_subnet_shows_only_ones_own_enis():
    known = subnet(OwnerId="111111111111", AvailableIpAddressCount=100)
    mine = [ONE | {"OwnerId": "222222222222"}]
    report = report_of(account(subnets=[known], enis=mine))
    assert report.missing == [
        "account 111111111111 shares this subnet: the ENIs of other accounts are not shown"
    ]
    assert report.partial
    owners = report_of(account(subnets=[known], enis=[*mine, TWO | {"OwnerId": "111111111111"}]))
    assert owners.missing == []  # whoever owns the subnet sees all


@pytest.mark.parametrize(("available", "unseen"), [(None, True), (200, True), (251, False)])
def test_without_any_list_of_enis_nothing_is_advised_unless_the_subnet_is_empty(available, unseen):
    report = report_of({"Subnets": [subnet(AvailableIpAddressCount=available)]})
    assert report.unseen is unseen
    advice = advise(report, instances.limits("m5.large"), Settings(), wanted=8)
    assert bool(advice.withheld) is unseen
    assert bool(advice.fits) is not unseen
    if unseen:
        assert "describe-network-interfaces" in advice.withheld
        assert advice.drains is advice.reservation is None


def test_what_fits_is_bounded_by_aws_count():
    shown = account(subnets=[subnet(AvailableIpAddressCount=25)], enis=[ONE])
    report = report_of(shown)
    advice = advise(report, instances.limits("m5.large"), Settings(), wanted=0)
    assert advice.upper_bound
    idle, full, *_ = advice.fits
    assert (idle.draw.held, idle.now) == (10, 2)
    assert (full.draw.held, full.now) == (30, 0)


def test_nothing_is_proven_on_partial_files():
    enis = [eni("1", 20, 21, instance="i-1")]
    what = {"enis": enis, "instances": [node("i-1")], "pods": [pod(21)]}
    whole = report_of(account(subnets=[subnet(AvailableIpAddressCount=249)], **what))
    assert plan_drains(whole, 1).proven
    partial = report_of(account(subnets=[subnet(AvailableIpAddressCount=240)], **what))
    assert not plan_drains(partial, 1).proven


def test_what_is_not_reported_is_noticed():
    found = inventory_of(
        account(subnets=[subnet()], enis=[ONE, eni("9", 9, subnet_id="subnet-9")], pods=[])
    )
    assert found.notices == [
        "1 ENI of subnets that aws ec2 describe-subnets does not list here: subnet-9",
        "kubectl's list holds no pod",
    ]
    assert found.inputs["kubectl get pods -A -o json"]
    assert not found.inputs["aws ec2 describe-instances"]


def test_the_text_says_at_most(tmp_path, run_subnet):
    shown = account(subnets=[subnet(AvailableIpAddressCount=25)], enis=[ONE])
    status, out, _ = run_subnet("report", write(tmp_path, "a.json", shown))
    assert status == 1
    assert "225 more are in use than the files show" in " ".join(out.split())
    assert "are upper bounds" in out
    assert "fit before the first refusal, at most:" in out
    empty = account(subnets=[subnet(AvailableIpAddressCount=25)])
    status, out, _ = run_subnet("report", write(tmp_path, "b.json", empty))
    assert status == 1
    assert "No advice: nothing that aws ec2 describe-network-interfaces prints was given" in out
    assert "drain and end" not in out
    assert "create-subnet-cidr-reservation" not in out


def test_of_many_subnets_leaked_addresses_that_are_not_known_are_none_counted(tmp_path, run_subnet):
    """No list of ENIs is no subnet without leaks."""
    subnets = [
        subnet(SubnetId=f"subnet-{n}", CidrBlock=f"10.0.{n}.0/24", AvailableIpAddressCount=count)
        for n, count in ((1, 25), (2, 251))
    ]
    _, out, _ = run_subnet("report", write(tmp_path, "a.json", account(subnets=subnets)))
    first, second = (line.split() for line in out.splitlines() if line.startswith("subnet-")
                     and "fragmentation" not in line)  # fmt: skip
    assert (first[4], second[4]) == ("?", "0")


def test_a_subnet_that_is_reserved_wholly_takes_no_eni(tmp_path, run_subnet):
    """Prevents 14 free /28s without a word on why no node fits."""
    reserved = account(subnets=[subnet()], enis=[]) | {
        "SubnetIpv4CidrReservations": [
            {"SubnetId": "subnet-1", "Cidr": "10.0.0.0/24", "ReservationType": "prefix"}
        ]
    }
    status, out, _ = run_subnet("report", write(tmp_path, "a.json", reserved))
    assert status == 1
    assert "No ENI can be created here" in out
    status, out, _ = run_subnet("report", tmp_path / "a.json", "--json")
    (told,) = json.loads(out)["subnets"]
    assert told["no_single_address"]
    assert {fit["now"] for fit in told["advice"]["nodes_that_fit"]} == {0}


def test_the_type_is_assumed_aloud_or_not_at_all(tmp_path, run_subnet):
    enis = [eni("1", 20, 21, instance="i-1", Description="aws-K8S-i-1")]
    path = write(tmp_path, "a.json", account(enis=enis))
    assert "m5.large is assumed" in run_subnet("report", path)[1]
    assert "is assumed" not in run_subnet("report", path, "--instance", "m5.large")[1]
    many = [eni("1", *range(20, 32), instance="i-1", Description="aws-K8S-i-1")]
    out = run_subnet("report", write(tmp_path, "b.json", account(enis=many)))[1]
    assert "The number of nodes that fit is not known" in out
    odd = account(enis=enis, instances=[instance("i-1", "z9.huge")])
    status, out, _ = run_subnet("report", write(tmp_path, "c.json", odd))
    assert status == 0
    assert "unknown instance type 'z9.huge'" in " ".join(out.split())
    assert "12 free /28s" in out or "13 free /28s" in out
