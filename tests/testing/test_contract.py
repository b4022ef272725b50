"""`check_cloud`: holds on the simulated cloud, and says in plain words what a broken one does."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from ipam_core import IpamError, SimulatedCloud
from ipam_core import effects as fx
from ipam_core.cloud.codes import ADDRESS_LIMIT, INSUFFICIENT_PREFIXES, error_for
from ipam_core.cloud.handler import METHODS
from ipam_core.testing import CHECKS, addresses, check_cloud, enis, reads
from ipam_core.testing.contract import BY_NAME, ContractError
from support.clock import Clock


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_the_simulated_cloud_keeps_the_contract(check):
    check(SimulatedCloud)


def test_a_cloud_whose_metadata_lags_keeps_it_too():
    clock = Clock()

    def lagging(instance_type, *, cidr):
        return SimulatedCloud(instance_type, cidr=cidr, clock_ns=clock, metadata_lag_s=3)

    check_cloud(lagging, sleep=clock.sleep)


def test_every_effect_is_in_a_check():
    """An effect that is added to `effects.py` needs a check."""
    named = {
        node.attr
        for module in (addresses, enis, reads)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute)
    }
    trial = Path(inspect.getfile(enis)).with_name("trial.py").read_text("utf-8")
    named |= set(re.findall(r"fx\.(\w+)\(", trial))
    assert {effect.__name__ for effect in METHODS} - named == set()


def test_names_and_promises_are_told_apart():
    assert len(BY_NAME) == len(CHECKS) > 30
    assert len({check.promise for check in CHECKS}) == len(CHECKS)
    assert all(check.promise.endswith(".") for check in CHECKS)


# --- broken clouds ----------------------------------------------------------------


class Broken(SimulatedCloud):
    """A cloud with one fault: `fault(cloud, effect, answer)` answers instead."""

    def __init__(self, fault, instance_type, *, cidr):
        super().__init__(instance_type, cidr=cidr)
        self.fault = fault

    def perform(self, effect):
        return self.fault(self, effect, super().perform)


AT_ONCE = {"within_s": 0, "sleep": lambda _: None}
"""Wait for nothing: what is missing now is missing."""


def broken_by(fault):
    return lambda *given, **named: Broken(fault, *given, **named)


def found_in(fault):
    """Return the breaches of a cloud with a fault, as one text each."""
    with pytest.raises(ContractError) as broken:
        check_cloud(broken_by(fault), **AT_ONCE)
    return {f"{check}: {what}" for check, what in broken.value.breaches}


def for_effect(kind, answer):
    """Return a fault of one effect: its reply or error is made by `answer(effect, reply)`."""

    def fault(_, effect, perform):
        return answer(effect, perform(effect)) if isinstance(effect, kind) else perform(effect)

    return fault


def failing(kind, error):
    """Return a fault: one effect is never done, and raises."""

    def fault(_, effect, perform):
        if isinstance(effect, kind):
            raise error
        return perform(effect)

    return fault


def not_refused(code):
    """Return a fault: refusals with this code are replies."""

    def fault(_, effect, perform):
        try:
            return perform(effect)
        except IpamError as error:
            if error.code != code:
                raise
            return ("10.0.0.77",) if isinstance(effect, fx.AssignPrivateIps) else None

    return fault


def half_done(cloud, effect, perform):
    """More than there is room for: as much as there is."""
    if isinstance(effect, fx.AssignPrivateIps) and effect.eni_id in cloud.region.enis:
        held = len(cloud.region.enis[effect.eni_id].addresses)
        if held + effect.count > cloud.slots > held:
            perform(fx.AssignPrivateIps(effect.eni_id, cloud.slots - held))
    return perform(effect)


FAULTS = {
    "a count": (
        for_effect(fx.AssignPrivateIps, lambda _, reply: reply[:-1]),
        (
            "secondary-ips: AssignPrivateIps('eni-00000000000000001', 3) replied not 3 different "
            "IPv4 addresses: ("
        ),
    ),
    "no address": (
        for_effect(fx.AssignPrefixes, lambda _, reply: tuple(each[:-3] for each in reply)),
        "prefixes: AssignPrefixes('eni-00000000000000001', 3) replied not 3 different IPv4 /28s",
    ),
    "a reply where none is promised": (
        for_effect(fx.TagEni, lambda *_: True),
        "tags: TagEni('eni-00000000000000001') replied True; expected None",
    ),
    "an exception of its own": (
        failing(fx.DescribeSubnets, KeyError("SubnetId")),
        "subnets: DescribeSubnets() raised KeyError ('SubnetId'), which no step of a node catches",
    ),
    "a missing field": (
        for_effect(fx.ReadAttachedEnis, lambda _, reply: [vars_of(each) for each in reply]),
        "subnets: ReadAttachedEnis() replied not AttachedEni: {",
    ),
    "another class": (
        failing(fx.DeleteEni, error_for("DeleteNetworkInterface", "Whatever")),
        (
            "unknown-enis: DeleteEni('eni-00000000000000bad') raised CloudError "
            "(DeleteNetworkInterface: Whatever); expected NotFoundError"
        ),
    ),
    "another code": (
        failing(fx.CreateEni, error_for("CreateNetworkInterface", INSUFFICIENT_PREFIXES)),
        (
            "subnet-without-addresses: CreateEni(n_addresses=10): code of the error: "
            "'InsufficientCidrBlocks'; expected 'InsufficientFreeAddressesInSubnet'"
        ),
    ),
    "no limit": (
        not_refused(ADDRESS_LIMIT),
        (
            "address-limit: AssignPrivateIps('eni-00000000000000001', 10) replied ('10.0.0.77',); "
            "expected AddressLimitError with code PrivateIpAddressLimitExceeded"
        ),
    ),
    "half done": (
        half_done,
        (
            "address-limit: AssignPrivateIps('eni-00000000000000001', 10) changed the subnet's "
            "free addresses: 241; it was 250"
        ),
    ),
    "nothing given back": (
        lambda _, effect, perform: (
            None if isinstance(effect, fx.UnassignPrivateIps) else perform(effect)
        ),
        "secondary-ips-given-back: free addresses after 2 of 3 were given back: 247; expected 249",
    ),
    "a read that changes": (
        lambda cloud, effect, perform: (
            (
                cloud.region.create_eni("primary"),
                perform(effect),
            )[1]
            if isinstance(effect, fx.FindNodelessEnis)
            else perform(effect)
        ),
        "reads-change-nothing: what EC2 describes after FindNodelessEnis: ",
    ),
    "never shown": (
        for_effect(fx.ReadAttachedEnis, lambda _, reply: reply[:1]),
        "attachment: not within 0 s: metadata shows eni-00000000000000002 once it is attached",
    ),
}


def vars_of(value):
    return {name: getattr(value, name) for name in value.__slots__}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_cloud_is_found_and_the_breach_says_what_it_did(name):
    fault, breach = FAULTS[name]
    found = found_in(fault)
    assert any(each.startswith(breach) for each in found), sorted(found)


def test_every_breach_is_told_not_only_the_first():
    def two(_, effect, perform):
        if isinstance(effect, fx.TagEni):
            return True
        if isinstance(effect, fx.ReadUnschedulable):
            return "no"
        return perform(effect)

    checks = {each.split(":")[0] for each in found_in(two)}
    assert {"tags", "surroundings", "reads-change-nothing"} <= checks
    with pytest.raises(ContractError) as broken:
        check_cloud(broken_by(two), **AT_ONCE)
    text = str(broken.value)
    assert text.startswith("4 of 34 checks of the cloud failed\n")
    assert "\ntags: TagEni and TagCreatedAt add tags, and keep those that are there.\n  - " in text


@pytest.mark.parametrize("lost", [effect for effect in METHODS if effect is not fx.ReadEniConfig])
def test_no_effect_may_be_missing(lost):
    """A cloud that knows nothing of one effect breaks the contract, whichever it is."""
    missing = failing(lost, NotImplementedError)
    assert any(f"{lost.__name__}(" in each for each in found_in(missing))


def test_checks_can_be_left_out_by_name():
    without_tags = failing(fx.TagEni, error_for("CreateTags", "UnauthorizedOperation"))
    broken = {each.split(":")[0] for each in found_in(without_tags)}
    assert "tags" in broken
    check_cloud(broken_by(without_tags), without=broken, within_s=0)
    with pytest.raises(
        ValueError, match=r"without=\['prefxes'\]: no such check; there are primary-eni"
    ):
        check_cloud(SimulatedCloud, without=["prefxes"])


def test_a_cloud_that_can_be_closed_is_closed_after_each_check():
    opened, closed = [], []

    class Closable(SimulatedCloud):
        def close(self):
            closed.append(self)

    def factory(*given, **named):
        opened.append(Closable(*given, **named))
        return opened[-1]

    check_cloud(factory)
    assert len(opened) == len(CHECKS)
    assert closed == opened


def test_the_page_names_every_check():
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\S+)` \| (.+) \|$", page, re.MULTILINE)
    assert [row for row in rows if row[0] in BY_NAME] == [(c.name, c.promise) for c in CHECKS]
    assert f"2 of {len(CHECKS)} checks of the cloud failed\n" in page
