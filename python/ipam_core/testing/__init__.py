"""Tests for whoever writes a cloud, or a client of one.

contract    check_cloud: does a cloud do what a node expects of it?
trial       one cloud under test, and what it did that it must not
addresses   the checks of addresses and prefixes
enis        the checks of ENIs and their attachments
reads       the checks of what only reads, and of a whole node
vpc         a served VPC for one test, with its clients
plugin      the fixtures for pytest
kubernetes  a Kubernetes API over HTTP

Each name is loaded when first used. The checks need no extra and no pytest.

May import: endpoint, k8s, and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.testing.contract import CHECKS, Breach, Check, ContractError, check_cloud
    from ipam_core.testing.vpc import TestVpc

__all__ = ["CHECKS", "Breach", "Check", "ContractError", "TestVpc", "check_cloud"]

_HOMES = {
    "contract": ("CHECKS", "Breach", "Check", "ContractError", "check_cloud"),
    "vpc": ("TestVpc",),
}
__getattr__: Load = loader_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
