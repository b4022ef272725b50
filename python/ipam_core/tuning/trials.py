"""Environments played on a fleet under several seeds, here or by an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.simulation.executing import completed
from ipam_core.tuning.outcome import evaluate, pooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.tuning.outcome import Outcome

_ON_THE_FRONT = 8
"""About how many settings are played under every seed: progress is computed from it."""


def key_of(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return a key that is equal for equal variables."""
    return tuple(sorted(env.items()))


def played(
    spec: FleetSpec,
    runs: Sequence[tuple[Mapping[str, str], Policy, int]],
    executor: Executor | None,
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number and the outcome of each run, as they end. Raises as `completed`."""
    if executor is None:
        for number, (env, policy, seed) in enumerate(runs):
            yield number, evaluate(spec, env, policy, seed)
        return
    calls = [(spec, env, policy, seed) for env, policy, seed in runs]
    yield from completed(executor, evaluate, calls)


class Trials:
    """The trials that were played; `seeds` are used in order."""

    def __init__(
        self,
        spec: FleetSpec,
        policy: Policy,
        seeds: Sequence[int],
        executor: Executor | None,
        on_progress: Callable[[float], None],
        *,
        n_tried: int,
    ) -> None:
        self.spec = spec
        self.policy = policy
        self.seeds = seeds
        self._executor = executor
        self._on_progress = on_progress
        self._found: dict[tuple[tuple[str, str], ...], dict[int, Outcome]] = {}
        self._n_done = 0
        self._n_expected = n_tried + (len(seeds) - 1) * _ON_THE_FRONT + len(seeds)

    def play(self, envs: Iterable[Mapping[str, str]], *, n_seeds: int) -> None:
        """Play environments under so many seeds, unless this was done before."""
        jobs = [
            (env, seed)
            for env in envs
            for seed in self.seeds[:n_seeds]
            if seed not in self._found.setdefault(key_of(env), {})
        ]
        runs = [(env, self.policy, seed) for env, seed in jobs]
        for number, outcome in played(self.spec, runs, self._executor):
            self._take(*jobs[number], outcome)

    def outcomes(self, env: Mapping[str, str]) -> list[Outcome]:
        """Return the outcome of an environment for each seed it was played with, in their order."""
        found = self._found[key_of(env)]
        return [found[seed] for seed in self.seeds if seed in found]

    def outcome(self, env: Mapping[str, str]) -> Outcome:
        """Return the outcome of an environment for all seeds it was played with."""
        return pooled(self.outcomes(env))

    def _take(self, env: Mapping[str, str], seed: int, outcome: Outcome) -> None:
        self._found[key_of(env)][seed] = outcome
        self._n_done += 1
        self._on_progress(min(self._n_done / self._n_expected, 0.99))
