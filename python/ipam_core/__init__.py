"""The address pool of the AWS VPC CNI as a library: allocate, predict, explain.

The names below are loaded when first used, so that importing the package costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipam_core import instances as instances
    from ipam_core import pool as pool
    from ipam_core._store import Assignment as Assignment
    from ipam_core._store import DataStore as DataStore
    from ipam_core._store import PoolStats as PoolStats
    from ipam_core._store import Sandbox as Sandbox
    from ipam_core._subnet import Subnet as Subnet
    from ipam_core.checkpoint import Checkpoint as Checkpoint
    from ipam_core.checkpoint import DurableStore as DurableStore
    from ipam_core.cloud import drive as drive
    from ipam_core.cloud.aws import AwsCloud as AwsCloud
    from ipam_core.diagnosis.explain.explanation import explain as explain
    from ipam_core.fragmentation import Fragmentation as Fragmentation
    from ipam_core.node import Node as Node
    from ipam_core.policy import IPAM_CORE as IPAM_CORE
    from ipam_core.policy import VPC_CNI as VPC_CNI
    from ipam_core.policy import Policy as Policy
    from ipam_core.pool import Decision as Decision
    from ipam_core.pool import PoolView as PoolView
    from ipam_core.settings import Settings as Settings

__version__ = "0.1.0"

_HOMES = {
    "Assignment": "_store",
    "Checkpoint": "checkpoint",
    "DataStore": "_store",
    "DurableStore": "checkpoint",
    "PoolStats": "_store",
    "Sandbox": "_store",
    "AwsCloud": "cloud.aws",
    "Fragmentation": "fragmentation",
    "Subnet": "_subnet",
    "drive": "cloud",
    "explain": "diagnosis.explain",
    "Node": "node",
    "IPAM_CORE": "policy",
    "VPC_CNI": "policy",
    "Policy": "policy",
    "Decision": "pool",
    "PoolView": "pool",
    "Settings": "settings",
}
_MODULES = ("errors", "instances", "pool")

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - one list, kept in one place


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
