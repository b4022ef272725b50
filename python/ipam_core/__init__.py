"""The address pool of the AWS VPC CNI as a library: allocate, predict, explain.

The pool:       `DataStore`, `Sandbox`, `Subnet`; `pool.decide` applies the target rules
A node:         `Node`, `drive`, `adrive`, `SimulatedCloud`, `AwsCloud`; `Settings`, `instances`
Durable state:  `Checkpoint`, `DurableStore`, `restore`
Questions:      `explain`, `diagnose`, `simulate`, `tune`
Rules:          `VPC_CNI`, the real agent's; `IPAM_CORE`, better ones; `Policy`

Every error is an `IpamError` (`ipam_core.errors`). Each name is loaded when first used, so
that importing the package is fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ipam_core._lazy import MovedModules, loader_of

if TYPE_CHECKING:
    from ipam_core import effects, errors, instances, pool
    from ipam_core._store import Assignment, DataStore, PoolStats, Sandbox
    from ipam_core._subnet import Subnet
    from ipam_core.checkpoint import Checkpoint, DurableNode, DurableStore, Entry, Restored
    from ipam_core.checkpoint.restore import restore
    from ipam_core.cloud import Cloud, drive
    from ipam_core.cloud.asynchronous import AsyncCloud, adrive
    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.simulated_cloud import SimulatedCloud
    from ipam_core.diagnosis.doctor import Diagnosis, diagnose
    from ipam_core.diagnosis.explain import Explanation, explain
    from ipam_core.diagnosis.inputs.collect import read_case
    from ipam_core.errors import IpamError
    from ipam_core.fragmentation import Fragmentation
    from ipam_core.instances import InstanceLimits
    from ipam_core.node import Node
    from ipam_core.policy import IPAM_CORE, VPC_CNI, Policy
    from ipam_core.pool import Decision, PoolView
    from ipam_core.settings import Settings
    from ipam_core.simulation.fleet.result import FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.simulation.scenario.timeline import Result
    from ipam_core.simulation.simulate import simulate
    from ipam_core.tuning import Goals, Tuning, tune

__version__ = "0.2.0"

__all__ = [
    "IPAM_CORE",
    "VPC_CNI",
    "Assignment",
    "AsyncCloud",
    "AwsCloud",
    "Checkpoint",
    "Cloud",
    "DataStore",
    "Decision",
    "Diagnosis",
    "DurableNode",
    "DurableStore",
    "Entry",
    "Explanation",
    "FleetResult",
    "FleetSpec",
    "Fragmentation",
    "Goals",
    "InstanceLimits",
    "IpamError",
    "Node",
    "Policy",
    "PoolStats",
    "PoolView",
    "Restored",
    "Result",
    "Sandbox",
    "Scenario",
    "Settings",
    "SimulatedCloud",
    "Subnet",
    "Tuning",
    "adrive",
    "diagnose",
    "drive",
    "effects",
    "errors",
    "explain",
    "instances",
    "pool",
    "read_case",
    "restore",
    "simulate",
    "tune",
]

_HOMES = {
    "_store": ("Assignment", "DataStore", "PoolStats", "Sandbox"),
    "_subnet": ("Subnet",),
    "checkpoint": ("Checkpoint", "DurableNode", "DurableStore", "Entry", "Restored", "restore"),
    "cloud": ("Cloud", "drive"),
    "cloud.asynchronous": ("AsyncCloud", "adrive"),
    "cloud.aws": ("AwsCloud",),
    "cloud.simulated_cloud": ("SimulatedCloud",),
    "diagnosis.doctor": ("Diagnosis", "diagnose"),
    "diagnosis.explain": ("Explanation", "explain"),
    "diagnosis.inputs.collect": ("read_case",),
    "errors": ("IpamError",),
    "fragmentation": ("Fragmentation",),
    "instances": ("InstanceLimits",),
    "node": ("Node",),
    "policy": ("IPAM_CORE", "VPC_CNI", "Policy"),
    "pool": ("Decision", "PoolView"),
    "settings": ("Settings",),
    "simulation.fleet.result": ("FleetResult",),
    "simulation.fleet.spec": ("FleetSpec",),
    "simulation.scenario.spec": ("Scenario",),
    "simulation.scenario.timeline": ("Result",),
    "simulation.simulate": ("simulate",),
    "tuning": ("Goals", "Tuning", "tune"),
}
_MODULES = frozenset(("effects", "errors", "instances", "pool"))
_load = loader_of(__name__, _HOMES)

if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
    sys.meta_path.append(MovedModules())


def __getattr__(name: str) -> Any:
    return import_module(f"{__name__}.{name}") if name in _MODULES else _load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
