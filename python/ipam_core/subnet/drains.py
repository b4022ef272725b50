"""Which nodes to drain so that /28 blocks become free, with the fewest pods evicted.

A block becomes free when every node that holds an address in it is drained (and its instance
is terminated, which deletes its interfaces). A block in which anything else holds an address
never becomes free. The choice of nodes is a covering problem without a fast exact method.
SciPy's solver (HiGHS) proves the best choice, or gives a bound when its time is over; without
SciPy there is a greedy choice with a bound of its own.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core._subnet import BLOCK_STATES
from ipam_core.subnet.interfaces import numbers

with extra("batch", "the report of a subnet"):
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from ipam_core._subnet import Subnet
    from ipam_core.subnet.report import SubnetReport

SOLVER_TIME_S = 5.0
_MOST_PAIRS_TO_PRESOLVE = 5_000
"""HiGHS checks its time limit only between the steps of presolving, which then take minutes."""
_FEW_PAIRS = 100
"""A problem up to this size is solved faster than another process loads SciPy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPlan:
    """Nodes to drain, and the free /28s that it gives.

    Attributes:
        nodes: ids of the instances, sorted.
        wanted: /28s asked for.
        won: /28s that become free.
        attainable: /28s that draining every node would win.
        pods: evicted; an upper bound, unless `pods_known`.
        at_least: no choice with as many free /28s evicts fewer; equal to `pods`: proven best.
        method: `exact`, `solver, out of time`, or `greedy`.
        pods_known: whether `pods` counts pods, or addresses that pods may have.
        doubts: reasons, for any method, why this choice is not proven to be the best.
    """

    nodes: list[str]
    wanted: int
    won: int
    attainable: int
    pods: int
    at_least: int
    method: str
    pods_known: bool
    doubts: list[str]

    @property
    def proven(self) -> bool:
        """Whether no other choice evicts fewer pods."""
        return self.method == "exact" and not self.doubts

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON's types."""
        return {name: getattr(self, name) for name in self.__slots__} | {"proven": self.proven}


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """Blocks that can become free, and who holds them.

    Pair i says that node `node[i]` holds an address in block `block[i]`; each pair is there
    once. Nodes are indexes of `cost`; blocks are numbered from 0 and sorted in `block`.
    """

    block: NDArray[np.int64]
    node: NDArray[np.int64]
    cost: NDArray[np.int64]
    n_blocks: int

    def sums(self, of_node: NDArray[Any]) -> NDArray[np.float64]:
        """Return, by block, the sum over its nodes."""
        found = np.bincount(self.block, of_node[self.node], minlength=self.n_blocks)
        return found.astype(np.float64)

    @cached_property
    def alone(self) -> NDArray[np.float64]:
        """The cost of freeing each block on its own."""
        return self.sums(self.cost)

    @cached_property
    def blocks_of(self) -> list[NDArray[np.int64]]:
        """The blocks of each node."""
        # A subnet has fewer than 2^16 nodes; NumPy sorts 16 bits several times faster.
        order = np.argsort(self.node.astype(np.uint16), kind="stable")
        return np.split(
            self.block[order], np.searchsorted(self.node[order], np.arange(1, len(self.cost)))
        )

    def freed(self, drained: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which blocks become free."""
        return np.asarray(self.sums(~drained) == 0)

    def within(self, most: float) -> _Problem:
        """Return the problem without blocks that cost more than `most` on their own."""
        kept = self.alone <= most
        pairs = kept[self.block]
        return _Problem(
            block=(np.cumsum(kept) - 1)[self.block[pairs]],
            node=self.node[pairs],
            cost=self.cost,
            n_blocks=int(kept.sum()),
        )


class Search(NamedTuple):
    """A search that SciPy's solver may win: what `plan_drains` asks `apart` for. Can be pickled."""

    problem: _Problem
    target: int
    drained: NDArray[np.bool_]
    at_least: int

    @property
    def size(self) -> int:
        """How large it is: the time that it takes grows with it."""
        return len(self.problem.block)


def search_for(report: SubnetReport, wanted: int) -> Search | None:
    """Return the search for a report's drains; None if it is done without another process."""
    problem = _problem_of(report)
    target = min(wanted, problem.n_blocks)
    found = Search(problem, target, *_greedy(problem, target))
    return found if found.size > _FEW_PAIRS and _may_win(found) else None


def solve_until(search: Search, until_s: float, share: float) -> Any:
    """Search in a share of the time that is left until a time of the monotonic clock."""
    return _solve(*search, max(until_s - time.monotonic(), 0) * share)


def plan_drains(
    report: SubnetReport,
    wanted: int,
    *,
    time_limit_s: float = SOLVER_TIME_S,
    exact: bool = True,
    apart: Callable[..., Any] | None = None,
) -> DrainPlan:
    """Return the nodes to drain to win `wanted` free /28s, or as many as there are to win.

    `exact` asks for SciPy's solver, if it is installed, unless a bound proves already that it
    cannot find better; it stops after `time_limit_s`. Nothing can interrupt it before. So
    `apart`, given a function and its arguments, calls the function
    in another process. All of them can be pickled.
    """
    problem = _problem_of(report)
    target = min(wanted, problem.n_blocks)
    drained, at_least = _greedy(problem, target)
    method = "greedy"
    if exact and _may_win(Search(problem, target, drained, at_least)):
        problem_of = (problem, target, drained, at_least, time_limit_s)
        if apart is None or len(problem.block) <= _FEW_PAIRS:
            drained, at_least, method = _solve(*problem_of)
        else:
            drained, at_least, method = apart(_solve, *problem_of)
    pods = int(problem.cost[drained].sum())
    return DrainPlan(
        nodes=[node for node, out in zip(report.nodes, drained, strict=True) if out],
        wanted=wanted,
        won=int(problem.freed(drained).sum()),
        attainable=problem.n_blocks,
        pods=pods,
        at_least=min(at_least, pods),
        method="exact" if at_least >= pods else method,
        pods_known=report.listed_nodes.issuperset(report.nodes),
        doubts=report.doubts,
    )


def drain(report: SubnetReport, nodes: Iterable[str]) -> Subnet:
    """Return a copy of the report's subnet without what `nodes` hold."""
    after = report.subnet.copy()
    drained = set(nodes)
    places = [at for at, node in enumerate(report.nodes) if node in drained]
    offsets, holders = report.singles
    after.release_addresses(numbers(after, offsets[np.isin(holders, places)]))
    for each in report.interfaces:
        if each.node in drained:
            for prefix in each.prefixes:
                after.release_prefix(prefix)
    return after


def _problem_of(report: SubnetReport) -> _Problem:
    offsets, holders = report.singles
    delegated, delegated_to = report.delegated
    blocks = np.concatenate([offsets >> 4, delegated])
    holders = np.concatenate([holders, delegated_to])
    n_blocks = report.subnet.n_blocks
    winnable = _can_be_picked(report.subnet)
    winnable[blocks[holders < 0]] = False
    held = np.zeros(n_blocks, np.bool_)
    held[blocks] = True
    winnable &= held
    number = np.cumsum(winnable) - 1
    pairs = winnable[blocks]
    n_nodes = max(len(report.nodes), 1)
    # A flag for each block and node: sorting the pairs and dropping duplicates takes longer.
    met = np.zeros(int(winnable.sum()) * n_nodes, np.bool_)
    met[number[blocks[pairs]] * n_nodes + holders[pairs]] = True
    unique = np.flatnonzero(met)
    return _Problem(
        block=unique // n_nodes,
        node=unique % n_nodes,
        cost=np.array([report.pods_of[node] for node in report.nodes], np.int64),
        n_blocks=int(winnable.sum()),
    )


def _can_be_picked(subnet: Subnet) -> NDArray[np.bool_]:
    """Return the blocks that EC2 can pick as a /28 when they are empty."""
    empty = type(subnet)(subnet.cidr, reservations=subnet.reservations)
    pickable = [BLOCK_STATES.index(state) for state in ("free", "prefix-reserved")]
    return np.isin(empty.block_states(), pickable)


def _greedy(problem: _Problem, target: int) -> tuple[NDArray[np.bool_], int]:
    """Return nodes that free `target` blocks, and a lower bound for the cost of such a choice.

    Repeatedly frees the block with the least additional cost, then takes back every node that
    was not needed, the most expensive first. Two bounds hold for the best choice: it costs at
    least its most expensive block alone; and no block costs less than the sum of its nodes'
    costs if each node spreads its cost evenly over all blocks it holds.
    """
    drained = np.zeros(len(problem.cost), np.bool_)
    if target == 0:
        return drained, 0
    degree = np.maximum(np.bincount(problem.node, minlength=len(problem.cost)), 1)
    shares = problem.sums(problem.cost / degree)
    dearest = np.partition(problem.alone, target - 1)[target - 1]
    spread = np.sort(shares)[:target].sum()
    # A little less than the sum, so that rounding cannot make the bound too high.
    at_least = int(np.ceil(max(dearest, spread) - 1e-6))

    starts = np.searchsorted(problem.block, np.arange(problem.n_blocks + 1))
    n_holders = np.diff(starts)  # that are not drained yet
    costs = problem.alone.copy()
    while np.count_nonzero(n_holders == 0) < target:
        block = int(np.argmin(np.where(n_holders == 0, np.inf, costs)))
        for node in problem.node[starts[block] : starts[block + 1]]:
            if not drained[node]:
                drained[node] = True
                n_holders[problem.blocks_of[node]] -= 1
                costs[problem.blocks_of[node]] -= problem.cost[node]
    for node in sorted(np.flatnonzero(drained), key=lambda node: -problem.cost[node]):
        n_holders[problem.blocks_of[node]] += 1
        if np.count_nonzero(n_holders == 0) >= target:
            drained[node] = False
        else:
            n_holders[problem.blocks_of[node]] -= 1
    return drained, at_least


def _may_win(search: Search) -> bool:
    """Return whether the solver is there, and no bound proves that no choice evicts fewer pods."""
    proven = search.at_least >= search.problem.cost[search.drained].sum()
    return search.target > 0 and not proven and _scipy_is_there()


def _scipy_is_there() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415

    return find_spec("scipy") is not None


def _solve(
    whole: _Problem, target: int, drained: NDArray[np.bool_], at_least: int, time_limit_s: float
) -> tuple[NDArray[np.bool_], int, str]:
    """Improve a choice by SciPy's solver; return it, its proven bound, and the method.

    There is one variable for each node, 0 or 1, and one for each block, at most that of each
    of its nodes: the blocks' variables follow from the nodes' and need not be integers. Blocks
    that cost more than the current choice are in no better one.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415
    from scipy.sparse import csr_array  # noqa: PLC0415

    in_hand = int(whole.cost[drained].sum())
    problem = whole.within(in_hand)
    n_nodes, n_pairs = len(problem.cost), len(problem.block)
    n = n_nodes + problem.n_blocks
    # Evict the fewest pods; of such choices, drain the fewest nodes.
    small = 1 / (n_nodes + 1)
    objective = np.concatenate([problem.cost + small, np.zeros(problem.n_blocks)])
    rows = np.arange(n_pairs)
    follows = csr_array(
        (
            np.concatenate([np.ones(n_pairs), -np.ones(n_pairs)]),
            (np.concatenate([rows, rows]), np.concatenate([n_nodes + problem.block, problem.node])),
        ),
        shape=(n_pairs, n),
    )
    enough = csr_array(np.concatenate([np.zeros(n_nodes), np.ones(problem.n_blocks)])[None, :])
    result = milp(
        objective,
        integrality=np.concatenate([np.ones(n_nodes), np.zeros(problem.n_blocks)]),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(follows, -np.inf, 0),
            LinearConstraint(enough, target, np.inf),
        ],
        options={
            "time_limit": time_limit_s,
            "mip_rel_gap": 0,
            "presolve": n_pairs <= _MOST_PAIRS_TO_PRESOLVE,
        },
    )
    if result.mip_dual_bound is not None and np.isfinite(result.mip_dual_bound):
        # The small costs add less than 1 in all, and pods are integers.
        at_least = max(at_least, int(np.floor(result.mip_dual_bound + 1e-6)))
    if result.x is not None:
        found = result.x[:n_nodes] > 0.5
        enough_won = whole.freed(found).sum() >= target
        if enough_won and whole.cost[found].sum() <= in_hand:
            drained = found
    if result.status == 0:
        return drained, int(whole.cost[drained].sum()), "exact"
    return drained, at_least, "solver, out of time"
