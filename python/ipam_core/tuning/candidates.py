"""Which settings a search tries: the targets of both modes, fitted to the demand.

Only the variables of the pool's targets are changed; all others stay.
"""

from __future__ import annotations

from collections.abc import Mapping

TARGETS = (
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "MINIMUM_IP_TARGET",
    "WARM_PREFIX_TARGET",
    "ENABLE_PREFIX_DELEGATION",
)
"""The variables that a search may change."""
_WARM_ENIS = (0, 1, 2)
_WARM_IPS = (1, 2, 3, 5, 8, 12, 16, 24)
_WARM_PREFIXES = (1, 2)
_WARM_IPS_OF_PREFIXES = (1, 5, 16)

Env = Mapping[str, str]


def candidates(
    base: Env, *, typical_pods: int, peak_pods: int, prefixes: bool
) -> list[dict[str, str]]:
    """Return the environments to try for nodes with so many pods, typically and at most.

    `base` gives all variables except the targets. `prefixes` says whether prefix mode may be
    tried. The agent's own default, WARM_ENI_TARGET=1, is included.
    """
    kept = {name: value for name, value in base.items() if name not in TARGETS}
    minimums = sorted({0, typical_pods, peak_pods})
    found = [{"WARM_ENI_TARGET": str(warm)} for warm in _WARM_ENIS]
    found += _ip_targets(_WARM_IPS, minimums)
    if prefixes:
        on = {"ENABLE_PREFIX_DELEGATION": "true"}
        found += [{**on, "WARM_PREFIX_TARGET": str(warm)} for warm in _WARM_PREFIXES]
        found += [{**on, **targets} for targets in _ip_targets(_WARM_IPS_OF_PREFIXES, minimums)]
    return [{**kept, **targets} for targets in found]


def _ip_targets(warm_ips: tuple[int, ...], minimums: list[int]) -> list[dict[str, str]]:
    return [
        {"WARM_IP_TARGET": str(warm), **({"MINIMUM_IP_TARGET": str(least)} if least else {})}
        for warm in warm_ips
        for least in minimums
    ]


def targets_of(env: Env) -> dict[str, str]:
    """Return the variables of an environment that a search may change."""
    return {name: env[name] for name in TARGETS if name in env}


def changes(today: Env, env: Env) -> dict[str, str | None]:
    """Return the changes for `kubectl set env`: a value, or None to unset a variable."""
    found: dict[str, str | None] = {
        name: value for name, value in targets_of(env).items() if today.get(name) != value
    }
    return found | {name: None for name in targets_of(today) if name not in env}
