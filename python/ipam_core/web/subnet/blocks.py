"""A subnet's map as plain values, and what a drain of some of its nodes gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ipam_core._dataclass import dataclass
from ipam_core._subnet import BLOCK_STATES
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.quoting import visible
from ipam_core.subnet.blockmap import MARKS
from ipam_core.subnet.drains import drain

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ipam_core._subnet import Subnet
    from ipam_core.subnet.report import SubnetReport

_AWS_AT_START, _AWS_AT_END = 4, 1
"""Addresses of every subnet that AWS keeps."""
_PICKABLE = [BLOCK_STATES.index(state) for state in ("free", "prefix-reserved")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What draining some nodes gives.

    `freed` are the blocks that EC2 can then give as a /28, by number; `pods` those that are
    evicted, at most.
    """

    nodes: int
    pods: int
    freed: tuple[int, ...]
    free_prefixes: int
    score: int | None
    band: str


def gain_of(report: SubnetReport, nodes: Collection[str]) -> Gain:
    """Return what draining `nodes` gives. Cost: that of a copy of the subnet."""
    known = [node for node in report.nodes if node in nodes]
    after = drain(report, known)
    after_states = after.fragmentation()
    freed = _pickable(after) & ~_pickable(report.subnet)
    return Gain(
        nodes=len(known),
        pods=sum(report.pods_of[node] for node in known),
        freed=tuple(np.flatnonzero(freed).tolist()),
        free_prefixes=after.n_free_prefixes,
        score=after_states.score,
        band=after_states.band,
    )


def _pickable(subnet: Subnet) -> NDArray[np.bool_]:
    return np.isin(subnet.block_states(), _PICKABLE)


def map_of(report: SubnetReport) -> dict[str, Any]:
    """Return the map of a report as JSON's types.

    `states` and `used` are of each block, in order; `holders` are texts, and `held` has for
    each block pairs of a holder's number and its addresses there, one after the other; where
    the pairs of a block start is in `starts`. `reservations` are ranges of blocks.
    """
    subnet = report.subnet
    names, singles, delegated = _holders(report)
    offsets, _ = report.singles
    blocks, _ = report.delegated
    of_aws = [0] * _AWS_AT_START + [subnet.n_blocks - 1] * _AWS_AT_END
    held = np.concatenate([offsets >> 4, np.repeat(blocks, ADDRESSES_PER_PREFIX), of_aws])
    holders = np.concatenate([
        singles, np.repeat(delegated, ADDRESSES_PER_PREFIX), np.full(len(of_aws), len(names)),
    ])  # fmt: skip
    names.append("AWS")
    pairs, counts = np.unique(held * len(names) + holders, return_counts=True)
    block, holder = np.divmod(pairs, len(names))
    used = ADDRESSES_PER_PREFIX - subnet.free_counts().astype(int)
    return {
        "cidr": subnet.cidr,
        "states": subnet.block_states().tolist(),
        "used": used.tolist(),
        "names": list(BLOCK_STATES),
        "marks": "".join(MARKS[state] for state in BLOCK_STATES),
        "holders": names,
        "starts": np.searchsorted(block, np.arange(subnet.n_blocks + 1)).tolist(),
        "held": np.stack([holder, counts], axis=1).ravel().tolist(),
        "reservations": [
            [*range_in(subnet, cidr), f"{kind} {cidr}", kind] for cidr, kind in subnet.reservations
        ],
    }


def blocks_of_nodes(report: SubnetReport) -> dict[str, int]:
    """Return, by node, the number of blocks in which it holds an address."""
    offsets, holders = report.singles
    blocks, of_prefixes = report.delegated
    held = np.concatenate([offsets >> 4, blocks])
    holders = np.concatenate([holders, of_prefixes])
    pairs = np.unique(held[holders >= 0] + holders[holders >= 0] * report.subnet.n_blocks)
    counts = np.bincount(pairs // report.subnet.n_blocks, minlength=len(report.nodes))
    return dict(zip(report.nodes, counts.tolist(), strict=True))


def _holders(report: SubnetReport) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return the holders' texts, and the number of the holder of each address and each /28."""
    names: dict[str, int] = {}
    numbers, n_addresses, n_prefixes = [], [], []
    for each in report.interfaces:
        who = f"{each.node or each.eni_id} ({each.owner})"
        numbers.append(names.setdefault(who, len(names)))
        n_addresses.append(each.n_addresses)
        n_prefixes.append(len(each.prefixes))
    of_interface = np.array(numbers, np.int64)
    singles = np.repeat(of_interface, np.array(n_addresses, np.int64))
    delegated = np.repeat(of_interface, np.array(n_prefixes, np.int64))
    return [visible(name) for name in names], singles, delegated


def range_in(subnet: Subnet, cidr: str) -> tuple[int, int]:
    """Return the first block of a range and that after the last; one of part of a block, whole."""
    first, _, bits = cidr.partition("/")
    at = int(subnet.offsets([first])[0])
    return at >> 4, (at + (1 << (32 - int(bits))) + 15) >> 4
