"""The file of a served VPC: subnets, nodes and EC2 in the format of a fleet's file.

What only a simulation plays, such as workloads, may be there and is not read: the same file
can be simulated and served. Of a node's group, `instance_type`, `count` and `subnets` count.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.documents import load_documents, read_text
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.simulation.fleet.parts import ec2_of, group_of, subnets_of
from ipam_core.simulation.fleet.spec import FaultSpec, GroupSpec, SubnetSpec
from ipam_core.simulation.validation import (
    fields,
    integer,
    mapping,
    non_empty,
    sequence,
    unique,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ipam_core.cloud.latency import Latency
    from ipam_core.cloud.throttling import Bucket
    from ipam_core.simulation.validation import Checks

MOST_NODES = 50_000
"""Nodes of all groups."""
PLAYED_ONLY = ("duration", "measure_from", "workloads", "rollouts")
"""Keys of a fleet's file that nothing is made of."""
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]")
_VPC_ID = re.compile(r"vpc-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_LARGEST_BLOCK_BITS, _SMALLEST_BLOCK_BITS = 16, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcSpec:
    """A VPC as it is at the start. Without arguments: one /16, one node of type m5.large.

    Attributes:
        vpc_id: "" for any.
        blocks: its IPv4 blocks; none: a /16 for each where a subnet is.
        cluster: the name of the EKS cluster that the nodes belong to.
        not_played: keys of the file that only a simulation plays.
    """

    seed: int = 0
    region: str = "us-east-1"
    vpc_id: str = ""
    blocks: tuple[str, ...] = ()
    cluster: str = "cluster"
    subnets: tuple[SubnetSpec, ...] = (SubnetSpec(subnet_id="subnet", cidr="10.0.0.0/16"),)
    groups: tuple[GroupSpec, ...] = (
        GroupSpec(name="nodes", instance_type="m5.large", count=1, subnets=("subnet",)),
    )
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    throttling: Mapping[str, Bucket] | None = field(default_factory=dict)
    faults: tuple[FaultSpec, ...] = ()
    metadata_lag_ns: int = NS
    not_played: tuple[str, ...] = ()


def read_vpc(path: Path, apis: Collection[str]) -> VpcSpec:
    """Read a VPC from a file, JSON or YAML. `apis` are the calls that `ec2` may name.

    Raises `OSError` where it cannot be read and `InputError` where its content is wrong, with
    the file's name in front.
    """
    try:
        documents = load_documents(read_text(path), each_key_once=True)
        if len(documents) != 1:
            raise InputError(f"one document is needed, not {len(documents)}")
        return vpc_of(documents[0], apis)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def vpc_of(raw: Any, apis: Collection[str]) -> VpcSpec:
    """Check a VPC as loaded from a file and return its value. Raises `InputError`."""
    checks = {**_CHECKS, "ec2": ec2_of(apis)}
    found = fields(mapping(raw, "a VPC"), "VPC", checks)
    subnets = found.get("subnets", VpcSpec().subnets)
    names = unique([subnet.subnet_id for subnet in subnets], "subnets: id")
    groups = tuple(
        group_of(group, f"nodes {n}", names) for n, group in enumerate(found.get("nodes", []), 1)
    )
    unique([group.name for group in groups], "nodes: name")
    if (n_nodes := sum(group.count for group in groups)) > MOST_NODES:
        raise InputError(f"nodes: at most {MOST_NODES:,} over all groups, not {n_nodes:,}")
    ec2 = found.get("ec2", {})
    vpc = found.get("vpc", {})
    return VpcSpec(
        seed=found.get("seed", 0),
        region=vpc.get("region", "us-east-1"),
        vpc_id=vpc.get("id", ""),
        blocks=vpc.get("blocks", ()),
        cluster=vpc.get("cluster", found.get("name", "cluster")),
        subnets=subnets,
        groups=groups,
        latencies=ec2.get("latency", {}),
        throttling=ec2.get("throttling", {}),
        faults=ec2.get("faults", ()),
        metadata_lag_ns=ec2.get("metadata_lag", NS),
        not_played=tuple(key for key in PLAYED_ONLY if key in found),
    )


def _vpc(value: Any, where: str) -> dict[str, Any]:
    return fields(mapping(value, where), where, _VPC)


def _region(value: Any, where: str) -> str:
    if not _REGION.fullmatch(non_empty(value, where)):
        raise InputError(f"{where} is a region such as us-east-1, not {quoted(value)}")
    return str(value)


def _vpc_id(value: Any, where: str) -> str:
    if not _VPC_ID.fullmatch(non_empty(value, where)):
        raise InputError(f"{where} is vpc- and 8 or 17 hexadecimal digits, not {quoted(value)}")
    return str(value)


def _blocks(value: Any, where: str) -> tuple[str, ...]:
    blocks = []
    for block in sequence(value, where):
        try:
            network = ipaddress.IPv4Network(non_empty(block, where))
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
        if not _LARGEST_BLOCK_BITS <= network.prefixlen <= _SMALLEST_BLOCK_BITS:
            raise InputError(f"{where}: a block is a /16 to a /28, not {quoted(block)}")
        blocks.append(str(network))
    return tuple(blocks)


def _not_read(_: Any, __: str) -> None:
    """Take what is not read."""


_VPC: Checks = {"id": _vpc_id, "blocks": _blocks, "region": _region, "cluster": non_empty}
_CHECKS: Checks = {
    "name": non_empty,
    "seed": integer,
    "vpc": _vpc,
    "subnets": subnets_of,
    "nodes": sequence,
    **dict.fromkeys(PLAYED_ONLY, _not_read),
}
