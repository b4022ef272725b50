"""An account as a plain value, and back: all resources, what is pending, and chance itself.

The value is JSON. An account that is read back answers as the one that was written would
have: the same ids, addresses and times.
"""

from __future__ import annotations

import base64
import heapq
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ipam_core._subnet import Subnet
from ipam_core.endpoint.account import Account, Delays
from ipam_core.endpoint.client_tokens import Remembered
from ipam_core.endpoint.ipv6 import Ipv6Block
from ipam_core.endpoint.resources import (
    Attachment,
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
T = TypeVar("T")


def state_of(account: Account) -> dict[str, Any]:
    """Return an account as a plain value. Cost: proportional to what it holds."""
    version, chance, gauss = account.chance.getstate()
    return {
        "format": FORMAT,
        "version": VERSION,
        "time_ns": account.now_ns(),
        "region": account.region_name,
        "account_id": account.account_id,
        "cluster": account.cluster,
        "cluster_subnets": list(account.cluster_subnets),
        "node_groups": list(account.node_groups),
        "zones": list(account.zones),
        "delays": asdict(account.delays),
        "chance": [version, list(chance), gauss],
        "secret": account.secret.hex(),
        "n_made": account.n_made,
        "pending": [list(each) for each in sorted(account.pending)],
        "client_tokens": [
            [*key, *remembered] for key, remembered in account.client_tokens.remembered.items()
        ],
        "vpcs": [asdict(row) for row in account.vpcs],
        "groups": [asdict(row) for row in account.groups],
        "subnets": [_subnet_state(row) for row in account.subnets],
        "reservations": [asdict(row) for row in account.reservations],
        "instances": [asdict(row) for row in account.instances],
        "enis": [asdict(row) for row in account.enis],
    }


def _subnet_state(row: VpcSubnet) -> dict[str, Any]:
    random, order = row.subnet.sequence()
    return {
        "subnet_id": row.subnet_id,
        "number": row.number,
        "vpc_id": row.vpc_id,
        "zone": row.zone,
        "cidr": row.subnet.cidr,
        "ipv6_cidr": None if row.ipv6 is None else row.ipv6.cidr,
        "reserved": [list(each) for each in row.subnet.reservations],
        "others": list(row.others),
        "random": random,
        "order": base64.b64encode(order.astype("<u2").tobytes()).decode(),
        "tags": dict(row.tags),
    }


def account_of(state: Any, clock_ns: Callable[[], int]) -> Account:
    """Return the account of a value that `state_of` made, on a clock that goes on from it.

    Raises:
        InputError: it is none, or of another version, or contradicts itself.
    """
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"not the state of a VPC: format {FORMAT!r} is missing")
    if state.get("version") != VERSION:
        raise InputError(f"state of a VPC: version {state.get('version')!r}; {VERSION} is read")
    try:
        return _account_of(state, clock_ns)
    except (IpamError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"state of a VPC: {said[:200]}") from error


def _account_of(state: dict[str, Any], clock_ns: Callable[[], int]) -> Account:
    account = Account(
        region=state["region"],
        account_id=state["account_id"],
        cluster=state["cluster"],
        clock_ns=clock_ns,
        delays=Delays(**state["delays"]),
    )
    account.zones = list(map(str, state["zones"]))
    account.cluster_subnets = tuple(map(str, state["cluster_subnets"]))
    account.node_groups = tuple(map(str, state["node_groups"]))
    version, chance, gauss = state["chance"]
    account.chance.setstate((version, tuple(chance), gauss))
    account.secret = bytes.fromhex(state["secret"])
    account.n_made = int(state["n_made"])
    account.pending = [(int(due), int(n), str(what), str(key)) for due, n, what, key in
                       state["pending"]]  # fmt: skip
    heapq.heapify(account.pending)
    for action, token, digest, made in state["client_tokens"]:
        account.client_tokens.remembered[action, token] = Remembered(digest, made)
    for raw in state["vpcs"]:
        row = _made(VirtualNetwork, raw)
        row.blocks = [(block, association) for block, association in row.blocks]
        first, association = row.ipv6_block
        row.ipv6_block = first, association
        account.vpcs.add(row)
    for raw in state["groups"]:
        account.groups.add(_made(SecurityGroup, raw))
    orders = {}
    for raw in state["subnets"]:
        subnet = _subnet_of(account, raw)
        account.subnets.add(subnet)
        account.simulated.subnets[subnet.subnet_id] = subnet
        order = np.frombuffer(base64.b64decode(raw["order"], validate=True), "<u2")
        orders[subnet.subnet_id] = int(raw["random"]), order.astype(np.uint16)
    for raw in state["reservations"]:
        account.reservations.add(_made(CidrReservation, raw))
    for raw in state["instances"]:
        instance = _made(Instance, raw)
        instance.groups = tuple(instance.groups)
        _ = instance.limits  # a type that is not known ends the reading
        account.instances.add(instance)
    for raw in state["enis"]:
        _add_interface(account, _made(Interface, raw))
    for subnet_id, (random, order) in orders.items():
        account.subnets.by_key[subnet_id].subnet.set_sequence(random, order)
    return account


def _made(kind: type[T], raw: dict[str, Any]) -> T:
    """Return a row from its fields; all must be there, and no other."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if raw.keys() != names:
        odd = ", ".join(sorted(raw.keys() ^ names))
        raise ValueError(f"{kind.__name__}: {odd}: missing, or one too many")
    return kind(**raw)


def _subnet_of(account: Account, raw: dict[str, Any]) -> VpcSubnet:
    compiled = Subnet(raw["cidr"], reservations=[(cidr, kind) for cidr, kind in raw["reserved"]])
    compiled.take_given_addresses(raw["others"])
    subnet = VpcSubnet(
        compiled,
        subnet_id=raw["subnet_id"],
        number=raw["number"],
        vpc_id=raw["vpc_id"],
        zone=raw["zone"],
        ipv6=None if raw["ipv6_cidr"] is None else Ipv6Block(raw["ipv6_cidr"], account.chance),
        tags=raw["tags"],
    )
    subnet.others = tuple(raw["others"])
    return subnet


def _add_interface(account: Account, eni: Interface) -> None:
    """Add an interface: it takes what it holds from its subnet, and is attached as it was."""
    subnet = account.subnets.by_key[eni.subnet_id]
    eni.groups = tuple(eni.groups)
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
        eni.attachment = Attachment(**eni.attachment)  # type: ignore[arg-type]
        _ = account.instances.by_key[instance_id]
        account.simulated.attach(eni, instance_id, eni.device_number, eni.network_card)
    account.enis.add(eni)
