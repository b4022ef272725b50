"""How often, and after which wait, the agent's SDK tries a failed call again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.errors import ThrottledError, UnreachableError

if TYPE_CHECKING:
    import random

    from ipam_core.errors import CloudError

SDK_TRIES = 10
"""How often the agent's SDK tries a call (pool-rules section 6)."""
LONGEST_BACKOFF_S = 20.0
"""The SDK waits a random share of 2^n seconds before try n + 1, at most this."""


def tries_again(error: CloudError, n_tries: int) -> bool:
    """Return whether the SDK tries a call again that failed for the n-th time."""
    return isinstance(error, ThrottledError | UnreachableError) and n_tries < SDK_TRIES


def backoff_s(n_tries: int, chance: random.Random) -> float:
    """Return how long the SDK waits after its n-th try. One draw."""
    return chance.random() * min(2.0**n_tries, LONGEST_BACKOFF_S)
