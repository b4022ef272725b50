"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.policy import Policy

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SeedOption = Annotated[
    int, typer.Option(min=0, help="What decides all that the agent leaves to chance.")
]
PlotOption = Annotated[Path | None, typer.Option(help="Write a picture: a .png or .svg file.")]
PolicyOption = Annotated[str, typer.Option(help="The rules of the node: vpc-cni or ipam-core.")]


def policy_named(name: str) -> Policy:
    """Return the policy of that name. Raises `InputError`."""
    from ipam_core.policy import IPAM_CORE, VPC_CNI

    policies = {policy.name: policy for policy in (VPC_CNI, IPAM_CORE)}
    if name not in policies:
        raise InputError(f"unknown policy {name!r}; known: {', '.join(policies)}")
    return policies[name]
