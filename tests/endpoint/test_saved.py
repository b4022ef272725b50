"""A VPC as a plain value, and back: it goes on as the one that was written."""

import json
import random

import pytest

from ipam_core.endpoint.vpc import Delays, Vpc
from ipam_core.errors import InputError
from support.random_calls import RandomCalls, check
from support.vpcs import Clock


def lived(seed, n_calls=150):
    clock = Clock()
    vpc = Vpc(
        seed=seed, cluster="demo", clock_ns=clock, delays=Delays(available_s=0.5, attached_s=2)
    )
    vpc.account.add_subnet(
        "10.0.0.0/24", zone="a", used=20, reservations=[("10.0.0.64/27", "prefix")]
    )
    vpc.account.add_subnet("10.0.1.0/25", zone="b", ipv6=False)
    calls = RandomCalls(vpc, random.Random(seed), clock)
    for _ in range(n_calls):
        calls.step()
    return vpc, clock


@pytest.mark.parametrize("seed", range(6))
def test_a_vpc_that_is_read_back_goes_on_as_the_one_that_was_written(seed):
    vpc, clock = lived(seed)
    text = json.dumps(vpc.to_state())
    other_clock = Clock()
    other_clock.now_ns = clock.now_ns
    other = Vpc.from_state(json.loads(text), other_clock)
    check(other)
    assert json.dumps(other.to_state()) == text
    calls = RandomCalls(vpc, random.Random(99), clock)
    others = RandomCalls(other, random.Random(99), other_clock)
    for _ in range(150):
        assert calls.step() == others.step()
    assert calls.n_done > 40
    assert other.to_state() == vpc.to_state()


def test_writing_changes_nothing():
    vpc, _ = lived(3)
    assert vpc.to_state() == vpc.to_state()


def test_a_page_token_is_still_good_after_reading():
    vpc, clock = lived(1)
    ask = {"MaxResults": 5}
    first = vpc.call("ec2", "DescribeNetworkInterfaces", ask)
    ask["NextToken"] = first["NextToken"]
    other = Vpc.from_state(json.loads(json.dumps(vpc.to_state())), clock)
    assert other.call("ec2", "DescribeNetworkInterfaces", ask) == vpc.call(
        "ec2", "DescribeNetworkInterfaces", ask
    )


@pytest.fixture(scope="module")
def state():
    return json.dumps(lived(2)[0].to_state())


def row(name, **changes):
    return lambda state: state[name][0].update(changes)


BROKEN = {
    "format": lambda state: state.update(format="other"),
    "version": lambda state: state.update(version=2),
    "no enis": lambda state: state.pop("enis"),
    "half an eni": lambda state: state["enis"].append({"eni_id": "eni-1"}),
    "an eni twice": lambda state: state["enis"].append(state["enis"][0]),
    "its subnet": row("enis", subnet_id="subnet-0"),
    "its address": row("enis", primary_address="192.168.0.1"),
    "its instance": row("enis", instance_id="i-0"),
    "its attachment": row("enis", attachment={"status": "attached"}),
    "a type": row("instances", type_given="m5.huge"),
    "a cidr": row("subnets", cidr="10.0.0.0/8"),
    "an order": row("subnets", order="AAAA"),
    "random": row("subnets", random=-1),
    "chance": lambda state: state.update(chance=[3, [1], None]),
    "secret": lambda state: state.update(secret="zz"),
    "delays": lambda state: state.update(delays={"attached_h": 1}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_state_that_contradicts_itself_is_refused(name, state):
    broken = json.loads(state)
    BROKEN[name](broken)
    with pytest.raises(InputError, match="state of a VPC"):
        Vpc.from_state(broken)


def test_what_is_no_state_at_all_is_refused():
    for odd in ("text", [], None, {}):
        with pytest.raises(InputError, match="state of a VPC"):
            Vpc.from_state(odd)


def without_chance(state):
    """Return a state without what even a refused call may use up: numbers and chance."""
    kept = {key: each for key, each in state.items() if key not in ("chance", "n_made")}
    kept["subnets"] = [
        {key: each for key, each in row.items() if key not in ("random", "order")}
        for row in state["subnets"]
    ]
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_a_refused_call_changes_nothing_and_invariants_hold_after_each(seed):
    clock = Clock()
    vpc = Vpc(seed=seed, clock_ns=clock)
    vpc.account.add_subnet("10.0.0.0/25", zone="a")
    vpc.account.add_subnet("10.0.0.128/26", zone="a", used=3)
    vpc.account.add_subnet("10.0.1.0/24", zone="b")
    calls = RandomCalls(vpc, random.Random(seed), clock)
    for _ in range(120):
        calls.wait()
        vpc.account.settle()
        before = vpc.to_state()
        if len(calls.call()) == 2:  # the action and its code
            assert without_chance(vpc.to_state()) == without_chance(before)
        check(vpc)
    assert calls.n_done > 25
    assert len(calls.codes) > 8
