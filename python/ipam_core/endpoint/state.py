"""A served VPC as a file: JSON that is whole or not there, and is checked wholly when read.

Saved are the account, EC2's behaviour and the time. Not saved: what metadata has yet to show
(it shows it at once), and sessions of instance metadata (clients begin new ones). The
addresses that a subnet gives next are others than those of a VPC that went on.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._subnet import Subnet
from ipam_core.cloud import latency, region, throttling
from ipam_core.documents import load_json, read_text
from ipam_core.endpoint import plain
from ipam_core.endpoint.account import EVENTS, Account
from ipam_core.endpoint.client_tokens import Remembered
from ipam_core.endpoint.clock import LATEST_NS
from ipam_core.endpoint.ipv6 import Ipv6Block
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

    from ipam_core.cloud.latency import Latency
    from ipam_core.cloud.region import Fault
    from ipam_core.cloud.throttling import Bucket
    from ipam_core.endpoint.gate import Gate
    from ipam_core.endpoint.metadata import Metadata

FORMAT = "ipam-core vpc"
VERSION = 1
plain.KNOWN.update(
    Bucket=throttling.Bucket,
    Fault=region.Fault,
    InstanceLimits=instances.InstanceLimits,
    Latency=latency.Latency,
)

_RandomState = tuple[int, tuple[int, ...], float | None]


@dataclass(slots=True, kw_only=True)
class _Subnet:
    """A subnet as it is saved; what interfaces hold of it is theirs."""

    subnet_id: str
    number: int
    cidr: str
    vpc_id: str
    zone: str
    ipv6: str | None
    tags: dict[str, str]
    others: tuple[str, ...]
    reservations: tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class _Token:
    action: str
    token: str
    digest: str
    made: str


@dataclass(slots=True, kw_only=True)
class _Account:
    region_name: str
    account_id: str
    cluster: str
    cluster_subnets: tuple[str, ...]
    node_groups: tuple[str, ...]
    zones: list[str]
    secret: str
    chance: _RandomState
    n_made: int
    pending: list[tuple[int, int, str, str]]
    vpcs: list[VirtualNetwork]
    groups: list[SecurityGroup]
    subnets: list[_Subnet]
    reservations: list[CidrReservation]
    instances: list[Instance]
    enis: list[Interface]
    tokens: list[_Token]


@dataclass(slots=True, kw_only=True)
class _Ec2:
    """EC2's behaviour. `throttling` None is none."""

    start_ns: int
    chances: list[_RandomState]
    latencies: dict[str, Latency]
    throttling: dict[str, Bucket] | None
    tokens: dict[str, float]
    filled_s: dict[str, int]
    n_faults: int
    faults: dict[str, Fault]
    metadata_lag_ns: int


@dataclass(slots=True, kw_only=True)
class Saved:
    """A saved VPC, checked in form. `account` and `fill` make it again."""

    format: str
    version: int
    now_ns: int
    vpc: _Account
    ec2: _Ec2
    where: str = ""

    def account(self, clock_ns: Callable[[], int]) -> Account:
        """Return the account, by a clock that shows `now_ns` or later. Raises `InputError`."""
        try:
            return _account(self.vpc, clock_ns)
        except (IpamError, ValueError, KeyError, TypeError, OverflowError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{self.where}: damaged: {why}") from error

    def fill(self, gate: Gate, metadata: Metadata) -> None:
        """Put EC2's behaviour into a gate that has none. Raises `InputError`."""
        try:
            saved = {each.name: getattr(self.ec2, each.name) for each in fields(self.ec2)}
            metadata.lag_ns = saved.pop("metadata_lag_ns")
            gate.restore(**saved)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{self.where}: damaged: {error}") from error


# --- to a file and back -------------------------------------------------------------------


def dump(account: Account, gate: Gate, metadata: Metadata) -> dict[str, Any]:
    """Return a VPC as JSON has it. Cost: about 10 microseconds a resource."""
    account.settle()
    saved = Saved(
        format=FORMAT,
        version=VERSION,
        now_ns=account.now_ns(),
        vpc=_saved_account(account),
        ec2=_Ec2(**gate.saved(), metadata_lag_ns=metadata.lag_ns),
    )
    found: dict[str, Any] = plain.plain(saved)
    del found["where"]
    return found


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a state: the file has the old one or the new one, whatever happens.

    Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(state, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> Saved:
    """Read a state and check its form. Raises `OSError` and, where it is damaged, `InputError`."""
    try:
        raw = load_json(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no state of a VPC: {error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError(f"{path}: no state of a VPC: its format is not {FORMAT!r}")
    if raw.get("version") != VERSION:
        raise InputError(f"{path}: version {raw.get('version')!r}; {VERSION} is known")
    try:
        saved: Saved = plain.typed(Saved, {**raw, "where": str(path)}, "state")
        if not 0 <= saved.now_ns <= LATEST_NS:
            raise InputError(f"state.now_ns is from 0 to {LATEST_NS}, not {saved.now_ns}")
    except InputError as error:
        raise InputError(f"{path}: damaged: {error}") from error
    return saved


# --- the account --------------------------------------------------------------------------


def _saved_account(account: Account) -> _Account:
    return _Account(
        region_name=account.region_name,
        account_id=account.account_id,
        cluster=account.cluster,
        cluster_subnets=account.cluster_subnets,
        node_groups=account.node_groups,
        zones=account.zones,
        secret=account.secret.hex(),
        chance=account.chance.getstate(),
        n_made=account.n_made,
        pending=account.pending,
        vpcs=list(account.vpcs),
        groups=list(account.groups),
        subnets=[_saved_subnet(subnet) for subnet in account.subnets],
        reservations=list(account.reservations),
        instances=list(account.instances),
        enis=list(account.enis),
        tokens=[
            _Token(action=action, token=token, digest=found.digest, made=found.made)
            for (action, token), found in account.client_tokens.remembered.items()
        ],
    )


def _saved_subnet(subnet: VpcSubnet) -> _Subnet:
    return _Subnet(
        subnet_id=subnet.subnet_id,
        number=subnet.number,
        cidr=subnet.subnet.cidr,
        vpc_id=subnet.vpc_id,
        zone=subnet.zone,
        ipv6=subnet.ipv6.cidr if subnet.ipv6 else None,
        tags=subnet.tags,
        others=subnet.others,
        reservations=subnet.subnet.reservations,
    )


def _account(saved: _Account, clock_ns: Callable[[], int]) -> Account:
    account = Account(
        region=saved.region_name,
        account_id=saved.account_id,
        cluster=saved.cluster,
        clock_ns=clock_ns,
    )
    account.cluster_subnets = saved.cluster_subnets
    account.node_groups = saved.node_groups
    account.zones = saved.zones
    account.secret = bytes.fromhex(saved.secret)
    account.chance.setstate(saved.chance)
    pairs: tuple[tuple[Any, Any], ...] = (
        (account.vpcs, saved.vpcs),
        (account.groups, saved.groups),
        (account.reservations, saved.reservations),
        (account.instances, saved.instances),
    )
    for table, rows in pairs:
        for row in rows:
            table.add(row)
    for subnet in saved.subnets:
        _add_subnet(account, subnet, seed=saved.n_made)
    for eni in saved.enis:
        _add_interface(account, eni)
    for token in saved.tokens:
        remembered = Remembered(token.digest, token.made)
        account.client_tokens.remembered[token.action, token.token] = remembered
    for due_ns, number, what, key in saved.pending:
        if what not in EVENTS:
            raise ValueError(f"nothing is called {what!r}")
        account.pending.append((due_ns, number, what, key))
    account.pending.sort()
    account.n_made = saved.n_made
    return account


def _add_subnet(account: Account, saved: _Subnet, *, seed: int) -> None:
    compiled = Subnet(
        saved.cidr,
        seed=hash((seed, saved.number)) & (2**64 - 1),
        reservations=saved.reservations,  # type: ignore[arg-type]
    )
    compiled.take_given_addresses(saved.others)
    subnet = VpcSubnet(
        compiled,
        subnet_id=saved.subnet_id,
        number=saved.number,
        vpc_id=account.vpcs.by_key[saved.vpc_id].vpc_id,
        zone=saved.zone,
        ipv6=Ipv6Block(saved.ipv6, account.chance) if saved.ipv6 else None,
        tags=saved.tags,
    )
    subnet.others = saved.others
    account.subnets.add(subnet)
    account.simulated.subnets[subnet.subnet_id] = subnet


def _add_interface(account: Account, eni: Interface) -> None:
    subnet = account.subnets.by_key[eni.subnet_id]
    subnet.subnet.take_given_addresses([eni.primary_address, *eni.addresses])
    for prefix in eni.prefixes:
        subnet.subnet.take_given_prefix(prefix)
    if subnet.ipv6 is not None:
        subnet.ipv6.take_given(eni.ipv6_addresses, eni.ipv6_prefixes)
    for held in (eni.primary_address, *eni.addresses, *eni.prefixes):
        subnet.holders[held] = eni
    for group in eni.groups:
        account.groups.by_key[group]
    instance_id, eni.instance_id = eni.instance_id, None
    account.simulated.add_eni(eni)
    if instance_id is not None:
        account.instances.by_key[instance_id]
        account.simulated.attach(eni, instance_id, eni.device_number, eni.network_card)
    account.enis.add(eni)
