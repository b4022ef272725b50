"""Which operations an effect takes, by what is on the host: pure functions."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from ipam_core.cloud.host.operations import (
    MAIN_TABLE,
    AddAddress,
    AddRule,
    BringUp,
    PutRoute,
    RemoveAddress,
    RemoveConnectedRoute,
    RemoveRule,
    Rule,
    SetMtu,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core import effects as fx
    from ipam_core.cloud.host.operations import Link, Operation
    from ipam_core.cloud.host.settings import HostSettings

FROM_MARKED, TO_SERVICE, FROM_POD, FROM_ENI = 1024, 1535, 1536, 32765
"""Priorities of rules."""
SMALLEST_SUBNET = 28


def plan_host(settings: HostSettings, link: Link, rules: tuple[Rule, ...]) -> Iterator[Operation]:
    """Plan the primary ENI's link, and the rules that serve all pods."""
    yield SetMtu(link.name, settings.mtu)
    wanted = [
        Rule(priority=TO_SERVICE, table=MAIN_TABLE, destination=cidr)
        for cidr in settings.service_cidrs
    ]
    if settings.node_ports or not settings.external_snat:
        wanted.append(Rule(priority=FROM_MARKED, table=MAIN_TABLE, mark=settings.mark))
    for rule in rules:
        ours = rule.priority == TO_SERVICE or (rule.priority == FROM_MARKED and rule.mark)
        if ours and rule.table == MAIN_TABLE and rule not in wanted:
            yield RemoveRule(rule)
    yield from (AddRule(rule) for rule in wanted if rule not in rules)


def plan_eni(
    settings: HostSettings, effect: fx.SetUpEni, link: Link, rules: tuple[Rule, ...]
) -> Iterator[Operation]:
    """Plan an ENI's link: MTU, address, a table with a default route, its rule.

    Raises `ValueError` where metadata did not give its address and its subnet's block.
    """
    subnet = IPv4Network(effect.eni.subnet_cidr)
    address = f"{effect.eni.primary_address}/{subnet.prefixlen}"
    IPv4Interface(address)
    if subnet.prefixlen > SMALLEST_SUBNET:
        raise ValueError(f"{subnet} has no gateway: a subnet's block is at most a /28")
    gateway, table = str(subnet[1]), effect.route_table
    yield SetMtu(link.name, settings.mtu)
    yield BringUp(link.name)
    yield from (RemoveAddress(link.name, each) for each in link.addresses if each != address)
    if address not in link.addresses:
        yield AddAddress(link.name, address)
    yield PutRoute(table, f"{gateway}/32", link.name)
    yield PutRoute(table, "default", link.name, gateway)
    yield RemoveConnectedRoute(link.name, str(subnet), effect.eni.primary_address)
    rule = Rule(priority=FROM_ENI, table=table, source=f"{effect.eni.primary_address}/32")
    for other in rules:
        if other.source == rule.source and other.priority == FROM_ENI and other != rule:
            yield RemoveRule(other)  # it had another device number
    if not effect.trunk and rule not in rules:
        yield AddRule(rule)


def plan_pods(effect: fx.SetUpPodRules, rules: tuple[Rule, ...]) -> Iterator[Operation]:
    """Plan one rule for each pod, in the place of others that begin with its address."""
    for address, table in effect.pods:
        wanted = Rule(priority=FROM_POD, table=table, source=f"{address}/32")
        for rule in rules:
            if rule.source == wanted.source and rule != wanted:
                yield RemoveRule(rule)
        if wanted not in rules:
            yield AddRule(wanted)


def plan_tear_down(effect: fx.TearDownEni, rules: tuple[Rule, ...]) -> Iterator[Operation]:
    """Plan the end of every rule that begins with an ENI's address: its link is gone."""
    source = f"{effect.primary_address}/32"
    return (RemoveRule(rule) for rule in rules if rule.source == source)
