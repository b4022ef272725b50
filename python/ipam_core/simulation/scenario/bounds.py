"""How much a scenario may ask for: one node's addresses and pods, and a month of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.simulation.scenario.spec import Scenario

MOST_PODS = 10_000
"""Pods that all steps add. The kubelet of the largest node takes 737."""
MOST_SECONDS = 31 * 86_400
"""Seconds of all `run` steps."""
MOST_STEPS = 10_000
MOST_CARDS = 64
MOST_ENIS = 64
"""ENIs of a card, the most that a store holds."""
LARGEST = 1 << 24
"""Any other number: the addresses of the largest private block."""


def check_bounds(scenario: Scenario) -> None:
    """Refuse a scenario beyond the bounds. Raises `InputError`, which names the bound."""
    cards = scenario.enis_per_card
    if len(cards) > MOST_CARDS or not all(1 <= n_enis <= MOST_ENIS for n_enis in cards):
        raise InputError(
            f"node.enis_per_card is at most {MOST_CARDS} numbers from 1 to {MOST_ENIS}, "
            f"not {quoted(list(cards))}"
        )
    _at_most(scenario.unmanaged_enis, MOST_ENIS, "node.unmanaged_enis")
    _at_most(scenario.metadata_lag_s, MOST_SECONDS, "node.metadata_lag_s")
    _at_most(scenario.max_pods, LARGEST, "max_pods")
    _at_most(len(scenario.steps), MOST_STEPS, "the number of steps")
    n_pods = n_seconds = 0
    for number, step in enumerate(scenario.steps, 1):
        n_pods += step.get("n", 0) if step.op == "add_pods" else 0
        n_seconds += step.get("seconds", 0) if step.op == "run" else 0
        _at_most(n_pods, MOST_PODS, f"step {number} ({step.op}): pods that all steps add")
        _at_most(n_seconds, MOST_SECONDS, f"step {number} ({step.op}): seconds of all steps")
        if step.op != "expect":
            for value in _integers(step.arguments):
                _at_most(value, LARGEST, f"step {number} ({step.op}): a number")


def _integers(value: Any) -> Iterator[int]:
    """Yield every integer in the arguments of a step."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _integers(part)


def _at_most(value: int, most: int, what: str) -> None:
    if value > most:
        raise InputError(f"{what}: at most {most:,}, not {quoted(value)}")
