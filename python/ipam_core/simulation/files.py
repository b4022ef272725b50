"""Simulation files: scenarios of one node, or a fleet."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipam_core.documents import load_documents, read_text
from ipam_core.errors import InputError
from ipam_core.simulation.given_types import with_types
from ipam_core.simulation.scenario.file import scenarios_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ipam_core.instances import InstanceLimits
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.scenario.spec import Scenario


def read_simulation(
    path: Path, types: Mapping[str, InstanceLimits] = MappingProxyType({})
) -> FleetSpec | list[Scenario]:
    """Read a file, JSON or YAML: a fleet, one scenario, or a list of them.

    `types` are limits of instance types that replace those of the table (`given_types`).

    Raises `OSError` if it cannot be read and `InputError` if its content is neither; the
    message starts with the file's name.
    """
    try:
        documents = load_documents(read_text(path), each_key_once=True)
        return simulation_of([with_types(each, types) for each in documents], path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def simulation_of(documents: list[Any], folder: Path) -> FleetSpec | list[Scenario]:
    """Return the fleet or the scenarios of a file's documents. `folder` holds files named in them.

    Raises `InputError` where they are neither a fleet nor scenarios.
    """
    if len(documents) == 1 and isinstance(documents[0], dict) and "nodes" in documents[0]:
        from ipam_core.simulation.fleet.file import fleet_of  # noqa: PLC0415  (loads NumPy)

        return fleet_of(documents[0], folder)
    return scenarios_of(documents)


def read_scenarios(path: Path) -> list[Scenario]:
    """Read a file of one scenario or a list of them. Raises as `read_simulation`."""
    found = read_simulation(path)
    if not isinstance(found, list):
        raise InputError(f"{path}: a fleet, not a scenario")
    return found
