"""The scenarios that come with the page."""

from __future__ import annotations

from importlib import resources

EXAMPLES = ("stall", "cooldown", "prefixes", "subnet-full")
"""Their names, of the files in data/examples/life; the first is shown at first."""


def example(name: str) -> str:
    """Return the text of an example. Raises `KeyError` for a name that is none."""
    if name not in EXAMPLES:
        raise KeyError(name)
    folder = resources.files("ipam_core") / "data" / "examples" / "life"
    return (folder / f"{name}.yaml").read_text("utf-8")
