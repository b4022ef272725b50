"""`simulate`: one call that plays a scenario or a fleet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipam_core.policy import VPC_CNI
from ipam_core.simulation.files import read_simulation, simulation_of
from ipam_core.simulation.scenario.player import play
from ipam_core.simulation.scenario.spec import Scenario

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.result import FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.scenario.timeline import Result


@overload
def simulate(
    source: Scenario,
    *,
    policy: Policy = ...,
    seed: int | None = ...,
    executor: Executor | None = ...,
) -> Result: ...
@overload
def simulate(
    source: FleetSpec,
    *,
    policy: Policy = ...,
    seed: int | None = ...,
    executor: Executor | None = ...,
) -> FleetResult: ...
@overload
def simulate(
    source: Mapping[str, Any] | str | os.PathLike[str],
    *,
    policy: Policy = ...,
    seed: int | None = ...,
    executor: Executor | None = ...,
) -> Result | FleetResult | list[Result]: ...
def simulate(
    source: Scenario | FleetSpec | Mapping[str, Any] | str | os.PathLike[str],
    *,
    policy: Policy = VPC_CNI,
    seed: int | None = None,
    executor: Executor | None = None,
) -> Result | FleetResult | list[Result]:
    """Play a scenario or a fleet in virtual time and return what happened.

    `source` is a `Scenario`, a `FleetSpec`, the content of a file of either as a mapping, or
    the path of a file. A file with a list of scenarios gives a list of results. `seed` decides
    what the real agent and EC2 leave to chance: the same source, policy and seed give the same
    result. Left out, it is the fleet's own, and 0 for a scenario. The parts of a fleet that do
    not touch each other are played by `executor`, if one is given; the result is the same.

    Raises:
        InputError: the source is neither a scenario nor a fleet, or a step cannot be done.
        OSError: the file cannot be read.
    """
    found: FleetSpec | list[Scenario]
    if isinstance(source, str | os.PathLike):
        found = read_simulation(Path(source))
    elif isinstance(source, Mapping):
        found = simulation_of([dict(source)], Path())
    else:
        found = [source] if isinstance(source, Scenario) else source
    if isinstance(found, list):
        results = [play(each, policy=policy, seed=seed or 0) for each in found]
        return results[0] if len(results) == 1 else results
    from ipam_core.simulation.fleet.fleet import simulate_fleet  # noqa: PLC0415  (loads NumPy)

    return simulate_fleet(found, policy=policy, seed=seed, executor=executor)
