"""The fleets that come with the page."""

from __future__ import annotations

from importlib import resources

EXAMPLES = ("rolling-update", "subnet-exhaustion", "workload")
"""Their names, of the files in data/examples/fleet; the first is shown at first."""


def example(name: str) -> bytes:
    """Return the content of an example. Raises `KeyError` for a name that is none."""
    if name not in EXAMPLES:
        raise KeyError(name)
    folder = resources.files("ipam_core") / "data" / "examples" / "fleet"
    return (folder / f"{name}.yaml").read_bytes()
