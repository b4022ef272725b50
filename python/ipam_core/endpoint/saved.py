"""An account as a plain value, and back: all resources, what is pending, and chance itself.

The value is JSON. An account that is read back answers as the one that was written would
have: the same ids, addresses and times.
"""

from __future__ import annotations

import base64
import heapq
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipam_core._subnet import Subnet
from ipam_core.endpoint.account import EVENTS, Account, Delays
from ipam_core.endpoint.client_tokens import Remembered
from ipam_core.endpoint.ipv6 import Ipv6Block
from ipam_core.endpoint.plain import plain, typed
from ipam_core.endpoint.resources import (
    CidrReservation,
    Instance,
    Interface,
    SecurityGroup,
    VirtualNetwork,
    VpcSubnet,
)
from ipam_core.errors import InputError, IpamError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "ipam-core vpc"
VERSION = 1


@dataclass(slots=True, kw_only=True)
class _Subnet:
    """A subnet; what interfaces hold of it is theirs. `random` and `order`: `Subnet.sequence`."""

    subnet_id: str
    number: int
    vpc_id: str
    zone: str
    cidr: str
    ipv6_cidr: str | None
    reserved: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    random: int
    order: str
    tags: dict[str, str]


@dataclass(slots=True, kw_only=True)
class _State:
    """All of an account."""

    format: str
    version: int
    time_ns: int
    region: str
    account_id: str
    cluster: str
    cluster_subnets: tuple[str, ...]
    node_groups: tuple[str, ...]
    zones: list[str]
    delays: Delays
    chance: tuple[int, tuple[int, ...], float | None]
    secret: str
    n_made: int
    pending: list[tuple[int, int, str, str]]
    client_tokens: list[tuple[str, str, str, str]]
    vpcs: list[VirtualNetwork]
    groups: list[SecurityGroup]
    subnets: list[_Subnet]
    reservations: list[CidrReservation]
    instances: list[Instance]
    enis: list[Interface]


def state_of(account: Account) -> dict[str, Any]:
    """Return an account as a plain value. Cost: proportional to what it holds."""
    found: dict[str, Any] = plain(
        _State(
            format=FORMAT,
            version=VERSION,
            time_ns=account.now_ns(),
            region=account.region_name,
            account_id=account.account_id,
            cluster=account.cluster,
            cluster_subnets=account.cluster_subnets,
            node_groups=account.node_groups,
            zones=account.zones,
            delays=account.delays,
            chance=account.chance.getstate(),
            secret=account.secret.hex(),
            n_made=account.n_made,
            pending=sorted(account.pending),
            client_tokens=[
                (*key, *remembered) for key, remembered in account.client_tokens.remembered.items()
            ],
            vpcs=list(account.vpcs),
            groups=list(account.groups),
            subnets=[_subnet_state(row) for row in account.subnets],
            reservations=list(account.reservations),
            instances=list(account.instances),
            enis=list(account.enis),
        )
    )
    return found


def _subnet_state(row: VpcSubnet) -> _Subnet:
    random, order = row.subnet.sequence()
    return _Subnet(
        subnet_id=row.subnet_id,
        number=row.number,
        vpc_id=row.vpc_id,
        zone=row.zone,
        cidr=row.subnet.cidr,
        ipv6_cidr=None if row.ipv6 is None else row.ipv6.cidr,
        reserved=row.subnet.reservations,
        others=row.others,
        random=random,
        order=base64.b64encode(order.astype("<u2").tobytes()).decode(),
        tags=row.tags,
    )


def account_of(state: Any, clock_ns: Callable[[], int]) -> Account:
    """Return the account of a value that `state_of` made, on a clock that goes on from it.

    Every value is checked, so that no call to the account meets one that cannot be.

    Raises:
        InputError: it is none, or of another version, or contradicts itself.
    """
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"not the state of a VPC: format {FORMAT!r} is missing")
    if state.get("version") != VERSION:
        raise InputError(f"state of a VPC: version {state.get('version')!r}; {VERSION} is read")
    try:
        return _account_of(typed(_State, state, "state"), clock_ns)
    except (IpamError, LookupError, TypeError, ValueError, OverflowError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"state of a VPC: {said[:200]}") from error


def _account_of(state: _State, clock_ns: Callable[[], int]) -> Account:
    account = Account(
        region=state.region,
        account_id=state.account_id,
        cluster=state.cluster,
        clock_ns=clock_ns,
        delays=state.delays,
    )
    account.zones = state.zones
    account.cluster_subnets = state.cluster_subnets
    account.node_groups = state.node_groups
    account.chance.setstate(state.chance)
    account.secret = bytes.fromhex(state.secret)
    account.n_made = state.n_made
    for due in state.pending:
        _ = EVENTS[due[2]]  # what is not known ends the reading
    account.pending = state.pending
    heapq.heapify(account.pending)
    for action, token, digest, made in state.client_tokens:
        account.client_tokens.remembered[action, token] = Remembered(digest, made)
    for network in state.vpcs:
        account.vpcs.add(network)
    for group in state.groups:
        _ = account.vpcs.by_key[group.vpc_id]
        account.groups.add(group)
    for saved in state.subnets:
        subnet = _subnet_of(account, saved)
        account.subnets.add(subnet)
        account.simulated.subnets[subnet.subnet_id] = subnet
    for reservation in state.reservations:
        _ = account.subnets.by_key[reservation.subnet_id]
        account.reservations.add(reservation)
    for instance in state.instances:
        _ = instance.limits, account.subnets.by_key[instance.subnet_id]
        account.instances.add(instance)
    for eni in state.enis:
        _add_interface(account, eni)
    for saved in state.subnets:
        order = array("H", base64.b64decode(saved.order, validate=True))
        if sys.byteorder == "big":
            order.byteswap()
        compiled = account.subnets.by_key[saved.subnet_id].subnet
        compiled.set_sequence(saved.random, order)
    return account


def _subnet_of(account: Account, saved: _Subnet) -> VpcSubnet:
    compiled = Subnet(saved.cidr, reservations=saved.reserved)  # type: ignore[arg-type]
    compiled.take_given_addresses(saved.others)
    subnet = VpcSubnet(
        compiled,
        subnet_id=saved.subnet_id,
        number=saved.number,
        vpc_id=account.vpcs.by_key[saved.vpc_id].vpc_id,
        zone=saved.zone,
        ipv6=None if saved.ipv6_cidr is None else Ipv6Block(saved.ipv6_cidr, account.chance),
        tags=saved.tags,
    )
    subnet.others = saved.others
    return subnet


def _add_interface(account: Account, eni: Interface) -> None:
    """Add an interface: it takes what it holds from its subnet, and is attached as it was."""
    subnet = account.subnets.by_key[eni.subnet_id]
    for group in eni.groups:
        _ = account.groups.by_key[group]
    subnet.subnet.take_given_addresses([eni.primary_address, *eni.addresses])
    for prefix in eni.prefixes:
        subnet.subnet.take_given_prefix(prefix)
    subnet.holders |= dict.fromkeys((eni.primary_address, *eni.addresses, *eni.prefixes), eni)
    if subnet.ipv6 is not None:
        subnet.ipv6.check_given(eni.ipv6_addresses, eni.ipv6_prefixes)
        subnet.ipv6.take_given(eni.ipv6_addresses, eni.ipv6_prefixes)
    instance_id, eni.instance_id = eni.instance_id, None
    account.simulated.add_eni(eni)
    if (instance_id is None) != (eni.attachment is None):
        raise ValueError(f"{eni.eni_id} is attached, and is not")
    if instance_id is not None:
        _ = account.instances.by_key[instance_id]
        account.simulated.attach(eni, instance_id, eni.device_number, eni.network_card)
    account.enis.add(eni)
