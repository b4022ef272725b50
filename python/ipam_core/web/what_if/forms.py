"""Settings in the forms that a cluster takes: a command, Helm values, an add-on's configuration."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam_core.web.what_if.state import State


def kubectl(state: State, unset: tuple[str, ...] = ()) -> str:
    """Return the `kubectl set env` line that sets its variables and removes `unset`."""
    words = [shlex.quote(f"{name}={value}") for name, value in state.env]
    words += [f"{name}-" for name in unset]
    if not words:
        return "kubectl -n kube-system set env ds/aws-node --list"
    return f"kubectl -n kube-system set env ds/aws-node {' '.join(words)}"


def helm(state: State) -> str:
    """Return the values of the chart aws-vpc-cni (YAML; its strings are those of JSON)."""
    if not state.env:
        return "env: {}"
    return "\n".join(["env:", *(f"  {name}: {json.dumps(value)}" for name, value in state.env)])


def addon(state: State) -> str:
    """Return the configuration of the add-on vpc-cni, for `--configuration-values`."""
    return json.dumps({"env": dict(state.env)}, indent=2)
