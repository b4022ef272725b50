"""Types of a part of the DataStore: its whole state (src/ipam_core/_saved.pyx)."""

from ipam_core._batches import Batches

class Saved(Batches):
    """A store that can be written down."""

    def snapshot(self) -> bytes: ...
